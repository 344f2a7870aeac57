//! The program as users meet it: its words, its files and its exit codes.

mod arch;
mod bench;
mod camera;
mod convert;
mod eval;
mod inspect;
mod replan;
mod report;
mod run;
#[path = "../support/model.rs"]
mod small;
mod tune;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ocelli_image::Model;
use serde_json::Value;
use tempfile::TempDir;

/// A folder for one test, with the program started in it.
struct Desk(TempDir);

/// What the program said, and its exit code.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    /// With the small model as `m.ocl`.
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.model("m.ocl", &small::colours());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn model(&self, name: &str, model: &Model) {
        fs::write(self.path(name), small::bytes(model)).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// A picture of one colour.
    fn picture(&self, name: &str, colour: [u8; 3]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let side = small::SIDE as u32 + 3;
        image::RgbImage::from_pixel(side, side, image::Rgb(colour))
            .save(path)
            .unwrap();
    }

    /// Folders of `count` pictures of each colour, no two the same.
    fn pictures(&self, folder: &str, classes: &[(&str, [u8; 3])], count: u8) {
        for (class, colour) in classes {
            for at in 0..count {
                let name = format!("{folder}/{class}/{at:02}.png");
                self.picture(&name, colour.map(|value| value.saturating_sub(3 * at)));
            }
        }
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
        command.args(args).current_dir(self.0.path());
        command.env_remove("OCELLI_QEMU").env_remove("OCELLI_LOG");
        said(command.output().unwrap())
    }

    /// What a command that succeeds prints.
    fn text(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
        said.stdout
    }

    /// What a command that succeeds prints as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
        assert_eq!(said.stderr, "");
        let value: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(value["schema_version"], 1);
        value
    }

    /// The error of a command that fails.
    fn error(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, Some(1), "{args:?}: {}", said.stdout);
        assert_eq!(said.stdout, "");
        let error = said.stderr.lines().last().unwrap_or_default().to_string();
        assert!(error.starts_with("error: "), "{}", said.stderr);
        error
    }
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const RED: [u8; 3] = [250, 10, 10];
const GREEN: [u8; 3] = [10, 250, 10];
const BLUE: [u8; 3] = [10, 10, 250];
const YELLOW: [u8; 3] = [250, 250, 10];

/// Pictures that the small model knows.
fn known(desk: &Desk, count: u8) {
    let classes = [("red", RED), ("green", GREEN), ("blue", BLUE)];
    desk.pictures("known", &classes, count);
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn wrong_usage_ends_with_2_and_says_how_to_ask() {
    let desk = Desk::new();
    let wrong: [&[&str]; 9] = [
        &[],
        &["fly"],
        &["inspect"],
        &["run", "m.ocl"],
        &["run", "m.ocl", "a.png", "--top", "0"],
        &["run", "m.ocl", "--raw-input", "a"],
        &[
            "run",
            "m.ocl",
            "a.png",
            "--raw-input",
            "a",
            "--raw-output",
            "b",
        ],
        &["tune", "m.ocl", "known"],
        &["verify", "m.ocl", "--on", "z80"],
    ];
    for args in wrong {
        let said = desk.run(args);
        assert_eq!(said.code, Some(2), "{args:?}");
        assert!(said.stderr.contains("--help"), "{args:?}: {}", said.stderr);
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let desk = Desk::new();
    for command in [
        "convert", "inspect", "run", "eval", "tune", "verify", "bench",
    ] {
        let help = desk.text(&[command, "--help"]);
        assert!(help.contains("Example:\n  ocelli "), "{command}: {help}");
        assert!(help.contains("--json"), "{command}");
    }
    assert!(desk.text(&["--version"]).starts_with("ocelli "));
}

#[test]
fn every_command_names_a_model_that_is_not_there() {
    let desk = Desk::new();
    let commands: [&[&str]; 6] = [
        &["inspect", "none.ocl"],
        &["run", "none.ocl", "a.png"],
        &["eval", "none.ocl", "known"],
        &["tune", "none.ocl", "known", "-o", "t.ocl"],
        &["verify", "none.ocl", "--on", "m4"],
        &["bench", "none.ocl", "--on", "host"],
    ];
    for args in commands {
        let error = desk.error(args);
        assert!(error.contains("none.ocl: "), "{error}");
        assert!(error.contains("No such file"), "{error}");
        // The system's reason once, not again as its own cause.
        assert_eq!(error.matches("No such file").count(), 1, "{error}");
    }
}

#[test]
fn a_damaged_model_is_refused_with_a_remedy() {
    let desk = Desk::new();
    let mut bytes = desk.read("m.ocl");
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(desk.path("bad.ocl"), &bytes).unwrap();
    let error = desk.error(&["inspect", "bad.ocl"]);
    assert!(error.contains("bad.ocl: damaged: checksum"), "{error}");
    assert!(error.contains("convert it anew"), "{error}");

    fs::write(desk.path("bad.ocl"), &bytes[..100]).unwrap();
    let error = desk.error(&["inspect", "bad.ocl", "--json"]);
    assert!(error.contains("bad.ocl: cut short"), "{error}");

    fs::write(desk.path("bad.ocl"), [0; 4096]).unwrap();
    let error = desk.error(&["inspect", "bad.ocl"]);
    assert!(error.contains("not an Ocelli image"), "{error}");
}
