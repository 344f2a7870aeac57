//! What operators' options say, checked, in the numbers of the float graph.

use super::flatbuffer::{Damage, Number};
use super::schema::{File, Operator};
use super::shape::integers;
use super::{Refusal, refuse, refuse_tensor};
use crate::graph::{Clamp, Padding, Window};

/// `Padding_SAME` of the schema.
const SAME: u8 = 0;
/// `Padding_VALID` of the schema.
const VALID: u8 = 1;

impl From<Damage> for Refusal {
    fn from(damage: Damage) -> Self {
        Refusal {
            tensor: None,
            why: format!("has damaged options: {damage}"),
        }
    }
}

impl Operator<'_> {
    /// An option, or its default.
    pub fn option<T: Number>(&self, field: usize, default: T) -> Result<T, Refusal> {
        match &self.options {
            Some(options) => Ok(options.number(field, default)?),
            None => Ok(default),
        }
    }

    /// A positive option that fits its field of the image.
    pub fn side(&self, what: &str, field: usize, default: i32) -> Result<usize, Refusal> {
        side(what, self.option(field, default)?)
    }

    /// The fused activation in an option.
    pub fn fused(&self, field: usize) -> Result<Clamp, Refusal> {
        match self.option(field, 0i8)? {
            0 => Ok(Clamp::NONE),
            1 => Ok(Clamp::RELU),
            2 => Ok(Clamp {
                min: -1.0,
                max: 1.0,
            }),
            3 => Ok(Clamp::RELU6),
            other => refuse(format!(
                "has fused activation number {other}; none, RELU, RELU_N1_TO_1 and RELU6 are supported"
            )),
        }
    }
}

fn side<T: TryInto<u8> + Copy + std::fmt::Display>(what: &str, got: T) -> Result<usize, Refusal> {
    match got.try_into() {
        Ok(side) if side > 0 => Ok(side.into()),
        _ => refuse(format!("has {what} {got}; 1 to 255 are supported")),
    }
}

/// The window of a sliding operator, and rows and columns of what it makes.
///
/// `strides` and `dilations` are the options' fields, of height first; padding is always the first option.
pub fn sliding(
    operator: &Operator<'_>,
    input: [usize; 3],
    filter: [usize; 2],
    strides: [usize; 2],
    dilations: Option<[usize; 2]>,
) -> Result<(Window, [usize; 2]), Refusal> {
    let same = match operator.option(0, SAME)? {
        SAME => true,
        VALID => false,
        other => {
            return refuse(format!(
                "has padding number {other}; SAME and VALID are known"
            ));
        }
    };
    let mut stride = [1; 2];
    let mut dilation = [1; 2];
    let mut padding = [(0, 0); 2];
    let mut out = [0; 2];
    for axis in 0..2 {
        stride[axis] = operator.side("stride", strides[axis], 0)?;
        if let Some(dilations) = dilations {
            dilation[axis] = operator.side("dilation", dilations[axis], 1)?;
        }
        let extent = input[axis];
        let span = (filter[axis].saturating_sub(1)).saturating_mul(dilation[axis]) + 1;
        if same {
            out[axis] = extent.div_ceil(stride[axis]);
            let total = ((out[axis] - 1) * stride[axis] + span).saturating_sub(extent);
            padding[axis] = (total / 2, total - total / 2);
        } else if let Some(steps) = extent.checked_sub(span) {
            out[axis] = steps / stride[axis] + 1;
        } else {
            return refuse(format!(
                "has a filter that spans {span} of {extent} without padding"
            ));
        }
    }
    let window = Window {
        filter_h: filter[0],
        filter_w: filter[1],
        stride_h: stride[0],
        stride_w: stride[1],
        dilation_h: dilation[0],
        dilation_w: dilation[1],
        padding: Padding {
            top: padding[0].0,
            bottom: padding[0].1,
            left: padding[1].0,
            right: padding[1].1,
        },
    };
    Ok((window, out))
}

/// The window of a pool over a map.
pub fn pooling(
    operator: &Operator<'_>,
    input: [usize; 3],
) -> Result<(Window, [usize; 2]), Refusal> {
    let filter_w = operator.side("filter width", 3, 0)?;
    let filter_h = operator.side("filter height", 4, 0)?;
    sliding(operator, input, [filter_h, filter_w], [2, 1], None)
}

/// What PAD adds around a map.
pub fn padding(file: &File<'_>, operator: &Operator<'_>) -> Result<Padding, Refusal> {
    let source = file.input(operator, 0)?;
    let id = file.input(operator, 1)?;
    let amounts: Option<Vec<u8>> = integers(file, id)?
        .into_iter()
        .map(|amount| u8::try_from(amount).ok())
        .collect();
    let four = file.tensors[source].shape.len() == 4;
    let (Some(&[0, 0, top, bottom, left, right, 0, 0]), true) = (amounts.as_deref(), four) else {
        return refuse_tensor(
            id,
            "has to say four pairs: nothing for batch and channels, 0 to 255 rows and columns",
        );
    };
    let [top, bottom, left, right] = [top, bottom, left, right].map(usize::from);
    Ok(Padding {
        top,
        bottom,
        left,
        right,
    })
}

/// Refuses a MEAN over anything but rows and columns of a map.
pub fn expect_global_mean(file: &File<'_>, operator: &Operator<'_>) -> Result<(), Refusal> {
    let source = file.input(operator, 0)?;
    let id = file.input(operator, 1)?;
    let mut axes = integers(file, id)?;
    for axis in &mut axes {
        *axis += if *axis < 0 { 4 } else { 0 };
    }
    axes.sort_unstable();
    if axes == [1, 2] && file.tensors[source].shape.len() == 4 {
        return Ok(());
    }
    refuse_tensor(
        id,
        "does not name height and width of a map, axes 1 and 2; no other mean is supported",
    )
}
