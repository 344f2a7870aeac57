//! Offsets: what is alive at the same time must not share bytes.

use super::live::{Differences, Item, Owner, clashes, overlaps};
use super::schedule::Flow;

/// Offsets are multiples of this, so that words can be loaded.
const ALIGNMENT: usize = 4;

/// Orders in which items that have to fit are placed.
const TRIES: usize = 400;

/// An item's place relative to another's that is forbidden.
struct Clash {
    other: usize,
    /// This item's offset less the other's.
    differences: Vec<Differences>,
}

/// Items to be placed, and what keeps them apart.
pub struct Puzzle<'i> {
    items: &'i [Item],
    clashes: Vec<Vec<Clash>>,
    /// Bytes alive at the worst moment: the arena cannot be smaller.
    bound: usize,
}

/// Where every item lies.
#[derive(Clone)]
pub struct Packed {
    pub offsets: Vec<usize>,
    pub bytes: usize,
    /// What has been placed, one after the other.
    pub order: Vec<usize>,
}

impl<'i> Puzzle<'i> {
    pub fn new(flow: &Flow<'_>, items: &'i [Item], bound: usize) -> Self {
        let mut puzzle = Puzzle {
            items,
            clashes: items.iter().map(|_| vec![]).collect(),
            bound,
        };
        let mut by_start: Vec<usize> = (0..items.len()).collect();
        by_start.retain(|&at| items[at].life().is_some());
        by_start.sort_by_key(|&at| (items[at].life(), at));
        for (at, &first) in by_start.iter().enumerate() {
            let end = items[first].life().map_or(0, |life| life.1);
            let together = by_start[at + 1..]
                .iter()
                .take_while(|&&second| items[second].life().is_some_and(|life| life.0 < end));
            for &second in together {
                let differences = clashes(&items[first], &items[second]);
                puzzle.forbid(first, second, differences);
            }
        }
        for (scratch, item) in items.iter().enumerate() {
            if let Owner::Scratch(op) = item.owner
                && flow.is_sum(op)
            {
                // The sums of a global pooling stay while rows come and go: a device wants all of it apart.
                let [input, output] = [flow.model.ops[op].inputs[0], op + 1];
                for (first, second) in [(input, output), (input, scratch), (output, scratch)] {
                    puzzle.forbid(first, second, vec![overlaps(&items[first], &items[second])]);
                }
            }
        }
        puzzle
    }

    fn forbid(&mut self, first: usize, second: usize, differences: Vec<Differences>) {
        if differences.is_empty() {
            return;
        }
        let mirrored = differences
            .iter()
            .rev()
            .map(|&(low, high)| (-high, -low))
            .collect();
        self.clashes[first].push(Clash {
            other: second,
            differences: mirrored,
        });
        self.clashes[second].push(Clash {
            other: first,
            differences,
        });
    }

    /// Packs in the order of a few rules; the best.
    pub fn quick(&self) -> Packed {
        let all: Vec<usize> = (0..self.items.len()).collect();
        self.pack(&all)
    }

    /// Packs some of the items, as if there were no others, in the order of a few rules; the best.
    pub fn pack(&self, some: &[usize]) -> Packed {
        let start = |at: usize| self.items[at].life().map_or(0, |life| life.0);
        let length = |at: usize| self.items[at].life().map_or(0, |life| life.1 - life.0);
        let bytes = |at: usize| self.items[at].bytes;
        let falling = |value: usize| usize::MAX - value;
        let mut orders: Vec<Vec<usize>> = vec![some.to_vec(); 5];
        orders[0].sort_by_key(|&at| (falling(bytes(at)), start(at)));
        orders[1].sort_by_key(|&at| (start(at), falling(bytes(at))));
        orders[2].sort_by_key(|&at| (falling(length(at)), falling(bytes(at))));
        orders[3].sort_by_key(|&at| (falling(start(at)), falling(bytes(at))));
        orders[4].sort_by_key(|&at| falling(bytes(at) * (length(at) + 1)));
        let packed = orders
            .into_iter()
            .map(|order| self.place(order, usize::MAX))
            .min_by_key(|packed| packed.bytes);
        packed.unwrap_or(Packed {
            offsets: vec![],
            bytes: 0,
            order: vec![],
        })
    }

    /// Packs some of the items until they fit into `room` bytes, or patience ends.
    pub fn within(&self, some: &[usize], room: usize) -> Packed {
        self.improve_to(self.pack(some), TRIES, room.max(1))
    }

    /// Packs again and again with what lies highest placed earlier; deterministic.
    pub fn improve(&self, best: Packed, tries: usize) -> Packed {
        self.improve_to(best, tries, self.bound.next_multiple_of(ALIGNMENT))
    }

    fn improve_to(&self, mut best: Packed, tries: usize, enough: usize) -> Packed {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound.max(1) as u64) as usize
        };
        for _ in 0..tries {
            if best.bytes <= enough {
                break;
            }
            let top = |&at: &usize| best.offsets[at] + self.items[at].bytes == best.bytes;
            let Some(place) = best.order.iter().position(top) else {
                break;
            };
            let mut order = best.order.clone();
            let highest = order.remove(place);
            order.insert(below(place), highest);
            // Sometimes one of its neighbours moves too.
            let neighbours = &self.clashes[highest];
            if let Some(neighbour) = neighbours.get(below(2 * neighbours.len()))
                && let Some(from) = order.iter().position(|&at| at == neighbour.other)
            {
                let moved = order.remove(from);
                order.insert(below(order.len()), moved);
            }
            let packed = self.place(order, best.bytes);
            if packed.bytes <= best.bytes {
                best = packed;
            }
        }
        best
    }

    /// Places items one after another at the lowest free offset; gives up above `limit`.
    fn place(&self, order: Vec<usize>, limit: usize) -> Packed {
        let mut places: Vec<Option<usize>> = vec![None; self.items.len()];
        let mut taken: Vec<Differences> = vec![];
        let mut bytes = 0;
        for &at in &order {
            taken.clear();
            for clash in &self.clashes[at] {
                if let Some(other) = places[clash.other] {
                    let other = other as i64;
                    let forbidden = clash.differences.iter();
                    taken.extend(forbidden.map(|(low, high)| (other + low, other + high)));
                }
            }
            taken.sort_unstable();
            let mut offset = 0;
            for &(low, high) in &taken {
                if offset < low {
                    break;
                }
                let above = usize::try_from(high + 1).unwrap_or(0);
                offset = offset.max(above.next_multiple_of(ALIGNMENT) as i64);
            }
            places[at] = Some(offset as usize);
            bytes = bytes.max(offset as usize + self.items[at].bytes);
            if bytes > limit {
                bytes = usize::MAX;
                break;
            }
        }
        Packed {
            offsets: places.into_iter().map(|place| place.unwrap_or(0)).collect(),
            bytes,
            order,
        }
    }
}
