//! From a float file to the graph that quantization starts from.

mod constant;
mod op;

use std::collections::{BTreeMap, BTreeSet};

use super::schema::{File, Operator, builtin, elem};
use super::shape::{computes_shape, ends, map_shape};
use super::{Refusal, refuse, refuse_tensor};
use crate::graph::{Graph, GraphBuilder, Op, Shape, TensorId};

/// The operators that can be taken over.
const SUPPORTED: &str = "supported are ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, DIV, ELU, EXPAND_DIMS, FULLY_CONNECTED, GELU, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAXIMUM, MAX_POOL_2D, MEAN, MINIMUM, MUL, PAD, PADV2, RELU, RELU6, RELU_N1_TO_1, RESHAPE, SOFTMAX, SQUEEZE, SUB and TANH on floats, and DEQUANTIZE of constants";

/// What the graph calls its input until it has its name.
const INPUT: &str = "input";

pub(super) struct Importer<'f> {
    file: &'f File<'f>,
    output: usize,
    graph: GraphBuilder,
    /// The graph's tensor that has the numbers of each of the file's.
    place: Vec<Option<TensorId>>,
    /// The constant that a tensor has the numbers of.
    constant: Vec<Option<usize>>,
    /// Names that are taken, and how often each was asked for.
    names: BTreeMap<String, usize>,
    /// The input's name.
    input_name: String,
    /// Sigmoids that are made only to be multiplied with what they are made from.
    gates: BTreeSet<usize>,
    /// How many constant numbers the graph has so far.
    numbers: usize,
}

/// A tensor that flows through the network.
#[derive(Clone, Copy)]
struct Flow {
    /// The graph's tensor with its numbers.
    id: TensorId,
    /// Its shape in the file, which may be a view of the graph's.
    shape: [usize; 3],
}

impl<'f> Importer<'f> {
    pub(super) fn new(file: &'f File<'f>, name: &str) -> Result<Self, String> {
        let (input, output) = ends(file)?;
        let seen = seen_as(file, input);
        let shape = float_shape(file, input).and_then(|_| float_shape(file, seen));
        let [h, w, c] = shape.map_err(|refusal| {
            let name = &file.tensors[input].name;
            format!("the input, tensor `{name}`, {}", refusal.why)
        })?;
        let mut importer = Importer {
            file,
            output,
            graph: GraphBuilder::new(name, Shape::new(h, w, c)),
            place: vec![None; file.tensors.len()],
            constant: vec![None; file.tensors.len()],
            names: BTreeMap::from([(INPUT.to_string(), 1)]),
            input_name: INPUT.to_string(),
            gates: gates(file),
            numbers: 0,
        };
        importer.place[input] = Some(importer.graph.input());
        if file.tensors[input].name != INPUT {
            importer.input_name = importer.unique(&file.tensors[input].name);
        }
        Ok(importer)
    }

    pub(super) fn operator(&mut self, at: usize, operator: &Operator<'_>) -> Result<(), Refusal> {
        let output = self.file.output(operator, SUPPORTED)?;
        if self.place[output].is_some() || self.constant[output].is_some() {
            return refuse("is made twice; the file is damaged: copy it again");
        }
        match operator.builtin {
            builtin::DEQUANTIZE => self.dequantize(operator, output),
            builtin::RESHAPE | builtin::SQUEEZE | builtin::EXPAND_DIMS => {
                self.view(operator, output)
            }
            _ if computes_shape(self.file, operator) => Ok(()),
            // The product makes both.
            builtin::LOGISTIC if self.gates.contains(&output) => Ok(()),
            _ => {
                let shape = float_shape(self.file, output)?;
                let name = match &self.file.tensors[output].name {
                    name if name.is_empty() => format!("{} {at}", operator.kind),
                    name => name.clone(),
                };
                let name = self.unique(&name);
                let made = self.op(operator, &name, output)?;
                if self.graph.shape(made).elems() != shape.iter().product::<usize>() {
                    return refuse(format!(
                        "is {shape:?} in the file, and its operator makes {}; the file is damaged: copy it again",
                        self.graph.shape(made)
                    ));
                }
                self.place[output] = Some(made);
                Ok(())
            }
        }
    }

    /// Adds a node of this name.
    fn push(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, Refusal> {
        match self.graph.push(name, op, inputs) {
            Ok(made) => Ok(made),
            Err(error) => refuse(format!("does not fit: {error}")),
        }
    }

    /// A name that no node and no tensor has yet.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_string();
        while self.names.contains_key(&unique) {
            let count = self.names.entry(name.to_string()).or_default();
            *count += 1;
            unique = format!("{name}#{count}");
        }
        self.names.insert(unique.clone(), 1);
        unique
    }

    /// What an operator reads, if it flows through the network.
    fn flow(&self, operator: &Operator<'_>, at: usize) -> Result<Option<Flow>, Refusal> {
        let id = self.file.input(operator, at)?;
        match self.place[id] {
            Some(place) => Ok(Some(Flow {
                id: place,
                shape: float_shape(self.file, id)?,
            })),
            None if self.is_constant(id) => Ok(None),
            None => refuse_tensor(
                id,
                "is read before any operator makes it; operators have to be in running order",
            ),
        }
    }

    /// What an operator reads, which has to flow through the network.
    fn read(&self, operator: &Operator<'_>, at: usize) -> Result<Flow, Refusal> {
        match self.flow(operator, at)? {
            Some(flow) => Ok(flow),
            None => refuse_tensor(
                self.file.input(operator, at)?,
                "is a constant; here the operator can only take what flows through the network",
            ),
        }
    }

    /// The same for an operator that looks at rows and columns.
    fn read_map(&self, operator: &Operator<'_>, at: usize) -> Result<Flow, Refusal> {
        let flow = self.read(operator, at)?;
        self.expect_map(self.file.input(operator, at)?, flow)?;
        Ok(flow)
    }

    /// Refuses a view of numbers that lie in another shape.
    fn expect_map(&self, id: usize, flow: Flow) -> Result<(), Refusal> {
        let Shape { h, w, c } = self.graph.shape(flow.id);
        if flow.shape == [h, w, c] {
            return Ok(());
        }
        refuse_tensor(
            id,
            format!(
                "is a view of a map of {h}x{w}x{c} in another shape; only FULLY_CONNECTED and functions of each number can read such a view, or any operator one of the network's input: leave out the RESHAPE"
            ),
        )
    }

    /// The same numbers, in the same order, in another shape.
    fn view(&mut self, operator: &Operator<'_>, output: usize) -> Result<(), Refusal> {
        let Some(flow) = self.flow(operator, 0)? else {
            return self.dequantize(operator, output);
        };
        let view = float_shape(self.file, output)?;
        if view.iter().product::<usize>() != flow.shape.iter().product::<usize>() {
            return refuse("has another number of elements than what it is made from");
        }
        self.place[output] = Some(flow.id);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Graph, String> {
        let what_to_do = "export only what leads from the input to the output";
        let output = self.place[self.output].filter(|&made| made != self.graph.input());
        let Some(output) = output else {
            return Err(format!(
                "no operator makes the output, tensor `{}`; {what_to_do}",
                self.file.tensors[self.output].name
            ));
        };
        let graph = self.graph.finish(output, None);
        let mut graph = graph.map_err(|error| format!("{error}; {what_to_do}"))?;
        graph.tensors[graph.input.0].name = self.input_name;
        graph.embedding = embedding(&graph);
        graph.verify().map_err(|error| error.to_string())?;
        Ok(graph)
    }
}

/// What a last dense layer reads, with at most a softmax behind it.
fn embedding(graph: &Graph) -> Option<TensorId> {
    let behind = |node: &&crate::graph::Node| matches!(node.op, Op::Softmax { .. });
    let last = graph.nodes.iter().rev().find(|node| !behind(node))?;
    let is_dense = matches!(last.op, Op::Dense { .. });
    last.inputs.first().copied().filter(|_| is_dense)
}

/// The tensor in whose shape the first operator that is no view reads the input.
fn seen_as(file: &File<'_>, input: usize) -> usize {
    let mut seen = input;
    for operator in &file.operators {
        let reads = operator.inputs.first().copied() == i32::try_from(seen).ok();
        if !reads || computes_shape(file, operator) {
            continue;
        }
        let views = [builtin::RESHAPE, builtin::SQUEEZE, builtin::EXPAND_DIMS];
        match file.output(operator, "") {
            Ok(output) if views.contains(&operator.builtin) => seen = output,
            _ => break,
        }
    }
    seen
}

/// Outputs of LOGISTIC that only one MUL reads, which multiplies them with LOGISTIC's input: SiLU in two operators.
fn gates(file: &File<'_>) -> BTreeSet<usize> {
    let mut readers: BTreeMap<i32, Vec<&Operator<'_>>> = BTreeMap::new();
    for operator in &file.operators {
        for &id in &operator.inputs {
            readers.entry(id).or_default().push(operator);
        }
    }
    let gate = |operator: &Operator<'_>| {
        let (&[x], &[gate]) = (&operator.inputs[..], &operator.outputs[..]) else {
            return None;
        };
        let &[reader] = &readers.get(&gate)?[..] else {
            return None;
        };
        let pair = [[x, gate], [gate, x]];
        let is_silu = operator.builtin == builtin::LOGISTIC
            && reader.builtin == builtin::MUL
            && pair.iter().any(|pair| reader.inputs == pair)
            && !file.outputs.contains(&gate);
        usize::try_from(gate).ok().filter(|_| is_silu)
    };
    file.operators.iter().filter_map(gate).collect()
}

/// Rows, columns and channels of a tensor of floats.
fn float_shape(file: &File<'_>, id: usize) -> Result<[usize; 3], Refusal> {
    let tensor = &file.tensors[id];
    if let Some(exotic) = tensor.exotic {
        return refuse_tensor(id, exotic);
    }
    if tensor.elem != elem::FLOAT32 {
        return refuse_tensor(
            id,
            format!(
                "is {} inside a float network; only float32 is supported there: export the network as float32, or quantize the whole of it to int8",
                elem::name(tensor.elem)
            ),
        );
    }
    map_shape(tensor, id)
}
