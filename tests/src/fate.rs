//! What becomes of an image that nobody vouches for.

use ocelli::{Image, KernelTable, Session, Step, arena_bytes};
use ocelli_image::{Body, ImageBuffer};

use crate::memory::Arena;

/// How far an image came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The door says no.
    Refused,
    /// The session says no.
    NotLoaded,
    /// It ran to its end.
    Ran,
    /// It would run, for longer than a test has time.
    TooLong,
}

static KERNELS: KernelTable = KernelTable::all();

/// Parses an image, makes a session of it and runs that step by step.
///
/// # Panics
/// As [`fate_within`].
pub fn fate(buffer: &ImageBuffer) -> Fate {
    fate_within(buffer, 1 << 26, 10_000_000)
}

/// The same with no more than so many bytes of arena, and about so many products.
///
/// # Panics
/// Where the library does, or where there are more steps than rows.
pub fn fate_within(buffer: &ImageBuffer, arena: usize, products: u64) -> Fate {
    let Ok(image) = Image::parse(buffer.bytes()) else {
        return Fate::Refused;
    };
    let bytes = arena_bytes(&image);
    if bytes > arena {
        return Fate::TooLong;
    }
    let mut arena = Arena::new(bytes);
    let Ok(mut session) = Session::new(&image, arena.bytes(), &KERNELS) else {
        return Fate::NotLoaded;
    };
    if work(&image) > products {
        return Fate::TooLong;
    }
    // Each step makes a row of an op or, in a global pooling, adds one.
    let rows: usize = (0..image.tensor_count()).map(|at| image.tensor(at).h).sum();
    let mut bound = 2 * rows;
    let row = vec![7i8; image.input().row_elems()];
    loop {
        match session.step(&mut ()) {
            Step::Done => return Fate::Ran,
            Step::Ran(_) => bound = bound.checked_sub(1).expect("bounded steps"),
            Step::NeedsRow(_) => {
                session
                    .push_row(row.as_slice(), &mut ())
                    .expect("a needed row");
            }
        }
    }
}

/// About how many products and codes a run touches.
fn work(image: &Image<'_>) -> u64 {
    let op = |at| {
        let tensors = [at + 1, image.op(at).map_or(0, |op| op.inputs[0])];
        let elems = tensors.map(|tensor| image.tensor(tensor).elems() as u64);
        let body = image.op(at).map(|op| op.body)?;
        let products = match (body.channels(), body) {
            (Some(channels), _) => channels.weights.len().div_ceil(image.tensor(at + 1).c),
            (None, Body::AveragePool { window, .. } | Body::MaxPool { window, .. }) => {
                usize::from(window.filter_h) * usize::from(window.filter_w)
            }
            (None, _) => 1,
        };
        Some(elems[1] + elems[0] * products as u64)
    };
    (0..image.op_count()).filter_map(op).sum()
}
