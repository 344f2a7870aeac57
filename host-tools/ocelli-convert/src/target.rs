//! Weights in the order that a processor's inner loops read them.

use std::borrow::Cow;

use ocelli::OpContext;
use ocelli::kernels::{PAIRED_SHIFTS, Taps};
use ocelli_image::{Body, Channels, ChannelsRef, Model, WeightPacking};

/// A processor for which weights are packed; every processor runs every packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Cortex-M0 and M0+.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
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
        WeightPacking::Paired if shifts_fit(model, op) => packing,
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
