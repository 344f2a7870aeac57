//! The inner loops, one file per instruction set with the same names in each. `unsafe` is allowed here only.
//!
//! So far there is one set, in portable code; the choice is made here and nowhere else.

mod plain;

pub(crate) use plain::{NAME, dot, sum};
