//! The mutations: one place of the golden image changed, and the rule that this breaks.

use ocelli_image::{ParseError, SectionKind};
use ocelli_tests::surgery::{Surgery, channels, header, op, section, tensor};

/// A wound, the checksum made right behind it, and what the door must say.
pub type Wound = (&'static str, fn(&mut Surgery), ParseError);

const fn size(kind: SectionKind) -> ParseError {
    ParseError::SectionSize { kind }
}

/// Makes a section shorter.
fn shorten(s: &mut Surgery, kind: SectionKind, by: u32) {
    let at = s.entry(kind) + section::LENGTH;
    s.set_u32(at, s.u32(at) - by);
}

/// Turns a section into one of another kind.
fn rename(s: &mut Surgery, from: SectionKind, to: u16, required: u16) {
    let at = s.entry(from);
    s.set_u16(at + section::KIND, to);
    s.set_u16(at + section::REQUIRED, required);
}

/// At least one wound for every rule that is looked at behind the checksum.
pub fn wounds() -> Vec<Wound> {
    use ParseError as E;
    use SectionKind as K;
    vec![
        ("magic", |s| s.set(header::MAGIC, b"OCLJ"), E::Magic),
        (
            "a newer version",
            |s| s.set_u16(header::VERSION, 2),
            E::Version {
                supported: 1,
                got: 2,
            },
        ),
        (
            "version zero",
            |s| s.set_u16(header::VERSION, 0),
            E::Version {
                supported: 1,
                got: 0,
            },
        ),
        (
            "reserved bytes of the header",
            |s| s.set(header::RESERVED + 5, &[1]),
            E::Reserved,
        ),
        (
            "reserved bytes of a section",
            |s| s.set_u32(s.entry(K::Labels) + section::RESERVED, 1 << 31),
            E::Reserved,
        ),
        (
            "a section that is neither required nor not",
            |s| s.set_u16(s.entry(K::Labels) + section::REQUIRED, 2),
            E::Reserved,
        ),
        (
            "the first reserved byte of a tensor",
            |s| s.set(s.tensor(10) + tensor::RESERVED, &[1]),
            E::Reserved,
        ),
        (
            "the last reserved byte of a tensor",
            |s| s.set(s.tensor(10) + tensor::BYTES - 1, &[1]),
            E::Reserved,
        ),
        (
            "reserved bytes of an op",
            |s| s.set_u32(s.op(9) + op::RESERVED, 1),
            E::Reserved,
        ),
        (
            "reserved bytes of an addition",
            |s| s.set_u16(s.params(3) + 26, 1),
            E::Reserved,
        ),
        (
            "reserved bytes of a global pooling",
            |s| s.set_u16(s.params(7) + 14, 1),
            E::Reserved,
        ),
        (
            "a table of sections that is longer than the file",
            |s| s.set_u16(header::SECTION_COUNT, 1000),
            E::TooShort {
                needed: header::BYTES + 1000 * section::BYTES,
                got: 2400,
            },
        ),
        (
            "a section that ends outside",
            |s| s.set_u32(s.entry(K::Scales) + section::LENGTH, 1 << 20),
            E::SectionBounds { at: 8 },
        ),
        (
            "a section that starts at the end of memory",
            |s| s.set_u32(s.entry(K::Tensors) + section::OFFSET, 0xffff_fff0),
            E::SectionBounds { at: 0 },
        ),
        (
            "a section that starts askew",
            |s| {
                let at = s.entry(K::Params) + section::OFFSET;
                s.set_u32(at, s.u32(at) + 4);
            },
            E::SectionAlignment { at: 2 },
        ),
        (
            "an unknown section that must be known",
            |s| rename(s, K::Names, 11, 1),
            E::SectionUnknown { kind: 11 },
        ),
        (
            "section zero",
            |s| rename(s, K::Names, 0, 1),
            E::SectionUnknown { kind: 0 },
        ),
        (
            "the last section twice",
            |s| rename(s, K::Labels, K::Scales as u16, 0),
            E::SectionTwice { kind: K::Scales },
        ),
        (
            "no tensors",
            |s| rename(s, K::Tensors, 99, 0),
            E::SectionMissing { kind: K::Tensors },
        ),
        (
            "no ops",
            |s| rename(s, K::Ops, 99, 0),
            E::SectionMissing { kind: K::Ops },
        ),
        (
            "no parameters",
            |s| rename(s, K::Params, 99, 0),
            E::SectionMissing { kind: K::Params },
        ),
        (
            "no segments",
            |s| rename(s, K::Segments, 99, 0),
            E::SectionMissing { kind: K::Segments },
        ),
        (
            "no weights",
            |s| rename(s, K::Weights, 99, 0),
            E::SectionMissing { kind: K::Weights },
        ),
        (
            "too few tensors",
            |s| shorten(s, K::Tensors, tensor::BYTES as u32),
            size(K::Tensors),
        ),
        (
            "half a tensor",
            |s| shorten(s, K::Tensors, 8),
            size(K::Tensors),
        ),
        (
            "more ops than records",
            |s| {
                let at = s.entry(K::Tensors) + section::LENGTH;
                s.set_u32(at, s.u32(at) + tensor::BYTES as u32);
                s.set_u16(header::OP_COUNT, 11);
            },
            size(K::Ops),
        ),
        (
            "more segments than records",
            |s| s.set_u16(header::SEGMENT_COUNT, 4),
            size(K::Segments),
        ),
        (
            "a preprocessing that is too short",
            |s| shorten(s, K::Preprocess, 1),
            size(K::Preprocess),
        ),
        (
            "half a scale",
            |s| shorten(s, K::Scales, 2),
            size(K::Scales),
        ),
        (
            "a scale too few",
            |s| shorten(s, K::Scales, 4),
            size(K::Scales),
        ),
        ("no op", |s| s.set_u16(header::OP_COUNT, 0), E::Empty),
        (
            "a tensor without rows",
            |s| s.set_u16(s.tensor(3) + tensor::H, 0),
            E::TensorExtent { at: 3 },
        ),
        (
            "a tensor without columns",
            |s| s.set_u16(s.tensor(3) + tensor::H + 2, 0),
            E::TensorExtent { at: 3 },
        ),
        (
            "a tensor without channels",
            |s| s.set_u16(s.tensor(3) + tensor::H + 4, 0),
            E::TensorExtent { at: 3 },
        ),
        (
            "a tensor that holds nothing",
            |s| s.set_u16(s.tensor(5) + tensor::ROWS_HELD, 0),
            E::RowsHeld { at: 5 },
        ),
        (
            "a tensor that holds more rows than it has",
            |s| s.set_u16(s.tensor(5) + tensor::ROWS_HELD, 9),
            E::RowsHeld { at: 5 },
        ),
        (
            "a tensor that ends outside the arena",
            |s| s.set_u32(header::ARENA_BYTES, 619),
            E::TensorBounds { at: 6 },
        ),
        (
            "a tensor at the end of memory",
            |s| s.set_u32(s.tensor(0) + tensor::OFFSET, u32::MAX),
            E::TensorBounds { at: 0 },
        ),
        (
            "a tensor of more than 31 bits, of which little is held",
            |s| {
                let at = s.tensor(1);
                s.set_u16(at + tensor::H, 65_535);
                s.set_u16(at + tensor::H + 2, 65_535);
                s.set_u16(at + tensor::ROWS_HELD, 1);
                s.set_u32(header::ARENA_BYTES, u32::MAX);
            },
            E::TensorBounds { at: 1 },
        ),
        (
            "a ring that another segment reads",
            |s| s.set_u16(s.tensor(6) + tensor::ROWS_HELD, 2),
            E::TensorNotWhole { at: 6 },
        ),
        (
            "an input in a ring that a later segment reads",
            |s| s.set_u16(s.op(6) + op::INPUTS, 0),
            E::TensorNotWhole { at: 0 },
        ),
        (
            "an output of which not all is held",
            |s| s.set_u16(s.tensor(10) + tensor::H, 2),
            E::TensorNotWhole { at: 10 },
        ),
        (
            "an embedding of which not all is held",
            |s| s.set_u16(s.tensor(8) + tensor::H, 2),
            E::TensorNotWhole { at: 8 },
        ),
        (
            "an unknown kind of op",
            |s| s.set(s.op(4) + op::KIND, &[99]),
            E::OpKind { at: 4, got: 99 },
        ),
        (
            "weights in an unknown order",
            |s| s.set(s.op(0) + op::PACKING, &[2]),
            E::OpPacking { at: 0 },
        ),
        (
            "pairs of what has no weights",
            |s| s.set(s.op(4) + op::PACKING, &[1]),
            E::OpPacking { at: 4 },
        ),
        (
            "an op that reads what it makes",
            |s| s.set_u16(s.op(4) + op::INPUTS, 5),
            E::OpInput { at: 4 },
        ),
        (
            "an addition with one input",
            |s| s.set_u16(s.op(3) + op::INPUTS + 2, u16::MAX),
            E::OpInput { at: 3 },
        ),
        (
            "an op with one input too many",
            |s| s.set_u16(s.op(4) + op::INPUTS + 2, 0),
            E::OpInput { at: 4 },
        ),
        (
            "an op that makes no rows",
            |s| s.set_u16(s.op(0) + op::ROWS_PER_STEP, 0),
            E::OpRowsPerStep { at: 0 },
        ),
        (
            "parameters that end outside",
            |s| {
                let end = s.section(K::Params).len() as u32;
                s.set_u32(s.op(9) + op::PARAMS, end - 11);
            },
            E::OpParams { at: 9 },
        ),
        (
            "parameters at the end of memory",
            |s| s.set_u32(s.op(0) + op::PARAMS, u32::MAX),
            E::OpParams { at: 0 },
        ),
        (
            "weights that end outside",
            |s| s.set_u32(s.params(0) + channels::WEIGHTS + 4, u32::MAX),
            E::OpWeights { at: 0 },
        ),
        (
            "weights at the end of memory",
            |s| s.set_u32(s.params(2) + channels::WEIGHTS, u32::MAX),
            E::OpWeights { at: 2 },
        ),
        (
            "biases that lie askew",
            |s| {
                let at = s.params(8) + channels::BIAS;
                s.set_u32(at, s.u32(at) - 2);
            },
            E::OpWeights { at: 8 },
        ),
        (
            "shifts that end outside",
            |s| {
                let end = s.section(K::Weights).len() as u32;
                s.set_u32(s.params(1) + channels::SHIFT, end - 7);
            },
            E::OpWeights { at: 1 },
        ),
        (
            "more channels than there is room for",
            |s| s.set_u16(s.params(8) + channels::COUNT, u16::MAX),
            E::OpWeights { at: 8 },
        ),
        (
            "scratch memory that ends outside the arena",
            |s| s.set_u32(s.op(7) + op::SCRATCH, 605),
            E::OpScratch { at: 7 },
        ),
        (
            "scratch memory at the end of memory",
            |s| {
                s.set_u32(s.op(7) + op::SCRATCH, u32::MAX);
                s.set_u32(s.op(7) + op::SCRATCH + 4, u32::MAX);
            },
            E::OpScratch { at: 7 },
        ),
        (
            "segments that are less than the ops",
            |s| s.set_u16(s.section(K::Segments).start + 4, 2),
            E::Segments,
        ),
        (
            "segments that are more than the ops",
            |s| s.set_u16(s.section(K::Segments).start + 4, u16::MAX),
            E::Segments,
        ),
        (
            "a segment without ops",
            |s| s.set_u16(s.section(K::Segments).start, 0),
            E::Segments,
        ),
        (
            "a classifier that is a pool",
            |s| s.set_u16(header::HEAD_OP, 6),
            E::Head,
        ),
        (
            "a classifier behind the last op",
            |s| s.set_u16(header::HEAD_OP, 10),
            E::Head,
        ),
        (
            "labels that are no text",
            |s| s.set(s.section(K::Labels).start, &[0xff]),
            E::Text { kind: K::Labels },
        ),
        (
            "a label too many",
            |s| s.set(s.section(K::Labels).start, b"\n"),
            E::Text { kind: K::Labels },
        ),
        (
            "a name too few",
            |s| s.set(s.section(K::Names).start + "tensor.0".len(), b" "),
            E::Text { kind: K::Names },
        ),
        (
            "an unknown resize filter",
            |s| s.set(s.section(K::Preprocess).start + 770, &[2]),
            E::Preprocess,
        ),
        (
            "a photo of no size",
            |s| s.set_u16(s.section(K::Preprocess).start + 768, 0),
            E::Preprocess,
        ),
        (
            "reserved bytes of the preprocessing",
            |s| s.set(s.section(K::Preprocess).start + 771, &[1]),
            E::Preprocess,
        ),
        (
            "pixels for an input without three channels",
            |s| s.set_u16(s.tensor(0) + tensor::H + 4, 2),
            E::Preprocess,
        ),
        (
            "a scale of zero",
            |s| s.set_u32(s.section(K::Scales).start + 4, 0),
            E::Scale,
        ),
        (
            "a negative scale",
            |s| s.set_u32(s.section(K::Scales).start + 4, (-1f32).to_bits()),
            E::Scale,
        ),
        (
            "an infinite scale",
            |s| s.set_u32(s.section(K::Scales).start + 4, f32::INFINITY.to_bits()),
            E::Scale,
        ),
        (
            "a scale that is no number",
            |s| s.set_u32(s.section(K::Scales).start + 4, f32::NAN.to_bits()),
            E::Scale,
        ),
    ]
}
