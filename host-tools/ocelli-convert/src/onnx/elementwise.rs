//! Operators on single numbers, pending until something else reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::function::{Function, Known, points, recognize};
use super::import::{Flow, Importer, Inputs, Value};
use super::model::Node;
use super::{Refusal, refuse};
use crate::graph::{Clamp, Op, TensorId};

/// Pending chains longer than this become tensors, so that no file can make looking at them slow.
const MAX_PARTS: usize = 32;

/// A tensor, or what operators on single numbers made of one.
pub struct Expr {
    kind: Kind,
    /// The tensor at its bottom.
    leaf: TensorId,
    /// An upper bound on the number of its parts.
    parts: usize,
    /// The tensor that it has become.
    made: Option<TensorId>,
    /// The operator that made it.
    at: usize,
}

enum Kind {
    Tensor,
    Apply(Function, Vec<Argument>),
}

/// What a function is applied to.
#[derive(Debug, Clone, Copy)]
pub enum Argument {
    Expr(usize),
    Number(f64),
}

/// An operator's function, with its attributes.
pub fn function(node: &Node<'_>) -> Result<Option<Function>, Refusal> {
    let number = |name, default: f64| Ok(node.float(name)?.map_or(default, f64::from));
    Ok(Some(match node.op {
        "Add" | "Sum" | "Mean" => Function::Add,
        "Sub" => Function::Sub,
        "Mul" => Function::Mul,
        "Div" => Function::Div,
        "Pow" => Function::Pow,
        "Min" => Function::Min,
        "Max" => Function::Max,
        "Where" => Function::Where,
        "Less" => Function::Less,
        "LessOrEqual" => Function::LessOrEqual,
        "Greater" => Function::Greater,
        "GreaterOrEqual" => Function::GreaterOrEqual,
        "Equal" => Function::Equal,
        "Not" => Function::Not,
        "Neg" => Function::Neg,
        "Abs" => Function::Abs,
        "Exp" => Function::Exp,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Erf" => Function::Erf,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Relu" | "Clip" => Function::Clip,
        "PRelu" | "LeakyRelu" => Function::PRelu,
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "HardSwish" => Function::HardSwish,
        "Elu" => Function::Elu {
            alpha: number("alpha", 1.0)?,
        },
        "Swish" => Function::Swish {
            alpha: number("alpha", 1.0)?,
        },
        "HardSigmoid" => Function::HardSigmoid {
            alpha: number("alpha", 0.2)?,
            beta: number("beta", 0.5)?,
        },
        "Gelu" => match node.text("approximate")?.unwrap_or("none") {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => {
                return refuse(format!(
                    "attribute `approximate` is `{other}`; none and tanh are supported"
                ));
            }
        },
        _ => return Ok(None),
    }))
}

/// Arguments that an operator has as attributes, behind those that are inputs.
pub fn constants(node: &Node<'_>, inputs: usize) -> Result<Vec<f64>, Refusal> {
    let number = |name, default: f32| Ok(f64::from(node.float(name)?.unwrap_or(default)));
    Ok(match node.op {
        "Relu" => vec![0.0, f64::INFINITY],
        "LeakyRelu" => vec![number("alpha", 0.01)?],
        // From operator set 11 on the ends are inputs, which may be left out.
        "Clip" if inputs == 1 => vec![
            number("min", f32::NEG_INFINITY)?,
            number("max", f32::INFINITY)?,
        ],
        _ => vec![],
    })
}

impl<'m, 'f> Importer<'m, 'f> {
    /// An expression that is just a tensor.
    pub fn leaf(&mut self, tensor: TensorId) -> usize {
        self.exprs.push(Expr {
            kind: Kind::Tensor,
            leaf: tensor,
            parts: 1,
            made: Some(tensor),
            at: self.at,
        });
        self.exprs.len() - 1
    }

    /// A function of expressions that all have the same tensor at their bottom.
    pub fn apply(&mut self, function: Function, args: Vec<Argument>) -> Result<usize, Refusal> {
        let count = |args: &[Argument], exprs: &[Expr]| {
            let parts = args.iter().map(|arg| match arg {
                Argument::Expr(expr) => exprs[*expr].parts,
                Argument::Number(_) => 0,
            });
            1 + parts.sum::<usize>()
        };
        let parts = count(&args, &self.exprs);
        let leaf = args.iter().find_map(|arg| match arg {
            Argument::Expr(expr) => Some(self.exprs[*expr].leaf),
            Argument::Number(_) => None,
        });
        let Some(leaf) = leaf else {
            return refuse("has nothing that the network computes as input");
        };
        self.exprs.push(Expr {
            kind: Kind::Apply(function, args),
            leaf,
            parts,
            made: None,
            at: self.at,
        });
        let expr = self.exprs.len() - 1;
        if parts <= MAX_PARTS {
            return Ok(expr);
        }
        let tensor = self.materialize(expr)?;
        Ok(self.leaf(tensor))
    }

    /// What an expression is the square of.
    pub fn squared(&self, expr: usize) -> Option<usize> {
        match self.exprs[expr].kind {
            Kind::Apply(Function::Mul, ref args) => match args[..] {
                [Argument::Expr(a), Argument::Expr(b)] if a == b => Some(a),
                _ => None,
            },
            Kind::Apply(Function::Pow, ref args) => match args[..] {
                [Argument::Expr(a), Argument::Number(2.0)] => Some(a),
                _ => None,
            },
            _ => None,
        }
    }

    /// An operator on single numbers.
    pub fn elementwise(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let Some(function) = function(node)? else {
            return refuse(
                "takes constants only here; export the network without it, or with fixed shapes",
            );
        };
        let mut values = vec![];
        for at in 0..node.inputs.len() {
            values.push(match inputs.get(at) {
                Some(value) => value.clone(),
                None if node.op == "Clip" && at == 1 => Value::number(f64::NEG_INFINITY),
                None if node.op == "Clip" && at == 2 => Value::number(f64::INFINITY),
                None => return refuse(format!("has no input {at}; copy the file again")),
            });
        }
        if node.op == "Clip" && values.len() == 2 {
            values.push(Value::number(f64::INFINITY));
        }
        let more = constants(node, values.len())?;
        values.extend(more.into_iter().map(Value::number));
        match node.op {
            "Sum" | "Mean" | "Min" | "Max" => {
                let count = values.len();
                let mut rest = values.into_iter();
                let mut value = rest
                    .next()
                    .ok_or_else(|| Refusal::new("has no input; copy the file again"))?;
                for next in rest {
                    value = self.combine(function, vec![value, next])?;
                }
                if node.op == "Mean" && count > 1 {
                    let factor = Value::number(1.0 / count as f64);
                    value = self.combine(Function::Mul, vec![value, factor])?;
                }
                Ok(value)
            }
            _ => self.combine(function, values),
        }
    }

    /// A function of values of which at least one flows.
    fn combine(&mut self, function: Function, values: Vec<Value>) -> Result<Value, Refusal> {
        if let Some(value) = self.moment(function, &values)? {
            return Ok(value);
        }
        let mut rank = 0;
        for value in &values {
            rank = rank.max(match value {
                Value::Constant(array) => array.dims.len(),
                Value::Flow(flow) => flow.layout.rank(),
                Value::Moment(_) => {
                    return refuse(
                        "reads a mean over channels; that is supported as part of a layer norm only",
                    );
                }
                Value::Codes(..) => {
                    return refuse(
                        "reads what is behind QuantizeLinear without DequantizeLinear; export the network in QDQ form",
                    );
                }
            });
        }
        let mut flows: Vec<Flow> = vec![];
        let mut args = vec![];
        for value in &values {
            args.push(match value {
                Value::Flow(flow) => {
                    flows.push(Flow {
                        expr: flow.expr,
                        layout: flow.layout.with_rank(rank),
                    });
                    Some(Argument::Expr(flow.expr))
                }
                Value::Constant(array) => array.scalar().map(Argument::Number),
                _ => None,
            });
        }
        let [first, others @ ..] = &flows[..] else {
            return refuse("has nothing that the network computes as input");
        };
        let leaf = self.exprs[first.expr].leaf;
        let is_alike =
            |other: &Flow| other.layout == first.layout && self.exprs[other.expr].leaf == leaf;
        let args: Option<Vec<Argument>> = args.into_iter().collect();
        if let Some(args) = args
            && others.iter().all(is_alike)
        {
            let expr = self.apply(function, args)?;
            let layout = first.layout.clone();
            return Ok(Value::Flow(Flow { expr, layout }));
        }
        match (&values[..], &flows[..]) {
            ([_, Value::Constant(array)], [flow]) => {
                self.with_channels(function, flow, array, false)
            }
            ([Value::Constant(array), _], [flow]) => {
                self.with_channels(function, flow, array, true)
            }
            ([_, _], [first, second]) => self.of_two(function, first, second),
            _ => refuse("has inputs of different tensors; two can be added or multiplied only"),
        }
    }

    /// All expressions that one is made of, itself last: whatever is read stands before its reader.
    fn parts_of(&self, expr: usize) -> BTreeSet<usize> {
        let mut parts = BTreeSet::from([expr]);
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            if let Kind::Apply(_, args) = &self.exprs[expr].kind {
                for arg in args {
                    if let Argument::Expr(arg) = arg
                        && parts.insert(*arg)
                    {
                        open.push(*arg);
                    }
                }
            }
        }
        parts
    }

    /// What an expression makes of another one, if it reads nothing else.
    fn known(
        &self,
        parts: &BTreeSet<usize>,
        expr: usize,
        base: usize,
    ) -> Result<Option<Known>, Refusal> {
        let points = points();
        self.budget.compute(parts.len() * points.len())?;
        let mut values = BTreeMap::from([(base, points)]);
        for &part in parts {
            if values.contains_key(&part) {
                continue;
            }
            let Kind::Apply(function, args) = &self.exprs[part].kind else {
                continue;
            };
            let made = (0..values[&base].len()).map(|at| {
                let args = args.iter().map(|arg| match arg {
                    Argument::Number(number) => Some(*number),
                    Argument::Expr(expr) => values.get(expr).map(|values| values[at]),
                });
                let args: Option<Vec<f64>> = args.collect();
                args.map(|args| function.value(&args))
            });
            if let Some(made) = made.collect::<Option<Vec<f64>>>() {
                values.insert(part, made);
            }
        }
        Ok(values.get(&expr).and_then(|values| recognize(values)))
    }

    /// The tensor that an expression is, made now if it was not.
    pub fn materialize(&mut self, expr: usize) -> Result<TensorId, Refusal> {
        if let Some(made) = self.exprs[expr].made {
            return Ok(made);
        }
        let parts = self.parts_of(expr);
        let at = self.exprs[expr].at;
        let bases = parts.iter().copied().filter(|&base| base != expr);
        for base in bases {
            let Some(known) = self.known(&parts, expr, base)? else {
                continue;
            };
            let input = self.materialize(base)?;
            let channels = self.builder.shape(input).c;
            let op = match known {
                Known::Same => None,
                Known::Clamp(clamp) => Some(Op::Clamp(clamp)),
                Known::Affine { scale, shift } => Some(Op::BatchNorm {
                    scale: vec![scale; channels],
                    shift: vec![shift; channels],
                }),
                Known::Unary(unary) => Some(Op::Unary(unary)),
            };
            let made = match op {
                None => input,
                Some(op) => self.push_at(at, op, &[input], "")?.0,
            };
            self.exprs[expr].made = Some(made);
            return Ok(made);
        }
        let (function, first, second) = match &self.exprs[expr].kind {
            &Kind::Apply(function, ref args) => match args[..] {
                [Argument::Expr(first), Argument::Expr(second)] => (function, first, second),
                _ => return self.refuse_alone(at),
            },
            Kind::Tensor => return self.refuse_alone(at),
        };
        let is_possible = matches!(function, Function::Add | Function::Sub | Function::Mul);
        if !is_possible {
            return self.refuse_alone(at);
        }
        let (first, second) = (self.materialize(first)?, self.materialize(second)?);
        let made = self.push_pair(at, function, first, second)?;
        self.exprs[expr].made = Some(made);
        Ok(made)
    }

    /// The tensor of which an expression is a positive multiple, but for a summand, and the factor.
    pub fn without_factor(&mut self, expr: usize) -> Result<(TensorId, f32), Refusal> {
        if self.exprs[expr].made.is_none() {
            let parts = self.parts_of(expr);
            for &base in parts.iter().filter(|&&base| base != expr) {
                if let Some(Known::Affine { scale, .. }) = self.known(&parts, expr, base)?
                    && scale > 0.0
                {
                    return Ok((self.materialize(base)?, scale));
                }
            }
        }
        Ok((self.materialize(expr)?, 1.0))
    }

    fn refuse_alone<T>(&self, at: usize) -> Result<T, Refusal> {
        Err(Refusal {
            node: Some(at),
            ..Refusal::new(
                "makes a function of its input that devices do not have; supported are ReLU and clips, leaky ReLU, ELU, sigmoid, tanh, SiLU, GELU, hard sigmoid, hard swish and sums and products, however they are spelled: use one of these",
            )
        })
    }

    /// A sum, difference or product of two tensors of the same shape.
    pub fn push_pair(
        &mut self,
        at: usize,
        function: Function,
        first: TensorId,
        second: TensorId,
    ) -> Result<TensorId, Refusal> {
        let clamp = Clamp::NONE;
        let (op, second) = match function {
            Function::Add => (Op::Add { clamp }, second),
            Function::Mul => (Op::Multiply { clamp }, second),
            Function::Sub => {
                let channels = self.builder.shape(second).c;
                let negative = Op::BatchNorm {
                    scale: vec![-1.0; channels],
                    shift: vec![0.0; channels],
                };
                let (second, _) = self.push_at(at, negative, &[second], ".negative")?;
                (Op::Add { clamp }, second)
            }
            _ => {
                return refuse(
                    "combines two tensors; they can be added, subtracted or multiplied only: use one of these",
                );
            }
        };
        Ok(self.push_at(at, op, &[first, second], "")?.0)
    }
}
