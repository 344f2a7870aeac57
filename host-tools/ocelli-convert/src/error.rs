//! What can go wrong between a file and a canonical graph.

use std::path::PathBuf;

use crate::graph::Shape;

/// A graph whose parts do not fit together; names the node or tensor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// A node has the wrong number of inputs.
    #[error("node `{node}`: {op} takes {expected} input(s), got {got}")]
    InputCount {
        /// The node's name.
        node: String,
        /// The op's name.
        op: &'static str,
        /// How many inputs the op takes.
        expected: usize,
        /// How many it has.
        got: usize,
    },
    /// A node refers to a tensor that does not exist or is not made yet.
    #[error("node `{node}`: tensor {tensor} is read before any node makes it")]
    NotMade {
        /// The node's name.
        node: String,
        /// The tensor's index.
        tensor: usize,
    },
    /// A tensor that no node makes, or that several make.
    #[error("tensor `{tensor}` is made {times} times, expected once")]
    MadeTimes {
        /// The tensor's name.
        tensor: String,
        /// How many nodes make it (the graph's input counts as made).
        times: usize,
    },
    /// A tensor that is made for nothing.
    #[error("tensor `{tensor}` is made but never used")]
    Unused {
        /// The tensor's name.
        tensor: String,
    },
    /// Two tensors or two nodes have the same name.
    #[error("the name `{name}` is used twice")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// The graph's input, output or embedding is no tensor of the graph.
    #[error("the graph's {role} is tensor {tensor}, which does not exist")]
    NoSuchTensor {
        /// Which of the graph's tensors.
        role: &'static str,
        /// Its index.
        tensor: usize,
    },
    /// A stored shape is not the one that the op makes.
    #[error("node `{node}`: makes {expected}, but its output tensor is {got}")]
    OutputShape {
        /// The node's name.
        node: String,
        /// The shape that follows from the op and its inputs.
        expected: Shape,
        /// The shape that the tensor has.
        got: Shape,
    },
    /// A list of weights, biases or factors has the wrong length.
    #[error("node `{node}`: {what} has {got} values, expected {expected}")]
    Values {
        /// The node's name.
        node: String,
        /// Which list.
        what: &'static str,
        /// The length that follows from the shapes.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// The op cannot run on inputs of these shapes.
    #[error("node `{node}`: {op} cannot take {input}: {why}")]
    Unfit {
        /// The node's name.
        node: String,
        /// The op's name.
        op: &'static str,
        /// The shape of the (first) input.
        input: Shape,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A tensor that is empty or larger than anything that a device could hold.
    #[error(
        "tensor `{tensor}` is {shape}; each side must be 1 to {max}",
        max = crate::graph::Shape::MAX_SIDE
    )]
    Size {
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        shape: Shape,
    },
}

/// A pass that was given a broken graph or left one behind.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("pass `{pass}`: {source}")]
pub struct PassError {
    /// The pass after which the graph was found broken.
    pub pass: &'static str,
    /// What is broken.
    pub source: GraphError,
}

/// An input of the wrong length for the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network's input has {needed} elements, got {got}")]
pub struct InputError {
    /// Elements of the network's input.
    pub needed: usize,
    /// Elements given.
    pub got: usize,
}

/// Why a source file could not become a graph or a picture could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read at all.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file's kind is not known.
    #[error(
        "{}: not a weights file that can be read (supported: PyTorch state dicts .pth/.pt, zip or legacy pickle; .safetensors; and int8 .tflite files, by their content)",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, cut short or uses what is not supported.
    #[error("{}: {why}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// An operator of a TensorFlow Lite file that cannot be taken over.
    #[error("{}: operator {at} ({kind}), tensor `{tensor}` {why}", path.display())]
    Operator {
        /// The file.
        path: PathBuf,
        /// The operator's place in the file's list.
        at: usize,
        /// Its kind.
        kind: String,
        /// The name of the tensor in question.
        tensor: String,
        /// What is wrong with it, what is supported and what to do.
        why: String,
    },
    /// An operator of an ONNX file that cannot be taken over.
    #[error("{}: node `{node}` ({op}) {why}", path.display())]
    Node {
        /// The file.
        path: PathBuf,
        /// The node's name, or that of what it makes.
        node: String,
        /// The operator.
        op: String,
        /// What is wrong with it, what is supported and what to do.
        why: String,
    },
    /// A tensor of the file holds a value that is no finite number.
    #[error("{}: tensor `{tensor}` holds {value} at element {at}; weights must be finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Position of the first such element.
        at: usize,
        /// Its value.
        value: f32,
    },
    /// The architecture's name is not known.
    #[error("unknown architecture `{name}`; supported: {supported}")]
    UnknownArch {
        /// The name asked for.
        name: String,
        /// The names that are known.
        supported: String,
    },
    /// An option of the architecture is unknown or not usable.
    #[error("architecture `{arch}`: `{option}` {why}; options: {known}")]
    BadOption {
        /// The architecture.
        arch: &'static str,
        /// The option as it was given.
        option: String,
        /// What is wrong with it.
        why: String,
        /// The options that there are, with their values.
        known: String,
    },
    /// The state dict follows no naming scheme that the architecture has.
    #[error("these weights are no {arch}: neither `{}` is among the {got} tensors (first: `{first}`)", expected.join("` nor `"))]
    UnknownNames {
        /// The architecture.
        arch: &'static str,
        /// One tensor of each known naming scheme.
        expected: Vec<&'static str>,
        /// How many tensors there are.
        got: usize,
        /// The name of the first.
        first: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("tensor `{tensor}` is missing; {arch} needs it with shape {expected:?}")]
    MissingTensor {
        /// The architecture.
        arch: &'static str,
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the architecture needs.
    #[error(
        "tensor `{tensor}` has shape {got:?}; {arch} needs {expected:?} (is the width multiplier, or another option, right?)"
    )]
    TensorShape {
        /// The architecture.
        arch: &'static str,
        /// The tensor's name.
        tensor: String,
        /// The shape needed.
        expected: Vec<usize>,
        /// The shape found.
        got: Vec<usize>,
    },
    /// The file has tensors that the architecture does not use.
    #[error(
        "{arch} does not use {count} tensor(s) of these weights, the first is `{first}`; this is another architecture or variant"
    )]
    UnusedTensors {
        /// The architecture.
        arch: &'static str,
        /// How many are left over.
        count: usize,
        /// The name of the first.
        first: String,
    },
    /// A batch norm whose variance plus epsilon is not positive.
    #[error("batch norm `{tensor}`: variance {value} of channel {channel} cannot be normalized by")]
    Variance {
        /// The variance tensor's name.
        tensor: String,
        /// The channel.
        channel: usize,
        /// Its variance.
        value: f32,
    },
    /// The picture cannot be decoded.
    #[error("{}: cannot be read as PNG or JPEG: {why}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        why: String,
    },
    /// The picture has more pixels than is reasonable.
    #[error("{}: {width}x{height} pixels is too large; at most {max} on each side", path.display())]
    PictureSize {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The limit.
        max: u32,
    },
    /// A folder of pictures is not laid out as expected.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and what is expected.
        why: String,
    },
    /// A preprocessing that no picture can go through.
    #[error("preprocessing: {why}")]
    Preprocess {
        /// What is wrong with it.
        why: String,
    },
    /// The graph built from the file does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Why a graph cannot be turned into int8; names the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// An op that the passes should have folded away.
    #[error("node `{node}`: {op} has no int8 form; run the passes first")]
    NotCanonical {
        /// The node's name.
        node: String,
        /// The op's name.
        op: &'static str,
    },
    /// An op that hands codes on between tensors whose codes stand for different values.
    #[error(
        "node `{node}`: {op} keeps codes, but its input's scale and zero point are not its output's"
    )]
    OtherCodes {
        /// The node's name.
        node: String,
        /// The op's name.
        op: &'static str,
    },
    /// A file that prescribes some scales and not others.
    #[error(
        "{what} `{name}`: the file quantizes other tensors but has no scale for this one: quantize the whole network, or export it in float"
    )]
    NoScale {
        /// Tensor or node.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A number that does not fit its field of the image.
    #[error("node `{node}`: {what} {got} does not fit the model image")]
    DoesNotFit {
        /// The node's name.
        node: String,
        /// Which number.
        what: &'static str,
        /// Its value.
        got: String,
    },
    /// A graph whose output is not what its last node makes.
    #[error("the output `{output}` is not made by the last node")]
    OutputNotLast {
        /// The output tensor's name.
        output: String,
    },
}

/// Why a model cannot be planned, or a plan is wrong; names the op.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The network needs more memory than any device has.
    #[error(
        "the network needs {bytes} bytes for activations; up to {limit} are planned: convert it for a smaller input"
    )]
    TooLarge {
        /// The arena.
        bytes: usize,
        /// The largest arena.
        limit: usize,
    },
    /// Less memory than the network needs.
    #[error(
        "the smallest plan of this network needs {least} bytes, more than the {bytes} allowed: allow them, or take a smaller input or network"
    )]
    DoesNotFit {
        /// The bytes allowed.
        bytes: usize,
        /// The fewest bytes that a plan was found for.
        least: usize,
    },
    /// Memories that the plan does not fit into.
    #[error(
        "memory `{memory}`: what is left for it needs {missing} bytes more than its {bytes}: give it or one before it more, or take the smallest plan (--plan small)"
    )]
    MemoryTooSmall {
        /// The last memory.
        memory: String,
        /// Its bytes.
        bytes: usize,
        /// Bytes that it lacks.
        missing: usize,
    },
    /// The verifier found a read of bytes that do not hold the row meant.
    #[error(
        "the plan is wrong (a bug of the planner): op {op} reads row {row} of tensor {tensor}, which is not there"
    )]
    LostRow {
        /// The op that reads.
        op: usize,
        /// The tensor read.
        tensor: usize,
        /// The row meant.
        row: usize,
    },
    /// The verifier found bytes outside the arena, or a machine that does not come to its end.
    #[error("the plan is wrong (a bug of the planner): {why}")]
    Unsound {
        /// What is wrong.
        why: String,
    },
}

/// Why a conversion ended.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The source or a picture.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A pass.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// An input of the float network.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Quantization.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The image cannot be written.
    #[error(transparent)]
    Encode(#[from] ocelli_image::EncodeError),
    /// The image cannot be run.
    #[error("the model image cannot be run: {0}")]
    Load(String),
    /// Weights without their architecture.
    #[error(
        "weights have no structure: name their architecture with --arch (`ocelli arch list` has them)"
    )]
    NeedsArch,
    /// A network to be quantized, and nothing to run it on.
    #[error(
        "a network that is not int8 yet needs --calib, a folder of some dozens of images like those it will see"
    )]
    NeedsCalibration,
    /// Photos for codes whose meaning nobody said.
    #[error(
        "--resize and --filter need --normalize: an int8 file does not say what pixel values become"
    )]
    NeedsNormalize,
    /// An option that the file leaves no room for.
    #[error("the file has this already: leave out {option}")]
    HasItAlready {
        /// The option.
        option: &'static str,
    },
    /// Pictures for an input that takes none.
    #[error(
        "pictures have 3 channels, but the network's input has {channels}: such a network can only be converted from an int8 file"
    )]
    NoPictures {
        /// The input's channels.
        channels: usize,
    },
    /// The names of the classes.
    #[error("{}: {why}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
