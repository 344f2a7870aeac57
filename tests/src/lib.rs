//! Tests across crates; see tests/tests.
