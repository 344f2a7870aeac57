//! Finds out which inner loops the target can run, since stable Rust does not say: `target_feature = "dsp"` is never set.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!(
        "cargo:rustc-check-cfg=cfg(ocelli_arch, values(\"plain\", \"dsp\", \"mve\", \"v6m\"))"
    );
    println!("cargo:rustc-check-cfg=cfg(ocelli_long_multiply)");
    let target = env::var("TARGET").unwrap_or_default();
    if !["thumbv6m", "thumbv8m.base"].contains(&target.split('-').next().unwrap_or("")) {
        println!("cargo:rustc-cfg=ocelli_long_multiply");
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    println!(
        "cargo:rustc-cfg=ocelli_arch=\"{}\"",
        arch(&target, cpu(&flags))
    );
}

/// The `target-cpu` of the compiler's flags, the last of several.
fn cpu(flags: &str) -> &str {
    let mut cpus = flags.split('\u{1f}').filter_map(|flag| {
        let flag = flag.strip_prefix("-C").unwrap_or(flag);
        flag.trim_start().strip_prefix("target-cpu=")
    });
    cpus.next_back().unwrap_or("")
}

fn arch(target: &str, cpu: &str) -> &'static str {
    match (target.split('-').next().unwrap_or(""), cpu) {
        // What is made for Armv6-M runs on the M23 and, with some better instructions, on the M3.
        ("thumbv6m" | "thumbv8m.base" | "thumbv7m", _) => "v6m",
        ("thumbv7em", _) => "dsp",
        ("thumbv8m.main", "cortex-m55" | "cortex-m85") => "mve",
        // The extension is optional in Armv8-M: the processor has to be named.
        ("thumbv8m.main", "cortex-m33" | "cortex-m35p") => "dsp",
        _ => "plain",
    }
}
