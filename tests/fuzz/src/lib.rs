//! What the fuzz targets share: limits, and the way on from what an importer gave.
//!
//! A finding is a panic, an overflow, an abort, memory above [`MEMORY_BYTES`], or an input that takes seconds. One target:
//!
//! ```text
//! cargo fuzz run -s none image
//! ```
//!
//! No sanitizer is needed, and so no nightly compiler: the code under test has no `unsafe`. `cargo xtask fuzz` runs all
//! targets with more seeds, limits and dictionaries.

use std::alloc::System;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cap::Cap;
use ocelli_convert::PlanError;
use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::calibrate;
use ocelli_convert::graph::Graph;
use ocelli_convert::grid::{Grid, GridOptions};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::quantize;
use ocelli_convert::weights;
use ocelli_image::{ImageBuffer, Model};
use ocelli_tests::fate::fate_within;

/// What an input may make the program allocate; one byte more, and it aborts.
pub const MEMORY_BYTES: usize = 1 << 30;

// libFuzzer's own limit looks at memory in use once a second, and so does not see what is asked for and never touched.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY_BYTES);

/// Codes in all tensors of a network that is planned; more only cost time.
const PLANNED_CODES: usize = 1 << 22;
/// Rows of a network that is planned for streaming, as [`rows_streamed`] counts them.
const PLANNED_ROWS: usize = 1 << 16;
/// Bytes of arena of a network that is run.
const ARENA_BYTES: usize = 1 << 18;
/// Products in a run.
const PRODUCTS: u64 = 1_000_000;

/// Nodes of a network that is quantized.
const QUANTIZED_NODES: usize = 32;
/// Products in a network that is quantized.
const QUANTIZED_PRODUCTS: u64 = 1 << 16;
/// Values in all tensors of a network that is quantized.
const QUANTIZED_VALUES: usize = 1 << 12;

/// An architecture with so few weights that a seed can hold them all.
pub const SMALL_CNN: &str = "cnn:0.05,layers=4";

/// On with a model that an importer made: plans, images, and runs where there is time.
pub fn run_model(model: Model) {
    let codes = model.tensors.iter().map(|tensor| tensor.elems());
    let much = codes.clone().sum::<usize>() > PLANNED_CODES;
    // What no device has room for is refused at once; what is between takes long.
    if much && codes.max() < Some(1 << 27) {
        return;
    }
    for kind in [PlanKind::Layers, PlanKind::Small] {
        if kind == PlanKind::Small && (much || rows_streamed(&model) > PLANNED_ROWS) {
            continue;
        }
        match plan(model.clone(), kind) {
            Ok(planned) => {
                if let Ok(buffer) = planned.encode() {
                    run_image(&buffer);
                }
            }
            Err(PlanError::TooLarge { .. }) => {}
            Err(fault) => panic!("{kind:?}: {fault}"),
        }
    }
}

/// Rows that the planner makes while it tries all ways to cut the list of ops.
fn rows_streamed(model: &Model) -> usize {
    let ops = model.ops.len();
    (0..ops)
        .map(|op| model.tensors[op + 1].h * (op + 1) * (ops - op))
        .sum()
}

/// On with an image: a session, and a run where there is time.
pub fn run_image(buffer: &ImageBuffer) {
    fate_within(buffer, ARENA_BYTES, PRODUCTS);
}

/// On with a graph that an importer made: the form that devices run, and quantization where there is time.
pub fn run_graph(graph: Graph) {
    graph.verify().expect("importers give whole graphs");
    // Infinite sums and the like are refused here.
    let Ok(graph) = canonicalize(graph) else {
        return;
    };
    let values: usize = graph
        .tensors
        .iter()
        .map(|tensor| tensor.shape.elems())
        .sum();
    let many = graph.nodes.len() > QUANTIZED_NODES;
    if many || graph.macs() > QUANTIZED_PRODUCTS || values > QUANTIZED_VALUES {
        return;
    }
    let interpreter = Interpreter::new(&graph).expect("it was just verified");
    let elems = graph.input_shape().elems();
    let inputs = [0.5, -1.0].map(|value| move || vec![value; elems]);
    let calibration =
        calibrate(&interpreter, &graph, &inputs, || ()).expect("inputs of the right length");
    let grid = Grid::choose(&graph, &calibration, (-1.0, 1.0), GridOptions::default());
    if let Ok(model) = quantize(&graph, &grid) {
        run_model(model);
    }
}

/// Any bytes as a file of weights: an error, or tensors that are whole, finite and no larger than the file allows.
pub fn load_weights(bytes: &[u8]) {
    static SCRATCH: Mutex<Option<Scratch>> = Mutex::new(None);
    let mut scratch = SCRATCH.lock().expect("a finding ends the program");
    let path = scratch.get_or_insert_with(Scratch::new).holding(bytes);
    let Ok(weights) = weights::load(path) else {
        return;
    };
    for (name, tensor) in &weights {
        let elems = tensor
            .shape
            .iter()
            .try_fold(1usize, |elems, &side| elems.checked_mul(side));
        assert_eq!(elems, Some(tensor.data.len()), "{name}");
        assert!(tensor.data.iter().all(|value| value.is_finite()), "{name}");
    }
    let arch = Arch::parse(SMALL_CNN).expect("a name");
    if let Ok(graph) = arch.build(&weights, 8, 8, None) {
        run_graph(graph);
    }
}

/// A file for importers that want a path; every input overwrites the last one.
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    /// A file in memory where the system has such a place, and without a name where it can be reached without one.
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            memory.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let named = dir.join(format!("ocelli-fuzz-{}", std::process::id()));
        let file = File::create(&named).expect("a folder for temporary files");
        let open = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if !open.exists() {
            return Scratch { file, path: named };
        }
        std::fs::remove_file(&named).expect("it was just made");
        Scratch { file, path: open }
    }

    fn holding(&mut self, bytes: &[u8]) -> &Path {
        self.file.rewind().expect("an ordinary file");
        self.file.set_len(0).expect("an ordinary file");
        self.file.write_all(bytes).expect("room for a small file");
        &self.path
    }
}
