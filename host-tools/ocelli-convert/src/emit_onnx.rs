//! The quantized network as an ONNX file: real ops between QuantizeLinear and DequantizeLinear.
//!
//! Every tensor goes through a QuantizeLinear and a DequantizeLinear with the scale and zero point of its codes; weights
//! and biases are their codes behind a DequantizeLinear. So the file shows in a viewer what the device computes, and any
//! runtime of ONNX runs it, with the rounding of its own: codes may differ by one where results lie between two.
//!
//! Node `n` keeps its name. The tensor `t` that it makes is `t/raw` before rounding, `t/codes` in int8 and `t` afterwards;
//! the input is `t` as fed and `t/real` after rounding. Maps are NCHW, what dense layers make is NC.
//!
//! # Source
//! ONNX operator set 20.

use ocelli_image::{Channels, Model};

use crate::error::QuantizeError;
use crate::graph::{Clamp, Graph, Node, Op, Padding, Shape, TensorId, Unary, Window};
use crate::grid::Quantization;
use crate::target::canonical_weights;

mod protobuf;
mod schema;

use protobuf::Message;
use schema::{Attribute, Elements};

/// The ONNX file of a canonical graph and of the model that [`crate::quantize::quantize`] made of it, planned or not.
///
/// # Errors
/// [`QuantizeError::NotCanonical`] for an op that has no int8 form.
///
/// # Panics
/// If the model was made of another graph.
pub fn emit(graph: &Graph, model: &Model) -> Result<Vec<u8>, QuantizeError> {
    let mut emitter = Emitter {
        graph,
        model,
        codes: vec![None; graph.tensors.len()],
        is_vector: vec![false; graph.tensors.len()],
        nodes: vec![],
        constants: vec![],
        values: vec![],
    };
    let input = &graph.tensor(graph.input).name;
    emitter.round(graph.input, 0, input, &format!("{input}/real"));
    for at in 0..graph.nodes.len() {
        emitter.node(at)?;
    }
    let ends = [(11, graph.input), (12, graph.output)];
    let ends = ends.map(|(field, id)| {
        let name = &graph.tensor(id).name;
        (field, schema::value_info(name, &emitter.dims(id)))
    });
    let nodes = emitter.nodes.into_iter().map(|node| (1, node));
    let constants = emitter.constants.into_iter().map(|tensor| (5, tensor));
    let values = emitter.values.into_iter().map(|value| (13, value));
    let parts = nodes.chain(constants).chain(ends).chain(values);
    let graph = Message::default().bytes(2, &graph.name);
    let graph = parts.fold(graph, |graph, (field, part)| graph.message(field, part));
    Ok(schema::model(graph))
}

struct Emitter<'g> {
    graph: &'g Graph,
    model: &'g Model,
    /// By tensor of the graph, as soon as it is made.
    codes: Vec<Option<Quantization>>,
    /// Whether a tensor has no rows and columns, by tensor of the graph.
    is_vector: Vec<bool>,
    nodes: Vec<Message>,
    constants: Vec<Message>,
    values: Vec<Message>,
}

impl Emitter<'_> {
    fn node(&mut self, at: usize) -> Result<(), QuantizeError> {
        let node = &self.graph.nodes[at];
        let name = self.graph.tensor(node.output).name.clone();
        let raw = format!("{name}/raw");
        let clamp = node.op.clamp().unwrap_or(Clamp::NONE);
        let is_clamped = clamp != Clamp::NONE;
        let before_clamp = if is_clamped {
            format!("{name}/unclamped")
        } else {
            raw.clone()
        };
        self.is_vector[node.output.0] = self.makes_vector(node);
        self.op(at, node, &before_clamp)?;
        if is_clamped {
            // A swallowed activation gets its name back, which its tensor still has.
            let clamp_name = match name == node.name {
                true => format!("{name}/clamp"),
                false => name.clone(),
            };
            self.clamp(&clamp_name, clamp, &before_clamp, &raw);
        }
        self.round(node.output, at + 1, &raw, &name);
        let value = schema::value_info(&name, &self.dims(node.output));
        // The graph's output is told as such.
        if node.output != self.graph.output {
            self.values.push(value);
        }
        Ok(())
    }

    fn makes_vector(&self, node: &Node) -> bool {
        let is_vector = |id: &TensorId| self.is_vector[id.0];
        match node.op {
            Op::Dense { .. } => true,
            Op::Conv2d { .. }
            | Op::DepthwiseConv2d { .. }
            | Op::AveragePool { .. }
            | Op::MaxPool { .. }
            | Op::GlobalAveragePool
            | Op::Pad { .. } => false,
            _ => node.inputs.iter().all(is_vector),
        }
    }

    /// The op by itself, from rounded inputs to a result that is not clamped or rounded yet.
    fn op(&mut self, at: usize, node: &Node, output: &str) -> Result<(), QuantizeError> {
        let name = node.name.as_str();
        let input = match node.op {
            Op::Dense { .. } => self.vector(node, 0),
            _ => self.operand(node, 0),
        };
        let input = input.as_str();
        let shape = self.graph.shape(node.inputs[0]);
        match &node.op {
            Op::Conv2d { window, .. } => {
                let order = maps_first(window.taps(), shape.c);
                let dims = [shape.c, window.filter_h, window.filter_w];
                let [weights, bias] = self.channels(at, &dims, &order);
                let inputs = [input, &weights, &bias];
                self.push_window(name, "Conv", &inputs, output, window, &[]);
            }
            Op::DepthwiseConv2d { window, .. } => {
                // `[taps][out]` becomes `[out][taps]`.
                let channels = self.graph.shape(node.output).c;
                let order: Vec<usize> = (0..window.taps()).map(|tap| tap * channels).collect();
                let dims = [1, window.filter_h, window.filter_w];
                let [weights, bias] = self.channels(at, &dims, &order);
                let inputs = [input, &weights, &bias];
                let group = [("group", Attribute::Int(shape.c as i64))];
                self.push_window(name, "Conv", &inputs, output, window, &group);
            }
            Op::Dense { .. } => {
                let order = maps_first(shape.h * shape.w, shape.c);
                let [weights, bias] = self.channels(at, &[shape.elems()], &order);
                let inputs = [input, &weights, &bias];
                let turned = [("transB", Attribute::Int(1))];
                self.push(name, "Gemm", &inputs, output, &turned);
            }
            Op::Add { .. } => {
                let second = self.operand(node, 1);
                self.push(name, "Add", &[input, &second], output, &[]);
            }
            Op::Multiply { .. } => {
                let second = self.operand(node, 1);
                self.push(name, "Mul", &[input, &second], output, &[]);
            }
            Op::Concat => {
                let second = self.operand(node, 1);
                let channels = [("axis", Attribute::Int(1))];
                self.push(name, "Concat", &[input, &second], output, &channels);
            }
            Op::AveragePool { window, .. } => {
                let inside = [("count_include_pad", Attribute::Int(0))];
                self.push_window(name, "AveragePool", &[input], output, window, &inside);
            }
            Op::MaxPool { window, .. } => {
                self.push_window(name, "MaxPool", &[input], output, window, &[]);
            }
            Op::GlobalAveragePool => self.push(name, "GlobalAveragePool", &[input], output, &[]),
            Op::Pad { padding } => {
                let pads = format!("{name}/pads");
                let [top, left, bottom, right] = sides(padding);
                let sides = [0, 0, top, left, 0, 0, bottom, right];
                self.constant(&pads, &[8], Elements::Int64(&sides));
                self.push(name, "Pad", &[input, &pads], output, &[]);
            }
            Op::Softmax { beta } => {
                let channels = [("axis", Attribute::Int(1))];
                if *beta == 1.0 {
                    self.push(name, "Softmax", &[input], output, &channels);
                } else {
                    let [factor, scaled] = [format!("{name}/beta"), format!("{name}/scaled")];
                    self.constant(&factor, &[], Elements::Float(&[*beta]));
                    self.push(&scaled, "Mul", &[input, &factor], &scaled, &[]);
                    self.push(name, "Softmax", &[&scaled], output, &channels);
                }
            }
            Op::Unary(function) => self.unary(name, *function, input, output),
            Op::LayerNorm { epsilon, .. } => self.layer_norm(at, node, *epsilon, input, output),
            Op::BatchNorm { .. } | Op::Clamp(_) => {
                return Err(QuantizeError::NotCanonical {
                    node: node.name.clone(),
                    op: node.op.kind(),
                });
            }
        }
        Ok(())
    }

    fn unary(&mut self, name: &str, function: Unary, input: &str, output: &str) {
        let alpha = |alpha| ("alpha", Attribute::Float(alpha));
        let approximate = |how| ("approximate", Attribute::Text(how));
        let (op, attributes) = match function {
            Unary::Sigmoid => ("Sigmoid", vec![]),
            Unary::HardSigmoid { alpha: slope, beta } => {
                let beta = ("beta", Attribute::Float(beta));
                ("HardSigmoid", vec![alpha(slope), beta])
            }
            // An operator only from set 24 on.
            Unary::Silu => {
                let sigmoid = format!("{name}/sigmoid");
                self.push(&sigmoid, "Sigmoid", &[input], &sigmoid, &[]);
                return self.push(name, "Mul", &[input, &sigmoid], output, &[]);
            }
            Unary::HardSwish => ("HardSwish", vec![]),
            Unary::Gelu => ("Gelu", vec![approximate("none")]),
            Unary::GeluTanh => ("Gelu", vec![approximate("tanh")]),
            Unary::Tanh => ("Tanh", vec![]),
            Unary::LeakyRelu { alpha: slope } => ("LeakyRelu", vec![alpha(slope)]),
            Unary::Elu { alpha: limit } => ("Elu", vec![alpha(limit)]),
        };
        self.push(name, op, &[input], output, &attributes);
    }

    /// ONNX normalizes the last dimensions: channels come last meanwhile.
    fn layer_norm(&mut self, at: usize, node: &Node, epsilon: f32, input: &str, output: &str) {
        let name = node.name.as_str();
        let [scale, shift] = self.channels(at, &[], &[0]);
        let attributes = [
            ("axis", Attribute::Int(-1)),
            ("epsilon", Attribute::Float(epsilon)),
        ];
        let op = "LayerNormalization";
        if self.is_vector[node.output.0] {
            return self.push(name, op, &[input, &scale, &shift], output, &attributes);
        }
        let [last, made] = [format!("{name}/nhwc"), format!("{name}/normalized")];
        let order = [("perm", Attribute::Ints(&[0, 2, 3, 1]))];
        self.push(&last, "Transpose", &[input], &last, &order);
        self.push(name, op, &[&last, &scale, &shift], &made, &attributes);
        let back = [("perm", Attribute::Ints(&[0, 3, 1, 2]))];
        self.push(
            &format!("{name}/nchw"),
            "Transpose",
            &[&made],
            output,
            &back,
        );
    }

    /// The codes of weights and biases, dequantized: the names of the two.
    ///
    /// `dims` are those of a filter; `order` says where its weights lie, from those of its first.
    fn channels(&mut self, at: usize, dims: &[usize], order: &[usize]) -> [String; 2] {
        let node = &self.graph.nodes[at];
        let model = self.model;
        let (Some(channels), Some(weights)) =
            (model.ops[at].body.channels(), canonical_weights(model, at))
        else {
            unreachable!("the quantizer gives `{}` weights", node.name);
        };
        let input = match node.op {
            Op::LayerNorm { .. } => Quantization::NORMALIZED,
            _ => self.codes_of(node.inputs[0]),
        };
        let weights = &*weights;
        let Channels {
            bias, weight_scale, ..
        } = channels;
        let count = bias.len();
        let is_by_columns = matches!(node.op, Op::DepthwiseConv2d { .. } | Op::LayerNorm { .. });
        let between = if is_by_columns { 1 } else { order.len() };
        let filter = |channel: usize| {
            order
                .iter()
                .map(move |place| weights[channel * between + place])
        };
        let codes: Vec<i8> = (0..count).flat_map(filter).collect();
        // The device's biases have the input's zero point folded in.
        let sums = codes.chunks(order.len());
        let sums = sums.map(|filter| filter.iter().map(|&code| i32::from(code)).sum::<i32>());
        let zero_point = i32::from(input.zero_point);
        let bias: Vec<i32> = bias
            .iter()
            .zip(sums)
            .map(|(bias, sum)| bias + zero_point * sum)
            .collect();
        let bias_scale: Vec<f32> = weight_scale
            .iter()
            .map(|scale| input.scale * scale)
            .collect();
        let dims: Vec<usize> = [count].into_iter().chain(dims.iter().copied()).collect();
        let zeros = vec![0i8; count];
        let (weight, bias_name) = (
            format!("{}.weight", node.name),
            format!("{}.bias", node.name),
        );
        let zeros = Some(Elements::Int8(&zeros));
        self.dequantized(&weight, Elements::Int8(&codes), &dims, weight_scale, zeros);
        self.dequantized(
            &bias_name,
            Elements::Int32(&bias),
            &[count],
            &bias_scale,
            None,
        );
        [weight, bias_name]
    }

    /// A constant behind a DequantizeLinear, with a scale for each index of its first dimension.
    fn dequantized(
        &mut self,
        name: &str,
        codes: Elements,
        dims: &[usize],
        scale: &[f32],
        zeros: Option<Elements>,
    ) {
        let [codes_name, scale_name, zeros_name] =
            ["codes", "scale", "zero_point"].map(|part| format!("{name}/{part}"));
        self.constant(&codes_name, dims, codes);
        self.constant(&scale_name, &[scale.len()], Elements::Float(scale));
        let mut inputs = vec![codes_name.as_str(), &scale_name];
        if let Some(zeros) = zeros {
            self.constant(&zeros_name, &[scale.len()], zeros);
            inputs.push(&zeros_name);
        }
        let axis = [("axis", Attribute::Int(0))];
        let node = format!("{name}/dequantize");
        self.push(&node, "DequantizeLinear", &inputs, name, &axis);
    }

    /// From real numbers to codes and back, with those of the model's tensor `number`.
    fn round(&mut self, id: TensorId, number: usize, from: &str, to: &str) {
        let name = &self.graph.tensor(id).name;
        let codes = Quantization {
            scale: self.model.tensor_scale[number],
            zero_point: self.model.tensors[number].zero_point,
        };
        self.codes[id.0] = Some(codes);
        let [scale, zero, made] =
            ["scale", "zero_point", "codes"].map(|part| format!("{name}/{part}"));
        self.constant(&scale, &[], Elements::Float(&[codes.scale]));
        self.constant(&zero, &[], Elements::Int8(&[codes.zero_point]));
        let [quantize, dequantize] =
            ["quantize", "dequantize"].map(|part| format!("{name}/{part}"));
        self.push(
            &quantize,
            "QuantizeLinear",
            &[from, &scale, &zero],
            &made,
            &[],
        );
        self.push(
            &dequantize,
            "DequantizeLinear",
            &[&made, &scale, &zero],
            to,
            &[],
        );
    }

    fn codes_of(&self, id: TensorId) -> Quantization {
        let Some(codes) = self.codes[id.0] else {
            unreachable!("tensors of a verified graph are made before they are read");
        };
        codes
    }

    fn clamp(&mut self, name: &str, clamp: Clamp, input: &str, output: &str) {
        if clamp == Clamp::RELU {
            return self.push(name, "Relu", &[input], output, &[]);
        }
        let ends = [("min", clamp.min), ("max", clamp.max)].map(|(end, value)| {
            if value.is_infinite() {
                return String::new();
            }
            let end = format!("{name}/{end}");
            self.constant(&end, &[], Elements::Float(&[value]));
            end
        });
        self.push(name, "Clip", &[input, &ends[0], &ends[1]], output, &[]);
    }

    /// The name of an input after rounding, with rows and columns unless the node makes a vector.
    fn operand(&mut self, node: &Node, which: usize) -> String {
        let id = node.inputs[which];
        let name = self.rounded(id);
        if !self.is_vector[id.0] || self.is_vector[node.output.0] {
            return name;
        }
        let map = format!("{}/input{which}", node.name);
        let shape = format!("{map}/shape");
        let Shape { h, w, c } = self.graph.shape(id);
        // A zero keeps the number of samples.
        let sides = [0, c as i64, h as i64, w as i64];
        self.constant(&shape, &[4], Elements::Int64(&sides));
        self.push(&map, "Reshape", &[&name, &shape], &map, &[]);
        map
    }

    /// The name of an input after rounding, without rows and columns.
    fn vector(&mut self, node: &Node, which: usize) -> String {
        let id = node.inputs[which];
        let name = self.rounded(id);
        if self.is_vector[id.0] {
            return name;
        }
        let vector = format!("{}/input{which}", node.name);
        self.push(&vector, "Flatten", &[&name], &vector, &[]);
        vector
    }

    fn rounded(&self, id: TensorId) -> String {
        let name = &self.graph.tensor(id).name;
        if id == self.graph.input {
            format!("{name}/real")
        } else {
            name.clone()
        }
    }

    /// Without the number of samples.
    fn dims(&self, id: TensorId) -> Vec<usize> {
        let Shape { h, w, c } = self.graph.shape(id);
        if self.is_vector[id.0] {
            vec![c]
        } else {
            vec![c, h, w]
        }
    }

    fn push_window(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        output: &str,
        window: &Window,
        more: &[(&str, Attribute)],
    ) {
        let pair = |h: usize, w: usize| [h as i64, w as i64];
        let [filter, strides, dilations] = [
            pair(window.filter_h, window.filter_w),
            pair(window.stride_h, window.stride_w),
            pair(window.dilation_h, window.dilation_w),
        ];
        let pads = sides(&window.padding);
        let mut attributes = vec![
            ("kernel_shape", Attribute::Ints(&filter)),
            ("strides", Attribute::Ints(&strides)),
            ("pads", Attribute::Ints(&pads)),
        ];
        if op == "Conv" {
            attributes.push(("dilations", Attribute::Ints(&dilations)));
        }
        attributes.extend_from_slice(more);
        self.push(name, op, inputs, output, &attributes);
    }

    fn push(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) {
        let node = schema::Node {
            name,
            op,
            inputs,
            output,
            attributes,
        };
        self.nodes.push(node.message());
    }

    fn constant(&mut self, name: &str, dims: &[usize], elements: Elements) {
        self.constants.push(elements.tensor(name, dims));
    }
}

/// Where the elements of `[channels][places]` lie in `[places][channels]`.
fn maps_first(places: usize, channels: usize) -> Vec<usize> {
    let of_channel = |channel| (0..places).map(move |place| place * channels + channel);
    (0..channels).flat_map(of_channel).collect()
}

/// Padding as ONNX counts it: beginnings, then ends.
fn sides(padding: &Padding) -> [i64; 4] {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = *padding;
    [top, left, bottom, right].map(|side| side as i64)
}
