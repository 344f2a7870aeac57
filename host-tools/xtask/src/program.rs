//! The program `ocelli`, as users run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{progress, repo, shell};

/// The program, built.
pub struct Ocelli {
    program: PathBuf,
}

impl Ocelli {
    /// Builds it in release.
    pub fn build() -> Result<Self> {
        shell::run(repo::cargo().args(["build", "--release", "-p", "ocelli-cli"]))?;
        let program = repo::cargo_target()
            .join("release")
            .join(format!("ocelli{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program })
    }

    /// Shows the command as a user would type it in the root of the repository, and runs it.
    pub fn run(&self, words: &str) -> Result<()> {
        self.run_with(words, &[])
    }

    /// The same with variables of the environment.
    pub fn run_with(&self, words: &str, variables: &[(&str, &Path)]) -> Result<()> {
        println!("$ ocelli {words}\n");
        shell::run(self.command(words).envs(variables.iter().copied()))
    }

    /// Runs it with `--json` and gives back what it printed.
    pub fn json(&self, words: &str) -> Result<serde_json::Value> {
        progress::note(&format!("$ ocelli {words} --json"));
        let mut command = self.command(words);
        let text = shell::capture(command.arg("--json"))?;
        serde_json::from_str(&text).with_context(|| format!("`{}`", shell::line(&command)))
    }

    /// No path below the root of the repository has a space in it.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words.split_whitespace())
            .current_dir(repo::root());
        command
    }
}
