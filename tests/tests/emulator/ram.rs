//! MobileNetV2 1.0 at 224x224 in 256 KiB of RAM, stack and everything else included.
//!
//! The model lies in the board's external memory, where flash would be; the photo's rows come over the link one by one.

use std::fs;
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, elf};
use tempfile::TempDir;

use crate::json;
use crate::process::{M4, M4_256K, ocelli, qemu, repository, run};

const RAM_BYTES: u64 = 256 << 10;

#[test]
fn mobilenet_v2_at_224_equals_the_host_in_every_op_within_256_kib_of_ram() {
    let ram = linked_ram("device-m4-256k");
    let assets = repository().join("target/assets");
    let photo = assets.join("foolbox/imagenet_00_243.jpg");
    let folder = TempDir::new().expect("a folder");
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).expect("a folder");
    fs::copy(&photo, pictures.join("photo.jpg")).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo xtask fetch`", photo.display());
    });
    let model = folder.path().join("mnv2.ocl");
    let program = ocelli();
    // How well the codes are chosen does not matter here.
    json(
        Command::new(&program)
            .arg("convert")
            .arg(assets.join("mobilenet_v2-b0353104.pth"))
            .args(["--arch", "mobilenet_v2", "--input", "224"])
            .args(["--round-to-nearest", "--accept", "--calib"])
            .arg(&pictures)
            .arg("-o")
            .arg(&model),
    );
    let verify = || {
        let mut command = Command::new(&program);
        command
            .arg("verify")
            .arg(&model)
            .arg(&photo)
            .args(["--on", "m4-256k", "--time-limit", "300", "--firmware"])
            .arg(repository().join("target/firmware/device-m4-256k.elf"))
            .env("OCELLI_QEMU", qemu())
            .env("TMPDIR", folder.path());
        command
    };
    let verified = json(&mut verify());
    println!("{verified:#}");
    assert_eq!(verified["equal"], true, "{verified}");
    assert_eq!(verified["equal_ops"], 64);
    assert_eq!(verified["equal_scores"], 1);
    let number = |name: &str| verified[name].as_u64().expect("a number");
    let used = |name: &str| verified["device_ram"][name].as_u64().expect("a number");
    assert_eq!(used("bytes"), RAM_BYTES);
    assert_eq!(used("static_bytes"), ram.statics);
    let stack = used("stack_bytes");
    assert!((1..ram.stack).contains(&stack), "{stack} of {}", ram.stack);
    // The device's memory, which holds the arena, is what the linker leaves.
    let left = RAM_BYTES - ram.guard - ram.stack - ram.statics;
    let (arena, memory) = (number("arena_bytes"), number("device_memory_bytes"));
    assert!(arena < memory && memory < left, "{arena} {memory} {left}");

    // With whole tensors it is too large, which the board says.
    let mut replan = Command::new(&program);
    json(replan.arg("replan").arg(&model).args(["--plan", "layers"]));
    let refused = verify().output().expect("ocelli");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{error}");
    let too_small = format!("bytes of memory, there are {memory};");
    assert!(error.contains(&too_small), "{error}");
}

#[test]
fn what_lies_beyond_the_256_kib_cannot_be_touched() {
    let (code, text) = run(M4_256K, "fault", "beyond");
    assert_eq!(code, Some(70), "{text}");
    assert!(text.starts_with("ocelli: hard fault at pc 0x"), "{text}");
    let (code, text) = run(M4_256K, "fault", "stack");
    assert_eq!(code, Some(70), "{text}");
    assert!(
        text.starts_with("ocelli: hard fault, stack overflow"),
        "{text}"
    );
    // The other firmware of that board may read there.
    let (code, text) = run(M4, "fault", "beyond");
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

/// What the linker made of the RAM.
struct Ram {
    guard: u64,
    stack: u64,
    statics: u64,
}

/// Reads a program of the board: its stack, its variables and its heap lie in one region of 256 KiB.
fn linked_ram(program: &str) -> Ram {
    let path = repository().join(format!("target/firmware/{program}.elf"));
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask firmware`", path.display()));
    let file = object::File::parse(bytes.as_slice()).expect("an ELF");
    let address = |name: &str| {
        let symbol = file.symbol_by_name(name);
        symbol.unwrap_or_else(|| panic!("no {name}")).address()
    };
    let start = address("_stack_guard");
    let region = start..start + RAM_BYTES;
    assert_eq!(address("_heap_end"), region.end);
    let statics = address("_stack_start")..address("__sheap");
    let mut writable = 0;
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            panic!("no ELF");
        };
        let flags = u64::from(elf::SHF_ALLOC | elf::SHF_WRITE);
        if sh_flags & flags == flags && section.size() > 0 {
            let end = section.address() + section.size();
            assert!(statics.start <= section.address() && end <= statics.end);
            writable += 1;
        }
    }
    assert!(writable > 0, "a heap has variables");
    Ram {
        guard: address("_stack_end") - start,
        stack: statics.start - address("_stack_end"),
        statics: statics.end - statics.start,
    }
}
