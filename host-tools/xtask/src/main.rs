//! `cargo xtask`: everything that is automated in this repository.
#![forbid(unsafe_code)]

mod apt;
mod assets;
mod fetch;
mod progress;
mod repo;
mod shell;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// All automation of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Fetch weights and images into target/assets, checked by SHA-256
    Fetch {
        /// Only these assets
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Fetch { names } => fetch::fetch(&names),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
