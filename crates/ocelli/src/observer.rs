//! Who looks on while a network runs.

/// Looks at every row that is made, in row order for each op.
pub trait Observer {
    /// Op `op` has made adjoining rows of its output, from `first_row` on.
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]);

    /// The kernel of op `op` is called for a step now; for those who measure.
    fn starts(&mut self, _op: usize) {}

    /// That call has ended; what it made is shown after this.
    fn ends(&mut self, _op: usize) {}
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

    fn starts(&mut self, op: usize) {
        (**self).starts(op);
    }

    fn ends(&mut self, op: usize) {
        (**self).ends(op);
    }
}

/// Looks if there is somebody to look.
impl<O: Observer> Observer for Option<O> {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        if let Some(observer) = self {
            observer.rows(op, first_row, rows);
        }
    }

    fn starts(&mut self, op: usize) {
        if let Some(observer) = self {
            observer.starts(op);
        }
    }

    fn ends(&mut self, op: usize) {
        if let Some(observer) = self {
            observer.ends(op);
        }
    }
}
