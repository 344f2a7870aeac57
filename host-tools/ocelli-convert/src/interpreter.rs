//! Runs a graph in f32 on the host: for calibration, and to compare the int8 network with.

use crate::error::{GraphError, InputError};
use crate::graph::{Clamp, Graph, Node, Op, Shape, TensorId};

mod conv;
mod depthwise;
mod elementwise;
mod pool;

pub(crate) use conv::patch_row;

/// Runs one graph, canonical or not, as often as wanted; several threads may share it.
#[derive(Debug)]
pub struct Interpreter<'g> {
    graph: &'g Graph,
    /// For each tensor the node after which nobody reads it any more; none for the graph's output.
    last_reader: Vec<Option<usize>>,
}

impl<'g> Interpreter<'g> {
    /// Checks the graph and prepares to run it.
    ///
    /// # Errors
    /// As [`Graph::verify`].
    pub fn new(graph: &'g Graph) -> Result<Self, GraphError> {
        graph.verify()?;
        let last_reader = last_readers(graph);
        Ok(Self { graph, last_reader })
    }

    /// Runs one sample and returns the graph's output.
    ///
    /// `observer` sees every tensor as soon as it is made, the input first.
    ///
    /// # Shapes
    /// `input` is NHWC of one sample: `[h][w][c]`.
    ///
    /// # Errors
    /// If the input's length is not the graph's.
    ///
    /// # Example
    /// ```
    /// use ocelli_convert::{arch::Arch, interpreter::Interpreter};
    /// let graph = Arch::parse("mobilenet_v2:0.1")?.random(1, 32, 32, 10)?;
    /// let logits = Interpreter::new(&graph)?.run(&vec![0.5; 32 * 32 * 3], |_, _| {})?;
    /// assert_eq!(logits.len(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(
        &self,
        input: &[f32],
        mut observer: impl FnMut(TensorId, &[f32]),
    ) -> Result<Vec<f32>, InputError> {
        let needed = self.graph.input_shape().elems();
        if input.len() != needed {
            let got = input.len();
            return Err(InputError { needed, got });
        }
        let mut values: Vec<Vec<f32>> = vec![Vec::new(); self.graph.tensors.len()];
        let mut spare = Spare::default();
        values[self.graph.input.0] = input.to_vec();
        observer(self.graph.input, input);
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let mut output = spare.take(self.graph.shape(node.output).elems());
            let reads: Vec<Read> = node
                .inputs
                .iter()
                .map(|&id| Read {
                    shape: self.graph.shape(id),
                    values: &values[id.0],
                })
                .collect();
            run_op(&node.op, &reads, self.graph.shape(node.output), &mut output);
            observer(node.output, &output);
            values[node.output.0] = output;
            for id in &node.inputs {
                if self.last_reader[id.0] == Some(at) {
                    spare.give(std::mem::take(&mut values[id.0]));
                }
            }
        }
        Ok(std::mem::take(&mut values[self.graph.output.0]))
    }
}

/// For each tensor the node after which nobody reads it any more; none for the graph's output.
pub(crate) fn last_readers(graph: &Graph) -> Vec<Option<usize>> {
    let mut last_reader = vec![None; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            last_reader[id.0] = Some(at);
        }
    }
    last_reader[graph.output.0] = None;
    last_reader
}

/// Runs one node of a verified graph on the values that `values` has of its inputs.
pub(crate) fn run_node<'v>(
    graph: &Graph,
    node: &Node,
    values: impl Fn(TensorId) -> &'v [f32],
) -> Vec<f32> {
    let read = |&id: &TensorId| Read {
        shape: graph.shape(id),
        values: values(id),
    };
    let reads: Vec<Read> = node.inputs.iter().map(read).collect();
    let shape = graph.shape(node.output);
    let mut output = vec![0.0; shape.elems()];
    run_op(&node.op, &reads, shape, &mut output);
    output
}

/// A tensor that an op reads.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) shape: Shape,
    pub(crate) values: &'a [f32],
}

fn run_op(op: &Op, inputs: &[Read], shape: Shape, output: &mut [f32]) {
    // The graph was verified: an op that takes two inputs has two.
    let input = inputs[0];
    match op {
        Op::Conv2d {
            window,
            weights,
            bias,
            ..
        } => conv::conv2d(window, weights, bias, input, shape, output),
        Op::DepthwiseConv2d {
            window,
            depth_multiplier,
            weights,
            bias,
            ..
        } => depthwise::depthwise(
            window,
            *depth_multiplier,
            weights,
            bias,
            input,
            shape,
            output,
        ),
        Op::Dense { weights, bias, .. } => conv::dense(weights, bias, input, output),
        Op::Add { .. } => elementwise::add(input, inputs[1], output),
        Op::AveragePool { window, .. } => pool::average(window, input, shape, output),
        Op::MaxPool { window, .. } => pool::max(window, input, shape, output),
        Op::GlobalAveragePool => pool::global_average(input, output),
        Op::Pad { padding } => elementwise::pad(padding, input, shape, output),
        Op::Softmax { beta } => elementwise::softmax(*beta, input, output),
        Op::BatchNorm { scale, shift } => elementwise::batch_norm(scale, shift, input, output),
        Op::Clamp(_) => output.copy_from_slice(input.values),
        Op::Multiply { .. } => elementwise::multiply(input, inputs[1], output),
        Op::Unary(function) => elementwise::unary(*function, input, output),
        Op::LayerNorm {
            scale,
            shift,
            epsilon,
        } => elementwise::layer_norm(scale, shift, *epsilon, input, output),
        Op::Concat => elementwise::concat(input, inputs[1], output),
    }
    match op.clamp() {
        None | Some(Clamp::NONE) => {}
        Some(clamp) => output.iter_mut().for_each(|x| *x = clamp.apply(*x)),
    }
}

/// Where a window's filter meets its input, along one side.
///
/// Gives filter index and input index for each filter position inside the input.
fn taps(
    at: usize,
    stride: usize,
    dilation: usize,
    filter: usize,
    before: usize,
    side: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (0..filter).filter_map(move |tap| {
        let place = (at * stride + tap * dilation).checked_sub(before)?;
        (place < side).then_some((tap, place))
    })
}

/// Memory of tensors that nobody reads any more.
#[derive(Default)]
struct Spare(Vec<Vec<f32>>);

impl Spare {
    fn give(&mut self, values: Vec<f32>) {
        self.0.push(values);
    }

    /// `len` elements of any value: every op writes its whole output.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let fitting = self.0.iter().enumerate();
        let best = fitting
            .filter(|(_, values)| values.capacity() >= len)
            .min_by_key(|(_, values)| values.capacity())
            .map(|(at, _)| at);
        let mut values = best.map_or_else(Vec::new, |at| self.0.swap_remove(at));
        values.resize(len, 0.0);
        values
    }
}
