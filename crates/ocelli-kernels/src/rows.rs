//! Where the rows of a tensor lie.

/// Some adjoining rows of a tensor, in at most two places.
///
/// A ring of rows wraps around at most once, so two slices describe any run of its rows. Kernels ask for a row by its
/// number in the tensor; a row outside the tensor, or not in memory, is `None` and means padding.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    first: i32,
    row_elems: usize,
    spans: [&'a [i8]; 2],
}

impl<'a> Rows<'a> {
    /// Rows from number `first` on, `row_elems` codes each, in `spans[0]` and then in `spans[1]`.
    pub const fn new(first: usize, row_elems: usize, spans: [&'a [i8]; 2]) -> Self {
        Rows {
            first: first as i32,
            row_elems,
            spans,
        }
    }

    /// A tensor that lies in one piece.
    pub const fn whole(codes: &'a [i8], row_elems: usize) -> Self {
        Rows {
            first: 0,
            row_elems,
            spans: [codes, &[]],
        }
    }

    /// Row `r` of the tensor, or `None` where it is padding.
    #[inline]
    pub fn row(&self, r: i32) -> Option<&'a [i8]> {
        self.adjoining(r, 1)
    }

    /// Rows `r..r + rows`, where they are in memory and adjoin.
    #[inline]
    pub(crate) fn adjoining(&self, r: i32, rows: usize) -> Option<&'a [i8]> {
        let at = usize::try_from(r.checked_sub(self.first)?)
            .ok()?
            .checked_mul(self.row_elems)?;
        let elems = rows.checked_mul(self.row_elems)?;
        match at.checked_sub(self.spans[0].len()) {
            None => piece(self.spans[0], at, elems),
            Some(at) => piece(self.spans[1], at, elems),
        }
    }

    /// Rows `r..r + rows` as at most two runs of adjoining codes.
    pub fn runs(&self, r: usize, rows: usize) -> [&'a [i8]; 2] {
        let skip = (r as i32).wrapping_sub(self.first).max(0) as usize;
        let (at, elems) = (
            skip.wrapping_mul(self.row_elems),
            rows.wrapping_mul(self.row_elems),
        );
        let head = self.spans[0].get(at..).unwrap_or(&[]);
        let head = head.get(..elems).unwrap_or(head);
        let at = at.saturating_sub(self.spans[0].len());
        let tail = piece(self.spans[1], at, elems.wrapping_sub(head.len())).unwrap_or(&[]);
        [head, tail]
    }
}

#[inline]
fn piece(codes: &[i8], at: usize, elems: usize) -> Option<&[i8]> {
    codes.get(at..)?.get(..elems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_wrapped_ring_are_found_by_their_number() {
        // Rows 4, 5, 6 of a ring of three rows of two codes: row 6 lies at the start, 4 and 5 behind it.
        let ring = [60, 61, 40, 41, 50, 51];
        let rows = Rows::new(4, 2, [&ring[2..], &ring[..2]]);
        assert_eq!(rows.row(3), None);
        assert_eq!(rows.row(4), Some(&[40, 41][..]));
        assert_eq!(rows.row(5), Some(&[50, 51][..]));
        assert_eq!(rows.row(6), Some(&[60, 61][..]));
        assert_eq!(rows.row(7), None);
        assert_eq!(rows.row(-1), None);
        assert_eq!(rows.adjoining(4, 2), Some(&[40, 41, 50, 51][..]));
        assert_eq!(rows.adjoining(5, 2), None);
        assert_eq!(rows.adjoining(3, 2), None);
        assert_eq!(rows.runs(5, 2), [&[50, 51][..], &[60, 61][..]]);
        assert_eq!(rows.runs(4, 2), [&[40, 41, 50, 51][..], &[][..]]);
        assert_eq!(rows.runs(6, 1), [&[][..], &[60, 61][..]]);
    }
}
