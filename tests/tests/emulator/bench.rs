//! What `ocelli bench` counts on the emulated boards.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::board::Board;
use crate::golden_bytes;
use crate::json;
use crate::process::{CORES, Core, ocelli, qemu, repository};
use ocelli_link::Request;

fn bench(program: &Path, core: Core) -> Value {
    let elf = repository().join(format!("target/firmware/bench-{}.elf", core.name));
    json(
        Command::new(program)
            .arg("bench")
            .arg(repository().join("tests/data/golden-v1.ocl"))
            .args(["--on", core.name, "--firmware"])
            .arg(elf)
            .env("OCELLI_QEMU", qemu()),
    )
}

#[test]
fn instructions_are_counted_exactly_on_every_core_and_are_the_same_every_time() {
    let program = ocelli();
    for core in CORES {
        let counted = bench(&program, core);
        println!("{}: {} {}", core.name, counted["backend"], counted["insns"]);
        assert_eq!(counted["insns_exact"], true, "{}", core.name);
        assert_eq!(counted, bench(&program, core), "{}", core.name);
        let number = |name: &str| counted[name].as_u64().expect("a number");
        let ops = counted["ops"].as_array().expect("ops");
        let insns = |op: &Value| op["insns"].as_u64().expect("a number");
        assert_eq!(ops.iter().map(insns).sum::<u64>(), number("kernel_insns"));
        // Every op does something, and so does the executor.
        assert!(ops.iter().all(|op| insns(op) > 10), "{counted}");
        assert!(number("executor_insns") > 100 * ops.len() as u64);
        let whole = number("kernel_insns") + number("executor_insns");
        assert_eq!(number("insns"), whole);
    }
}

#[test]
fn the_inner_loops_are_those_of_the_processor_in_both_programs() {
    let program = ocelli();
    for core in CORES {
        let expected = core.backend;
        assert_eq!(bench(&program, core)["backend"], expected, "{}", core.name);
        let mut board = Board::boot_on(core, Some(&golden_bytes()));
        let hello = board.ask(&Request::Hello);
        let named = format!("backend: {expected:?}");
        assert!(hello.contains(&named), "{}: {hello}", core.name);
        board.end();
    }
}
