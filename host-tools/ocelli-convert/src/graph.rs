//! The network as a list of ops on NHWC tensors of one sample, free of any framework.
//!
//! A [`Graph`] is built by a [`GraphBuilder`], which computes every output shape, and is checked as a whole by
//! [`Graph::verify`]: before and after each pass, and by whoever takes a graph from elsewhere.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::GraphError;
use crate::passes;

mod op;
mod unary;

use op::Misfit;
pub use op::{Clamp, Op, Padding, Window};
pub use unary::Unary;

/// Which tensor of a graph: its index in [`Graph::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

/// Rows, columns and channels of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// The longest side of any tensor: dimensions are 16 bits wide on the device.
    pub const MAX_SIDE: usize = u16::MAX as usize;

    /// A shape from its three sides.
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Self { h, w, c }
    }

    /// The number of elements.
    pub const fn elems(self) -> usize {
        self.h * self.w * self.c
    }

    fn is_sound(self) -> bool {
        [self.h, self.w, self.c]
            .iter()
            .all(|side| (1..=Self::MAX_SIDE).contains(side))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

/// A value that flows between nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The source's name for it.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

/// One op with its inputs and its output.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The source's name for it.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// What it makes.
    pub output: TensorId,
}

impl Node {
    /// The shape that follows from the op and its inputs' shapes.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, GraphError> {
        let op = self.op.kind();
        let (input, second) = match (self.op.input_count(), inputs) {
            (1, &[input]) => (input, input),
            (2, &[first, second]) => (first, second),
            (expected, _) => {
                return Err(GraphError::InputCount {
                    node: self.name.clone(),
                    op,
                    expected,
                    got: inputs.len(),
                });
            }
        };
        let shape = self
            .op
            .output_shape(input, second)
            .map_err(|misfit| match misfit {
                Misfit::Why(why) => GraphError::Unfit {
                    node: self.name.clone(),
                    op,
                    input,
                    why,
                },
                Misfit::Values {
                    what,
                    expected,
                    got,
                } => GraphError::Values {
                    node: self.name.clone(),
                    what,
                    expected,
                    got,
                },
            })?;
        sized(&self.name, shape)
    }
}

fn sized(tensor: &str, shape: Shape) -> Result<Shape, GraphError> {
    if shape.is_sound() {
        Ok(shape)
    } else {
        Err(GraphError::Size {
            tensor: tensor.to_string(),
            shape,
        })
    }
}

/// A network: nodes in an order in which they can run, and the tensors between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The architecture's name, or the file's.
    pub name: String,
    /// All tensors, the input included.
    pub tensors: Vec<Tensor>,
    /// All nodes, each after those whose outputs it reads.
    pub nodes: Vec<Node>,
    /// What is fed.
    pub input: TensorId,
    /// What is wanted.
    pub output: TensorId,
    /// The classifier's input, where there is one.
    pub embedding: Option<TensorId>,
}

impl Graph {
    /// The tensor with this id, which is one of this graph's.
    ///
    /// # Panics
    /// If the id is another graph's. No id of a verified graph is.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The shape of the tensor with this id.
    ///
    /// # Panics
    /// As [`Graph::tensor`].
    pub fn shape(&self, id: TensorId) -> Shape {
        self.tensor(id).shape
    }

    /// The shape of what is fed.
    pub fn input_shape(&self) -> Shape {
        self.shape(self.input)
    }

    /// The shape of what is wanted.
    pub fn output_shape(&self) -> Shape {
        self.shape(self.output)
    }

    /// Multiplications by weights of one run.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }

    /// Multiplications by weights of one node.
    pub fn node_macs(&self, node: &Node) -> u64 {
        let input = node.inputs.first().map(|&id| self.shape(id));
        input.map_or(0, |input| node.op.macs(input, self.shape(node.output)))
    }

    /// How many nodes read the tensor, the graph's output and embedding counting as readers.
    pub fn readers(&self, id: TensorId) -> usize {
        let nodes = self.nodes.iter().flat_map(|node| &node.inputs);
        nodes
            .chain([&self.output])
            .chain(&self.embedding)
            .filter(|&&input| input == id)
            .count()
    }

    /// Checks that the whole graph holds together.
    ///
    /// # Errors
    /// The first fault: an id out of range, a tensor not made exactly once or never read, a node that reads
    /// what is not made yet, an op that does not fit its inputs or its output's shape, or a name used twice.
    pub fn verify(&self) -> Result<(), GraphError> {
        let ends = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("embedding", self.embedding),
        ];
        for (role, id) in ends {
            if let Some(TensorId(tensor)) = id
                && tensor >= self.tensors.len()
            {
                return Err(GraphError::NoSuchTensor { role, tensor });
            }
        }
        let mut made = vec![0usize; self.tensors.len()];
        made[self.input.0] = 1;
        for node in &self.nodes {
            let mut shapes = Vec::with_capacity(node.inputs.len());
            for &TensorId(tensor) in &node.inputs {
                if made.get(tensor).is_none_or(|&times| times == 0) {
                    return Err(GraphError::NotMade {
                        node: node.name.clone(),
                        tensor,
                    });
                }
                shapes.push(self.tensors[tensor].shape);
            }
            let expected = node.output_shape(&shapes)?;
            let TensorId(tensor) = node.output;
            let Some(times) = made.get_mut(tensor) else {
                return Err(GraphError::NoSuchTensor {
                    role: "node output",
                    tensor,
                });
            };
            *times += 1;
            let got = self.tensors[tensor].shape;
            if got != expected {
                return Err(GraphError::OutputShape {
                    node: node.name.clone(),
                    expected,
                    got,
                });
            }
        }
        for (at, (tensor, &times)) in self.tensors.iter().zip(&made).enumerate() {
            sized(&tensor.name, tensor.shape)?;
            let name = || tensor.name.clone();
            if times != 1 {
                return Err(GraphError::MadeTimes {
                    tensor: name(),
                    times,
                });
            }
            if self.readers(TensorId(at)) == 0 {
                return Err(GraphError::Unused { tensor: name() });
            }
        }
        unique(self.tensors.iter().map(|tensor| &tensor.name))?;
        unique(self.nodes.iter().map(|node| &node.name))
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), GraphError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(GraphError::NameTwice { name: name.clone() });
        }
    }
    Ok(())
}

impl fmt::Display for Graph {
    /// One line for each node: name, op, input shapes, output shape, MACs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({} MACs)", self.name, self.macs())?;
        for node in &self.nodes {
            let inputs: Vec<String> = node
                .inputs
                .iter()
                .map(|&id| format!("{} {}", self.tensor(id).name, self.shape(id)))
                .collect();
            writeln!(
                f,
                "{}: {} of {} -> {} ({} MACs)",
                node.name,
                node.op.kind(),
                inputs.join(" and "),
                self.shape(node.output),
                self.node_macs(node)
            )?;
        }
        Ok(())
    }
}

/// Makes a graph node by node; every tensor is named after the node that makes it.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    /// A graph of nothing but its input.
    pub fn new(name: impl Into<String>, input: Shape) -> Self {
        let tensor = Tensor {
            name: "input".to_string(),
            shape: input,
        };
        Self {
            graph: Graph {
                name: name.into(),
                tensors: vec![tensor],
                nodes: Vec::new(),
                input: TensorId(0),
                output: TensorId(0),
                embedding: None,
            },
        }
    }

    /// The graph's input.
    pub fn input(&self) -> TensorId {
        self.graph.input
    }

    /// The shape of a tensor made so far.
    ///
    /// # Panics
    /// If the id is not this builder's.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.graph.shape(id)
    }

    /// The name of a tensor made so far.
    ///
    /// # Panics
    /// As [`GraphBuilder::shape`].
    pub fn name(&self, id: TensorId) -> &str {
        &self.graph.tensor(id).name
    }

    /// Adds a node, computes its output's shape and returns its output.
    ///
    /// # Errors
    /// If the op does not fit its inputs.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let output = TensorId(self.graph.tensors.len());
        let node = Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            output,
        };
        let mut shapes = Vec::with_capacity(inputs.len());
        for id in inputs {
            let Some(tensor) = self.graph.tensors.get(id.0) else {
                return Err(GraphError::NotMade {
                    node: node.name,
                    tensor: id.0,
                });
            };
            shapes.push(tensor.shape);
        }
        self.graph.tensors.push(Tensor {
            name: node.name.clone(),
            shape: node.output_shape(&shapes)?,
        });
        self.graph.nodes.push(node);
        Ok(output)
    }

    /// The finished graph, without nodes that nothing on the way to the output reads.
    ///
    /// # Errors
    /// As [`Graph::verify`].
    pub fn finish_used(mut self, output: TensorId) -> Result<Graph, GraphError> {
        let mut used = BTreeSet::from([output]);
        let nodes = std::mem::take(&mut self.graph.nodes).into_iter().rev();
        let mut kept: Vec<Node> = nodes
            .filter(|node| {
                let is_used = used.contains(&node.output);
                if is_used {
                    used.extend(&node.inputs);
                }
                is_used
            })
            .collect();
        kept.reverse();
        self.graph.nodes = kept;
        self.graph.output = output;
        let graph = passes::without_orphans(self.graph);
        graph.verify()?;
        Ok(graph)
    }

    /// The finished graph.
    ///
    /// # Errors
    /// As [`Graph::verify`].
    pub fn finish(
        mut self,
        output: TensorId,
        embedding: Option<TensorId>,
    ) -> Result<Graph, GraphError> {
        self.graph.output = output;
        self.graph.embedding = embedding;
        self.graph.verify()?;
        Ok(self.graph)
    }
}
