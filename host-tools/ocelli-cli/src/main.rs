//! The program `ocelli`: makes model images, looks at them, plans their memory, runs them, scores them, teaches them new classes, compares devices and counts their instructions.
//!
//! One file per command; each prints one report on stdout (see [`console`]) or fails with one sentence on stderr. Exit
//! code 1 is a failure, 2 wrong usage.
#![forbid(unsafe_code)]

mod arch;
mod bench;
mod camera;
mod console;
mod convert;
mod device;
mod emulator;
mod eval;
mod file;
mod inspect;
mod metrics;
mod model;
mod plan;
mod replan;
mod run;
mod table;
mod tune;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::console::Console;

/// Converts and runs quantized vision networks for microcontrollers, teaches them new classes, and checks devices against the host.
///
/// Results go to stdout, progress and logs to stderr. The environment variable OCELLI_LOG sets how much is logged
/// (warn if not set; debug shows more). Exit code 1 is a failure, 2 wrong usage.
#[derive(Parser)]
#[command(name = "ocelli", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object on stdout, with "schema_version", and no progress
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Arch(arch::Args),
    Convert(convert::Args),
    Inspect(inspect::Args),
    Replan(replan::Args),
    Run(run::Args),
    Eval(eval::Args),
    Tune(tune::Args),
    Verify(verify::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("OCELLI_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let console = Console { json: cli.json };
    let result = match &cli.command {
        Command::Arch(args) => arch::run(args, &console),
        Command::Convert(args) => convert::run(args, &console),
        Command::Inspect(args) => inspect::run(args, &console),
        Command::Replan(args) => replan::run(args, &console),
        Command::Run(args) => run::run(args, &console),
        Command::Eval(args) => eval::run(args, &console),
        Command::Tune(args) => tune::run(args, &console),
        Command::Verify(args) => verify::run(args, &console),
        Command::Bench(args) => bench::run(args, &console),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
