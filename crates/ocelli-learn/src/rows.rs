//! Slices cut into rows.

/// Parts of `elems` elements; the last may be shorter.
///
/// Unlike `chunks`, it never divides by `elems`, so that no path to a panic is left where the compiler
/// cannot see that `elems` is not 0. With 0 there are no rows.
#[inline]
pub(crate) fn rows<T>(mut values: &[T], elems: usize) -> impl Iterator<Item = &[T]> {
    core::iter::from_fn(move || {
        let elems = elems.min(values.len());
        values.split_off(..elems).filter(|row| !row.is_empty())
    })
}

/// The same, to write to.
#[inline]
pub(crate) fn rows_mut<T>(mut values: &mut [T], elems: usize) -> impl Iterator<Item = &mut [T]> {
    core::iter::from_fn(move || {
        let elems = elems.min(values.len());
        values.split_off_mut(..elems).filter(|row| !row.is_empty())
    })
}
