//! The inner loops of each processor against slow ones, on the processor.

use crate::process::{CORES, run};

#[test]
fn every_backend_equals_slow_loops_on_a_sweep_of_shapes() {
    for core in CORES {
        let (code, text) = run(core, "sweep", "");
        assert_eq!(code, Some(0), "{}: {text}", core.name);
        let backend = match core.name {
            "m4" | "m7" | "m33" => "dsp",
            "m55" => "mve",
            "m3" => "v7m",
            _ => "v6m",
        };
        assert!(text.starts_with(&format!("backend {backend}\n")), "{text}");
        let cases = text.split_ascii_whitespace().last();
        let cases: usize = cases
            .and_then(|cases| cases.parse().ok())
            .expect("a number");
        assert!(cases > 800, "{}: {text}", core.name);
    }
}
