//! Which bytes are alive when, and how far apart things must lie so as not to hurt each other.

use std::ops::Range;

use super::schedule::{Flow, Trace};

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Tensor(usize),
    Scratch(usize),
}

/// Bytes from the start of an item that are alive during some moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub moments: (usize, usize),
    pub bytes: (usize, usize),
}

/// A tensor or scratch memory, and when it is alive.
#[derive(Clone, Debug)]
pub struct Item {
    pub owner: Owner,
    /// All its bytes, alive or not.
    pub bytes: usize,
    /// In order of time, and apart.
    pub spans: Vec<Span>,
}

impl Item {
    /// First and last moment; none for what is never alive.
    pub fn life(&self) -> Option<(usize, usize)> {
        Some((self.spans.first()?.moments.0, self.spans.last()?.moments.1))
    }

    /// The same, alive as a whole from its first moment to its last.
    pub fn plain(mut self) -> Self {
        if let Some(moments) = self.life() {
            self.spans = vec![Span {
                moments,
                bytes: (0, self.bytes),
            }];
        }
        self
    }

    fn push(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if last.moments.1 == span.moments.0 && last.bytes == span.bytes => {
                last.moments.1 = span.moments.1;
            }
            _ => self.spans.push(span),
        }
    }
}

/// All tensors and scratch memory of a run.
///
/// A ring is alive wholly while any of its rows is. Of a whole tensor, rows that are not made yet and rows that nobody
/// will read again are free.
pub fn items(flow: &Flow<'_>, trace: &Trace, rows_held: &[usize]) -> Vec<Item> {
    let mut items = vec![];
    for (at, tensor) in flow.model.tensors.iter().enumerate() {
        let row = tensor.row_elems();
        let mut item = Item {
            owner: Owner::Tensor(at),
            bytes: rows_held[at] * row,
            spans: vec![],
        };
        for run in &trace.runs[at] {
            let rows = if rows_held[at] < tensor.h {
                (0, rows_held[at])
            } else {
                run.rows
            };
            item.push(Span {
                moments: run.moments,
                bytes: (rows.0 * row, rows.1 * row),
            });
        }
        items.push(item);
    }
    for op in 0..flow.model.ops.len() {
        let bytes = flow.scratch_bytes(op);
        if bytes > 0 {
            let mut item = Item {
                owner: Owner::Scratch(op),
                bytes,
                spans: vec![],
            };
            let whole = (0, bytes);
            if flow.is_sum(op) {
                let span = trace.sums[op].map(|moments| Span {
                    moments,
                    bytes: whole,
                });
                item.spans.extend(span);
            } else {
                for &at in &trace.moments[op] {
                    item.push(Span {
                        moments: (at, at + 1),
                        bytes: whole,
                    });
                }
            }
            items.push(item);
        }
    }
    items
}

/// The bytes alive at each moment: no plan with this schedule needs less than the most of them.
pub fn bytes_alive(items: &[Item], moments: Range<usize>) -> Vec<usize> {
    let mut changes = vec![0i64; moments.len() + 1];
    for span in items.iter().flat_map(|item| &item.spans) {
        let bytes = (span.bytes.1 - span.bytes.0) as i64;
        let inside = |moment: usize| moment.clamp(moments.start, moments.end) - moments.start;
        changes[inside(span.moments.0)] += bytes;
        changes[inside(span.moments.1)] -= bytes;
    }
    let mut alive = 0;
    let running = changes.iter().map(|change| {
        alive += change;
        alive as usize
    });
    running.take(moments.len()).collect()
}

/// Differences of two offsets, inclusive from both ends.
pub type Differences = (i64, i64);

/// The differences of offsets, the second item's less the first's, where a byte of both would be alive at once.
pub fn clashes(first: &Item, second: &Item) -> Vec<Differences> {
    let mut found: Vec<Differences> = vec![];
    let (mut at, mut other) = (0, 0);
    while let (Some(a), Some(b)) = (first.spans.get(at), second.spans.get(other)) {
        if a.moments.0 < b.moments.1 && b.moments.0 < a.moments.1 {
            let low = a.bytes.0 as i64 - b.bytes.1 as i64 + 1;
            let high = a.bytes.1 as i64 - b.bytes.0 as i64 - 1;
            match found.last_mut() {
                Some(last) if low <= last.1 + 1 && last.0 <= high + 1 => {
                    *last = (last.0.min(low), last.1.max(high));
                }
                _ => found.push((low, high)),
            }
        }
        if a.moments.1 <= b.moments.1 {
            at += 1;
        } else {
            other += 1;
        }
    }
    found.sort_unstable();
    let mut merged: Vec<Differences> = vec![];
    for (low, high) in found {
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

/// The differences at which two items share any byte, alive or not.
pub fn overlaps(first: &Item, second: &Item) -> Differences {
    (1 - second.bytes as i64, first.bytes as i64 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last.
    type Pair = (usize, usize);

    fn item(bytes: usize, spans: &[(Pair, Pair)]) -> Item {
        Item {
            owner: Owner::Tensor(0),
            bytes,
            spans: spans
                .iter()
                .map(|&(moments, bytes)| Span { moments, bytes })
                .collect(),
        }
    }

    #[test]
    fn a_whole_output_may_follow_its_input_a_row_below() {
        // Rows of ten bytes: while row r is made, row r of the input is read and the rows before it are free.
        let eaten = [0, 1, 2, 3].map(|r| ((r, r + 1), (10 * r, 40)));
        let made = [0, 1, 2, 3].map(|r| ((r, r + 1), (0, 10 * (r + 1))));
        let (input, output) = (item(40, &eaten), item(40, &made));
        assert_eq!(clashes(&input, &output), [(-9, 39)]);
        assert_eq!(clashes(&output, &input), [(-39, 9)]);
        assert_eq!(overlaps(&input, &output), (-39, 39));
    }

    #[test]
    fn what_is_never_alive_together_may_lie_anywhere() {
        let first = item(8, &[((0, 2), (0, 8)), ((4, 6), (0, 8))]);
        let second = item(8, &[((2, 4), (0, 8)), ((6, 9), (0, 8))]);
        assert!(clashes(&first, &second).is_empty());
        let both = [first, second];
        assert_eq!(bytes_alive(&both, 0..10), [8, 8, 8, 8, 8, 8, 8, 8, 8, 0]);
    }

    #[test]
    fn between_two_forbidden_places_there_may_be_room() {
        // The ends of the first are alive at once; the second fits into its middle.
        let first = item(30, &[((0, 1), (0, 10)), ((1, 2), (20, 30))]);
        let second = item(10, &[((0, 2), (0, 10))]);
        assert_eq!(clashes(&first, &second), [(-9, 9), (11, 29)]);
    }
}
