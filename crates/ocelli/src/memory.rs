//! The arena: one memory, or several that count as one range of addresses.

use core::ops::Range;

use ocelli_image::{Image, MAX_REGIONS};
use zerocopy::FromBytes;

use crate::error::LoadError;
use crate::session::state_bytes;

/// Bytes of memory that a session of this model needs: activations, scratch and the executor's state.
pub fn arena_bytes(image: &Image<'_>) -> usize {
    image.arena_bytes().saturating_add(state_bytes(image))
}

/// Bytes that [`Session::in_regions`](crate::Session::in_regions) needs of each memory, in the image's order.
///
/// All but the first are 0 for a model that was planned for a single memory. The last one used has the executor's state.
pub fn region_bytes(image: &Image<'_>) -> [usize; MAX_REGIONS] {
    let mut needed = [0; MAX_REGIONS];
    let mut last = 0;
    if let Some(first) = needed.first_mut() {
        *first = image.arena_bytes();
    }
    for (at, (region, place)) in image.regions().zip(&mut needed).enumerate() {
        *place = region.bytes;
        last = at;
    }
    if let Some(last) = needed.get_mut(last) {
        *last = last.saturating_add(state_bytes(image));
    }
    needed
}

/// Activations and scratch memory, by their addresses.
///
/// Nothing lies across a border of regions: the image was checked.
#[derive(Default)]
pub(crate) struct Memory<'a> {
    regions: [&'a mut [i8]; MAX_REGIONS],
}

impl<'a> Memory<'a> {
    /// Cuts the activations from one memory; they and what lies behind.
    pub(crate) fn whole(
        image: &Image<'_>,
        arena: &'a mut [u8],
    ) -> Result<(Self, &'a mut [u8]), LoadError> {
        let (needed, got) = (arena_bytes(image), arena.len());
        let mut memory = Memory::default();
        let mut rest: &mut [u8] = &mut [];
        if let Some(place) = memory.regions.first_mut() {
            let error = LoadError::Arena { needed, got };
            (*place, rest) = cut(arena, image.arena_bytes(), needed, error)?;
        }
        Ok((memory, rest))
    }

    /// Cuts the activations from several memories; they and what lies behind the last ones.
    pub(crate) fn in_regions(
        image: &Image<'_>,
        given: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(Self, &'a mut [u8]), LoadError> {
        let mut given = given.into_iter();
        let count = image.regions().count();
        if count == 0 {
            return Memory::whole(image, given.next().unwrap_or_default());
        }
        let mut memory = Memory::default();
        let mut rest: &mut [u8] = &mut [];
        let places = memory.regions.iter_mut().zip(region_bytes(image));
        for (at, (region, (place, needed))) in image.regions().zip(places).enumerate() {
            let memory = given.next().unwrap_or_default();
            let got = memory.len();
            let error = LoadError::Region { at, needed, got };
            (*place, rest) = cut(memory, region.bytes, needed, error)?;
        }
        Ok((memory, rest))
    }

    /// The bytes at some addresses; none outside.
    pub(crate) fn get(&self, range: Range<usize>) -> &[i8] {
        let mut start = 0;
        for region in &self.regions {
            if let Some(found) = local(&range, start).and_then(|range| region.get(range)) {
                return found;
            }
            start += region.len();
        }
        &[]
    }

    /// The bytes at some addresses, to be changed; none outside.
    pub(crate) fn get_mut(&mut self, range: Range<usize>) -> &mut [i8] {
        let mut start = 0;
        for region in &mut self.regions {
            let len = region.len();
            if let Some(found) = local(&range, start).and_then(|range| region.get_mut(range)) {
                return found;
            }
            start += len;
        }
        &mut []
    }

    /// The bytes at ranges of addresses that share none; what is empty lies anywhere.
    pub(crate) fn get_disjoint_mut<const N: usize>(
        &mut self,
        ranges: [Range<usize>; N],
    ) -> Option<[&mut [i8]; N]> {
        if self.regions.iter().skip(1).all(|region| region.is_empty()) {
            let [first, ..] = &mut self.regions;
            return first.get_disjoint_mut(ranges).ok();
        }
        let mut found = [(); N].map(|()| -> &mut [i8] { &mut [] });
        let mut start = 0;
        for region in &mut self.regions {
            let len = region.len();
            let inside = |range: Range<usize>| {
                local(&range, start).filter(|range| !range.is_empty() && range.end <= len)
            };
            let here = ranges.clone().map(|range| inside(range).unwrap_or(0..0));
            for (place, slice) in found.iter_mut().zip(region.get_disjoint_mut(here).ok()?) {
                if !slice.is_empty() {
                    *place = slice;
                }
            }
            start += len;
        }
        Some(found)
    }
}

/// Addresses counted from the start of a region, if they do not begin before it.
fn local(range: &Range<usize>, start: usize) -> Option<Range<usize>> {
    Some(range.start.checked_sub(start)?..range.end.checked_sub(start)?)
}

/// The first `bytes` bytes of a memory, and the others.
fn cut(
    memory: &mut [u8],
    bytes: usize,
    needed: usize,
    error: LoadError,
) -> Result<(&mut [i8], &mut [u8]), LoadError> {
    if !memory.is_empty() && memory.as_ptr().align_offset(16) != 0 {
        return Err(LoadError::ArenaMisaligned);
    }
    if memory.len() < needed {
        return Err(error);
    }
    let (rows, rest) = memory.split_at_mut_checked(bytes).ok_or(error)?;
    Ok((<[i8]>::mut_from_bytes(rows).map_err(|_| error)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_on_from_one_region_to_the_next() {
        let [mut a, mut b] = [[1, 2, 3, 4], [5, 6, 7, 8]];
        let mut memory = Memory {
            regions: [&mut a, &mut [], &mut b, &mut []],
        };
        assert_eq!(memory.get(1..3), [2, 3]);
        assert_eq!(memory.get_mut(4..6), [5, 6]);
        let found = memory.get_disjoint_mut([6..8, 0..0, 2..4, 4..6]);
        let found = found.expect("four ranges that share nothing");
        assert_eq!(found, [&[7, 8][..], &[], &[3, 4], &[5, 6]]);
    }

    #[test]
    fn what_crosses_a_border_or_is_shared_is_not_given() {
        let [mut a, mut b] = [[1, 2, 3, 4], [5, 6, 7, 8]];
        let mut memory = Memory {
            regions: [&mut a, &mut b, &mut [], &mut []],
        };
        assert!(memory.get(3..5).is_empty() && memory.get_mut(7..9).is_empty());
        let crossing = memory.get_disjoint_mut([3..5, 0..1]);
        assert_eq!(crossing.expect("disjoint"), [&[][..], &[1]]);
        assert!(memory.get_disjoint_mut([5..7, 6..8]).is_none());
    }
}
