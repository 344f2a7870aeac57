//! What a session refuses: images that are well made and cannot run here.

use std::collections::BTreeSet;

use ocelli::{Family, KernelTable, LoadError, OpKind, Session, ShapeError, arena_bytes};
use ocelli_image::{Body, Model};
use ocelli_kernels::Operand;
use ocelli_tests::golden;
use ocelli_tests::memory::Arena;

use crate::later::{self, Change};
use crate::regions;

/// What a session with all kernels and enough memory says to a model that has been changed.
fn load(mut model: Model, change: impl Fn(&mut Model)) -> Result<(), LoadError> {
    change(&mut model);
    let buffer = model.encode().expect("a well-made image");
    let image = buffer.parse().expect("a well-made image");
    let mut arena = Arena::new(arena_bytes(&image));
    Session::new(&image, arena.bytes(), &KernelTable::all()).map(|_| ())
}

fn reason(error: LoadError) -> usize {
    match error {
        LoadError::Arena { .. } => 0,
        LoadError::ArenaMisaligned => 1,
        LoadError::Kernel { .. } => 2,
        LoadError::Op { .. } => 3,
        LoadError::Ring { .. } => 4,
        LoadError::Overlap { .. } => 5,
        LoadError::Scratch { .. } => 6,
        LoadError::Region { .. } => 7,
    }
}

#[test]
fn each_reason_is_named_and_every_one_occurs() {
    let extent = |at, operand, needed, got| LoadError::Op {
        at,
        error: ShapeError::Extent {
            operand,
            needed,
            got,
        },
    };
    let changes: [(Change, LoadError); 18] = [
        (
            |m| m.tensors[0].rows_held = 2,
            LoadError::Ring {
                at: 0,
                needed: 3,
                got: 2,
            },
        ),
        (
            // Two rows of a depthwise convolution of three rows read four.
            |m| m.tensors[1].rows_held = 3,
            LoadError::Ring {
                at: 1,
                needed: 4,
                got: 3,
            },
        ),
        (
            |m| m.tensors[4].offset = m.tensors[3].offset + 47,
            LoadError::Overlap { at: 3 },
        ),
        (
            |m| m.tensors[3].offset = m.tensors[1].offset,
            LoadError::Overlap { at: 3 },
        ),
        (|m| m.ops[7].scratch.0 = 30, LoadError::Overlap { at: 7 }),
        (
            |m| m.ops[7].scratch = (38, 16),
            LoadError::Overlap { at: 7 },
        ),
        (
            |m| m.ops[7].scratch.1 = 15,
            LoadError::Scratch {
                at: 7,
                needed: 16,
                got: 15,
            },
        ),
        (
            |m| m.tensors[2].w = 5,
            extent(1, Operand::OutputWidth, 6, 5),
        ),
        (
            |m| m.ops[2].body = m.ops[8].body.clone(),
            extent(2, Operand::OutputHeight, 1, 6),
        ),
        (
            |m| m.ops[3].inputs = [1, 2],
            extent(3, Operand::OutputChannels, 8, 4),
        ),
        (
            |m| m.tensors[8].w = 2,
            extent(7, Operand::OutputWidth, 1, 2),
        ),
        (
            |m| {
                m.tensors[9].c = 6;
            },
            extent(8, Operand::Weights, 24, 20),
        ),
        (
            |m| {
                if let Body::MaxPool { window, .. } = &mut m.ops[5].body {
                    window.dilation_w = 2;
                    m.tensors[6].w = 2;
                }
            },
            LoadError::Op {
                at: 5,
                error: ShapeError::Dilation,
            },
        ),
        (
            |m| {
                if let Body::Pad { padding } = &mut m.ops[4].body {
                    padding.left = 3;
                }
            },
            extent(4, Operand::OutputWidth, 9, 8),
        ),
        (
            |m| {
                if let Body::Dense { channels } = &mut m.ops[8].body {
                    channels.bias[3] = i32::MAX;
                }
            },
            LoadError::Op {
                at: 8,
                error: ShapeError::Accumulator { at: 3 },
            },
        ),
        (
            |m| {
                if let Body::Add { factors, .. } = &mut m.ops[3].body {
                    factors[1].shift = 1;
                }
            },
            LoadError::Op {
                at: 3,
                error: ShapeError::Requant { at: 1 },
            },
        ),
        (
            |m| {
                if let Body::AveragePool { clamp, .. } = &mut m.ops[6].body {
                    *clamp = [5, 4];
                }
            },
            LoadError::Op {
                at: 6,
                error: ShapeError::Clamp,
            },
        ),
        (
            |m| {
                if let Body::Softmax { left_shift, .. } = &mut m.ops[9].body {
                    *left_shift = u32::MAX;
                }
            },
            LoadError::Op {
                at: 9,
                error: ShapeError::Requant { at: 0 },
            },
        ),
    ];
    let mut seen = BTreeSet::new();
    for (model, changes) in [
        (golden::model(), changes.to_vec()),
        (golden::later::model(), later::changes()),
    ] {
        assert_eq!(load(model.clone(), |_| ()), Ok(()));
        for (number, (change, error)) in changes.into_iter().enumerate() {
            assert_eq!(load(model.clone(), change), Err(error), "change {number}");
            seen.insert(reason(error));
        }
    }
    let others = [refused_places(), refused_kernels(), regions::refused()];
    for error in others.into_iter().flatten() {
        seen.insert(reason(error));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), Vec::from_iter(0..8));
}

/// Arenas that are too small by any number of bytes, or askew.
fn refused_places() -> Vec<LoadError> {
    let buffer = golden::model().encode().expect("a well-made image");
    let image = buffer.parse().expect("a well-made image");
    let needed = arena_bytes(&image);
    let kernels = KernelTable::all();
    let mut arena = Arena::new(needed + 16);
    let mut errors = vec![];
    for got in 0..needed {
        let error = LoadError::Arena { needed, got };
        let refused = Session::new(&image, &mut arena.bytes()[..got], &kernels);
        assert_eq!(refused.err(), Some(error));
        errors.push(error);
    }
    for shift in 1..16 {
        let refused = Session::new(&image, &mut arena.bytes()[shift..], &kernels);
        assert_eq!(refused.err(), Some(LoadError::ArenaMisaligned));
    }
    assert!(Session::new(&image, arena.bytes(), &kernels).is_ok());
    errors.push(LoadError::ArenaMisaligned);
    errors
}

/// Tables that lack one family.
fn refused_kernels() -> Vec<LoadError> {
    let families = [
        Family::CONV_2D,
        Family::DEPTHWISE,
        Family::POINTWISE,
        Family::DENSE,
        Family::ADD,
        Family::AVERAGE_POOL,
        Family::MAX_POOL,
        Family::GLOBAL_AVERAGE_POOL,
        Family::PAD,
        Family::SOFTMAX,
        Family::MULTIPLY,
        Family::TABLE,
        Family::LAYER_NORM,
        Family::CONCAT,
    ];
    let models = [golden::model(), golden::later::model()];
    let without = |kind: OpKind| {
        let mut kernels = KernelTable::new();
        for (other, family) in OpKind::ALL.into_iter().zip(families) {
            if other != kind {
                kernels = kernels.with(family);
            }
        }
        let of_kind = |model: &Model| model.ops.iter().position(|op| op.body.kind() == kind);
        let (model, at) = models
            .iter()
            .find_map(|model| Some((model, of_kind(model)?)))
            .expect("every kind occurs");
        let buffer = model.encode().expect("a well-made image");
        let image = buffer.parse().expect("a well-made image");
        let error = LoadError::Kernel { at, kind };
        let mut arena = Arena::new(arena_bytes(&image));
        let refused = Session::new(&image, arena.bytes(), &kernels);
        assert_eq!(refused.err(), Some(error));
        error
    };
    OpKind::ALL.map(without).to_vec()
}
