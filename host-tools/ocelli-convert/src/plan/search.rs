//! From cuts that promise much to the plan that keeps it.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::cuts::{Cuts, Segment};
use super::draft::Draft;
use super::schedule::Flow;

/// Plans that are packed with patience.
const FINALISTS: usize = 24;
/// How often cuts are moved once more.
const ROUNDS: usize = 8;
/// Segments before and after the worst moment whose cuts are moved.
const NEIGHBOURS: usize = 3;

/// Tensors that cross a cut before op `cut`.
pub fn crossing(flow: &Flow<'_>, cut: usize) -> usize {
    (0..=cut)
        .filter(|&tensor| flow.crosses(tensor, cut))
        .count()
}

/// The plan with the smallest arena.
///
/// Packing is not exact: at times it is luckier with fewer cuts to choose from, or with plain lives.
pub fn smallest(flow: &Flow<'_>) -> Draft {
    let best = smallest_with(flow, |_| true);
    let others = [
        smallest_with(flow, |cut| crossing(flow, cut) == 1),
        Draft::layers(flow),
    ];
    others.into_iter().fold(best, |best, other| {
        if key(&other) < key(&best) {
            other
        } else {
            best
        }
    })
}

/// The plan with the smallest arena that is cut only where `may_cut` says so, and of those the one that reads weights least often.
pub fn smallest_with(flow: &Flow<'_>, may_cut: impl Fn(usize) -> bool + Sync) -> Draft {
    let cuts = Cuts::new(flow, &may_cut);
    let mut drafts = drafts(flow, cuts.small());
    drafts.sort_by_key(key);
    drafts.truncate(FINALISTS);
    let mut best = finish(flow, drafts);
    for _ in 0..ROUNDS {
        let mut moved = self::drafts(flow, moves(&best, &may_cut));
        moved.sort_by_key(key);
        moved.truncate(FINALISTS);
        moved.push(best.clone());
        let better = finish(flow, moved);
        if key(&better) >= key(&best) {
            break;
        }
        best = better;
    }
    best
}

/// The smallest of the plans within a percent of the fewest instructions.
pub fn fastest(flow: &Flow<'_>) -> Draft {
    let candidates = candidates(flow, usize::MAX);
    let insns = candidates.iter().map(|draft| draft.instructions(flow));
    let least = insns.min().unwrap_or(0);
    let fast = candidates
        .into_iter()
        .filter(|draft| draft.instructions(flow) <= least + least / 100);
    fast.min_by_key(key).unwrap_or_else(|| Draft::layers(flow))
}

/// The fewest instructions in `bytes`; if there is no such plan, the smallest arena.
pub fn fastest_within(flow: &Flow<'_>, bytes: usize) -> Result<Draft, usize> {
    let candidates = candidates(flow, bytes);
    let least = candidates.iter().map(|draft| draft.packed.bytes).min();
    let fitting = candidates
        .into_iter()
        .filter(|draft| draft.packed.bytes <= bytes);
    let fastest = fitting.min_by_key(|draft| (draft.instructions(flow), draft.packed.bytes));
    fastest.ok_or(least.unwrap_or(0))
}

/// Plans from the fastest to the smallest, most of those left out that cannot do with `bytes`; the smallest is there.
fn candidates(flow: &Flow<'_>, bytes: usize) -> Vec<Draft> {
    let cuts = Cuts::new(flow, |_| true).fast();
    let mut drafts = drafts(flow, cuts);
    drafts.retain(|draft| draft.bound <= bytes);
    let improved = drafts.into_par_iter().map(|draft| draft.improved(flow));
    let mut improved: Vec<Draft> = improved.collect();
    improved.push(smallest(flow));
    let widened = improved.into_par_iter().map(|draft| draft.widened(flow));
    let mut candidates: Vec<Draft> = widened.collect();
    candidates.push(Draft::layers(flow));
    candidates
}

/// Smaller is better.
fn key(draft: &Draft) -> (usize, u64, usize) {
    (draft.packed.bytes, draft.reads, draft.segments.len())
}

fn drafts(flow: &Flow<'_>, cuts: Vec<Vec<Segment>>) -> Vec<Draft> {
    let drafts = cuts.into_par_iter();
    drafts.map(|segments| Draft::new(flow, segments)).collect()
}

/// The best of some plans once they are packed with patience.
fn finish(flow: &Flow<'_>, drafts: Vec<Draft>) -> Draft {
    let improved: Vec<Draft> = drafts
        .into_par_iter()
        .map(|draft| draft.improved(flow))
        .collect();
    improved
        .into_iter()
        .min_by_key(key)
        .unwrap_or_else(|| Draft::layers(flow))
}

/// Cuts that differ from a plan's by one that is taken away, added or moved, near to where its arena is fullest.
fn moves(best: &Draft, may_cut: &impl Fn(usize) -> bool) -> Vec<Vec<Segment>> {
    let count = best.segments.last().map_or(0, |segment| segment.end);
    let worst = best.worst;
    let low = worst.saturating_sub(NEIGHBOURS);
    let high = (worst + NEIGHBOURS).min(best.segments.len() - 1);
    let (from, to) = (best.segments[low].start, best.segments[high].end);
    let now: Vec<usize> = best.segments.iter().map(|segment| segment.start).collect();
    let mut found = vec![];
    let near = |at: &usize| (from..=to).contains(at) && *at > 0 && *at < count;
    for place in (from..=to).filter(near).filter(|&at| may_cut(at)) {
        let mut toggled = now.clone();
        match now.binary_search(&place) {
            Ok(at) => {
                toggled.remove(at);
                // Moved instead of taken away.
                for to in [place - 1, place + 1] {
                    if !now.contains(&to) && to > 0 && to < count && may_cut(to) {
                        let mut moved = toggled.clone();
                        moved.push(to);
                        moved.sort_unstable();
                        found.push(moved);
                    }
                }
            }
            Err(at) => toggled.insert(at, place),
        }
        found.push(toggled);
    }
    found.sort_by_key(|starts| Reverse(starts.len()));
    found.dedup();
    let segments = |starts: Vec<usize>| {
        let ends = starts.iter().skip(1).copied().chain([count]);
        let pairs = starts.iter().zip(ends);
        let rows = |start: usize, end: usize| {
            let same = |segment: &&Segment| segment.start == start && segment.end == end;
            best.segments.iter().find(same).map_or(1, |same| same.rows)
        };
        pairs
            .map(|(&start, end)| Segment {
                start,
                end,
                rows: rows(start, end),
            })
            .collect()
    };
    found.into_iter().map(segments).collect()
}
