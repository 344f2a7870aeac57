//! Writing images: an owned model, which encodes to bytes and is decoded from them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use core::fmt;

use zerocopy::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::body::{Body, ChannelsRef, Factor, Storage, WeightPacking};
use crate::crc32::Crc32;
use crate::error::{ParseError, SectionKind};
use crate::reader::{Image, Tensor};
use crate::record::*;

/// Weights, biases and factors of an op, owned.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// Filters, in the order that the op's `weight_packing` says.
    pub weights: Vec<i8>,
    /// Bias of each channel, input zero point folded in.
    pub bias: Vec<i32>,
    /// Q31 factor of each channel.
    pub multiplier: Vec<i32>,
    /// Power of two of each channel, positive = left.
    pub shift: Vec<i8>,
    /// Smallest and largest output code.
    pub clamp: [i8; 2],
    /// Real step of the weights of each channel; empty in an image without scales.
    pub weight_scale: Vec<f32>,
}

/// Owned.
impl Storage for Channels {
    type Table = Box<[i8; 256]>;
}

/// An op of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOp {
    /// What it does.
    pub body: Body<Channels>,
    /// Numbers of the tensors it reads; for one input both are the same.
    pub inputs: [usize; 2],
    /// Order of its weights.
    pub weight_packing: WeightPacking,
    /// Rows that it makes in one step, where there is room.
    pub rows_per_step: usize,
    /// Its scratch memory: offset and bytes in the arena.
    pub scratch: (usize, usize),
}

/// A memory of several that a model's arena is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRegion {
    /// Its name, one to twelve printable ASCII characters.
    pub name: String,
    /// Bytes of it that hold rows and scratch memory, a multiple of sixteen.
    pub bytes: usize,
}

/// Everything that an image says, owned and editable.
///
/// Encoding and decoding are inverse: `Model::decode(&model.encode()?.parse()?) == model`.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Bytes of arena that the plan needs.
    pub arena_bytes: usize,
    /// Tensors; tensor 0 is the input, tensor `k + 1` is made by op `k`.
    pub tensors: Vec<Tensor>,
    /// Ops in running order.
    pub ops: Vec<ModelOp>,
    /// Number of ops of each segment.
    pub segments: Vec<usize>,
    /// The classifier.
    pub head: Option<usize>,
    /// How pixels become codes.
    pub preprocess: Option<PreprocessRecord>,
    /// Names of the classes, or nothing.
    pub labels: Vec<String>,
    /// Names of all tensors, then of all ops, or nothing.
    pub names: Vec<String>,
    /// Real step of one code of each tensor, or nothing.
    pub tensor_scale: Vec<f32>,
    /// The memories that the arena is made of, in the order of addresses; nothing if it is a single one.
    pub regions: Vec<ModelRegion>,
}

/// Why a model cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The image would break a rule of the format.
    Rule(ParseError),
    /// A number, name or label does not fit its field.
    DoesNotFit,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::Rule(rule) => {
                write!(f, "the model breaks a rule of the image format: {rule}")
            }
            EncodeError::DoesNotFit => {
                f.write_str("a number or name of the model does not fit the image format")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

/// Sixteen bytes at a multiple of sixteen.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
struct Block([u8; ALIGNMENT]);

/// The bytes of an image in memory that is aligned as [`Image::parse`] wants it.
#[derive(Clone)]
pub struct ImageBuffer {
    blocks: Vec<Block>,
    bytes: usize,
}

impl ImageBuffer {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut blocks = vec![Block([0; ALIGNMENT]); bytes.len().div_ceil(ALIGNMENT)];
        blocks.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        ImageBuffer {
            blocks,
            bytes: bytes.len(),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.blocks.as_bytes()[..self.bytes]
    }

    /// The image in the buffer.
    ///
    /// # Errors
    /// As [`Image::parse`], and [`ParseError::TrailingBytes`]: a file ends where its image ends.
    pub fn parse(&self) -> Result<Image<'_>, ParseError> {
        let image = Image::parse(self.bytes())?;
        match image.bytes().len() {
            needed if needed == self.bytes => Ok(image),
            needed => Err(ParseError::TrailingBytes {
                needed,
                got: self.bytes,
            }),
        }
    }
}

impl Model {
    /// Reads an image into an editable model.
    pub fn decode(image: &Image<'_>) -> Model {
        let owned = |at: usize, channels: &ChannelsRef<'_>| Channels {
            weights: channels.weights.to_vec(),
            bias: channels.bias.to_vec(),
            multiplier: channels.multiplier.to_vec(),
            shift: channels.shift.to_vec(),
            clamp: channels.clamp,
            weight_scale: image
                .weight_scales(at)
                .map(Iterator::collect)
                .unwrap_or_default(),
        };
        let op = |at: usize| {
            image.op(at).map(|op| ModelOp {
                body: op
                    .body
                    .map_storage(|channels| owned(at, channels), |&&table| Box::new(table)),
                inputs: op.inputs,
                weight_packing: op.weight_packing,
                rows_per_step: op.rows_per_step,
                scratch: op.scratch,
            })
        };
        Model {
            arena_bytes: image.arena_bytes(),
            tensors: (0..image.tensor_count())
                .map(|at| image.tensor(at))
                .collect(),
            ops: (0..image.op_count()).filter_map(op).collect(),
            segments: image.segments().map(|segment| segment.ops.len()).collect(),
            head: image.head(),
            preprocess: image.preprocess().copied(),
            labels: image.labels().map(ToString::to_string).collect(),
            names: image.names().map(ToString::to_string).collect(),
            tensor_scale: (0..image.tensor_count())
                .filter_map(|at| image.tensor_scale(at))
                .collect(),
            regions: image
                .regions()
                .map(|region| ModelRegion {
                    name: region.name.to_string(),
                    bytes: region.bytes,
                })
                .collect(),
        }
    }

    /// The bytes of the image. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`EncodeError`] where the model breaks a rule of the format: what is returned has been parsed and compared.
    pub fn encode(&self) -> Result<ImageBuffer, EncodeError> {
        let buffer = ImageBuffer::new(&self.bytes());
        let image = Image::parse(buffer.bytes()).map_err(EncodeError::Rule)?;
        if Model::decode(&image) == *self {
            Ok(buffer)
        } else {
            Err(EncodeError::DoesNotFit)
        }
    }

    /// The bytes, with numbers that do not fit their field cut off.
    fn bytes(&self) -> Vec<u8> {
        let mut weights = Vec::new();
        let mut params = Vec::new();
        let mut ops = Vec::new();
        for op in &self.ops {
            let offset = encode_params(&op.body, &mut params, &mut weights);
            let [first, second] = op.inputs.map(|input| U16::new(input as u16));
            let second = if op.body.kind().input_count() == 2 {
                second
            } else {
                U16::new(NONE)
            };
            let record = OpRecord {
                kind: op.body.kind() as u8,
                weight_packing: op.weight_packing as u8,
                inputs: [first, second],
                rows_per_step: U16::new(op.rows_per_step as u16),
                params_offset: number(offset),
                scratch_offset: number(op.scratch.0),
                scratch_bytes: number(op.scratch.1),
                reserved: U32::ZERO,
            };
            ops.extend_from_slice(record.as_bytes());
        }
        let mut sections = Vec::new();
        let mut put = |kind: SectionKind, required: bool, bytes: Vec<u8>| {
            sections.push((kind, required, bytes))
        };
        put(
            SectionKind::Tensors,
            true,
            self.tensors.iter().flat_map(tensor_bytes).collect(),
        );
        put(SectionKind::Ops, true, ops);
        put(SectionKind::Params, true, params);
        let segments = self
            .segments
            .iter()
            .flat_map(|&ops| (ops as u16).to_le_bytes())
            .collect();
        put(SectionKind::Segments, true, segments);
        put(SectionKind::Weights, true, weights);
        if let Some(preprocess) = &self.preprocess {
            put(
                SectionKind::Preprocess,
                false,
                preprocess.as_bytes().to_vec(),
            );
        }
        if !self.labels.is_empty() {
            put(SectionKind::Labels, false, text(&self.labels));
        }
        if !self.names.is_empty() {
            put(SectionKind::Names, false, text(&self.names));
        }
        if !self.tensor_scale.is_empty() {
            put(SectionKind::Scales, false, self.scales());
        }
        if !self.regions.is_empty() {
            // Required: a reader that does not know regions would take their borders for nothing.
            let regions = self.regions.iter().flat_map(region_bytes).collect();
            put(SectionKind::Regions, true, regions);
        }
        self.assemble(&sections)
    }

    fn scales(&self) -> Vec<u8> {
        let of_weights = self
            .ops
            .iter()
            .filter_map(|op| op.body.channels())
            .flat_map(|c| &c.weight_scale);
        self.tensor_scale
            .iter()
            .chain(of_weights)
            .flat_map(|scale| scale.to_le_bytes())
            .collect()
    }

    fn assemble(&self, sections: &[(SectionKind, bool, Vec<u8>)]) -> Vec<u8> {
        let mut image = vec![0; size_of::<Header>() + sections.len() * size_of::<SectionRecord>()];
        let mut table = Vec::new();
        for (kind, required, bytes) in sections {
            align(&mut image, ALIGNMENT);
            let record = SectionRecord {
                kind: U16::new(*kind as u16),
                required: U16::new((*required).into()),
                offset: number(image.len()),
                bytes: number(bytes.len()),
                reserved: U32::ZERO,
            };
            table.extend_from_slice(record.as_bytes());
            image.extend_from_slice(bytes);
        }
        align(&mut image, ALIGNMENT);
        let mut header = Header {
            magic: MAGIC,
            crc: U32::ZERO,
            image_bytes: number(image.len()),
            version: U16::new(VERSION),
            section_count: U16::new(sections.len() as u16),
            arena_bytes: number(self.arena_bytes),
            op_count: U16::new(self.ops.len() as u16),
            segment_count: U16::new(self.segments.len() as u16),
            head_op: U16::new(self.head.map_or(NONE, |head| head as u16)),
            reserved: [0; 6],
        };
        image.splice(
            size_of::<Header>()..size_of::<Header>() + table.len(),
            table,
        );
        for crc in [0, 1] {
            // First with any checksum, then with the one of what stands there.
            if crc == 1 {
                header.crc = U32::new(Crc32::of(&image[CRC_FROM..]));
            }
            image.splice(..size_of::<Header>(), header.as_bytes().iter().copied());
        }
        image
    }
}

/// Appends the parameters and weights of an op; the offset of the parameters.
fn encode_params(body: &Body<Channels>, params: &mut Vec<u8>, weights: &mut Vec<u8>) -> usize {
    let offset = params.len();
    match body {
        Body::Conv2d { window, channels } => {
            let channels = encode_channels(channels, weights);
            let record = ConvRecord {
                channels,
                window: *window,
                depth_multiplier: U16::new(1),
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::Depthwise {
            window,
            depth_multiplier,
            channels,
        } => {
            let channels = encode_channels(channels, weights);
            let depth_multiplier = U16::new(*depth_multiplier);
            params.extend_from_slice(
                ConvRecord {
                    channels,
                    window: *window,
                    depth_multiplier,
                }
                .as_bytes(),
            );
        }
        Body::Pointwise { channels } | Body::Dense { channels } => {
            params.extend_from_slice(encode_channels(channels, weights).as_bytes());
        }
        Body::Add {
            factors,
            output_factor,
            clamp,
        } => {
            let record = AddRecord {
                factors: factors.map(factor),
                output_factor: factor(*output_factor),
                clamp: *clamp,
                reserved: U16::ZERO,
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::AveragePool { window, clamp } | Body::MaxPool { window, clamp } => {
            params.extend_from_slice(
                PoolRecord {
                    window: *window,
                    clamp: *clamp,
                }
                .as_bytes(),
            );
        }
        Body::GlobalAveragePool {
            bias,
            factor: f,
            clamp,
        } => {
            let record = GlobalAveragePoolRecord {
                bias: I32::new(*bias),
                factor: factor(*f),
                clamp: *clamp,
                reserved: U16::ZERO,
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::Pad { padding } => params.extend_from_slice(padding.as_bytes()),
        Body::Softmax {
            multiplier,
            left_shift,
            difference_min,
        } => {
            let record = SoftmaxRecord {
                multiplier: I32::new(*multiplier),
                left_shift: U32::new(*left_shift),
                difference_min: I32::new(*difference_min),
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::Multiply { factor: f, clamp } => {
            let record = MultiplyRecord {
                factor: factor(*f),
                clamp: *clamp,
                reserved: U16::ZERO,
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::Table { table } => params.extend_from_slice(table.as_bytes()),
        Body::LayerNorm { epsilon, channels } => {
            let record = LayerNormRecord {
                channels: encode_channels(channels, weights),
                epsilon: U64::new(*epsilon),
            };
            params.extend_from_slice(record.as_bytes());
        }
        Body::Concat => {}
    }
    align(params, 4);
    offset
}

fn encode_channels(channels: &Channels, section: &mut Vec<u8>) -> ChannelsRecord {
    // Weights start at a multiple of sixteen, so that wide loads stay inside cache lines and flash words.
    align(section, ALIGNMENT);
    let weights_offset = section.len();
    section.extend(channels.weights.iter().map(|&weight| weight as u8));
    align(section, 4);
    let bias_offset = section.len();
    section.extend(channels.bias.iter().flat_map(|bias| bias.to_le_bytes()));
    let multiplier_offset = section.len();
    section.extend(
        channels
            .multiplier
            .iter()
            .flat_map(|multiplier| multiplier.to_le_bytes()),
    );
    let shift_offset = section.len();
    section.extend(channels.shift.iter().map(|&shift| shift as u8));
    ChannelsRecord {
        weights_offset: number(weights_offset),
        weights_bytes: number(channels.weights.len()),
        bias_offset: number(bias_offset),
        multiplier_offset: number(multiplier_offset),
        shift_offset: number(shift_offset),
        clamp: channels.clamp,
        channels: U16::new(channels.bias.len() as u16),
    }
}

fn tensor_bytes(tensor: &Tensor) -> Vec<u8> {
    let record = TensorRecord {
        h: U16::new(tensor.h as u16),
        w: U16::new(tensor.w as u16),
        c: U16::new(tensor.c as u16),
        zero_point: tensor.zero_point,
        reserved: 0,
        offset: number(tensor.offset),
        rows_held: U16::new(tensor.rows_held as u16),
        reserved2: U16::ZERO,
    };
    record.as_bytes().to_vec()
}

fn region_bytes(region: &ModelRegion) -> Vec<u8> {
    let mut name = [0; 12];
    for (place, byte) in name.iter_mut().zip(region.name.bytes()) {
        *place = byte;
    }
    let record = RegionRecord {
        bytes: number(region.bytes),
        name,
    };
    record.as_bytes().to_vec()
}

fn factor(factor: Factor) -> FactorRecord {
    FactorRecord {
        multiplier: I32::new(factor.multiplier),
        shift: I32::new(factor.shift),
    }
}

fn number(value: usize) -> U32 {
    U32::new(value as u32)
}

fn text(lines: &[String]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| line.bytes().filter(|&byte| byte != b'\n').chain(*b"\n"))
        .collect()
}

fn align(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}
