//! Windows that slide over a map, pooling, reductions, and padding.

use super::import::{Flow, Importer, Inputs, Value, axes};
use super::layout::{Layout, Part};
use super::model::Node;
use super::norm::expect_channels;
use super::{Refusal, refuse, refuse_layout};
use crate::graph::{Clamp, Op, Padding, Shape, TensorId, Window};

/// The graph's tensor of a flow that has to be seen as `[1, c, h, w]`.
pub fn map_input(
    importer: &mut Importer<'_, '_>,
    flow: &Flow,
) -> Result<(TensorId, Shape), Refusal> {
    let (id, shape) = importer.tensor(flow)?;
    if flow.layout == Layout::nchw(shape) {
        return Ok((id, shape));
    }
    let sizes = flow.layout.sizes();
    match sizes[..] {
        [batch, _, _, _] if batch > 1 => refuse_layout(format!(
            "runs a batch of {batch}; a device runs one sample: export the network with a batch of 1"
        )),
        [_, _, _, _] => refuse_layout(format!(
            "takes {sizes:?} as [1, channels, height, width], and operators before it in another way; export the network without transposing or reshaping in between"
        )),
        _ => refuse_layout(format!(
            "takes {sizes:?}; maps of [1, channels, height, width] are supported"
        )),
    }
}

/// How a window moves, as its operator says.
pub struct Sides {
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
    /// Whether padding is chosen so that the output has the input's size, by the stride: and the larger half first.
    same: Option<bool>,
}

/// A list with a number for each side, from an attribute.
fn sides<const N: usize>(
    node: &Node<'_>,
    name: &str,
    default: usize,
) -> Result<[usize; N], Refusal> {
    let Some(list) = node.ints(name)? else {
        return Ok([default; N]);
    };
    let mut sides = [0; N];
    let fits = list.len() == N;
    for (side, &number) in sides.iter_mut().zip(list) {
        match usize::try_from(number) {
            Ok(number) if number <= Shape::MAX_SIDE => *side = number,
            _ => {
                return refuse(format!(
                    "attribute `{name}` is {list:?}; numbers from 0 to {} are supported",
                    Shape::MAX_SIDE
                ));
            }
        }
    }
    if fits {
        Ok(sides)
    } else {
        refuse(format!(
            "attribute `{name}` is {list:?}; only operators on height and width are supported"
        ))
    }
}

impl Sides {
    pub fn of(node: &Node<'_>) -> Result<Self, Refusal> {
        let auto_pad = node.text("auto_pad")?.unwrap_or("NOTSET");
        let (same, given) = match auto_pad {
            "NOTSET" => (None, true),
            "VALID" => (None, false),
            "SAME_UPPER" => (Some(false), false),
            "SAME_LOWER" => (Some(true), false),
            other => {
                return refuse(format!(
                    "attribute `auto_pad` is `{other}`; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported"
                ));
            }
        };
        Ok(Sides {
            strides: sides(node, "strides", 1)?,
            dilations: sides(node, "dilations", 1)?,
            pads: if given {
                sides(node, "pads", 0)?
            } else {
                [0; 4]
            },
            same,
        })
    }

    /// The window over a map. With `ceil` one that begins inside and ends outside counts as well.
    pub fn window(&self, filter: [usize; 2], shape: Shape, ceil: bool) -> Result<Window, Refusal> {
        let [top, left, bottom, right] = self.pads;
        let mut pads = [(top, bottom), (left, right)];
        for side in 0..2 {
            let input = [shape.h, shape.w][side];
            let (stride, dilation) = (self.strides[side], self.dilations[side]);
            let numbers = [filter[side], stride, dilation];
            if numbers
                .iter()
                .any(|number| !(1..=Shape::MAX_SIDE).contains(number))
            {
                return refuse(format!(
                    "has a window of {filter:?} with strides {:?} and dilations {:?}; numbers from 1 to {} are supported",
                    self.strides,
                    self.dilations,
                    Shape::MAX_SIDE
                ));
            }
            let reach = (filter[side] - 1) * dilation + 1;
            let (before, after) = &mut pads[side];
            if let Some(larger_first) = self.same {
                let needed = (input.div_ceil(stride) - 1) * stride + reach;
                let total = needed.saturating_sub(input);
                let small = total / 2;
                (*before, *after) = if larger_first {
                    (total - small, small)
                } else {
                    (small, total - small)
                };
            } else if ceil {
                let padded = input + *before + *after;
                let steps = padded.saturating_sub(reach).div_ceil(stride);
                // A window that begins behind the input is left out.
                let begins_inside = steps * stride < input + *before;
                let steps = if begins_inside {
                    steps
                } else {
                    steps.saturating_sub(1)
                };
                *after += (steps * stride + reach).saturating_sub(padded);
            }
        }
        let [(top, bottom), (left, right)] = pads;
        Ok(Window {
            filter_h: filter[0],
            filter_w: filter[1],
            stride_h: self.strides[0],
            stride_w: self.strides[1],
            dilation_h: self.dilations[0],
            dilation_w: self.dilations[1],
            padding: Padding {
                top,
                bottom,
                left,
                right,
            },
        })
    }
}

impl<'m, 'f> Importer<'m, 'f> {
    pub fn pool(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let filter = node.ints("kernel_shape")?.unwrap_or_default();
        if filter.len() != 2 {
            return refuse(format!(
                "attribute `kernel_shape` is {filter:?}; only pooling over height and width is supported"
            ));
        }
        let filter: [usize; 2] = sides(node, "kernel_shape", 0)?;
        let (mut id, shape) = map_input(self, inputs.flow(0)?)?;
        let ceil = node.int("ceil_mode")?.unwrap_or(0) != 0;
        let sides = Sides::of(node)?;
        let mut window = sides.window(filter, shape, ceil)?;
        let clamp = Clamp::NONE;
        let counts_padding = node.int("count_include_pad")?.unwrap_or(0) != 0;
        if counts_padding && window.padding != Padding::NONE {
            if window.padding != sides.window(filter, shape, false)?.padding {
                return refuse(
                    "has `count_include_pad` and `ceil_mode`, and a window over the edge; export it without `ceil_mode`",
                );
            }
            let padding = std::mem::take(&mut window.padding);
            (id, _) = self.push(Op::Pad { padding }, &[id], ".pad")?;
        }
        let op = if node.op == "MaxPool" {
            Op::MaxPool { window, clamp }
        } else {
            Op::AveragePool { window, clamp }
        };
        let (made, _) = self.push(op, &[id], "")?;
        let layout = Layout::nchw(self.builder.shape(made));
        Ok(self.flow(made, layout))
    }

    pub fn global_pool(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?;
        let (_, shape) = self.tensor(flow)?;
        let rank = flow.layout.rank();
        if rank < 3 {
            return refuse(format!(
                "takes {:?}; maps of [1, channels, height, width] are supported",
                flow.layout.sizes()
            ));
        }
        expect_channels(&flow.layout, 1, shape)?;
        let axes: Vec<usize> = (2..rank).collect();
        self.reduced(flow, &axes, true, inputs.node.op == "GlobalMaxPool")
    }

    pub fn reduce(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let list = inputs.list("axes", 1)?.unwrap_or_default();
        let keep = node.int("keepdims")?.unwrap_or(1) != 0;
        let rank = match inputs.get(0) {
            Some(Value::Moment(moment)) => moment.rank(),
            _ => inputs.flow(0)?.layout.rank(),
        };
        let axes = if !list.is_empty() {
            axes(&list, rank)?
        } else if node.int("noop_with_empty_axes")?.unwrap_or(0) != 0 {
            vec![]
        } else {
            (0..rank).collect()
        };
        let is_max = node.op == "ReduceMax";
        let shape = match inputs.get(0) {
            Some(Value::Moment(moment)) => self.tensor(&moment.of().clone())?.1,
            _ => self.tensor(&inputs.flow(0)?.clone())?.1,
        };
        let is_channels = |layout: &Layout| layout.part(&axes, shape) == Part::Channels;
        match inputs.get(0) {
            Some(value @ Value::Moment(_)) if !is_max => {
                self.mean_of_channels(value, keep, is_channels)
            }
            Some(value @ Value::Flow(flow)) if !is_max && is_channels(&flow.layout) => {
                self.mean_of_channels(value, keep, is_channels)
            }
            _ => {
                let flow = inputs.flow(0)?.clone();
                self.reduced(&flow, &axes, keep, is_max)
            }
        }
    }

    /// Mean or maximum over rows, columns or both.
    fn reduced(
        &mut self,
        flow: &Flow,
        axes: &[usize],
        keep: bool,
        is_max: bool,
    ) -> Result<Value, Refusal> {
        let (id, shape) = self.tensor(flow)?;
        let layout = flow.layout.reduced(axes, keep);
        let part = flow.layout.part(axes, shape);
        let (filter_h, filter_w) = match part {
            Part::Nothing => return Ok(self.flow(id, layout)),
            Part::Pixels => (shape.h, shape.w),
            Part::Rows => (shape.h, 1),
            Part::Columns => (1, shape.w),
            Part::Channels | Part::Other => {
                return refuse_layout(format!(
                    "reduces the dimensions {axes:?} of {:?}; supported are rows, columns and both",
                    flow.layout.sizes()
                ));
            }
        };
        // Rows are as far apart as before, but for what is left of the columns.
        let layout = if filter_w == 1 {
            Some(layout)
        } else {
            layout.without_columns(shape)
        };
        let Some(layout) = layout else {
            return refuse_layout("reduces columns that are not a dimension of their own");
        };
        let window = Window {
            filter_h,
            filter_w,
            ..Window::POINT
        };
        let clamp = Clamp::NONE;
        let op = if is_max {
            Op::MaxPool { window, clamp }
        } else if part == Part::Pixels {
            Op::GlobalAveragePool
        } else {
            Op::AveragePool { window, clamp }
        };
        self.push_flow(op, id, layout)
    }

    pub fn pad(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let mode = node.text("mode")?.unwrap_or("constant");
        if mode != "constant" {
            return refuse(format!(
                "attribute `mode` is `{mode}`; only `constant`, with 0, is supported"
            ));
        }
        let value = match inputs.constant(2)? {
            Some(array) => array.scalar(),
            None => node.float("value")?.map(f64::from).or(Some(0.0)),
        };
        let flow = inputs.flow(0)?;
        let rank = flow.layout.rank();
        let pads = inputs.list("pads", 1)?.unwrap_or_default();
        let axes = match inputs.constant(3)?.map(|array| array.as_ints()) {
            None => (0..rank).collect(),
            Some(Some(list)) => axes(list, rank)?,
            Some(None) => return refuse("has axes that are no whole numbers"),
        };
        if pads.len() != 2 * axes.len() {
            return refuse(format!(
                "has {} paddings for {} dimensions",
                pads.len(),
                axes.len()
            ));
        }
        if pads.iter().all(|&pad| pad == 0) {
            return Ok(Value::Flow(flow.clone()));
        }
        if value != Some(0.0) {
            return refuse(format!(
                "pads with {}; only 0 is supported",
                value.map_or("what is no number".into(), |value| value.to_string())
            ));
        }
        let (id, shape) = self.tensor(flow)?;
        let Some((rows, columns)) = flow.layout.map_axes(shape) else {
            return refuse_layout(format!(
                "pads {:?}, which is no map any more; supported are [1, channels, height, width] and [1, height, width, channels]",
                flow.layout.sizes()
            ));
        };
        let mut padding = Padding::NONE;
        let (befores, afters) = pads.split_at(axes.len());
        for ((&axis, &before), &after) in axes.iter().zip(befores).zip(afters) {
            let sides = usize::try_from(before)
                .ok()
                .zip(usize::try_from(after).ok());
            let Some((before, after)) = sides
                .filter(|&(before, after)| before <= Shape::MAX_SIDE && after <= Shape::MAX_SIDE)
            else {
                return refuse(format!(
                    "pads dimension {axis} by {before} and {after}; cropping is not supported"
                ));
            };
            if axis == rows {
                (padding.top, padding.bottom) = (before, after);
            } else if axis == columns {
                (padding.left, padding.right) = (before, after);
            } else if (before, after) != (0, 0) {
                return refuse_layout(format!(
                    "pads dimension {axis}; only height and width can be padded"
                ));
            }
        }
        let (made, _) = self.push(Op::Pad { padding }, &[id], "")?;
        let layout = flow
            .layout
            .with_map(rows, columns, self.builder.shape(made));
        Ok(self.flow(made, layout))
    }
}
