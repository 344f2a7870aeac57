//! Batch norm, layer norm (also spelled out) and softmax.

use std::rc::Rc;

use super::array::Array;
use super::elementwise::Argument;
use super::function::Function;
use super::import::{Flow, Importer, Inputs, Value, axis};
use super::layout::{Layout, Part};
use super::{Refusal, refuse, refuse_layout};
use crate::graph::{Op, Shape};

/// A step on the way to a layer norm of a tensor: mean, then what is left, its square, the square's mean and so on.
#[derive(Debug, Clone)]
pub struct Moment {
    kind: Kind,
    /// The tensor whose channels are normalized.
    of: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Mean of the channels.
    Mean,
    /// The tensor without its mean.
    Centred,
    /// The square of that.
    Square,
    /// The mean of that.
    Variance,
    /// The mean of the squares, and the square of the mean, whose difference is the variance as well.
    MeanOfSquare,
    SquareOfMean,
    /// Plus epsilon.
    Shifted(f64),
    /// The square root of that.
    Deviation(f64),
    /// One by that.
    Inverse(f64),
}

impl Moment {
    /// The tensor that is normalized.
    pub fn of(&self) -> &Flow {
        &self.of
    }

    /// The number of its dimensions: reduced ones are kept.
    pub fn rank(&self) -> usize {
        self.of.layout.rank()
    }
}

impl Value {
    /// A constant of one number.
    pub fn number(number: f64) -> Self {
        Value::Constant(Rc::new(Array::floats(vec![], vec![number as f32])))
    }

    fn number_of(&self) -> Option<f64> {
        match self {
            Value::Constant(array) => array.scalar(),
            _ => None,
        }
    }
}

impl<'m, 'f> Importer<'m, 'f> {
    /// The mean over channels, which nothing but a layer norm has.
    pub fn mean_of_channels(
        &self,
        input: &Value,
        is_kept: bool,
        is_channels: impl Fn(&Layout) -> bool,
    ) -> Result<Value, Refusal> {
        let squared;
        let (kind, of) = match input {
            Value::Flow(flow) => match self.squared(flow.expr) {
                Some(expr) => {
                    let layout = flow.layout.clone();
                    squared = Flow { expr, layout };
                    (Kind::MeanOfSquare, &squared)
                }
                None => (Kind::Mean, flow),
            },
            Value::Moment(Moment {
                kind: Kind::Square,
                of,
            }) => (Kind::Variance, of),
            _ => return refuse("is a mean that is part of nothing that is supported"),
        };
        if !is_kept || !is_channels(&of.layout) {
            return refuse_layout(
                "is a mean over channels; that is supported as part of a layer norm only",
            );
        }
        let of = of.clone();
        Ok(Value::Moment(Moment { kind, of }))
    }

    /// The next step on the way to a layer norm; none if no value is on it.
    pub fn moment(
        &mut self,
        function: Function,
        values: &[Value],
    ) -> Result<Option<Value>, Refusal> {
        let (kind, of) = match values {
            [Value::Flow(flow), Value::Moment(moment)]
                if function == Function::Sub
                    && moment.kind == Kind::Mean
                    && flow.expr == moment.of.expr
                    && flow.layout == moment.of.layout =>
            {
                (Kind::Centred, &moment.of)
            }
            [Value::Moment(a), Value::Moment(b)] if a.of.expr == b.of.expr => {
                let kind = match (function, a.kind, b.kind) {
                    (Function::Mul, Kind::Centred, Kind::Centred) => Kind::Square,
                    (Function::Mul, Kind::Mean, Kind::Mean) => Kind::SquareOfMean,
                    (Function::Sub, Kind::MeanOfSquare, Kind::SquareOfMean) => Kind::Variance,
                    (Function::Div, Kind::Centred, Kind::Deviation(epsilon))
                    | (Function::Mul, Kind::Centred, Kind::Inverse(epsilon))
                    | (Function::Mul, Kind::Inverse(epsilon), Kind::Centred) => {
                        return self.normalized(&a.of, epsilon).map(Some);
                    }
                    _ => return Ok(None),
                };
                (kind, &a.of)
            }
            [Value::Moment(moment), other] => {
                let number = other.number_of();
                let kind = match (function, moment.kind, number) {
                    (Function::Pow, Kind::Centred, Some(2.0)) => Kind::Square,
                    (Function::Pow, Kind::Mean, Some(2.0)) => Kind::SquareOfMean,
                    (Function::Add, Kind::Variance, Some(epsilon)) => Kind::Shifted(epsilon),
                    (Function::Pow, Kind::Shifted(epsilon), Some(0.5)) => Kind::Deviation(epsilon),
                    (Function::Pow, Kind::Shifted(epsilon), Some(-0.5)) => Kind::Inverse(epsilon),
                    _ => return Ok(None),
                };
                (kind, &moment.of)
            }
            [other, Value::Moment(moment)] => {
                let number = other.number_of();
                let kind = match (function, moment.kind, number) {
                    (Function::Add, Kind::Variance, Some(epsilon)) => Kind::Shifted(epsilon),
                    (Function::Div, Kind::Deviation(epsilon), Some(1.0)) => Kind::Inverse(epsilon),
                    _ => return Ok(None),
                };
                (kind, &moment.of)
            }
            [Value::Moment(moment)] => {
                let kind = match (function, moment.kind) {
                    (Function::Sqrt, Kind::Shifted(epsilon)) => Kind::Deviation(epsilon),
                    (Function::Reciprocal, Kind::Deviation(epsilon)) => Kind::Inverse(epsilon),
                    _ => return Ok(None),
                };
                (kind, &moment.of)
            }
            _ => return Ok(None),
        };
        let of = of.clone();
        Ok(Some(Value::Moment(Moment { kind, of })))
    }

    fn normalized(&mut self, of: &Flow, epsilon: f64) -> Result<Value, Refusal> {
        let (id, shape) = self.tensor(of)?;
        let op = Op::LayerNorm {
            scale: vec![1.0; shape.c],
            shift: vec![0.0; shape.c],
            epsilon: epsilon as f32,
        };
        self.push_flow(op, id, of.layout.clone())
    }

    pub fn layer_norm(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?;
        let (id, shape) = self.tensor(flow)?;
        let rank = flow.layout.rank();
        let first = axis(inputs.node.int("axis")?.unwrap_or(-1), rank)?;
        let axes: Vec<usize> = (first..rank).collect();
        if flow.layout.part(&axes, shape) != Part::Channels {
            return refuse_layout(format!(
                "normalizes the dimensions from {first} on of {:?}; devices normalize the channels of each pixel",
                flow.layout.sizes()
            ));
        }
        let array = inputs.weights(1)?;
        let scale = self.channels(array, &flow.layout, shape)?;
        let shift = match inputs.constant(2)? {
            Some(array) => self.channels(array, &flow.layout, shape)?,
            None => vec![0.0; shape.c],
        };
        let op = Op::LayerNorm {
            scale,
            shift,
            epsilon: inputs.node.float("epsilon")?.unwrap_or(1e-5),
        };
        let (made, name) = self.push(op, &[id], "")?;
        self.fix_weights(name, array, 0, shape.c)?;
        Ok(self.flow(made, flow.layout.clone()))
    }

    pub fn batch_norm(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        if node.int("training_mode")?.unwrap_or(0) != 0 {
            return refuse("attribute `training_mode` is set; export the network for inference");
        }
        if node.int("spatial")?.unwrap_or(1) != 1 {
            return refuse("attribute `spatial` is 0, which is not supported; export again");
        }
        let flow = inputs.flow(0)?;
        let (id, shape) = self.tensor(flow)?;
        let axis = if flow.layout.rank() > 1 { 1 } else { 0 };
        expect_channels(&flow.layout, axis, shape)?;
        let list = |at: usize| {
            let list = inputs.weights(at)?.to_floats();
            if list.len() == shape.c {
                return Ok(list);
            }
            refuse(format!(
                "has {} numbers as input {at} for {} channels; copy the file again",
                list.len(),
                shape.c
            ))
        };
        let (gamma, beta, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
        let epsilon = f64::from(node.float("epsilon")?.unwrap_or(1e-5));
        let (mut scale, mut shift) = (vec![], vec![]);
        let channels = gamma.iter().zip(&beta).zip(mean.iter().zip(&variance));
        // In f64: this is done once, and what is lost here is lost for every picture.
        for ((&gamma, &beta), (&mean, &variance)) in channels {
            let shifted = f64::from(variance) + epsilon;
            if shifted <= 0.0 {
                return refuse(format!(
                    "cannot normalize by the variance {variance}; train or export it again"
                ));
            }
            let factor = f64::from(gamma) / shifted.sqrt();
            scale.push(factor as f32);
            shift.push((f64::from(beta) - f64::from(mean) * factor) as f32);
        }
        let op = Op::BatchNorm { scale, shift };
        self.push_flow(op, id, flow.layout.clone())
    }

    pub fn softmax(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?;
        let (id, beta) = self.without_factor(flow.expr)?;
        let shape = self.builder.shape(id);
        let rank = flow.layout.rank();
        let given = inputs.node.int("axis")?;
        // Before operator set 13, all dimensions from the axis on were one.
        let axes: Vec<usize> = if self.model.opset < 13 {
            (axis(given.unwrap_or(1), rank)?..rank).collect()
        } else {
            vec![axis(given.unwrap_or(-1), rank)?]
        };
        if flow.layout.part(&axes, shape) != Part::Channels {
            return refuse_layout(format!(
                "normalizes the dimensions {axes:?} of {:?}; devices have softmax over channels",
                flow.layout.sizes()
            ));
        }
        self.push_flow(Op::Softmax { beta }, id, flow.layout.clone())
    }

    /// A flow forced into a range.
    pub fn clip(&mut self, flow: &Flow, low: f64, high: f64) -> Result<usize, Refusal> {
        let [low, high] = [low, high].map(Argument::Number);
        self.apply(Function::Clip, vec![Argument::Expr(flow.expr), low, high])
    }
}

/// Refuses a dimension that is not the graph's channels.
pub fn expect_channels(layout: &Layout, axis: usize, shape: Shape) -> Result<(), Refusal> {
    if layout.is_channels(axis, shape) {
        return Ok(());
    }
    refuse_layout(format!(
        "takes dimension {axis} of {:?} as channels, and operators before it another one; export the network without transposing or reshaping in between",
        layout.sizes()
    ))
}
