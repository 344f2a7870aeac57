//! Memory as a session wants it, runs in it, and eyes on what it does.

use ocelli::{Image, KernelTable, Observer, OpDigests, Session, arena_bytes};
use ocelli_image::Model;
use zerocopy::IntoBytes;

/// Bytes that start at a multiple of sixteen and are full of garbage.
pub struct Arena {
    blocks: Vec<u128>,
    bytes: usize,
}

impl Arena {
    /// An arena of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let garbage = 0xa5c3_1e78_96d2_4bf0_5a3c_e187_692d_b40f;
        Arena {
            blocks: vec![garbage; bytes.div_ceil(16)],
            bytes,
        }
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.blocks.as_mut_bytes()[..self.bytes]
    }
}

static KERNELS: KernelTable = KernelTable::all();

/// Runs a model once under its plan: digests of all ops, and the output.
///
/// # Panics
/// If a device would refuse the plan.
pub fn run(model: &Model, input: &[i8]) -> (Vec<u32>, Vec<i8>) {
    let buffer = model.encode().expect("a valid model");
    let image: Image<'_> = buffer.parse().expect("a valid image");
    let mut arena = Arena::new(arena_bytes(&image));
    let session = Session::new(&image, arena.bytes(), &KERNELS);
    digested(session.expect("a plan that works"), &image, input)
}

/// Runs a session once: digests of all ops, and the output.
pub fn digested(mut session: Session<'_>, image: &Image<'_>, input: &[i8]) -> (Vec<u32>, Vec<i8>) {
    let mut digests = vec![0; image.op_count()];
    session
        .run_codes(input, &mut OpDigests::new(&mut digests))
        .expect("an input of the right size");
    (digests, session.output().to_vec())
}

/// Collects every row that every op makes, and insists on row order.
pub struct Rows {
    /// Codes of a row, by op.
    row_elems: Vec<usize>,
    /// What each op has made.
    pub made: Vec<Vec<i8>>,
}

impl Rows {
    /// Nothing collected yet.
    pub fn new(row_elems: Vec<usize>) -> Self {
        let made = vec![vec![]; row_elems.len()];
        Rows { row_elems, made }
    }
}

impl Observer for Rows {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        assert_eq!(
            self.made[op].len(),
            first_row * self.row_elems[op],
            "op {op} makes its rows in order"
        );
        assert_eq!(
            rows.len() % self.row_elems[op],
            0,
            "op {op} makes whole rows"
        );
        self.made[op].extend_from_slice(rows);
    }
}
