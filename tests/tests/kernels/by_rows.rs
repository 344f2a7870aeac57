//! Runs a kernel in every way in which an executor may.

use std::ops::Range;

use ocelli_kernels::{Padding, Rows, Window};
use ocelli_tests::random::Random;
use ocelli_tests::reference::Map;

/// What output memory is full of before a kernel runs.
const GUARD: i8 = 0x55;
/// Codes on each side of the output that a kernel must leave alone.
const GUARDS: usize = 24;

/// Demands the expected tensor of a kernel: rows one by one, two at a time and all at once; the input whole, and in
/// rings that may wrap and hold garbage beside the rows that are needed.
///
/// `needs` says which input rows make some output rows.
pub fn check(
    input: &Map,
    expected: &Map,
    needs: impl Fn(Range<usize>) -> Range<usize>,
    mut run: impl FnMut(&Rows<'_>, usize, &mut [i8]),
    random: &mut Random,
    case: impl std::fmt::Debug,
) {
    let row = expected.row_elems();
    for step in [1, 2, expected.h] {
        for first in (0..expected.h).step_by(step) {
            let rows = first..(first + step).min(expected.h);
            let needed = needs(rows.clone());
            let whole = Rows::whole(&input.codes, input.row_elems());
            let held = random.size(needed.len().max(1)..=input.h);
            let ring = ring(input, &needed, held, random);
            for (place, given) in [("whole", whole), ("ring", ring.rows(&needed))] {
                let mut output = vec![GUARD; rows.len() * row + 2 * GUARDS];
                run(
                    &given,
                    first,
                    &mut output[GUARDS..GUARDS + rows.len() * row],
                );
                let (before, rest) = output.split_at(GUARDS);
                let (made, behind) = rest.split_at(rows.len() * row);
                let wanted = &expected.codes[rows.start * row..rows.end * row];
                assert_eq!(
                    made, wanted,
                    "rows {rows:?} from a {place} of {held}: {case:?}"
                );
                assert!(
                    before.iter().chain(behind).all(|&code| code == GUARD),
                    "codes around the output: {case:?}"
                );
            }
        }
    }
}

/// The input rows that a window reads, tap by tap.
pub fn window_rows(window: Window, input_h: usize) -> impl Fn(Range<usize>) -> Range<usize> {
    move |rows| {
        let taps = rows.flat_map(|r| {
            (0..window.filter_h).map(move |tap| r * window.stride_h + tap * window.dilation_h)
        });
        let inside: Vec<usize> = taps
            .filter_map(|padded| padded.checked_sub(window.padding.top))
            .filter(|&row| row < input_h)
            .collect();
        match (inside.iter().min(), inside.iter().max()) {
            (Some(&first), Some(&last)) => first..last + 1,
            _ => 0..0,
        }
    }
}

struct Ring {
    codes: Vec<i8>,
    row_elems: usize,
    held: usize,
}

/// Rows `needed` of the input at their places in a ring of `held` rows; garbage everywhere else.
fn ring(input: &Map, needed: &Range<usize>, held: usize, random: &mut Random) -> Ring {
    let row_elems = input.row_elems();
    let mut codes = random.codes(held * row_elems);
    for r in needed.clone() {
        let slot = r % held * row_elems;
        codes[slot..slot + row_elems]
            .copy_from_slice(&input.codes[r * row_elems..(r + 1) * row_elems]);
    }
    Ring {
        codes,
        row_elems,
        held,
    }
}

impl Ring {
    fn rows(&self, needed: &Range<usize>) -> Rows<'_> {
        let slot = needed.start % self.held;
        let head = needed.len().min(self.held - slot);
        let rows = |slot: usize, rows: usize| {
            &self.codes[slot * self.row_elems..(slot + rows) * self.row_elems]
        };
        let spans = [rows(slot, head), rows(0, needed.len() - head)];
        Rows::new(needed.start, self.row_elems, spans)
    }
}

/// Every filter up to `filter` by `filter` with every padding that is smaller than it.
pub fn every_padding(filter: usize, mut window: impl FnMut(Window)) {
    for (filter_h, filter_w) in (1..=filter).flat_map(|h| (1..=filter).map(move |w| (h, w))) {
        for (top, bottom) in (0..filter_h).flat_map(|a| (0..filter_h).map(move |b| (a, b))) {
            for (left, right) in (0..filter_w).flat_map(|a| (0..filter_w).map(move |b| (a, b))) {
                window(Window {
                    filter_h,
                    filter_w,
                    padding: Padding {
                        top,
                        bottom,
                        left,
                        right,
                    },
                    ..Window::POINT
                });
            }
        }
    }
}

/// Extents in which a window fits at least once, small.
pub fn small_extents(window: &Window, random: &mut Random) -> (usize, usize) {
    let p = window.padding;
    let least_h = window.filter_h.saturating_sub(p.top + p.bottom).max(1);
    let least_w = window.filter_w.saturating_sub(p.left + p.right).max(1);
    (
        random.size(least_h..=least_h + 3),
        random.size(least_w..=least_w + 3),
    )
}
