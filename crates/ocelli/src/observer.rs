//! Who looks on while a network runs.

/// Looks at every row that is made, in row order for each op.
pub trait Observer {
    /// Op `op` has made adjoining rows of its output, from `first_row` on.
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]);
}

/// Looks at nothing.
impl Observer for () {
    fn rows(&mut self, _op: usize, _first_row: usize, _rows: &[i8]) {}
}

/// Looks through another's eyes.
impl<O: Observer> Observer for &mut O {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        (**self).rows(op, first_row, rows);
    }
}

/// Looks if there is somebody to look.
impl<O: Observer> Observer for Option<O> {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        if let Some(observer) = self {
            observer.rows(op, first_row, rows);
        }
    }
}
