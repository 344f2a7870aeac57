//! The inner loops of each processor against slow ones, on the processor.

use crate::process::{CORES, run};

#[test]
fn every_backend_equals_slow_loops_on_a_sweep_of_shapes() {
    for core in CORES {
        let (code, text) = run(core, "sweep", "");
        assert_eq!(code, Some(0), "{}: {text}", core.name);
        let backend = core.backend;
        assert!(text.starts_with(&format!("backend {backend}\n")), "{text}");
        let cases = text.split_ascii_whitespace().last();
        let cases: usize = cases
            .and_then(|cases| cases.parse().ok())
            .expect("a number");
        assert!(cases > 800, "{}: {text}", core.name);
    }
}
