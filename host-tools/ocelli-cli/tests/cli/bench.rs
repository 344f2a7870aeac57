use std::fs;

use serde_json::Value;

use crate::{Desk, small};

#[test]
fn the_host_times_every_op_and_names_its_kernels() {
    let desk = Desk::new();
    let timed = desk.json(&["bench", "m.ocl", "--on", "host", "--seconds", "1"]);
    assert_eq!(timed["on"], "host");
    assert_eq!(timed["backend"], ocelli::backend());
    let number = |name: &str| timed[name].as_f64().unwrap();
    assert!(number("best_ms") > 0.0 && number("best_ms") <= number("median_ms"));
    assert!(number("runs") >= 5.0);
    let inspected = desk.json(&["inspect", "m.ocl"]);
    assert_eq!(timed["macs"], inspected["macs"]);
    let ops = timed["ops"].as_array().unwrap();
    assert_eq!(ops.len(), inspected["ops"].as_array().unwrap().len());
    // Six filters of 3x3 over three colours, read once a step; as many steps as the plan says.
    assert_eq!(ops[0]["kind"], "conv2d");
    let steps = ops[0]["steps"].as_u64().unwrap();
    assert!((1..=small::SIDE as u64 / 2).contains(&steps));
    assert_eq!(ops[0]["weight_bytes_read"], 6 * 27 * steps);
    assert_eq!(ops[0]["packing"], "canonical");
    assert_eq!(ops[1]["packing"], Value::Null);
    let read = ops
        .iter()
        .map(|op| op["weight_bytes_read"].as_u64().unwrap());
    assert_eq!(timed["weight_bytes_read"], read.sum::<u64>());
    assert!(ops.iter().all(|op| op["ms"].as_f64().unwrap() >= 0.0));
    let text = desk.text(&["bench", "m.ocl", "--on", "host", "--seconds", "1"]);
    assert!(text.contains("median  "), "{text}");
}

#[test]
fn a_device_needs_its_program_and_the_emulator() {
    let desk = Desk::new();
    let error = desk.error(&["bench", "m.ocl", "--on", "m55"]);
    assert!(error.contains("target/firmware/bench-m55.elf"), "{error}");
    assert!(
        error.contains("cargo xtask firmware --target m55"),
        "{error}"
    );
    fs::create_dir_all(desk.path("target/firmware")).unwrap();
    fs::write(desk.path("target/firmware/bench-m55.elf"), "").unwrap();
    let error = desk.error(&["bench", "m.ocl", "--on", "m55", "--qemu", "./no-qemu"]);
    assert!(error.contains("./no-qemu: cannot be started"), "{error}");
    assert!(error.contains("apt-get install qemu-system-arm"), "{error}");
}

#[cfg(unix)]
#[test]
fn what_a_device_counts_is_reported_beside_the_products() {
    let desk = Desk::new();
    let ops = desk.json(&["inspect", "m.ocl"])["ops"]
        .as_array()
        .unwrap()
        .len();
    let lines = (0..ops).map(|op| format!("op {op} insns {} steps 2", 1000 * (op + 1)));
    let lines: Vec<String> = lines.collect();
    let said = format!(
        "backend  dsp\nexact  true\ninsns  7000\n{}",
        lines.join("\n")
    );
    fs::write(desk.path("said"), said).unwrap();
    // Only with its clock does the board count.
    let script = format!(
        "case \"$*\" in *'-icount shift=6,sleep=off'*) cat {} > board.log ;; esac",
        desk.path("said").display()
    );
    let bench = [
        "bench",
        "m.ocl",
        "--on",
        "m4",
        "--qemu",
        "./qemu",
        "--firmware",
        "f.elf",
    ];
    super::verify::program(&desk, "qemu", &script);
    fs::write(desk.path("f.elf"), "").unwrap();
    let counted = desk.json(&bench);
    assert_eq!(counted["backend"], "dsp");
    assert_eq!(counted["insns"], 7000);
    assert_eq!(counted["insns_exact"], true);
    let kernels: u64 = (0..ops as u64).map(|op| 1000 * (op + 1)).sum();
    assert_eq!(counted["kernel_insns"], kernels);
    assert_eq!(counted["executor_insns"], 7000 - kernels);
    let last = &counted["ops"][ops - 1];
    assert_eq!(last["insns"], 1000 * ops);
    let per_mac = 1000.0 * ops as f64 / last["macs"].as_f64().unwrap();
    assert_eq!(last["insns_per_mac"].as_f64(), Some(per_mac));

    // An older program says less.
    fs::write(desk.path("said"), "backend  dsp\ninsns  7000\n").unwrap();
    let error = desk.error(&bench);
    assert!(error.contains("run `cargo xtask firmware`"), "{error}");
}
