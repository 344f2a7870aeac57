//! Ops that keep codes, where a file wants other codes behind them than before.

use super::FixedQuantization;
use crate::graph::{Clamp, Graph, Node, Op, Tensor, TensorId, Window};
use crate::grid::Quantization;

impl FixedQuantization {
    /// Puts an op that only changes codes wherever the file changes the scale in an op that devices run on codes as they
    /// are: pools behind it, concatenations before it. To be called on a canonical graph.
    pub fn settle(&mut self, mut graph: Graph) -> Graph {
        let nodes = std::mem::take(&mut graph.nodes);
        for mut node in nodes {
            match node.op {
                Op::Concat => self.settle_before(&mut graph, &mut node),
                Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Pad { .. } => {
                    let output = node.output;
                    let (from, to) = (self.of(&graph, node.inputs[0]), self.of(&graph, output));
                    if let (Some(from), Some(to)) = (from, to)
                        && from != to
                    {
                        let name = format!("{}.kept", node.name);
                        node.output = self.add(&mut graph, &name, output, from);
                        let kept = node.output;
                        let change = self.change(&graph, &node.name, kept, output);
                        graph.nodes.push(node);
                        graph.nodes.push(change);
                        continue;
                    }
                }
                _ => {}
            }
            graph.nodes.push(node);
        }
        graph
    }

    fn settle_before(&mut self, graph: &mut Graph, node: &mut Node) {
        let Some(to) = self.of(graph, node.output) else {
            return;
        };
        for (at, input) in node.inputs.iter_mut().enumerate() {
            if self.of(graph, *input).is_some_and(|from| from != to) {
                let name = format!("{}.input{at}", node.name);
                let changed = self.add(graph, &name, *input, to);
                let change = self.change(graph, &name, *input, changed);
                graph.nodes.push(change);
                *input = changed;
            }
        }
    }

    fn of(&self, graph: &Graph, id: TensorId) -> Option<Quantization> {
        self.tensors.get(&graph.tensor(id).name).copied()
    }

    /// A new tensor of the shape of another.
    fn add(&mut self, graph: &mut Graph, name: &str, like: TensorId, to: Quantization) -> TensorId {
        let name = format!("{name}.codes");
        self.tensors.insert(name.clone(), to);
        let shape = graph.shape(like);
        graph.tensors.push(Tensor { name, shape });
        TensorId(graph.tensors.len() - 1)
    }

    /// A depthwise convolution of one pixel with weight 1.
    fn change(&mut self, graph: &Graph, name: &str, input: TensorId, output: TensorId) -> Node {
        let channels = graph.shape(input).c;
        let name = format!("{name}.requantize");
        self.weights.insert(name.clone(), vec![1.0; channels]);
        Node {
            name,
            op: Op::DepthwiseConv2d {
                window: Window::POINT,
                depth_multiplier: 1,
                weights: vec![1.0; channels],
                bias: vec![0.0; channels],
                clamp: Clamp::NONE,
            },
            inputs: vec![input],
            output,
        }
    }
}
