//! Building for thumb targets: with rustup's compiled library, or with Debian's compiler and library source.
//!
//! Rustup is the ordinary way. Where it can add no target (behind a closed network), Debian's `rustc-web` builds the
//! library from `rust-web-src`; nobody should have to know. `OCELLI_THUMB=rustup` or `=debian` forces one of the two.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::{apt, progress, repo, shell};

/// The targets of the device audit.
pub const TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
];

/// The target of the emulated Cortex-M4F and of the nRF52840.
pub const M4F: &str = "thumbv7em-none-eabihf";

/// Forces one way: `rustup` or `debian`.
const FORCE: &str = "OCELLI_THUMB";

/// How long rustup may take to add a target.
const ADD_LIMIT: Duration = Duration::from_secs(60);

/// Debian's packages for building without rustup's targets.
const DEBIAN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A way to build for thumb targets, found to work.
#[derive(Debug)]
pub struct Thumb {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Rustup,
    Debian { lld: PathBuf },
}

impl Thumb {
    /// Chooses the way that can build for all of `targets`, and sets it up.
    pub fn detect(targets: &[&str]) -> Result<Self> {
        let way = match std::env::var(FORCE).as_deref() {
            Ok("rustup") => rustup(targets)?,
            Ok("debian") => debian()?,
            Ok("") | Err(_) => found(targets)?,
            Ok(other) => bail!("{FORCE}={other} is neither rustup nor debian"),
        };
        Ok(Self { way })
    }

    /// The way in words.
    pub fn describe(&self) -> &'static str {
        match self.way {
            Way::Rustup => "rustup's target",
            Way::Debian { .. } => "Debian's rustc-web with the library built from source",
        }
    }

    /// `cargo VERB --target TARGET`, to be started in a folder of the firmware.
    pub fn cargo(&self, verb: &str, target: &str) -> Command {
        match &self.way {
            Way::Rustup => {
                let mut command = repo::cargo();
                command.args([verb, "--target", target]);
                command
            }
            Way::Debian { lld } => {
                let mut command = Command::new(DEBIAN_CARGO);
                command.arg(verb);
                debian_settings(&mut command, lld, target);
                command
            }
        }
    }

    /// `cargo clippy --target TARGET`, of the same compiler.
    pub fn clippy(&self, target: &str) -> Result<Command> {
        match &self.way {
            Way::Rustup => Ok(self.cargo("clippy", target)),
            Way::Debian { lld } => {
                apt::install(&["rust-web-clippy"], "clippy for the firmware")?;
                // Found by its path: `cargo clippy` would start rustup's before Debian's.
                let mut command = Command::new("/usr/bin/cargo-clippy");
                command.arg("clippy").env("CARGO", DEBIAN_CARGO);
                debian_settings(&mut command, lld, target);
                Ok(command)
            }
        }
    }

    /// Builds one program in release, for a processor if one is named, and gives back its ELF.
    pub fn build_bin(
        &self,
        dir: &Path,
        bin: &str,
        target: &str,
        cpu: Option<&str>,
        feature: Option<&str>,
    ) -> Result<PathBuf> {
        let mut command = self.cargo("build", target);
        if let Some(cpu) = cpu {
            // What is built for one processor must not be taken for another's.
            let dir = repo::target().join(cpu);
            let flags = format!("target.{target}.rustflags=[\"-Ctarget-cpu={cpu}\"]");
            command
                .args(["--config", &flags])
                .arg("--target-dir")
                .arg(dir);
        }
        command
            .current_dir(dir)
            .args(["--release", "--bin", bin])
            .args(feature.map(|feature| format!("--features={feature}")))
            .arg("--message-format=json-render-diagnostics");
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", shell::line(&command)))?;
        if !output.status.success() {
            bail!("`{}` failed in {}", shell::line(&command), repo::shown(dir));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        executable(&messages, bin)
            .with_context(|| format!("cargo names no executable of {bin} for {target}"))
    }
}

/// What the artifact message of the program says.
fn executable(messages: &str, bin: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == bin)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// What is installed comes first; then what rustup can add; then what apt-get can install.
fn found(targets: &[&str]) -> Result<Way> {
    if !missing(targets)?.is_empty() && DEBIAN.iter().all(|package| apt::is_installed(package)) {
        return debian();
    }
    rustup(targets).or_else(|rustup| {
        eprintln!("Debian's compiler instead of rustup's targets: {rustup:#}");
        debian().map_err(|debian| {
            let targets = targets.join(", ");
            anyhow!("there is no compiler for {targets}:\n  {rustup:#}\n  {debian:#}")
        })
    })
}

/// The targets for which the toolchain has no library.
fn missing<'a>(targets: &[&'a str]) -> Result<Vec<&'a str>> {
    let rustlib = sysroot()?.join("lib/rustlib");
    let is_missing = |target: &&str| !rustlib.join(target).join("lib").is_dir();
    Ok(targets.iter().copied().filter(is_missing).collect())
}

fn rustup(targets: &[&str]) -> Result<Way> {
    // Where rustup could add one target, it is asked for others; where not, it is not waited for a second time.
    static REFUSED: OnceLock<String> = OnceLock::new();
    for target in missing(targets)? {
        if let Some(refusal) = REFUSED.get() {
            bail!("{refusal}");
        }
        if let Err(error) = add(target) {
            bail!("{}", REFUSED.get_or_init(|| format!("{error:#}")));
        }
    }
    Ok(Way::Rustup)
}

fn add(target: &str) -> Result<()> {
    if shell::find("rustup").is_none() {
        bail!("{target} is not installed, and there is no rustup to add it");
    }
    let bar = progress::spinner(format!("adding {target} with rustup"));
    let mut add = Command::new("rustup");
    let added = shell::capture_within(add.args(["target", "add", target]), ADD_LIMIT);
    bar.finish_and_clear();
    added.map(drop)
}

fn debian() -> Result<Way> {
    apt::install(
        &DEBIAN,
        "building for microcontrollers without rustup's targets",
    )?;
    Ok(Way::Debian { lld: lld()? })
}

fn debian_settings(command: &mut Command, lld: &Path, target: &str) {
    // Flags come by `--config`, which adds to what the firmware's own configuration says; RUSTFLAGS would replace it.
    // The target stands there without quotes, dots and all: so cargo looks it up.
    let linker = format!("target.{target}.linker={:?}", lld.display().to_string());
    command
        .args(["-Zbuild-std=core,alloc", "--target", target])
        .args(["--config", &linker])
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("RUSTC_BOOTSTRAP", "1");
}

/// Rustup's toolchain brings a linker; so does Debian, in a package of its own.
fn lld() -> Result<PathBuf> {
    let version = shell::capture(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    if let Some(host) = host {
        let lld = sysroot()?
            .join("lib/rustlib")
            .join(host)
            .join("bin/rust-lld");
        if lld.is_file() {
            return Ok(lld);
        }
    }
    if shell::find("ld.lld").is_none() {
        apt::install(&["lld"], "linking for microcontrollers")?;
    }
    shell::find("ld.lld").context("lld is installed, and there is still no ld.lld")
}

fn sysroot() -> Result<PathBuf> {
    let sysroot = shell::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(sysroot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_the_program_asked_for() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"core"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"fault"},"executable":"/t/fault"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"infer"},"executable":"/t/infer"}"#,
        );
        assert_eq!(executable(messages, "infer"), Some("/t/infer".into()));
        assert_eq!(executable(messages, "device"), None);
    }
}
