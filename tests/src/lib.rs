//! What the tests across the crates share: slow reference kernels, generators of networks and plans, byte surgery.
//!
//! The references are written from the formulas and share no arithmetic with the kernels under test. Everything random
//! comes from a seed, so a failing case is found again by the number that [`random::cases`] prints.
#![forbid(unsafe_code)]

pub mod fate;
pub mod golden;
pub mod memory;
pub mod network;
pub mod plan;
pub mod random;
pub mod reference;
pub mod surgery;
