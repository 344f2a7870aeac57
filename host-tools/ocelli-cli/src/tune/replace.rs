//! Another classifier in a model.

use anyhow::Result;
use ocelli::learn::Int8Head;
use ocelli::{Image, OpKind};
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::softmax;
use ocelli_image::{Body, ImageBuffer, Model as ImageModel, WeightPacking};

use super::train::QuantizedHead;
use crate::model::Model;

/// Codes of an embedding, if the model has a classifier that can be replaced.
pub fn features(model: &Model<'_>) -> Result<usize> {
    let image = &model.image;
    let head = image.head().and_then(|at| Some((at, image.op(at)?)));
    let Some((at, op)) = head else {
        return Err(model.wrong("the network has no classifier (a dense op) to replace"));
    };
    let behind: Vec<OpKind> = (at + 1..image.op_count())
        .filter_map(|at| image.op_kind(at))
        .collect();
    match behind.as_slice() {
        [] | [OpKind::Softmax] => Ok(image.tensor(op.inputs[0]).elems()),
        [other, ..] => Err(model.wrong(format!(
            "op {} ({}) stands behind the classifier: only a softmax may",
            at + 1,
            other.name()
        ))),
    }
}

/// The image with this classifier for `labels`, planned anew.
pub fn head(model: &Model<'_>, head: &QuantizedHead, labels: &[String]) -> Result<ImageBuffer> {
    let wrong = |error: &dyn std::fmt::Display| model.wrong(error);
    let mut new = ImageModel::decode(&model.image);
    let at = model
        .image
        .head()
        .ok_or_else(|| wrong(&"no classifier to replace"))?;
    let old_scale = new.tensor_scale[at + 1];
    if let Body::Dense { channels } = &mut new.ops[at].body {
        channels.weights.clone_from(&head.weights);
        channels.bias.clone_from(&head.bias);
        channels.multiplier.clone_from(&head.multiplier);
        channels.shift.clone_from(&head.shift);
        channels.weight_scale.clone_from(&head.weight_scale);
        channels.clamp = [i8::MIN, i8::MAX];
        new.ops[at].weight_packing = WeightPacking::Canonical;
    }
    new.tensor_scale[at + 1] = head.output.scale;
    new.tensors[at + 1].zero_point = head.output.zero_point;
    for tensor in &mut new.tensors[at + 1..] {
        (tensor.h, tensor.w, tensor.c) = (1, 1, labels.len());
    }
    if let Some(op) = new.ops.get_mut(at + 1)
        && let Body::Softmax {
            multiplier,
            left_shift,
            ..
        } = op.body
    {
        // factor = beta * scale * 2^26, as a Q31 number and a left shift.
        let factor = f64::from(multiplier) * f64::powi(2.0, left_shift as i32 - 31);
        let beta = factor / (f64::from(old_scale) * f64::from(1 << 26));
        op.body = softmax(beta as f32, head.output.scale);
    }
    new.labels = labels.to_vec();
    // A plan without streaming was asked for: it stays so.
    let layers =
        new.segments.len() == new.ops.len() && new.tensors.iter().all(|t| t.rows_held == t.h);
    let kind = if layers {
        PlanKind::Layers
    } else {
        PlanKind::default()
    };
    let planned = plan(new, kind).map_err(|error| wrong(&error))?;
    planned.encode().map_err(|error| wrong(&error))
}

/// The classifier of an image as a head of its own, if its weights are in canonical order, as [`head`] leaves them.
pub fn int8_head<'a>(image: &Image<'a>) -> Option<Int8Head<'a>> {
    let at = image.head()?;
    let op = image.op(at)?;
    let (Body::Dense { channels }, WeightPacking::Canonical) = (op.body, op.weight_packing) else {
        return None;
    };
    Some(Int8Head {
        weights: channels.weights,
        bias: channels.bias,
        multiplier: channels.multiplier,
        shift: channels.shift,
        zero_point: image.tensor(at + 1).zero_point,
    })
}
