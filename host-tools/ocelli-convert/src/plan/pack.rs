//! Offsets: items that are alive at the same time must not share bytes.

use std::ops::Range;

/// Offsets are multiples of this, so that words can be loaded.
const ALIGNMENT: usize = 4;

/// Whose memory an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Tensor(usize),
    Scratch(usize),
}

/// Bytes that are needed during some segments.
#[derive(Clone, Debug)]
pub struct Item {
    pub owner: Owner,
    pub bytes: usize,
    pub segments: Range<usize>,
}

/// What items are placed by, lowest first.
type Order = fn(&Item) -> (usize, usize);

/// Places every item at the lowest free offset, trying several orders; the offsets and the bytes of all.
pub fn pack(items: &[Item]) -> (Vec<usize>, usize) {
    let by_size: Order = |item: &Item| (usize::MAX - item.bytes, item.segments.start);
    let by_time: Order = |item: &Item| (item.segments.start, usize::MAX - item.bytes);
    let by_length: Order =
        |item: &Item| (usize::MAX - item.segments.len(), usize::MAX - item.bytes);
    let packed = [by_size, by_time, by_length].map(|order| first_fit(items, order));
    packed
        .into_iter()
        .min_by_key(|(_, bytes)| *bytes)
        .unwrap_or_default()
}

fn first_fit(items: &[Item], key: Order) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| (key(&items[at]), items[at].owner));
    let mut offsets = vec![0; items.len()];
    let mut placed: Vec<usize> = vec![];
    let mut total = 0;
    for at in order {
        let item = &items[at];
        let together = |other: &Item| {
            other.segments.start < item.segments.end && item.segments.start < other.segments.end
        };
        let mut taken: Vec<Range<usize>> = placed
            .iter()
            .filter(|&&other| together(&items[other]))
            .map(|&other| offsets[other]..offsets[other] + items[other].bytes)
            .collect();
        taken.sort_by_key(|range| range.start);
        let mut offset = 0;
        for range in taken {
            if offset + item.bytes <= range.start {
                break;
            }
            offset = offset.max(range.end.next_multiple_of(ALIGNMENT));
        }
        offsets[at] = offset;
        total = total.max(offset + item.bytes);
        placed.push(at);
    }
    (offsets, total)
}
