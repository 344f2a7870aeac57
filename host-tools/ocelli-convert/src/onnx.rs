//! From an ONNX file to a float graph.
//!
//! The operators are run in the file's order on *values*: a constant, which is folded at once, or a tensor of the graph
//! with the [`Layout`] in which ONNX sees it. Layout changes are therefore free, and exporters' leftovers (computed
//! shapes, transposes around channels-last layers, views before a classifier) leave no trace. Chains of operators on
//! single numbers stay pending until something else reads them, and then become the function that they compute
//! (`function.rs`). What is left is a graph of the ops that [`crate::graph`] has; its passes fold and fuse.
//!
//! ONNX does not say which dimensions are rows, columns and channels. Ways to see the input are tried in order,
//! `[1, c, h, w]` first, until all operators agree.
//!
//! A file is untrusted: its bytes are read by a small checked reader of Protocol Buffers, and everything made from them
//! is bounded by a budget of elements.
//!
//! # Source
//! ONNX operator specifications, operator sets 7 to 24.

mod array;
mod binary;
mod budget;
mod conv;
mod elementwise;
mod external;
mod fold;
mod function;
mod import;
mod layout;
mod model;
mod norm;
mod pool;
mod protobuf;
mod quantized;
mod schema;
mod settle;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::ImportError;
use crate::graph::{Graph, Shape};
use crate::grid::Quantization;
use array::External;
use budget::Budget;
use import::{Failure, Importer};
pub use layout::Layout;
use layout::Side;
use model::{Dim, Model, ValueInfo, elem};

/// More operators than any network for a microcontroller has.
const MAX_NODES: usize = 20_000;

/// What an ONNX file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network. Weights that the file has in int8 are real numbers here.
    pub graph: Graph,
    /// How ONNX's input lies in the graph's, which is rows, columns, channels.
    pub input: Layout,
    /// How ONNX's output lies in the graph's.
    pub output: Layout,
    /// How the file wants it quantized, if it has QuantizeLinear and DequantizeLinear.
    pub quantization: Option<FixedQuantization>,
}

/// Quantization that a file prescribes.
///
/// Names stay what they are through [`crate::passes::canonicalize`]: a node that swallows others keeps its own name and
/// makes the last one's tensor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FixedQuantization {
    /// Scale and zero point of activations, by the tensor's name. Codes of uint8 are taken as int8, 128 less.
    pub tensors: BTreeMap<String, Quantization>,
    /// Scales of the weights of each output channel (zero point 0), by the node's name.
    pub weights: BTreeMap<String, Vec<f32>>,
}

/// Reads an ONNX file, and the weights in files beside it.
///
/// # Errors
/// [`ImportError`], naming file, node and operator, for what is damaged or not supported.
pub fn import(path: &Path) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    import_with(&bytes, path, &external::beside(path))
}

/// The same for a file in memory, which must hold its own weights; `path` is only named in errors.
///
/// # Errors
/// As [`import`].
pub fn import_bytes(bytes: &[u8], path: &Path) -> Result<Imported, ImportError> {
    import_with(bytes, path, &|_, _, _| {
        Err("lies in another file, which a model in memory cannot have".into())
    })
}

fn import_with(
    bytes: &[u8],
    path: &Path,
    external: &External<'_>,
) -> Result<Imported, ImportError> {
    let bad = |why: String| ImportError::BadFile {
        path: path.to_path_buf(),
        why,
    };
    let model = Model::read(bytes).map_err(|damage| bad(damage.to_string()))?;
    check(&model).map_err(bad)?;
    let input = input(&model).map_err(bad)?;
    let dims = input_dims(input).map_err(bad)?;
    let budget = Budget::new();
    let mut worst: Option<Failure> = None;
    for (shape, layout) in ways_to_see(&dims) {
        let importer = Importer::new(&model, external, &budget, input.name, shape, layout);
        let failure = match importer.run() {
            Ok(imported) => return Ok(imported),
            Err(failure) => failure,
        };
        let goes_on = failure.refusal.is_of_layout;
        // The way that got farthest is the one that was meant.
        if worst.as_ref().is_none_or(|worst| worst.at < failure.at) || !goes_on {
            worst = Some(failure);
        }
        if !goes_on {
            break;
        }
    }
    Err(match worst {
        Some(failure) => failure.into_error(path, &model),
        None => bad(format!(
            "the input `{}` is {dims:?}; supported are up to four dimensions of 1 to {}",
            input.name,
            Shape::MAX_SIDE
        )),
    })
}

/// Why an operator cannot be imported.
#[derive(Debug)]
struct Refusal {
    why: String,
    /// The operator in question, if it is another than the one at hand.
    node: Option<usize>,
    /// Whether seeing the input's dimensions in another way could help.
    is_of_layout: bool,
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Refusal {
            why: why.into(),
            node: None,
            is_of_layout: false,
        }
    }

    /// The same about one of the operator's inputs or attributes.
    fn about(mut self, what: &str, name: &str) -> Self {
        self.why = format!("{what} `{name}` {}", self.why);
        self
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(why))
}

/// A refusal that another way to see the input may avoid.
fn refuse_layout<T>(why: impl Into<String>) -> Result<T, Refusal> {
    let is_of_layout = true;
    Err(Refusal {
        is_of_layout,
        ..Refusal::new(why)
    })
}

fn check(model: &Model<'_>) -> Result<(), String> {
    let graph = &model.graph;
    if !(7..=1000).contains(&model.opset) {
        return Err(format!(
            "operator set {} is not supported; 7 and later are: export the network again",
            model.opset
        ));
    }
    if graph.sparse {
        return Err("has sparse weights; save them as ordinary tensors".into());
    }
    if graph.nodes.len() > MAX_NODES {
        return Err(format!(
            "{} operators; up to {MAX_NODES} are supported",
            graph.nodes.len()
        ));
    }
    if graph.outputs.len() != 1 {
        let names: Vec<&str> = graph.outputs.iter().map(|output| output.name).collect();
        return Err(format!(
            "{} outputs ({}); one is supported: export the network with one, or cut it there",
            names.len(),
            names.join(", ")
        ));
    }
    Ok(())
}

/// The one input that is no constant.
fn input<'m, 'f>(model: &'m Model<'f>) -> Result<&'m ValueInfo<'f>, String> {
    let graph = &model.graph;
    let constants = graph.initializers.iter().map(|constant| constant.name);
    let constants: BTreeSet<&str> = constants.collect();
    // A constant with an input's name is that input's default.
    let inputs = graph.inputs.iter();
    let inputs: Vec<_> = inputs
        .filter(|input| !constants.contains(input.name))
        .collect();
    match inputs[..] {
        [input] => Ok(input),
        _ => {
            let names: Vec<&str> = inputs.iter().map(|input| input.name).collect();
            Err(format!(
                "{} inputs ({}); one is supported: export a network that takes one image",
                names.len(),
                names.join(", ")
            ))
        }
    }
}

fn input_dims(input: &ValueInfo<'_>) -> Result<Vec<usize>, String> {
    let name = input.name;
    let Some((kind, Some(dims))) = &input.tensor else {
        return Err(format!(
            "the input `{name}` has no shape; export the network with a fixed one"
        ));
    };
    if !elem::is_float(*kind) && !elem::is_int(*kind) {
        return Err(format!(
            "the input `{name}` has elements of type {kind}; numbers are supported"
        ));
    }
    let several = dims.len() > 1;
    let size = |(at, dim): (usize, &Dim<'_>)| match dim {
        Dim::Known(size) if (1..=Shape::MAX_SIDE as i64).contains(size) => Ok(*size as usize),
        Dim::Known(size) => Err(format!("dimension {at} of the input `{name}` is {size}")),
        // The batch: a device runs one sample.
        _ if at == 0 && several => Ok(1),
        Dim::Named(dim) => Err(format!(
            "dimension {at} of the input `{name}` is open (`{dim}`); only the batch may be: export the network with a fixed input size"
        )),
        Dim::Unknown => Err(format!(
            "dimension {at} of the input `{name}` is open; only the batch may be: export the network with a fixed input size"
        )),
    };
    dims.iter().enumerate().map(size).collect()
}

/// Ways to see the dimensions of the input, the likeliest first. Dimensions of 1 may be anything.
fn ways_to_see(dims: &[usize]) -> Vec<(Shape, Layout)> {
    use Side::{C, H, W};
    let free = |dims: &[usize]| dims.iter().filter(|&&dim| dim != 1).count();
    let likely: &[&[Side]] = match dims {
        [1, _, _, _] => &[&[C, C, H, W], &[C, H, W, C]],
        [_, _, _] => &[&[C, H, W], &[H, W, C]],
        [1, _] | [_] => &[&[C, C]],
        [_, _] => &[&[W, C]],
        _ => &[],
    };
    let mut ways: Vec<Vec<Side>> = likely
        .iter()
        .map(|sides| sides[..dims.len().min(sides.len())].to_vec())
        .collect();
    if free(dims) > 4 {
        return vec![];
    }
    let mut all = vec![vec![]];
    for &dim in dims {
        let sides: &[Side] = if dim == 1 { &[C] } else { &[H, W, C] };
        all = all
            .iter()
            .flat_map(|way: &Vec<Side>| {
                sides.iter().map(move |&side| {
                    let mut way = way.clone();
                    way.push(side);
                    way
                })
            })
            .collect();
    }
    ways.extend(all);
    let ways = ways.iter();
    ways.filter_map(|sides| Layout::of_sides(dims, sides))
        .collect()
}
