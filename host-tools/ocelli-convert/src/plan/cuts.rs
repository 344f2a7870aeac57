//! Where the list of ops is cut into segments.

use std::ops::Range;

use rayon::prelude::*;

use super::estimate::{instructions, rows_alone, weight_bytes};
use super::live::{Owner, bytes_alive, items};
use super::schedule::{Flow, Pull};

/// Ops of a segment, at most: more only cost time to look at.
const SEGMENT_OPS: usize = 64;

/// Ops that stream together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Its ops.
    pub start: usize,
    pub end: usize,
    /// Rows that an op makes in a step; 1 in company.
    pub rows: usize,
}

impl Segment {
    pub fn ops(&self) -> Range<usize> {
        self.start..self.end
    }

    /// One op by itself.
    pub fn alone(op: usize, rows: usize) -> Self {
        Segment {
            start: op,
            end: op + 1,
            rows,
        }
    }
}

/// A segment and what it costs.
#[derive(Clone)]
struct Choice {
    segment: Segment,
    /// Bytes alive at the worst moment.
    live: usize,
    /// The same with whole tensors counted as a whole.
    whole: usize,
    insns: u64,
    /// Bytes of weights read.
    reads: u64,
}

/// All segments that come into question, by their end.
pub struct Cuts {
    /// Choices that end at op `end`, at `[end]`.
    choices: Vec<Vec<Choice>>,
}

impl Cuts {
    /// All segments that start and end where `may_cut` says so; it is asked for every place between two ops.
    pub fn new(flow: &Flow<'_>, may_cut: impl Fn(usize) -> bool + Sync) -> Self {
        let count = flow.model.ops.len();
        let border = |at: usize| at == 0 || at == count || may_cut(at);
        let alone: Vec<Choice> = (0..count)
            .into_par_iter()
            .map(|op| choice(flow, Segment::alone(op, 1)))
            .collect();
        // What needs more memory than single ops do is of no use.
        let limit = alone.iter().map(|choice| choice.live).max().unwrap_or(0);
        let from = |start: usize| {
            let mut found = vec![];
            if !border(start) {
                return found;
            }
            for end in (start + 1..=count).take(SEGMENT_OPS) {
                if !border(end) {
                    continue;
                }
                if end == start + 1 {
                    found.push(alone[start].clone());
                    for rows in rows_alone(flow, start) {
                        found.push(choice(flow, Segment::alone(start, rows)));
                    }
                    continue;
                }
                let made = choice(
                    flow,
                    Segment {
                        start,
                        end,
                        rows: 1,
                    },
                );
                let hopeless = made.live > 2 * limit;
                found.push(made);
                if hopeless {
                    break;
                }
            }
            found
        };
        let found: Vec<Vec<Choice>> = (0..count).into_par_iter().map(from).collect();
        let mut choices = vec![vec![]; count + 1];
        for choice in found.into_iter().flatten() {
            choices[choice.segment.end].push(choice);
        }
        Cuts { choices }
    }

    /// Cuts that promise the smallest arena: by bytes alive, by whole tensors, and what lies between.
    pub fn small(&self) -> Vec<Vec<Segment>> {
        let measures: [Measure; 2] = [|choice| choice.live, |choice| choice.whole];
        let mut found = vec![];
        for [measure, other] in [measures, [measures[1], measures[0]]] {
            let least = self.least_peak(measure, |_| true);
            // An op that makes many rows a step reads weights less often, but is harder to pack.
            let wide = [usize::MAX, 1].into_iter();
            let slacks = [0, 2, 4, 7, 11, 16, 22, 30];
            for (rows, slack) in wide.flat_map(|rows| slacks.map(|slack| (rows, slack))) {
                let limit = least + least * slack / 100;
                let within =
                    |choice: &Choice| measure(choice) <= limit && choice.segment.rows <= rows;
                let peak = self.least_peak(other, within);
                for spare in [0, 3] {
                    let peak = peak + peak * spare / 100;
                    let both = |choice: &Choice| within(choice) && other(choice) <= peak;
                    found.extend(self.least_sum(|choice| choice.reads, both));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Cuts with the fewest instructions, at ever smaller numbers of bytes alive, from the fastest to the smallest.
    pub fn fast(&self) -> Vec<Vec<Segment>> {
        let least = self.least_peak(|choice| choice.live, |_| true);
        let all = self.choices.iter().flatten().map(|choice| choice.live);
        let mut limit = all.max().unwrap_or(0);
        let mut found = vec![];
        while limit >= least {
            let within = |choice: &Choice| choice.live <= limit;
            let Some(segments) = self.least_sum(|choice| choice.insns, within) else {
                break;
            };
            let chosen = segments.iter().filter_map(|segment| self.find(segment));
            let peak = chosen.map(|choice| choice.live).max().unwrap_or(0);
            found.push(segments);
            limit = peak.saturating_sub((peak / 50).max(1));
        }
        found
    }

    fn find(&self, segment: &Segment) -> Option<&Choice> {
        let ending = self.choices[segment.end].iter();
        ending.into_iter().find(|choice| choice.segment == *segment)
    }

    /// The smallest possible worst segment.
    fn least_peak(&self, measure: Measure, usable: impl Fn(&Choice) -> bool) -> usize {
        let worst = self.best(0, |before: usize, choice| {
            usable(choice).then(|| before.max(measure(choice)))
        });
        worst.map_or(0, |(peak, _)| peak)
    }

    /// The smallest sum over segments.
    fn least_sum(
        &self,
        measure: impl Fn(&Choice) -> u64,
        usable: impl Fn(&Choice) -> bool,
    ) -> Option<Vec<Segment>> {
        let best = self.best(0, |before: u64, choice| {
            usable(choice).then(|| before + measure(choice))
        });
        best.map(|(_, segments)| segments)
    }

    /// The least cost of cutting all ops, where `cost` adds a segment to what is before it.
    fn best<C: Ord + Copy>(
        &self,
        start: C,
        cost: impl Fn(C, &Choice) -> Option<C>,
    ) -> Option<(C, Vec<Segment>)> {
        let mut best: Vec<Option<(C, usize, &Segment)>> = vec![None];
        let before = |best: &[Option<(C, usize, &Segment)>], at: usize| match at {
            0 => Some((start, 0)),
            _ => best[at].map(|(cost, segments, _)| (cost, segments)),
        };
        for choices in &self.choices[1..] {
            // Among equals, the fewest segments.
            let least = choices.iter().filter_map(|choice| {
                let (sum, segments) = before(&best, choice.segment.start)?;
                Some((cost(sum, choice)?, segments + 1, &choice.segment))
            });
            let least = least.min();
            best.push(least);
        }
        let (total, _, _) = (*best.last()?)?;
        let mut segments = vec![];
        let mut end = self.choices.len() - 1;
        while end > 0 {
            let (_, _, segment) = best[end]?;
            segments.push(segment.clone());
            end = segment.start;
        }
        segments.reverse();
        Some((total, segments))
    }
}

type Measure = fn(&Choice) -> usize;

fn choice(flow: &Flow<'_>, segment: Segment) -> Choice {
    let ops = segment.ops();
    let mut rows_per_step = vec![1; flow.model.ops.len()];
    if ops.len() == 1 {
        rows_per_step[ops.start] = segment.rows;
    }
    let mut pull = Pull::new(flow, &rows_per_step, None, ops.start);
    pull.segment(ops.clone());
    let made_here = |tensor: usize| match tensor {
        0 => ops.start == 0,
        _ => ops.contains(&(tensor - 1)),
    };
    let held = |(at, tensor): (usize, &ocelli_image::Tensor)| {
        if made_here(at) && !flow.crosses(at, ops.end) {
            pull.rows_needed(at, &ops)
        } else {
            tensor.h
        }
    };
    let rows_held: Vec<usize> = flow.model.tensors.iter().enumerate().map(held).collect();
    let trace = pull.finish();
    let moments = 0..trace.steps.len();
    let mut items = items(flow, &trace, &rows_held);
    let most = |items: &[_]| bytes_alive(items, moments.clone()).into_iter().max();
    let live = most(&items).unwrap_or(0);
    for item in &mut items {
        if matches!(item.owner, Owner::Tensor(_)) {
            for span in &mut item.spans {
                span.bytes = (0, item.bytes);
            }
        }
    }
    let whole = most(&items).unwrap_or(0);
    let passes = |op: usize| flow.totals[op].div_ceil(rows_per_step[op]);
    Choice {
        live,
        whole,
        insns: ops
            .clone()
            .map(|op| instructions(flow, op, rows_per_step[op]))
            .sum(),
        reads: ops
            .clone()
            .map(|op| (weight_bytes(flow.model, op) * passes(op)) as u64)
            .sum(),
        segment,
    }
}
