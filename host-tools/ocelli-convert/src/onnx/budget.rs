//! How much a file may ask for.

use std::cell::Cell;

use super::{Refusal, refuse_layout};

/// What is left, over all ways to see the input.
pub struct Budget {
    weights: Cell<usize>,
    folding: Cell<usize>,
    work: Cell<usize>,
}

impl Budget {
    /// Enough for the largest networks that anyone would try on a microcontroller.
    pub fn new() -> Self {
        Budget {
            weights: Cell::new(1 << 26),
            folding: Cell::new(1 << 23),
            work: Cell::new(1 << 25),
        }
    }

    /// Takes numbers of weights, which the graph holds.
    pub fn hold(&self, elems: usize) -> Result<(), Refusal> {
        spend(&self.weights, elems)
    }

    /// Takes elements of constants that are made from next to nothing.
    pub fn fold(&self, elems: usize) -> Result<(), Refusal> {
        spend(&self.folding, elems)
    }

    /// Takes values of functions that are computed to find out what they are.
    pub fn compute(&self, values: usize) -> Result<(), Refusal> {
        spend(&self.work, values)
    }
}

fn spend(budget: &Cell<usize>, cost: usize) -> Result<(), Refusal> {
    match budget.get().checked_sub(cost) {
        Some(left) => {
            budget.set(left);
            Ok(())
        }
        // If other ways to see the input took all, the first way's refusal says more.
        None => refuse_layout(
            "asks for more constants and functions than any network for a microcontroller has; export a smaller network",
        ),
    }
}
