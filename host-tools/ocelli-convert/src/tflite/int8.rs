//! From an int8 file to a model, every code kept.

mod binary;
mod fixed;
mod op;
mod table;
mod tensor;

use ocelli_image::{Body, Channels, Model, ModelOp, WeightPacking};

use super::schema::{File, Operator, builtin, elem};
use super::shape::{computes_shape, ends};
use super::{Refusal, refuse, refuse_tensor};
use tensor::{Activation, activation};

/// The operators that can be taken over.
const SUPPORTED: &str = "supported are ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, ELU, EXPAND_DIMS, FULLY_CONNECTED, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAX_POOL_2D, MEAN, MUL, PAD, QUANTIZE, RELU, RELU6, RESHAPE, SOFTMAX, SQUEEZE and TANH on int8, and DEQUANTIZE last";

pub(super) struct Importer<'f> {
    file: &'f File<'f>,
    input: usize,
    output: usize,
    /// The model's tensor that has the codes of each of the file's.
    place: Vec<Option<usize>>,
    tensors: Vec<Activation>,
    tensor_names: Vec<String>,
    ops: Vec<ModelOp>,
    op_names: Vec<String>,
}

impl<'f> Importer<'f> {
    pub(super) fn new(file: &'f File<'f>) -> Result<Self, String> {
        let (input, output) = ends(file)?;
        let mut importer = Importer {
            file,
            input,
            output,
            place: vec![None; file.tensors.len()],
            tensors: vec![],
            tensor_names: vec![],
            ops: vec![],
            op_names: vec![],
        };
        // A float input has its codes behind QUANTIZE.
        if file.tensors[importer.input].elem != elem::FLOAT32 {
            let input = activation(file, importer.input).map_err(|refusal| {
                let name = &file.tensors[importer.input].name;
                format!("the input, tensor `{name}`, {}", refusal.why)
            })?;
            importer.add_tensor(importer.input, input);
        }
        Ok(importer)
    }

    fn add_tensor(&mut self, id: usize, tensor: Activation) {
        self.place[id] = Some(self.tensors.len());
        self.tensors.push(tensor);
        self.tensor_names.push(self.file.tensors[id].name.clone());
    }

    pub(super) fn operator(&mut self, at: usize, operator: &Operator<'_>) -> Result<(), Refusal> {
        let output = self.file.output(operator, SUPPORTED)?;
        match operator.builtin {
            builtin::QUANTIZE if !self.rescales(operator, output)? => {
                self.quantize(operator, output)
            }
            builtin::DEQUANTIZE => self.dequantize(operator, output),
            builtin::RESHAPE | builtin::SQUEEZE | builtin::EXPAND_DIMS => {
                self.view(operator, output)
            }
            _ if computes_shape(self.file, operator) => Ok(()),
            _ => {
                if self.place[output].is_some() {
                    return refuse("is made twice; the file is damaged: copy it again");
                }
                let name = format!("{} {at}", operator.kind);
                let (body, inputs) = self.body(&name, operator, output)?;
                let made = activation(self.file, output)?;
                self.push(name, body, inputs);
                self.add_tensor(output, made);
                Ok(())
            }
        }
    }

    /// Adds an op; its output has to be the next tensor.
    fn push(&mut self, name: String, body: Body<Channels>, inputs: [usize; 2]) {
        self.ops.push(ModelOp {
            body,
            inputs,
            weight_packing: WeightPacking::Canonical,
            rows_per_step: 1,
            scratch: (0, 0),
        });
        self.op_names.push(name);
    }

    /// Whether an operator's codes mean something else than the codes that it reads.
    fn rescales(&self, operator: &Operator<'_>, output: usize) -> Result<bool, Refusal> {
        let input = self.file.input(operator, 0)?;
        if self.file.tensors[input].elem != elem::INT8 {
            return Ok(false);
        }
        let [from, to] = [
            activation(self.file, input)?,
            activation(self.file, output)?,
        ];
        Ok((from.scale, from.zero_point) != (to.scale, to.zero_point))
    }

    /// The model's tensor that an operator reads, and what the file says of it.
    fn read(
        &self,
        operator: &Operator<'_>,
        at: usize,
    ) -> Result<(usize, usize, Activation), Refusal> {
        let id = self.file.input(operator, at)?;
        let tensor = activation(self.file, id)?;
        match self.place[id] {
            Some(place) => Ok((id, place, tensor)),
            None => refuse_tensor(
                id,
                "is read before any operator makes it; operators have to be in running order",
            ),
        }
    }

    /// The same for an operator that looks at rows and columns.
    fn read_map(&self, operator: &Operator<'_>, at: usize) -> Result<(usize, Activation), Refusal> {
        let (id, place, tensor) = self.read(operator, at)?;
        let [h, w, c] = self.tensors[place].shape;
        if tensor.shape == [h, w, c] {
            return Ok((place, tensor));
        }
        refuse_tensor(
            id,
            format!(
                "is a view of a map of {h}x{w}x{c} in another shape; only FULLY_CONNECTED can read such a view, or any operator one of the network's input: leave out the RESHAPE"
            ),
        )
    }

    /// Floats become codes: the codes are the model's input.
    fn quantize(&mut self, operator: &Operator<'_>, output: usize) -> Result<(), Refusal> {
        let input = self.file.input(operator, 0)?;
        if self.file.tensors[input].elem != elem::FLOAT32 {
            return self.view(operator, output);
        }
        if input != self.input {
            return refuse_tensor(
                input,
                "is float32 inside the network; QUANTIZE is supported first only: quantize the whole network to int8",
            );
        }
        let codes = activation(self.file, output)?;
        match self.tensors.first() {
            None => self.add_tensor(output, codes),
            Some(input) if *input == codes => self.place[output] = Some(0),
            Some(_) => return refuse("is a second quantization of the input; one is supported"),
        }
        Ok(())
    }

    /// Codes become floats: the codes are the model's output.
    fn dequantize(&mut self, operator: &Operator<'_>, output: usize) -> Result<(), Refusal> {
        let (_, place, _) = self.read(operator, 0)?;
        if output != self.output {
            return refuse(
                "is float32 inside the network; DEQUANTIZE is supported last only: quantize the whole network to int8",
            );
        }
        self.place[output] = Some(place);
        Ok(())
    }

    /// The same codes, in the same order, in another shape.
    fn view(&mut self, operator: &Operator<'_>, output: usize) -> Result<(), Refusal> {
        let (id, place, input) = self.read(operator, 0)?;
        let view = activation(self.file, output)?;
        if view.elems() != input.elems() {
            return refuse("has another number of elements than what it is made from");
        }
        input.expect_same_codes(&view, output)?;
        // The input's shape is nobody's business but its readers': none has read it yet.
        let unread = self.ops.iter().all(|op| !op.inputs.contains(&0));
        if id == self.input && place == 0 && unread {
            self.tensors[0].shape = view.shape;
        }
        self.place[output] = Some(place);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Model, String> {
        let made = self.place[self.output];
        if self.ops.is_empty() || made != Some(self.ops.len()) {
            return Err(
                "the output is not made by the last operator; export only what leads to the output"
                    .to_string(),
            );
        }
        let tensor = |tensor: &Activation| ocelli_image::Tensor {
            h: tensor.shape[0],
            w: tensor.shape[1],
            c: tensor.shape[2],
            zero_point: tensor.zero_point,
            offset: 0,
            rows_held: tensor.shape[0],
        };
        let head = head(&self.ops);
        Ok(Model {
            arena_bytes: 0,
            tensors: self.tensors.iter().map(tensor).collect(),
            segments: vec![1; self.ops.len()],
            head,
            preprocess: None,
            labels: vec![],
            names: self.tensor_names.into_iter().chain(self.op_names).collect(),
            tensor_scale: self.tensors.iter().map(|tensor| tensor.scale).collect(),
            regions: vec![],
            ops: self.ops,
        })
    }
}

/// The classifier: a last dense layer, with at most a softmax behind it.
fn head(ops: &[ModelOp]) -> Option<usize> {
    let last = ops
        .iter()
        .rposition(|op| !matches!(op.body, Body::Softmax { .. }))?;
    matches!(ops[last].body, Body::<Channels>::Dense { .. }).then_some(last)
}
