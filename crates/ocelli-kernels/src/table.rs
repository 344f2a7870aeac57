//! Any function of single codes, by a table.

use crate::error::ShapeError;
use crate::geometry::Shape;
use crate::rows::Rows;

/// What a table op is made from; input and output have one shape.
#[derive(Clone, Copy, Debug)]
pub struct TableParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Output code of each input code, from -128 on.
    pub table: &'a [i8; 256],
}

/// A function of single codes: sigmoid, SiLU, hard-swish, GELU, or a change of scale.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(TableParams<'a>);

impl<'a> Table<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where the extents disagree.
    pub fn new(params: TableParams<'a>) -> Result<Self, ShapeError> {
        if params.input.has_zero() {
            return Err(ShapeError::Zero);
        }
        params.input.expect(params.output)?;
        Ok(Table(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: TableParams<'a>) -> Self {
        Table(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let rows = output.len().checked_div(p.output.row_elems()).unwrap_or(0);
        let [head, tail] = input.runs(first_row, rows);
        for (&source, code) in head.iter().chain(tail).zip(output) {
            // The table begins with code -128.
            *code = p.table[usize::from((source as u8) ^ 0x80)];
        }
    }
}
