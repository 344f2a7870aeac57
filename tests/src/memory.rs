//! Memory as a session wants it, and eyes on what it does.

use ocelli::Observer;
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
