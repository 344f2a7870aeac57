//! What the user sees: one report on stdout; progress, notes and errors on stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// The version of all JSON reports: it grows when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// Where a command's words go.
pub struct Console {
    /// Whether stdout gets JSON and stderr no progress.
    pub json: bool,
}

#[derive(Serialize)]
struct Envelope<'a, R> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a R,
}

impl Console {
    /// Prints a command's report on stdout.
    pub fn print(&self, report: &(impl Serialize + Display)) -> Result<()> {
        let text = if self.json {
            let schema_version = SCHEMA_VERSION;
            serde_json::to_string_pretty(&Envelope {
                schema_version,
                report,
            })?
        } else {
            report.to_string()
        };
        let written = writeln!(io::stdout().lock(), "{}", text.trim_end());
        match written {
            // Whoever reads has seen enough, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("stdout"),
        }
    }

    /// A progress bar over `len` pieces of work; not shown with JSON or where stderr is no terminal.
    pub fn bar(&self, len: usize, what: &str) -> ProgressBar {
        let shown = !self.json && io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = "{msg} {wide_bar} {pos}/{len} [{elapsed}, {eta} left]";
        let style = ProgressStyle::with_template(style);
        ProgressBar::with_draw_target(Some(len as u64), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(what.to_string())
    }

    /// A line about how things go, on stderr; nothing with JSON.
    pub fn note(&self, line: impl Display) {
        if !self.json {
            eprintln!("{line}");
        }
    }
}

/// Prints why a command failed: what was tried, from outside in, each told once.
pub fn print_error(error: &anyhow::Error) {
    let mut line = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some errors tell their cause themselves.
        if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    eprintln!("error: {line}");
}
