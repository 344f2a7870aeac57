use std::fs;

use crate::{Desk, RED, known, small};

#[test]
fn a_missing_firmware_is_told_how_to_make() {
    let desk = Desk::new();
    let error = desk.error(&["verify", "m.ocl", "--on", "m4"]);
    assert!(error.contains("target/firmware/device-m4.elf"), "{error}");
    assert!(
        error.contains("cargo xtask firmware --target m4"),
        "{error}"
    );
    let error = desk.error(&["verify", "m.ocl", "--on", "m4", "--firmware", "gone.elf"]);
    assert!(error.contains("gone.elf: "), "{error}");
}

#[test]
fn the_firmware_of_the_repository_around_is_found() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("target/firmware")).unwrap();
    fs::write(desk.path("target/firmware/device-m4.elf"), "").unwrap();
    let error = desk.error(&["verify", "m.ocl", "--on", "m4", "--qemu", "./no-qemu"]);
    assert!(error.contains("./no-qemu: cannot be started"), "{error}");
}

#[test]
fn a_missing_emulator_is_told_how_to_get() {
    let desk = Desk::new();
    let error = verify(&desk, "./no-qemu", &[]);
    assert!(error.contains("./no-qemu: cannot be started"), "{error}");
    assert!(error.contains("apt-get install qemu-system-arm"), "{error}");
}

#[test]
fn inputs_are_read_before_a_board_is_booted() {
    let desk = Desk::new();
    known(&desk, 1);
    let error = verify(&desk, "./no-qemu", &["missing.png"]);
    assert!(error.starts_with("error: missing.png: "), "{error}");
    let error = verify(&desk, "./no-qemu", &["--train", "nowhere"]);
    assert!(error.starts_with("error: nowhere: "), "{error}");
    let error = verify(&desk, "./no-qemu", &["--train", "known", "--samples", "2"]);
    assert!(error.contains("--samples 3 or more"), "{error}");
    let one = small::SIDE * small::SIDE * 3;
    fs::write(desk.path("codes.bin"), vec![0; 2 * one + 1]).unwrap();
    let error = verify(&desk, "./no-qemu", &["--raw-input", "codes.bin"]);
    assert!(error.starts_with("error: codes.bin: 385 bytes"), "{error}");
    fs::write(desk.path("codes.bin"), vec![0; 2 * one]).unwrap();
    let error = verify(&desk, "./no-qemu", &["--raw-input", "codes.bin"]);
    assert!(error.contains("./no-qemu: cannot be started"), "{error}");
}

#[test]
fn every_device_has_a_firmware_of_its_own() {
    let desk = Desk::new();
    for device in ["m0", "m3", "m4", "m4-256k", "m7", "m33", "m55"] {
        let error = desk.error(&["verify", "m.ocl", "--on", device]);
        let firmware = format!("target/firmware/device-{device}.elf");
        assert!(error.contains(&firmware), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_board_that_dies_is_quoted_and_its_log_is_kept() {
    let desk = Desk::new();
    desk.picture("a.png", RED);
    program(
        &desk,
        "qemu",
        "printf 'boot\\nhard fault at 0x1234\\n' > board.log; exit 3",
    );
    let error = verify(&desk, "./qemu", &["a.png"]);
    assert!(
        error.contains("the emulator ended with exit status: 3"),
        "{error}"
    );
    assert!(
        error.contains("its last words: hard fault at 0x1234"),
        "{error}"
    );
    let log = error.rsplit(' ').next().unwrap();
    assert!(fs::read_to_string(log).unwrap().starts_with("boot\n"));
    fs::remove_dir_all(std::path::Path::new(log).parent().unwrap()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_board_that_hangs_is_given_up_after_the_time_limit() {
    let desk = Desk::new();
    program(&desk, "qemu", "exec sleep 60");
    let started = std::time::Instant::now();
    let error = verify(&desk, "./qemu", &["--time-limit", "1"]);
    assert!(error.contains("no answer for 1 s"), "{error}");
    assert!(started.elapsed().as_secs() < 20);
    let log = std::path::Path::new(error.rsplit(' ').next().unwrap());
    fs::remove_dir_all(log.parent().unwrap()).unwrap();
}

/// The error of a verification with this emulator and a firmware that is no program.
fn verify(desk: &Desk, qemu: &str, more: &[&str]) -> String {
    fs::write(desk.path("f.elf"), "").unwrap();
    let args = [
        "verify",
        "m.ocl",
        "--on",
        "m4",
        "--firmware",
        "f.elf",
        "--qemu",
        qemu,
    ];
    desk.error(&[&args[..], more].concat())
}

/// A shell script that stands in for the emulator.
#[cfg(unix)]
pub fn program(desk: &Desk, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = desk.path(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}
