//! Milliseconds of this machine, on one thread.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use ocelli::{Observer, Session};
use serde::Serialize;

use super::Found;
use crate::model::Model;

/// Runs that are made at least, however long they take.
const RUNS: usize = 5;

/// The whole inference.
#[derive(Serialize)]
pub struct Inference {
    best_ms: f64,
    median_ms: f64,
    runs: usize,
}

/// An op's kernel, at its best.
#[derive(Serialize)]
pub struct Millis {
    pub ms: f64,
}

/// Runs inferences for so many seconds; every second one has a clock read around every call of a kernel.
pub fn time(model: &Model<'_>, seconds: u64) -> Result<Found<Inference, Millis>> {
    let input = model.image.input();
    // As on the boards: rows that are all alike, of any codes.
    let row = (0..input.row_elems()).map(|at| (at as u8).wrapping_mul(31).cast_signed());
    let codes = row.collect::<Vec<_>>().repeat(input.h);
    let ops = model.image.op_count();
    let (mut runs, best) = model
        .session(|session| measure(session, &codes, ops, Duration::from_secs(seconds)))?
        .map_err(|error| model.input_error(error))?;
    runs.sort();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Found {
        backend: ocelli::backend().to_string(),
        whole: Inference {
            best_ms: runs.first().copied().map_or(0.0, ms),
            median_ms: runs.get(runs.len() / 2).copied().map_or(0.0, ms),
            runs: runs.len(),
        },
        ops: best
            .iter()
            .map(|op| (Millis { ms: ms(op.took) }, op.steps))
            .collect(),
    })
}

/// The times of all runs, and the shortest of each op.
fn measure(
    session: &mut Session<'_>,
    codes: &[i8],
    ops: usize,
    limit: Duration,
) -> Result<(Vec<Duration>, Vec<OpTime>), ocelli::InputError> {
    let mut runs = Vec::new();
    let mut best: Vec<OpTime> = Vec::new();
    let started = Instant::now();
    session.run_codes(codes, &mut ())?;
    while runs.len() < RUNS || started.elapsed() < limit {
        let run = Instant::now();
        session.run_codes(codes, &mut ())?;
        runs.push(run.elapsed());
        let mut clock = Clock {
            started: run,
            ops: vec![OpTime::default(); ops],
        };
        session.run_codes(codes, &mut clock)?;
        if best.is_empty() {
            best = clock.ops;
        } else {
            let both = best.iter_mut().zip(clock.ops);
            both.for_each(|(best, op)| best.took = best.took.min(op.took));
        }
    }
    Ok((runs, best))
}

#[derive(Clone, Default)]
struct OpTime {
    took: Duration,
    steps: u32,
}

/// Times every call of a kernel.
struct Clock {
    started: Instant,
    ops: Vec<OpTime>,
}

impl Observer for Clock {
    fn rows(&mut self, _op: usize, _first_row: usize, _rows: &[i8]) {}

    fn starts(&mut self, _op: usize) {
        self.started = Instant::now();
    }

    fn ends(&mut self, op: usize) {
        let took = self.started.elapsed();
        self.ops[op].took += took;
        self.ops[op].steps += 1;
    }
}

impl fmt::Display for Inference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "best          {:.4} ms", self.best_ms)?;
        writeln!(
            f,
            "median        {:.4} ms of {} runs, one thread",
            self.median_ms, self.runs
        )
    }
}
