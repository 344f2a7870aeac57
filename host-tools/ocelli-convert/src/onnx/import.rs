//! The values of a file, operator by operator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use super::array::{Array, External, decode};
use super::budget::Budget;
use super::elementwise::Expr;
use super::layout::Layout;
use super::model::{Content, Model, Node, Tensor};
use super::norm::Moment;
use super::schema::{SUPPORTED, attributes};
use super::{FixedQuantization, Imported, Refusal, refuse};
use crate::error::ImportError;
use crate::graph::{Graph, GraphBuilder, Op, Shape, TensorId};
use crate::grid::Quantization;

/// What a name of the file stands for.
#[derive(Debug, Clone)]
pub enum Value {
    /// Known now.
    Constant(Rc<Array>),
    /// Known when the network runs.
    Flow(Flow),
    /// Part of a layer norm that is spelled out.
    Moment(Moment),
    /// A flow behind QuantizeLinear.
    Codes(Flow, Quantization),
}

/// A tensor of the graph, or a function of one, as ONNX sees it.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Which of the importer's expressions.
    pub expr: usize,
    pub layout: Layout,
}

/// Where and why a way to see the input came to its end.
pub struct Failure {
    /// The operator's place in the file; behind all of them for the whole.
    pub at: usize,
    pub refusal: Refusal,
}

impl Failure {
    pub fn into_error(self, path: &Path, model: &Model<'_>) -> ImportError {
        let at = self.refusal.node.unwrap_or(self.at);
        let path = path.to_path_buf();
        let why = self.refusal.why;
        match model.graph.nodes.get(at) {
            None => ImportError::BadFile { path, why },
            Some(node) => ImportError::Node {
                path,
                node: node.label().to_string(),
                op: node.op.to_string(),
                why,
            },
        }
    }
}

impl<'f> Node<'f> {
    /// Its name, or its first output's.
    pub fn label(&self) -> &'f str {
        if self.name.is_empty() {
            self.outputs.first().copied().unwrap_or_default()
        } else {
            self.name
        }
    }

    fn content(&self, name: &str) -> Option<&Content<'f>> {
        let attribute = self.attributes.iter().find(|one| one.name == name);
        attribute.map(|attribute| &attribute.content)
    }

    fn attribute<'n, T>(
        &'n self,
        name: &str,
        kind: &str,
        as_kind: impl Fn(&'n Content<'f>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(content) = self.content(name) else {
            return Ok(None);
        };
        match as_kind(content) {
            Some(value) => Ok(Some(value)),
            None => refuse(format!("attribute `{name}` is no {kind}; export it again")),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.attribute(name, "whole number", |content| match content {
            Content::Int(int) => Some(*int),
            _ => None,
        })
    }

    pub fn float(&self, name: &str) -> Result<Option<f32>, Refusal> {
        self.attribute(name, "number", |content| match content {
            Content::Float(float) => Some(*float),
            _ => None,
        })
    }

    pub fn text(&self, name: &str) -> Result<Option<&'f str>, Refusal> {
        self.attribute(name, "text", |content| match content {
            Content::Text(text) => Some(*text),
            _ => None,
        })
    }

    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, Refusal> {
        self.attribute(name, "list of whole numbers", |content| match content {
            Content::Ints(ints) => Some(&ints[..]),
            _ => None,
        })
    }

    pub fn floats(&self, name: &str) -> Result<Option<&[f32]>, Refusal> {
        self.attribute(name, "list of numbers", |content| match content {
            Content::Floats(floats) => Some(&floats[..]),
            _ => None,
        })
    }

    pub fn tensor(&self, name: &str) -> Result<Option<&Tensor<'f>>, Refusal> {
        self.attribute(name, "tensor", |content| match content {
            Content::Tensor(tensor) => Some(&**tensor),
            _ => None,
        })
    }

    /// Refuses attributes that are not understood.
    fn check_attributes(&self) -> Result<(), Refusal> {
        let known = match (self.domain, attributes(self.op)) {
            ("" | "ai.onnx", Some(known)) => known,
            ("com.microsoft", Some(known)) if self.op.ends_with("eLinear") => known,
            ("" | "ai.onnx", None) => {
                return refuse(format!(
                    "is not supported; {SUPPORTED}: export the network without it"
                ));
            }
            (domain, _) => {
                return refuse(format!(
                    "is an operator of `{domain}`, which only some runtimes know; export the network with operators of ONNX itself (quantized networks in QDQ form)"
                ));
            }
        };
        let unknown = self
            .attributes
            .iter()
            .find(|one| !known.contains(&one.name));
        match unknown {
            Some(unknown) => refuse(format!(
                "has an attribute `{}`, which is not supported; supported are {known:?}: export the network without it",
                unknown.name
            )),
            None => Ok(()),
        }
    }
}

/// A way from the file to a graph.
pub struct Importer<'m, 'f> {
    pub model: &'m Model<'f>,
    pub external: &'m External<'m>,
    initializers: BTreeMap<&'f str, &'m Tensor<'f>>,
    values: BTreeMap<&'f str, Value>,
    pub builder: GraphBuilder,
    /// Whether the op that makes a tensor can clamp it.
    pub clampable: Vec<bool>,
    /// Names that are taken, and how often they were wanted.
    names: BTreeMap<String, usize>,
    pub exprs: Vec<Expr>,
    pub fixed: FixedQuantization,
    input: Layout,
    pub budget: &'m Budget,
    /// The operator at hand.
    pub at: usize,
}

impl<'m, 'f> Importer<'m, 'f> {
    pub fn new(
        model: &'m Model<'f>,
        external: &'m External<'m>,
        budget: &'m Budget,
        input: &'f str,
        shape: Shape,
        layout: Layout,
    ) -> Self {
        let initializers = model.graph.initializers.iter();
        let name = if model.graph.name.is_empty() {
            "onnx"
        } else {
            model.graph.name
        };
        let mut importer = Importer {
            model,
            external,
            initializers: initializers.map(|tensor| (tensor.name, tensor)).collect(),
            values: BTreeMap::new(),
            builder: GraphBuilder::new(name, shape),
            clampable: vec![false],
            // The builder calls its input so.
            names: BTreeMap::from([("input".to_string(), 1)]),
            exprs: vec![],
            fixed: FixedQuantization::default(),
            input: layout.clone(),
            budget,
            at: 0,
        };
        let expr = importer.leaf(importer.builder.input());
        let flow = Flow { expr, layout };
        importer.values.insert(input, Value::Flow(flow));
        importer
    }

    pub fn run(mut self) -> Result<Imported, Failure> {
        let nodes = &self.model.graph.nodes;
        let is_needed = needed(self.model);
        for (at, node) in nodes.iter().enumerate() {
            if is_needed[at] {
                self.at = at;
                self.node(node).map_err(|refusal| Failure { at, refusal })?;
            }
        }
        let at = nodes.len();
        self.at = at.saturating_sub(1);
        self.finish().map_err(|refusal| Failure { at, refusal })
    }

    fn node(&mut self, node: &'m Node<'f>) -> Result<(), Refusal> {
        node.check_attributes()?;
        // Outputs behind the first say how something was computed, and are read in training only.
        let is_read = |name: &&str| {
            let mut inputs = self.model.graph.nodes.iter().flat_map(|node| &node.inputs);
            !name.is_empty() && inputs.any(|input| input == name)
        };
        if let Some(extra) = node.outputs.iter().skip(1).find(|name| is_read(name)) {
            return refuse(format!(
                "has a second output `{extra}` that is used; only the first is supported"
            ));
        }
        let Some(&output) = node.outputs.first() else {
            return refuse("has no output; copy the file again");
        };
        let value = self.value_of(node)?;
        if self.values.insert(output, value).is_some() {
            return refuse(format!(
                "makes `{output}` a second time; the file is damaged: copy it again"
            ));
        }
        Ok(())
    }

    fn value_of(&mut self, node: &'m Node<'f>) -> Result<Value, Refusal> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            inputs.push(self.value(name)?);
        }
        let is_constant = |input: &Option<Value>| matches!(input, None | Some(Value::Constant(_)));
        // What flows is real numbers, so that their type is known although they are not.
        let is_cast = node.op == "CastLike" && inputs.first().is_some_and(is_constant);
        let is_folded = is_cast || inputs.iter().all(is_constant);
        let inputs = Inputs { node, inputs };
        if is_folded {
            let array = self.fold(&inputs)?;
            return Ok(Value::Constant(Rc::new(array)));
        }
        match node.op {
            "Conv" => self.conv(&inputs),
            "Gemm" => self.gemm(&inputs),
            "MatMul" => self.mat_mul(&inputs),
            "BatchNormalization" => self.batch_norm(&inputs),
            "LayerNormalization" => self.layer_norm(&inputs),
            "Softmax" => self.softmax(&inputs),
            "MaxPool" | "AveragePool" => self.pool(&inputs),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(&inputs),
            "ReduceMean" | "ReduceMax" => self.reduce(&inputs),
            "Pad" => self.pad(&inputs),
            "Concat" => self.concat(&inputs),
            "Shape" | "Size" => self.shape_of(&inputs),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose" | "Identity"
            | "Dropout" | "Cast" | "CastLike" | "Expand" => self.view(&inputs),
            "QuantizeLinear" => self.quantize_linear(&inputs),
            "DequantizeLinear" => self.dequantize_linear(&inputs),
            _ => self.elementwise(&inputs),
        }
    }

    /// What a name stands for; none for an input that is left out.
    fn value(&mut self, name: &'f str) -> Result<Option<Value>, Refusal> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(value) = self.values.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(tensor) = self.initializers.get(name) else {
            return refuse(format!(
                "reads `{name}`, which nothing before it makes; the file is damaged: copy it again"
            ));
        };
        let array =
            decode(tensor, self.external).map_err(|refusal| refusal.about("constant", name))?;
        let value = Value::Constant(Rc::new(array));
        self.values.insert(name, value.clone());
        Ok(Some(value))
    }

    /// Adds an op under the name of an operator and returns what it makes.
    pub fn push(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        part: &str,
    ) -> Result<(TensorId, String), Refusal> {
        self.push_at(self.at, op, inputs, part)
    }

    /// The same for another operator than the one at hand.
    pub fn push_at(
        &mut self,
        at: usize,
        op: Op,
        inputs: &[TensorId],
        part: &str,
    ) -> Result<(TensorId, String), Refusal> {
        let lists: [&[f32]; 2] = match &op {
            Op::Conv2d { weights, bias, .. }
            | Op::DepthwiseConv2d { weights, bias, .. }
            | Op::Dense { weights, bias, .. } => [weights, bias],
            Op::BatchNorm { scale, shift } | Op::LayerNorm { scale, shift, .. } => [scale, shift],
            _ => [&[], &[]],
        };
        self.budget
            .hold(lists.iter().map(|list| list.len()).sum())?;
        if let Some(value) = lists.iter().copied().flatten().find(|x| !x.is_finite()) {
            return refuse(format!(
                "has {value} among its weights; they must be finite: train or export it again"
            ));
        }
        let label = self.model.graph.nodes.get(at).map_or("", Node::label);
        let name = self.free_name(format!("{label}{part}"));
        self.clampable.push(op.clamp().is_some());
        let made = self.builder.push(&name, op, inputs);
        let id = made.map_err(|error| Refusal::new(format!("cannot be run: {error}")))?;
        Ok((id, name))
    }

    /// A name, with a number behind it if it is taken.
    fn free_name(&mut self, mut name: String) -> String {
        while let Some(times) = self.names.get_mut(&name) {
            *times += 1;
            name = format!("{name}:{times}");
        }
        self.names.insert(name.clone(), 1);
        name
    }

    /// A tensor of the graph as a value.
    pub fn flow(&mut self, tensor: TensorId, layout: Layout) -> Value {
        let expr = self.leaf(tensor);
        Value::Flow(Flow { expr, layout })
    }

    /// Adds an op with one input and returns what it makes, seen in a layout.
    pub fn push_flow(&mut self, op: Op, input: TensorId, layout: Layout) -> Result<Value, Refusal> {
        let (id, _) = self.push(op, &[input], "")?;
        Ok(self.flow(id, layout))
    }

    /// The graph's tensor of a flow, and its shape.
    pub fn tensor(&mut self, flow: &Flow) -> Result<(TensorId, Shape), Refusal> {
        let id = self.materialize(flow.expr)?;
        Ok((id, self.builder.shape(id)))
    }

    fn finish(mut self) -> Result<Imported, Refusal> {
        let output = self.model.graph.outputs.first().map(|output| output.name);
        let value = output.and_then(|name| self.values.get(name)).cloned();
        let (output, layout) = match value {
            Some(Value::Flow(flow)) => (self.tensor(&flow)?.0, flow.layout),
            Some(Value::Constant(_)) | None => {
                return refuse("the output does not depend on the input; export the whole network");
            }
            Some(Value::Moment(_)) => {
                return refuse("the output is a mean over channels, which is not supported");
            }
            Some(Value::Codes(..)) => {
                return refuse(
                    "the output is behind QuantizeLinear without DequantizeLinear; export the network in QDQ form with a float output",
                );
            }
        };
        let fixed = self.fixed;
        let graph = self.builder.finish_used(output);
        let mut graph = graph.map_err(|error| Refusal::new(error.to_string()))?;
        graph.embedding = embedding(&graph);
        let is_quantized = !fixed.tensors.is_empty() || !fixed.weights.is_empty();
        Ok(Imported {
            graph,
            input: self.input,
            output: layout,
            quantization: is_quantized.then_some(fixed),
        })
    }
}

/// What the last dense layer reads, if nothing but softmax is behind it.
fn embedding(graph: &Graph) -> Option<TensorId> {
    let mut at = graph.output;
    loop {
        let node = graph.nodes.iter().find(|node| node.output == at)?;
        let input = *node.inputs.first()?;
        match node.op {
            Op::Dense { .. } => return Some(input),
            Op::Softmax { .. } | Op::BatchNorm { .. } | Op::Clamp(_) => at = input,
            _ => return None,
        }
    }
}

/// Which operators the output needs.
fn needed(model: &Model<'_>) -> Vec<bool> {
    let graph = &model.graph;
    let mut wanted: BTreeSet<&str> = graph.outputs.iter().map(|output| output.name).collect();
    let mut is_needed = vec![false; graph.nodes.len()];
    // In running order, whoever reads a value stands behind whoever makes it.
    for (node, is_needed) in graph.nodes.iter().zip(&mut is_needed).rev() {
        *is_needed = node.outputs.iter().any(|output| wanted.contains(output));
        if *is_needed {
            wanted.extend(&node.inputs);
        }
    }
    is_needed
}

/// An operator and the values of its inputs.
pub struct Inputs<'m, 'f> {
    pub node: &'m Node<'f>,
    pub inputs: Vec<Option<Value>>,
}

impl Inputs<'_, '_> {
    /// An input that may be left out.
    pub fn get(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at).and_then(Option::as_ref)
    }

    fn name(&self, at: usize) -> &str {
        self.node.inputs.get(at).copied().unwrap_or_default()
    }

    /// An input that flows.
    pub fn flow(&self, at: usize) -> Result<&Flow, Refusal> {
        match self.get(at) {
            Some(Value::Flow(flow)) => Ok(flow),
            Some(Value::Constant(_)) => refuse(format!(
                "has a constant as input {at} (`{}`); only what the network computes is supported there",
                self.name(at)
            )),
            Some(Value::Moment(_)) => {
                refuse("reads a mean over channels; that is supported as part of a layer norm only")
            }
            Some(Value::Codes(..)) => refuse(format!(
                "reads `{}`, which is behind QuantizeLinear without DequantizeLinear; export the network in QDQ form",
                self.name(at)
            )),
            None => refuse(format!("has no input {at}; copy the file again")),
        }
    }

    /// An input that is constant, and may be left out.
    pub fn constant(&self, at: usize) -> Result<Option<&Rc<Array>>, Refusal> {
        match self.get(at) {
            None => Ok(None),
            Some(Value::Constant(array)) => Ok(Some(array)),
            Some(_) => refuse(format!(
                "computes its input {at} (`{}`) from the network's input; only a constant is supported there",
                self.name(at)
            )),
        }
    }

    /// An input that has to be constant.
    pub fn weights(&self, at: usize) -> Result<&Rc<Array>, Refusal> {
        match self.constant(at)? {
            Some(array) => Ok(array),
            None => refuse(format!("has no input {at}; copy the file again")),
        }
    }

    /// A list of whole numbers: an attribute in older operator sets, an input in newer ones.
    pub fn list(&self, attribute: &str, at: usize) -> Result<Option<Vec<i64>>, Refusal> {
        if let Some(list) = self.node.ints(attribute)? {
            return Ok(Some(list.to_vec()));
        }
        match self.constant(at)?.map(|array| array.as_ints()) {
            None => Ok(None),
            Some(Some(list)) => Ok(Some(list.to_vec())),
            Some(None) => refuse(format!("has input {at} that is no list of whole numbers")),
        }
    }
}

/// An axis that may count from the end.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let from = if axis < 0 { rank as i64 } else { 0 };
    let found = usize::try_from(axis.saturating_add(from)).ok();
    match found.filter(|&at| at < rank) {
        Some(at) => Ok(at),
        None => refuse(format!("has axis {axis}, and its input {rank} dimensions")),
    }
}

/// Axes that may count from the end, each once.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    let mut found = vec![];
    for &one in list {
        let at = axis(one, rank)?;
        if found.contains(&at) {
            return refuse(format!("has axis {one} twice"));
        }
        found.push(at);
    }
    Ok(found)
}
