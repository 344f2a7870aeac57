//! What a session refuses.

use core::fmt;

use ocelli_image::OpKind;
use ocelli_kernels::ShapeError;

/// Why a session cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// The arena is too small.
    Arena {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// A memory of several is missing or too small.
    Region {
        /// Its number, in the image's order.
        at: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// The arena, or a region of it, does not start at a multiple of sixteen.
    ArenaMisaligned,
    /// The kernel table lacks a family that the model needs.
    Kernel {
        /// Number of the op.
        at: usize,
        /// The missing family.
        kind: OpKind,
    },
    /// The numbers of an op contradict each other.
    Op {
        /// Number of the op.
        at: usize,
        /// What is wrong.
        error: ShapeError,
    },
    /// A tensor holds fewer rows than an op reads at once.
    Ring {
        /// Number of the op.
        at: usize,
        /// Rows needed.
        needed: usize,
        /// Rows held.
        got: usize,
    },
    /// Input, output or scratch memory of an op share bytes.
    Overlap {
        /// Number of the op.
        at: usize,
    },
    /// An op has too little scratch memory.
    Scratch {
        /// Number of the op.
        at: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes planned.
        got: usize,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LoadError::Arena { needed, got } => {
                write!(f, "arena: {needed} bytes needed, {got} given")
            }
            LoadError::Region { at, needed, got } => {
                write!(f, "memory region {at}: {needed} bytes needed, {got} given")
            }
            LoadError::ArenaMisaligned => {
                f.write_str("the arena or a region of it does not start at a multiple of 16 bytes")
            }
            LoadError::Kernel { at, kind } => {
                write!(
                    f,
                    "op {at} needs the kernels of {}, which are not linked",
                    kind.name()
                )
            }
            LoadError::Op { at, error } => write!(f, "op {at}: {error}"),
            LoadError::Ring { at, needed, got } => {
                write!(
                    f,
                    "op {at} reads {needed} rows at once, its input holds {got}"
                )
            }
            LoadError::Overlap { at } => write!(f, "the memory of op {at} overlaps"),
            LoadError::Scratch { at, needed, got } => {
                write!(
                    f,
                    "op {at}: {needed} bytes of scratch needed, {got} planned"
                )
            }
        }
    }
}

impl core::error::Error for LoadError {}

/// Why an input is not taken. The session is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InputError {
    /// A row or an input has the wrong number of elements.
    Length {
        /// Elements needed.
        needed: usize,
        /// Elements given.
        got: usize,
    },
    /// No row is needed now: all have come, or an op has to run first.
    NotNeeded,
    /// The model does not say how pixels become codes.
    NoPreprocess,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            InputError::Length { needed, got } => {
                write!(f, "{needed} input elements needed, {got} given")
            }
            InputError::NotNeeded => f.write_str("no input row is needed now"),
            InputError::NoPreprocess => f.write_str("the model has no preprocessing for pixels"),
        }
    }
}

impl core::error::Error for InputError {}
