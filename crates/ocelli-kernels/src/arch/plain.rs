//! Portable inner loops. The compiler makes SIMD of them where the target has it.

/// What `backend()` reports.
pub(crate) const NAME: &str = "plain";

/// `acc` plus the products of two runs of codes; the shorter one ends it.
#[inline(always)]
pub(crate) fn dot(acc: i32, a: &[i8], b: &[i8]) -> i32 {
    // Integer sums may be taken in any order: this is what lets the compiler use wide registers.
    a.iter().zip(b).fold(acc, |acc, (&a, &b)| {
        acc.wrapping_add(i32::from(a) * i32::from(b))
    })
}

/// The sum of a run of codes.
#[inline(always)]
pub(crate) fn sum(codes: &[i8]) -> i32 {
    codes
        .iter()
        .fold(0, |acc, &code| acc.wrapping_add(code.into()))
}
