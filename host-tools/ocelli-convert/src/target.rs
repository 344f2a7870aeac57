//! Weights in the order that a processor's inner loops read them.

use std::borrow::Cow;

use ocelli::OpContext;
use ocelli::kernels::{PAIRED_SHIFTS, Requant, Taps};
use ocelli_image::{Body, Channels, ChannelsRef, Model, WeightPacking};

/// A processor for which weights are packed; every processor runs every packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Target {
    /// Cortex-M0 and M0+.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    #[default]
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33 with the DSP extension.
    M33,
    /// Cortex-M55 with Helium.
    M55,
    /// This computer.
    Host,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 7] = [
        Target::M0,
        Target::M3,
        Target::M4,
        Target::M7,
        Target::M33,
        Target::M55,
        Target::Host,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Target::M0 => "m0",
            Target::M3 => "m3",
            Target::M4 => "m4",
            Target::M7 => "m7",
            Target::M33 => "m33",
            Target::M55 => "m55",
            Target::Host => "host",
        }
    }

    /// The target of a name.
    pub fn from_name(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|target| target.name() == name)
    }

    /// The order that its inner loops are made for.
    pub const fn packing(self) -> WeightPacking {
        match self {
            Target::M4 | Target::M7 | Target::M33 => WeightPacking::Paired,
            Target::M0 | Target::M3 | Target::M55 | Target::Host => WeightPacking::Canonical,
        }
    }
}

/// Brings the weights of all ops into an order; those that the order cannot hold are left canonical.
///
/// A plan made before has no scratch memory for the new order: plan again.
pub fn pack(model: &mut Model, packing: WeightPacking) {
    for op in 0..model.ops.len() {
        pack_op(model, op, packing);
    }
}

/// Brings the weights of one op into an order, if the order can hold them; they are left canonical otherwise.
pub fn pack_op(model: &mut Model, op: usize, packing: WeightPacking) {
    let canonical = canonical_weights(model, op).map(Cow::into_owned);
    let (Some(canonical), Some(layout)) = (canonical, Layout::of(model, op)) else {
        return;
    };
    let packing = match packing {
        WeightPacking::Paired => {
            settle_constants(model, op, &canonical, layout);
            match shifts_fit(model, op) && has_paired_loops(&model.ops[op].body) {
                true => packing,
                false => WeightPacking::Canonical,
            }
        }
        _ => WeightPacking::Canonical,
    };
    let mut packed = vec![0; layout.len(packing)];
    for (places, weight) in layout.places(packing).zip(canonical) {
        for place in places.into_iter().flatten() {
            packed[place] = weight;
        }
    }
    let record = &mut model.ops[op];
    record.weight_packing = packing;
    if let Some(channels) = channels_mut(&mut record.body) {
        channels.weights = packed;
    }
}

/// An op of a model as the device sees it.
pub fn context(model: &Model, op: usize) -> OpContext<'_> {
    let record = &model.ops[op];
    OpContext {
        body: record.body.map_storage(
            |channels| ChannelsRef {
                weights: &channels.weights,
                bias: &channels.bias,
                multiplier: &channels.multiplier,
                shift: &channels.shift,
                clamp: channels.clamp,
            },
            |table| &**table,
        ),
        weight_packing: record.weight_packing,
        inputs: record.inputs.map(|input| model.tensors[input]),
        output: model.tensors[op + 1],
    }
}

/// The weights of an op in canonical order; none if it has none.
pub fn canonical_weights(model: &Model, op: usize) -> Option<Cow<'_, [i8]>> {
    let weights = &model.ops[op].body.channels()?.weights;
    Some(
        match (model.ops[op].weight_packing, Layout::of(model, op)) {
            (WeightPacking::Canonical, _) | (_, None) => Cow::Borrowed(weights),
            (packing, Some(layout)) => {
                let first =
                    |[place, _]: [Option<usize>; 2]| place.map_or(0, |place| weights[place]);
                Cow::Owned(layout.places(packing).map(first).collect())
            }
        },
    )
}

/// Weights of an op, whatever their order fills up.
pub fn weight_count(model: &Model, op: usize) -> usize {
    match Layout::of(model, op) {
        Some(layout) => layout.len(WeightPacking::Canonical),
        None => {
            let channels = model.ops[op].body.channels();
            channels.map_or(0, |channels| channels.weights.len())
        }
    }
}

/// Depthwise convolutions that no loops for pairs take are faster in canonical order.
fn has_paired_loops(body: &Body<Channels>) -> bool {
    let Body::Depthwise {
        window: w,
        depth_multiplier,
        ..
    } = body
    else {
        return true;
    };
    *depth_multiplier == 1
        && [w.dilation_h, w.dilation_w] == [1, 1]
        && w.stride_h.max(w.stride_w) <= 2
}

/// Gives channels that always make the same code a factor that every order can hold.
///
/// Such are channels without weights, and those whose largest sum still rounds to nothing: networks have many of them, with
/// factors of any size.
fn settle_constants(model: &mut Model, op: usize, weights: &[i8], layout: Layout) {
    let mut reach = vec![0i64; layout.channels()];
    for (at, &weight) in weights.iter().enumerate() {
        reach[layout.channel(at)] += 128 * i64::from(weight).abs();
    }
    let scales = [model.ops[op].inputs[0], op + 1].map(|at| model.tensor_scale.get(at).copied());
    let Some(channels) = channels_mut(&mut model.ops[op].body) else {
        return;
    };
    for (channel, reach) in reach.into_iter().enumerate() {
        let shift = &mut channels.shift[channel];
        if PAIRED_SHIFTS.contains(shift) {
            continue;
        }
        let bias = &mut channels.bias[channel];
        let multiplier = &mut channels.multiplier[channel];
        let factor = Requant {
            multiplier: *multiplier,
            shift: (*shift).into(),
        };
        let most = reach + i64::from(*bias).abs();
        if reach == 0 {
            // Codes and zero points are bytes: a constant beyond this is clamped all the same. A quarter of four times it.
            *bias = 4 * factor.apply(*bias).clamp(-512, 512);
            (*multiplier, *shift) = (1 << 30, -1);
            if let ([Some(input), Some(output)], Some(scale)) =
                (scales, channels.weight_scale.get_mut(channel))
            {
                *scale = output / (4.0 * input);
            }
        } else if i32::try_from(most)
            .is_ok_and(|most| factor.apply(most) == 0 && factor.apply(-most) == 0)
        {
            (*multiplier, *shift) = (0, -1);
        }
    }
}

/// The loops of [`WeightPacking::Paired`] round with one constant, which not all shifts leave room for.
fn shifts_fit(model: &Model, op: usize) -> bool {
    let channels = model.ops[op].body.channels();
    channels.is_some_and(|channels| {
        let mut shifts = channels.shift.iter();
        shifts.all(|shift| PAIRED_SHIFTS.contains(shift))
    })
}

fn channels_mut(body: &mut Body<Channels>) -> Option<&mut Channels> {
    match body {
        Body::Conv2d { channels, .. }
        | Body::Depthwise { channels, .. }
        | Body::Pointwise { channels }
        | Body::Dense { channels } => Some(channels),
        _ => None,
    }
}

/// What the places of an op's weights follow from.
#[derive(Clone, Copy)]
enum Layout {
    Filters {
        taps: Taps,
        channels: usize,
    },
    Depthwise {
        filter: (usize, usize),
        channels: usize,
    },
}

impl Layout {
    fn of(model: &Model, op: usize) -> Option<Layout> {
        let record = &model.ops[op];
        let input = &model.tensors[record.inputs[0]];
        Some(match &record.body {
            Body::Conv2d { window, channels } => Layout::Filters {
                taps: ocelli::window(window).taps(input.c),
                channels: channels.bias.len(),
            },
            Body::Pointwise { channels } => Layout::Filters {
                taps: Taps::one(input.c),
                channels: channels.bias.len(),
            },
            Body::Dense { channels } => Layout::Filters {
                taps: Taps::one(input.elems()),
                channels: channels.bias.len(),
            },
            Body::Depthwise {
                window, channels, ..
            } => Layout::Depthwise {
                filter: (window.filter_h.into(), window.filter_w.into()),
                channels: channels.bias.len(),
            },
            _ => return None,
        })
    }

    fn channels(self) -> usize {
        match self {
            Layout::Filters { channels, .. } | Layout::Depthwise { channels, .. } => channels,
        }
    }

    /// The output channel of a canonical weight.
    fn channel(self, at: usize) -> usize {
        match self {
            Layout::Filters { taps, .. } => at / taps.count(),
            Layout::Depthwise { channels, .. } => at % channels,
        }
    }

    fn len(self, packing: WeightPacking) -> usize {
        let packing = ocelli::packing(packing);
        match self {
            Layout::Filters { taps, channels } => packing.filters_len(taps, channels),
            Layout::Depthwise {
                filter: (h, w),
                channels,
            } => packing.depthwise_len(h, w, channels),
        }
    }

    /// Where the weights lie, in canonical order; some lie in two places.
    fn places(self, packing: WeightPacking) -> impl Iterator<Item = [Option<usize>; 2]> {
        let packing = ocelli::packing(packing);
        let count = self.len(WeightPacking::Canonical);
        (0..count).map(move |at| match self {
            Layout::Filters { taps, .. } => {
                let (out, tap) = (at / taps.count(), at % taps.count());
                let (run, at) = (tap / taps.run, tap % taps.run);
                [Some(packing.filter_index(taps, out, run, at)), None]
            }
            Layout::Depthwise { filter, channels } => {
                let (tap, channel) = (at / channels, at % channels);
                let place = (tap / filter.1, tap % filter.1);
                let index = packing.depthwise_index(filter, channels, place, channel);
                let copy = packing.depthwise_copy(filter.0, place.0, index);
                [Some(index), copy]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_image::{ModelOp, Tensor};

    /// A pointwise convolution of two channels to four.
    fn model() -> Model {
        let tensor = |c| Tensor {
            h: 1,
            w: 1,
            c,
            zero_point: 0,
            offset: 0,
            rows_held: 1,
        };
        Model {
            arena_bytes: 0,
            tensors: vec![tensor(2), tensor(4)],
            ops: vec![ModelOp {
                body: Body::Pointwise {
                    channels: Channels {
                        weights: vec![1, 2, 0, 0, 0, 0, 3, 4],
                        bias: vec![5, 300, -7000, 60],
                        multiplier: vec![1 << 30; 4],
                        shift: vec![-3, 0, 1, -30],
                        clamp: [-128, 127],
                        weight_scale: vec![1.0; 4],
                    },
                },
                inputs: [0, 0],
                weight_packing: WeightPacking::Canonical,
                rows_per_step: 1,
                scratch: (0, 0),
            }],
            segments: vec![1],
            head: None,
            preprocess: None,
            labels: vec![],
            names: vec![],
            tensor_scale: vec![0.5, 1.0],
            regions: vec![],
        }
    }

    #[test]
    fn channels_that_are_constant_get_factors_that_pairs_can_hold() {
        let mut packed = model();
        pack(&mut packed, WeightPacking::Paired);
        let op = &packed.ops[0];
        assert_eq!(op.weight_packing, WeightPacking::Paired);
        let channels = op.body.channels().unwrap();
        // 300 / 2 = 150, -7000 saturates, and 128 * 7 + 60 through 2^31 is nothing.
        assert_eq!(channels.bias, [5, 600, -2048, 60]);
        assert_eq!(channels.multiplier, [1 << 30, 1 << 30, 1 << 30, 0]);
        assert_eq!(channels.shift, [-3, -1, -1, -1]);
        assert_eq!(channels.weight_scale, [1.0, 0.5, 0.5, 1.0]);
    }

    #[test]
    fn packed_weights_are_found_again() {
        let mut packed = model();
        pack(&mut packed, WeightPacking::Paired);
        assert_ne!(
            packed.ops[0].body.channels().unwrap().weights,
            [1, 2, 0, 0, 0, 0, 3, 4]
        );
        let found = canonical_weights(&packed, 0).unwrap().into_owned();
        assert_eq!(found, [1, 2, 0, 0, 0, 0, 3, 4]);
        pack(&mut packed, WeightPacking::Canonical);
        assert_eq!(packed.ops[0].body.channels().unwrap().weights, found);
    }

    #[test]
    fn factors_that_pairs_cannot_hold_leave_weights_as_they_are() {
        let mut packed = model();
        if let Some(channels) = channels_mut(&mut packed.ops[0].body) {
            channels.shift[0] = 2;
        }
        pack(&mut packed, WeightPacking::Paired);
        assert_eq!(packed.ops[0].weight_packing, WeightPacking::Canonical);
    }
}
