//! Operators that only look at the same numbers in another shape, and Concat.

use super::array::{Array, count};
use super::import::{Flow, Importer, Inputs, Value, axes, axis};
use super::layout::Layout;
use super::model::{Node, elem};
use super::{Refusal, refuse, refuse_layout};
use crate::graph::{Op, TensorId};

/// What a view does with dimensions.
pub enum View {
    /// The same elements in the same order.
    Reshape(Vec<usize>),
    /// The dimensions in another order.
    Transpose(Vec<usize>),
    /// Nothing.
    Same,
}

/// What an operator does with an input of these dimensions; none if it is no view.
pub fn view(node: &Node<'_>, inputs: &Inputs<'_, '_>, dims: &[usize]) -> Result<View, Refusal> {
    let rank = dims.len();
    Ok(match node.op {
        "Identity" => View::Same,
        "Dropout" => {
            let is_training = inputs.constant(2)?.and_then(|array| array.scalar());
            if is_training.is_some_and(|is| is != 0.0) {
                return refuse("is for training; export the network for inference");
            }
            View::Same
        }
        "Transpose" => match node.ints("perm")? {
            None => View::Transpose((0..rank).rev().collect()),
            Some(list) => {
                let order = axes(list, rank)?;
                if order.len() != rank {
                    return refuse(format!("attribute `perm` is {list:?} for {dims:?}"));
                }
                View::Transpose(order)
            }
        },
        "Flatten" => {
            let given = node.int("axis")?.unwrap_or(1);
            let at = if given == rank as i64 {
                rank
            } else {
                axis(given, rank)?
            };
            let (outer, inner) = dims.split_at(at);
            View::Reshape(vec![outer.iter().product(), inner.iter().product()])
        }
        "Squeeze" => {
            let list = inputs.list("axes", 1)?;
            let gone = match list {
                Some(list) => axes(&list, rank)?,
                None => (0..rank).filter(|&at| dims[at] == 1).collect(),
            };
            if gone.iter().any(|&at| dims[at] != 1) {
                return refuse(format!(
                    "leaves out {gone:?} of {dims:?}, which are not all 1"
                ));
            }
            let kept = dims.iter().enumerate().filter(|(at, _)| !gone.contains(at));
            View::Reshape(kept.map(|(_, &dim)| dim).collect())
        }
        "Unsqueeze" => {
            let list = inputs.list("axes", 1)?.unwrap_or_default();
            let new = axes(&list, rank.saturating_add(list.len()))?;
            let mut rest = dims.iter();
            let all = 0..rank + new.len();
            let sizes = all.map(|at| {
                if new.contains(&at) {
                    Some(1)
                } else {
                    rest.next().copied()
                }
            });
            View::Reshape(sizes.flatten().collect())
        }
        "Reshape" => {
            let Some(list) = inputs.constant(1)?.and_then(|array| array.as_ints()) else {
                return refuse("has a shape that is no list of whole numbers");
            };
            let keeps_zero = node.int("allowzero")?.unwrap_or(0) != 0;
            View::Reshape(target(list, dims, keeps_zero)?)
        }
        "Expand" => {
            let Some(list) = inputs.constant(1)?.and_then(|array| array.as_ints()) else {
                return refuse("has a shape that is no list of whole numbers");
            };
            let mut sizes = vec![1; list.len().saturating_sub(rank)];
            sizes.extend(dims);
            let missing = sizes.len() - list.len();
            let fits = sizes[missing..]
                .iter()
                .zip(list)
                .all(|(&size, &wanted)| wanted == 1 || wanted == size as i64);
            if !fits {
                return refuse_layout(format!(
                    "stretches {dims:?} to {list:?}; only constants can be stretched"
                ));
            }
            View::Reshape(sizes)
        }
        "Cast" => {
            let to = node.int("to")?.unwrap_or_default();
            if !elem::is_float(to) {
                return refuse(format!(
                    "casts what the network computes to type {to}; only types of real numbers are supported"
                ));
            }
            View::Same
        }
        _ => View::Same,
    })
}

/// The dimensions that Reshape asks for: 0 is the input's, and -1 what is left.
pub fn target(list: &[i64], dims: &[usize], keeps_zero: bool) -> Result<Vec<usize>, Refusal> {
    let wrong = || {
        Refusal::new(format!(
            "reshapes {dims:?} to {list:?}, which has another number of elements"
        ))
    };
    let mut sizes = Vec::with_capacity(list.len());
    let mut open = None;
    for (at, &size) in list.iter().enumerate() {
        sizes.push(match size {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 if !keeps_zero => *dims.get(at).ok_or_else(wrong)?,
            size => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    let (elems, known) = count(dims).zip(count(&sizes)).ok_or_else(wrong)?;
    if let Some(at) = open {
        sizes[at] = elems.checked_div(known).ok_or_else(wrong)?;
    }
    if count(&sizes) == Some(elems) {
        Ok(sizes)
    } else {
        Err(wrong())
    }
}

impl<'m, 'f> Importer<'m, 'f> {
    pub fn view(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        if let Some(value @ Value::Moment(_)) = inputs.get(0)
            && matches!(inputs.node.op, "Identity" | "Dropout" | "Cast" | "CastLike")
        {
            return Ok(value.clone());
        }
        let flow = inputs.flow(0)?;
        let dims = flow.layout.sizes();
        let layout = match view(inputs.node, inputs, &dims)? {
            View::Same => Some(flow.layout.clone()),
            View::Transpose(order) => flow.layout.transpose(&order),
            View::Reshape(sizes) => match flow.layout.reshape(&sizes) {
                Some(layout) => Some(layout),
                None => {
                    return refuse_layout(format!(
                        "reshapes {dims:?} to {sizes:?}, which cuts through rows, columns or channels; export the network without it"
                    ));
                }
            },
        };
        let Some(layout) = layout else {
            return refuse(format!("transposes dimensions that {dims:?} does not have"));
        };
        let expr = flow.expr;
        Ok(Value::Flow(Flow { expr, layout }))
    }

    pub fn shape_of(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?;
        let sizes = flow.layout.sizes();
        let array = shape_of(inputs.node, &sizes)?;
        Ok(Value::Constant(std::rc::Rc::new(array)))
    }

    pub fn concat(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let rank = inputs.flow(0)?.layout.rank();
        let at = axis(node.int("axis")?.unwrap_or(1), rank)?;
        let mut joined: Option<(TensorId, Layout)> = None;
        for input in 0..node.inputs.len() {
            let flow = inputs.flow(input)?;
            let (id, shape) = self.tensor(flow)?;
            let channels = shape.c;
            let Some((first, layout)) = joined.take() else {
                joined = Some((id, flow.layout.clone()));
                continue;
            };
            let of_first = self.builder.shape(first);
            let total = of_first.c + channels;
            // Both have to see the same pixels in the same dimensions.
            let [a, b] = [(&layout, of_first.c), (&flow.layout, channels)].map(|(layout, c)| {
                let is_whole = layout.is_channels(at, crate::graph::Shape::new(1, 1, c));
                let moved = layout.with_channels(at, c, total);
                is_whole.then_some(moved).flatten()
            });
            let is_alike = a.is_some() && a == b && (of_first.h, of_first.w) == (shape.h, shape.w);
            let Some(layout) = a.filter(|_| is_alike) else {
                return refuse_layout(format!(
                    "joins {:?} and {:?} along dimension {at}; only channels of maps of the same size can be joined",
                    layout.sizes(),
                    flow.layout.sizes()
                ));
            };
            let (id, _) = self.push(Op::Concat, &[first, id], "")?;
            joined = Some((id, layout));
        }
        match joined {
            Some((id, layout)) => Ok(self.flow(id, layout)),
            None => refuse("has no input; copy the file again"),
        }
    }
}

/// Dimensions as a constant: all of them, or some in the middle.
pub fn shape_of(node: &Node<'_>, dims: &[usize]) -> Result<Array, Refusal> {
    if node.op == "Size" {
        let elems = count(dims).unwrap_or(0);
        return Ok(Array::ints(vec![], vec![elems as i64]));
    }
    let rank = dims.len() as i64;
    let place = |given: i64| {
        let at = if given < 0 {
            given.saturating_add(rank)
        } else {
            given
        };
        at.clamp(0, rank) as usize
    };
    let start = place(node.int("start")?.unwrap_or(0));
    let end = place(node.int("end")?.unwrap_or(rank));
    let part = dims.get(start..end).unwrap_or_default();
    Ok(Array::list(part.iter().map(|&dim| dim as i64).collect()))
}
