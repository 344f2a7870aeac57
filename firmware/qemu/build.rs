//! Chooses the emulated board and its memory map, and hands the linker its scripts.

use std::{env, fs, path::PathBuf};

fn main() {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let asked_for = |feature| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let (board, map) = if asked_for("MPS3_AN547") {
        ("an547", "memory-an547.x")
    } else if asked_for("MPS2_AN500") {
        ("mps2", "memory-an500.x")
    } else if asked_for("RAM_256K") {
        ("mps2", "memory-mps2-256k.x")
    } else if target.starts_with("thumbv8m.main") {
        ("an505", "memory-an505.x")
    } else {
        ("mps2", "memory-mps2.x")
    };
    fs::copy(map, out.join("memory.x")).expect("the memory map can be copied");
    println!("cargo:rustc-check-cfg=cfg(armv6m, armv8m)");
    println!("cargo:rustc-check-cfg=cfg(board, values(\"mps2\", \"an505\", \"an547\"))");
    println!("cargo:rustc-cfg=board=\"{board}\"");
    match target.get(..7) {
        Some("thumbv6") => println!("cargo:rustc-cfg=armv6m"),
        Some("thumbv8") => println!("cargo:rustc-cfg=armv8m"),
        _ => {}
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={map}");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Only this program logs through defmt; the others print text.
    println!("cargo:rustc-link-arg-bin=device=-Tdefmt.x");
}
