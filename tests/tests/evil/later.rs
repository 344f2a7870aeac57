//! The kinds of ops that came to version 1 later: their rules at the door, and what a session says to them.

use ocelli::{LoadError, ShapeError};
use ocelli_image::{Body, Model, ParseError, SectionKind};
use ocelli_kernels::Operand;
use ocelli_tests::surgery::{Surgery, channels, op, section};

use crate::wounds::Wound;

/// Wounds of the golden image of the later kinds.
pub fn wounds() -> Vec<Wound> {
    use ParseError as E;
    use SectionKind as K;
    vec![
        (
            "the first kind that is not known",
            |s| s.set(s.op(1) + op::KIND, &[14]),
            E::OpKind { at: 1, got: 14 },
        ),
        (
            "reserved bytes of a multiplication",
            |s| s.set_u16(s.params(3) + 10, 1 << 15),
            E::Reserved,
        ),
        (
            "a multiplication with one input",
            |s| s.set_u16(s.op(2) + op::INPUTS + 2, u16::MAX),
            E::OpInput { at: 2 },
        ),
        (
            "a concatenation with one input",
            |s| s.set_u16(s.op(5) + op::INPUTS + 2, u16::MAX),
            E::OpInput { at: 5 },
        ),
        (
            "a concatenation of what it makes",
            |s| s.set_u16(s.op(5) + op::INPUTS + 2, 6),
            E::OpInput { at: 5 },
        ),
        (
            "a table with two inputs",
            |s| s.set_u16(s.op(0) + op::INPUTS + 2, 0),
            E::OpInput { at: 0 },
        ),
        (
            "a layer norm with two inputs",
            |s| s.set_u16(s.op(4) + op::INPUTS + 2, 4),
            E::OpInput { at: 4 },
        ),
        (
            "a table that ends outside",
            |s| params_before_end(s, 0, 255),
            E::OpParams { at: 0 },
        ),
        (
            "a table at the end of memory",
            |s| s.set_u32(s.op(0) + op::PARAMS, u32::MAX),
            E::OpParams { at: 0 },
        ),
        (
            "a multiplication whose parameters end outside",
            |s| params_before_end(s, 2, 11),
            E::OpParams { at: 2 },
        ),
        (
            "a layer norm whose parameters end outside",
            |s| params_before_end(s, 4, 31),
            E::OpParams { at: 4 },
        ),
        (
            "a concatenation whose parameters, though none, lie outside",
            |s| {
                let end = s.section(K::Params).len() as u32;
                s.set_u32(s.op(5) + op::PARAMS, end + 1);
            },
            E::OpParams { at: 5 },
        ),
        (
            "weights of a layer norm that end outside",
            |s| s.set_u32(s.params(4) + channels::WEIGHTS + 4, u32::MAX),
            E::OpWeights { at: 4 },
        ),
        (
            "biases of a layer norm that lie askew",
            |s| {
                let at = s.params(4) + channels::BIAS;
                s.set_u32(at, s.u32(at) - 1);
            },
            E::OpWeights { at: 4 },
        ),
        (
            "a scale of a layer norm too few",
            |s| {
                let at = s.entry(K::Scales) + section::LENGTH;
                s.set_u32(at, s.u32(at) - 4);
            },
            E::SectionSize { kind: K::Scales },
        ),
    ]
}

/// Moves the parameters of an op so that so many bytes are left for them.
fn params_before_end(s: &mut Surgery, at: usize, bytes: u32) {
    let end = s.section(SectionKind::Params).len() as u32;
    s.set_u32(s.op(at) + op::PARAMS, end - bytes);
}

/// What is changed in a model.
pub type Change = fn(&mut Model);

/// Changes of the golden model of the later kinds that make well-made images, and what a session says to them.
pub fn changes() -> Vec<(Change, LoadError)> {
    let refused = |at, error| LoadError::Op { at, error };
    let extent = |at, operand, needed, got| LoadError::Op {
        at,
        error: ShapeError::Extent {
            operand,
            needed,
            got,
        },
    };
    vec![
        (
            |m| m.tensors[1].c = 3,
            extent(0, Operand::OutputChannels, 4, 3),
        ),
        (
            // The gate comes second.
            |m| m.ops[2].inputs = [2, 1],
            extent(2, Operand::OutputHeight, 1, 4),
        ),
        (
            |m| m.tensors[2].c = 3,
            extent(1, Operand::OutputChannels, 4, 3),
        ),
        (
            |m| {
                if let Body::Multiply { factor, .. } = &mut m.ops[3].body {
                    factor.shift = 15;
                }
            },
            refused(3, ShapeError::Accumulator { at: 0 }),
        ),
        (
            |m| {
                if let Body::Multiply { clamp, .. } = &mut m.ops[3].body {
                    clamp.reverse();
                }
            },
            refused(3, ShapeError::Clamp),
        ),
        (
            |m| m.tensors[3].offset = m.tensors[0].offset,
            LoadError::Overlap { at: 3 },
        ),
        (
            |m| {
                if let Body::LayerNorm { epsilon, .. } = &mut m.ops[4].body {
                    *epsilon = 1 << 62;
                }
            },
            refused(4, ShapeError::Epsilon),
        ),
        (
            |m| {
                if let Body::LayerNorm { channels, .. } = &mut m.ops[4].body {
                    channels.bias[2] = i32::MIN;
                }
            },
            refused(4, ShapeError::Accumulator { at: 2 }),
        ),
        (
            |m| m.ops[5].inputs = [5, 2],
            extent(5, Operand::OutputHeight, 1, 4),
        ),
        (
            |m| m.tensors[6].c = 7,
            extent(5, Operand::OutputChannels, 8, 7),
        ),
        (
            |m| m.ops[5].rows_per_step = 3,
            LoadError::Ring {
                at: 5,
                needed: 3,
                got: 2,
            },
        ),
    ]
}
