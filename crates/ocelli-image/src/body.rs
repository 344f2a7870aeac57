//! What an op does, with its numbers.

use crate::record::{PaddingRecord, WindowRecord};

/// The kinds of ops, with their numbers in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum OpKind {
    /// Standard convolution.
    Conv2d = 0,
    /// Depthwise convolution.
    Depthwise = 1,
    /// Convolution of single pixels.
    Pointwise = 2,
    /// Dense layer.
    Dense = 3,
    /// Sum of two tensors.
    Add = 4,
    /// Mean over a window.
    AveragePool = 5,
    /// Maximum over a window.
    MaxPool = 6,
    /// Mean over the whole map.
    GlobalAveragePool = 7,
    /// Rows and columns around a tensor.
    Pad = 8,
    /// Softmax.
    Softmax = 9,
    /// Product of two tensors.
    Multiply = 10,
    /// A function of single codes.
    Table = 11,
    /// Layer normalization over channels.
    LayerNorm = 12,
    /// Channels of two tensors.
    Concat = 13,
}

impl OpKind {
    /// All kinds, by number.
    pub const ALL: [OpKind; 14] = [
        OpKind::Conv2d,
        OpKind::Depthwise,
        OpKind::Pointwise,
        OpKind::Dense,
        OpKind::Add,
        OpKind::AveragePool,
        OpKind::MaxPool,
        OpKind::GlobalAveragePool,
        OpKind::Pad,
        OpKind::Softmax,
        OpKind::Multiply,
        OpKind::Table,
        OpKind::LayerNorm,
        OpKind::Concat,
    ];

    /// The kind with a number of the format.
    pub fn from_number(number: u8) -> Option<Self> {
        OpKind::ALL.get(usize::from(number)).copied()
    }

    /// A short name, as reports print it.
    pub const fn name(self) -> &'static str {
        match self {
            OpKind::Conv2d => "conv2d",
            OpKind::Depthwise => "depthwise",
            OpKind::Pointwise => "pointwise",
            OpKind::Dense => "dense",
            OpKind::Add => "add",
            OpKind::AveragePool => "average_pool",
            OpKind::MaxPool => "max_pool",
            OpKind::GlobalAveragePool => "global_average_pool",
            OpKind::Pad => "pad",
            OpKind::Softmax => "softmax",
            OpKind::Multiply => "multiply",
            OpKind::Table => "table",
            OpKind::LayerNorm => "layer_norm",
            OpKind::Concat => "concat",
        }
    }

    /// How many tensors it reads.
    pub const fn input_count(self) -> usize {
        match self {
            OpKind::Add | OpKind::Multiply | OpKind::Concat => 2,
            _ => 1,
        }
    }
}

/// The order in which an op's weights lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WeightPacking {
    /// The order of the formulas, `[out][h][w][in]` and its kind.
    Canonical = 0,
    /// Pairs of codes of two channels in a word, for processors that multiply pairs of 16-bit numbers.
    Paired = 1,
}

impl WeightPacking {
    /// The packing with a number of the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(WeightPacking::Canonical),
            1 => Some(WeightPacking::Paired),
            _ => None,
        }
    }
}

/// A positive factor `multiplier * 2^(shift - 31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Q31 number.
    pub multiplier: i32,
    /// Power of two, positive = left.
    pub shift: i32,
}

/// Weights, biases and factors of an op, in place in the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelsRef<'a> {
    /// Filters, in the order that `weight_packing` says.
    pub weights: &'a [i8],
    /// Bias of each channel, input zero point folded in.
    pub bias: &'a [i32],
    /// Q31 factor of each channel.
    pub multiplier: &'a [i32],
    /// Power of two of each channel, positive = left.
    pub shift: &'a [i8],
    /// Smallest and largest output code.
    pub clamp: [i8; 2],
}

/// How the long parameters of an op are held: in place in the image, or owned by the writer.
pub trait Storage {
    /// A table of 256 codes.
    type Table;
}

/// In place.
impl<'a> Storage for ChannelsRef<'a> {
    type Table = &'a [i8; 256];
}

/// What an op does. `C` is how its weights are held: [`ChannelsRef`] in place, `Channels` by the writer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the fields are the parameters of the kernels, described there"
)]
pub enum Body<C: Storage> {
    Conv2d {
        window: WindowRecord,
        channels: C,
    },
    Depthwise {
        window: WindowRecord,
        depth_multiplier: u16,
        channels: C,
    },
    Pointwise {
        channels: C,
    },
    Dense {
        channels: C,
    },
    Add {
        factors: [Factor; 2],
        output_factor: Factor,
        clamp: [i8; 2],
    },
    AveragePool {
        window: WindowRecord,
        clamp: [i8; 2],
    },
    MaxPool {
        window: WindowRecord,
        clamp: [i8; 2],
    },
    GlobalAveragePool {
        bias: i32,
        factor: Factor,
        clamp: [i8; 2],
    },
    Pad {
        padding: PaddingRecord,
    },
    Softmax {
        multiplier: i32,
        left_shift: u32,
        difference_min: i32,
    },
    Multiply {
        factor: Factor,
        clamp: [i8; 2],
    },
    Table {
        table: C::Table,
    },
    LayerNorm {
        epsilon: u64,
        channels: C,
    },
    Concat,
}

impl<C: Storage> Body<C> {
    /// Its kind.
    pub const fn kind(&self) -> OpKind {
        match self {
            Body::Conv2d { .. } => OpKind::Conv2d,
            Body::Depthwise { .. } => OpKind::Depthwise,
            Body::Pointwise { .. } => OpKind::Pointwise,
            Body::Dense { .. } => OpKind::Dense,
            Body::Add { .. } => OpKind::Add,
            Body::AveragePool { .. } => OpKind::AveragePool,
            Body::MaxPool { .. } => OpKind::MaxPool,
            Body::GlobalAveragePool { .. } => OpKind::GlobalAveragePool,
            Body::Pad { .. } => OpKind::Pad,
            Body::Softmax { .. } => OpKind::Softmax,
            Body::Multiply { .. } => OpKind::Multiply,
            Body::Table { .. } => OpKind::Table,
            Body::LayerNorm { .. } => OpKind::LayerNorm,
            Body::Concat => OpKind::Concat,
        }
    }

    /// Its weights, if it has any.
    pub const fn channels(&self) -> Option<&C> {
        match self {
            Body::Conv2d { channels, .. }
            | Body::Depthwise { channels, .. }
            | Body::Pointwise { channels }
            | Body::Dense { channels }
            | Body::LayerNorm { channels, .. } => Some(channels),
            _ => None,
        }
    }

    /// The same with its weights and tables held in another way.
    pub fn map_storage<'s, D: Storage>(
        &'s self,
        f: impl FnOnce(&'s C) -> D,
        table_of: impl FnOnce(&'s C::Table) -> D::Table,
    ) -> Body<D> {
        match *self {
            Body::Conv2d {
                window,
                ref channels,
            } => Body::Conv2d {
                window,
                channels: f(channels),
            },
            Body::Depthwise {
                window,
                depth_multiplier,
                ref channels,
            } => Body::Depthwise {
                window,
                depth_multiplier,
                channels: f(channels),
            },
            Body::Pointwise { ref channels } => Body::Pointwise {
                channels: f(channels),
            },
            Body::Dense { ref channels } => Body::Dense {
                channels: f(channels),
            },
            Body::Add {
                factors,
                output_factor,
                clamp,
            } => Body::Add {
                factors,
                output_factor,
                clamp,
            },
            Body::AveragePool { window, clamp } => Body::AveragePool { window, clamp },
            Body::MaxPool { window, clamp } => Body::MaxPool { window, clamp },
            Body::GlobalAveragePool {
                bias,
                factor,
                clamp,
            } => Body::GlobalAveragePool {
                bias,
                factor,
                clamp,
            },
            Body::Pad { padding } => Body::Pad { padding },
            Body::Softmax {
                multiplier,
                left_shift,
                difference_min,
            } => Body::Softmax {
                multiplier,
                left_shift,
                difference_min,
            },
            Body::Multiply { factor, clamp } => Body::Multiply { factor, clamp },
            Body::Table { ref table } => Body::Table {
                table: table_of(table),
            },
            Body::LayerNorm {
                epsilon,
                ref channels,
            } => Body::LayerNorm {
                epsilon,
                channels: f(channels),
            },
            Body::Concat => Body::Concat,
        }
    }
}
