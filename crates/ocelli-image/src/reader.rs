//! Reading a checked image. Nothing here can fail: `parse` has looked at every number.

use core::ops::Range;

use zerocopy::FromBytes;
use zerocopy::little_endian::F32;

use crate::body::{Body, ChannelsRef, Factor, OpKind, WeightPacking};
use crate::record::*;

/// A checked model image, read in place.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: &'a Header,
    pub(crate) tensors: &'a [TensorRecord],
    pub(crate) ops: &'a [OpRecord],
    pub(crate) segments: &'a [SegmentRecord],
    pub(crate) params: &'a [u8],
    pub(crate) weights: &'a [u8],
    pub(crate) preprocess: Option<&'a PreprocessRecord>,
    pub(crate) labels: Option<&'a str>,
    pub(crate) names: Option<&'a str>,
    pub(crate) scales: Option<&'a [F32]>,
    pub(crate) regions: &'a [RegionRecord],
}

/// An activation tensor and its place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Rows.
    pub h: usize,
    /// Pixels in a row.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Code of real zero.
    pub zero_point: i8,
    /// Bytes from the start of the arena.
    pub offset: usize,
    /// Rows in memory at a time; `h` for a whole tensor.
    pub rows_held: usize,
}

impl Tensor {
    /// Codes, and bytes, of a row.
    pub const fn row_elems(&self) -> usize {
        self.w * self.c
    }

    /// Codes, and bytes, of the whole tensor.
    pub const fn elems(&self) -> usize {
        self.h * self.row_elems()
    }

    /// Bytes of the rows held.
    pub const fn held_bytes(&self) -> usize {
        self.rows_held * self.row_elems()
    }
}

/// An op: what it does, what it reads, and how the plan runs it. Op `k` makes tensor `k + 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op<'a> {
    /// What it does.
    pub body: Body<ChannelsRef<'a>>,
    /// Numbers of the tensors it reads; for one input both are the same.
    pub inputs: [usize; 2],
    /// Order of its weights.
    pub weight_packing: WeightPacking,
    /// Rows that it makes in one step, where there is room.
    pub rows_per_step: usize,
    /// Its scratch memory in the arena.
    pub scratch: (usize, usize),
}

/// A memory of several that the arena is made of: a range of the arena's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// Its first address: bytes from the start of the arena.
    pub start: usize,
    /// Bytes of it that hold rows and scratch memory, a multiple of sixteen.
    pub bytes: usize,
}

impl Region<'_> {
    /// Whether `bytes` bytes from address `start` on lie in it.
    pub const fn holds(&self, start: usize, bytes: usize) -> bool {
        self.start <= start && start.saturating_add(bytes) <= self.start.saturating_add(self.bytes)
    }
}

/// Adjoining ops that are run together, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Numbers of its ops.
    pub ops: Range<usize>,
}

impl<'a> Image<'a> {
    /// The bytes of the image.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of arena that a session needs for activations and scratch.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes.get() as usize
    }

    /// The memories that the arena is made of, in the order of addresses; none if it is a single one.
    pub fn regions(&self) -> impl Iterator<Item = Region<'a>> + Clone + 'a {
        self.regions.iter().scan(0usize, |end, record| {
            let (start, bytes) = (*end, record.bytes.get() as usize);
            *end = start.saturating_add(bytes);
            let name = record.name().unwrap_or("");
            Some(Region { name, start, bytes })
        })
    }

    /// The stored checksum, which names this image.
    pub fn crc(&self) -> u32 {
        self.header.crc.get()
    }

    /// Number of ops.
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// Number of tensors: tensor 0 is the input, tensor `k + 1` is made by op `k`, the last is the output.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// Tensor `at`; an empty one if there is none.
    pub fn tensor(&self, at: usize) -> Tensor {
        self.tensors.get(at).map_or(
            Tensor {
                h: 0,
                w: 0,
                c: 0,
                zero_point: 0,
                offset: 0,
                rows_held: 0,
            },
            |t| Tensor {
                h: t.h.get().into(),
                w: t.w.get().into(),
                c: t.c.get().into(),
                zero_point: t.zero_point,
                offset: t.offset.get() as usize,
                rows_held: t.rows_held.get().into(),
            },
        )
    }

    /// The network's input.
    pub fn input(&self) -> Tensor {
        self.tensor(0)
    }

    /// The network's output.
    pub fn output(&self) -> Tensor {
        self.tensor(self.ops.len())
    }

    /// The op that is the classifier.
    pub fn head(&self) -> Option<usize> {
        let head = self.header.head_op.get();
        (head != NONE).then_some(head.into())
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The segments, in running order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + 'a {
        self.segments.iter().scan(0, |first, segment| {
            let ops = *first..*first + usize::from(segment.op_count.get());
            *first = ops.end;
            Some(Segment { ops })
        })
    }

    /// The kind of op `at`, which is all that some need to know.
    pub fn op_kind(&self, at: usize) -> Option<OpKind> {
        OpKind::from_number(self.ops.get(at)?.kind)
    }

    /// Op `at`.
    pub fn op(&self, at: usize) -> Option<Op<'a>> {
        let record = self.ops.get(at)?;
        let inputs = record.inputs.map(|input| usize::from(input.get()));
        Some(Op {
            body: self.body(record)?,
            inputs: if record.inputs[1].get() == NONE {
                [inputs[0]; 2]
            } else {
                inputs
            },
            weight_packing: WeightPacking::from_number(record.weight_packing)?,
            rows_per_step: record.rows_per_step.get().into(),
            scratch: (
                record.scratch_offset.get() as usize,
                record.scratch_bytes.get() as usize,
            ),
        })
    }

    /// How pixels become codes.
    pub fn preprocess(&self) -> Option<&'a PreprocessRecord> {
        self.preprocess
    }

    /// The names of the classes; none if the image has no labels.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + Clone {
        lines(self.labels)
    }

    /// The source's names: of all tensors, then of all ops; none if the image does not carry them.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + Clone {
        lines(self.names)
    }

    /// The real step of one code of tensor `at`, if the image carries scales.
    pub fn tensor_scale(&self, at: usize) -> Option<f32> {
        (at < self.tensors.len()).then(|| self.scales?.get(at).map(|scale| scale.get()))?
    }

    /// The real steps of the weights of each channel of op `at`, if the image carries scales.
    pub fn weight_scales(&self, at: usize) -> Option<impl ExactSizeIterator<Item = f32> + 'a> {
        let channels = |op: usize| {
            self.op(op)
                .and_then(|op| Some(op.body.channels()?.bias.len()))
        };
        let skip: usize = (0..at).filter_map(channels).sum();
        let scales = self
            .scales?
            .get(self.tensors.len() + skip..)?
            .get(..channels(at)?)?;
        Some(scales.iter().map(|scale| scale.get()))
    }

    fn body(&self, record: &OpRecord) -> Option<Body<ChannelsRef<'a>>> {
        Some(match OpKind::from_number(record.kind)? {
            OpKind::Conv2d => {
                let conv = self.params::<ConvRecord>(record)?;
                Body::Conv2d {
                    window: conv.window,
                    channels: self.channels(&conv.channels)?,
                }
            }
            OpKind::Depthwise => {
                let conv = self.params::<ConvRecord>(record)?;
                Body::Depthwise {
                    window: conv.window,
                    depth_multiplier: conv.depth_multiplier.get(),
                    channels: self.channels(&conv.channels)?,
                }
            }
            OpKind::Pointwise => Body::Pointwise {
                channels: self.channels(self.params(record)?)?,
            },
            OpKind::Dense => Body::Dense {
                channels: self.channels(self.params(record)?)?,
            },
            OpKind::Add => {
                let add = self.params::<AddRecord>(record)?;
                Body::Add {
                    factors: add.factors.map(factor),
                    output_factor: factor(add.output_factor),
                    clamp: add.clamp,
                }
            }
            OpKind::AveragePool => {
                let pool = self.params::<PoolRecord>(record)?;
                Body::AveragePool {
                    window: pool.window,
                    clamp: pool.clamp,
                }
            }
            OpKind::MaxPool => {
                let pool = self.params::<PoolRecord>(record)?;
                Body::MaxPool {
                    window: pool.window,
                    clamp: pool.clamp,
                }
            }
            OpKind::GlobalAveragePool => {
                let pool = self.params::<GlobalAveragePoolRecord>(record)?;
                Body::GlobalAveragePool {
                    bias: pool.bias.get(),
                    factor: factor(pool.factor),
                    clamp: pool.clamp,
                }
            }
            OpKind::Pad => Body::Pad {
                padding: *self.params::<PaddingRecord>(record)?,
            },
            OpKind::Softmax => {
                let softmax = self.params::<SoftmaxRecord>(record)?;
                Body::Softmax {
                    multiplier: softmax.multiplier.get(),
                    left_shift: softmax.left_shift.get(),
                    difference_min: softmax.difference_min.get(),
                }
            }
            OpKind::Multiply => {
                let multiply = self.params::<MultiplyRecord>(record)?;
                Body::Multiply {
                    factor: factor(multiply.factor),
                    clamp: multiply.clamp,
                }
            }
            OpKind::Table => Body::Table {
                table: self.params::<TableRecord>(record)?,
            },
            OpKind::LayerNorm => {
                let norm = self.params::<LayerNormRecord>(record)?;
                Body::LayerNorm {
                    epsilon: norm.epsilon.get(),
                    channels: self.channels(&norm.channels)?,
                }
            }
            OpKind::Concat => Body::Concat,
        })
    }

    /// The parameters of an op, by the type of its kind.
    pub(crate) fn params<
        T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned,
    >(
        &self,
        record: &OpRecord,
    ) -> Option<&'a T> {
        let bytes = self.params.get(record.params_offset.get() as usize..)?;
        T::ref_from_prefix(bytes).ok().map(|(params, _)| params)
    }

    fn channels(&self, record: &ChannelsRecord) -> Option<ChannelsRef<'a>> {
        let at = |offset: zerocopy::little_endian::U32| self.weights.get(offset.get() as usize..);
        let weights = at(record.weights_offset)?.get(..record.weights_bytes.get() as usize)?;
        let count = usize::from(record.channels.get());
        Some(ChannelsRef {
            weights: <[i8]>::ref_from_bytes(weights).ok()?,
            bias: numbers(at(record.bias_offset)?, count)?,
            multiplier: numbers(at(record.multiplier_offset)?, count)?,
            shift: <[i8]>::ref_from_bytes(at(record.shift_offset)?.get(..count)?).ok()?,
            clamp: record.clamp,
        })
    }
}

/// `count` 32-bit numbers, if they are aligned.
fn numbers(bytes: &[u8], count: usize) -> Option<&[i32]> {
    <[i32]>::ref_from_bytes(bytes.get(..count.checked_mul(4)?)?).ok()
}

fn factor(record: FactorRecord) -> Factor {
    Factor {
        multiplier: record.multiplier.get(),
        shift: record.shift.get(),
    }
}

fn lines(text: Option<&str>) -> impl Iterator<Item = &str> + Clone {
    text.into_iter()
        .flat_map(|text| text.split_terminator('\n'))
}
