//! What every storage promises, and what a storage in a file promises beyond that.
//!
//! [`contract`] runs each claim for each implementation, [`random`] has two of them do the same and compares, [`file`]
//! and [`folder`] hold what only a disk can get wrong.
#![expect(clippy::disallowed_methods, reason = "tests that look at files")]

mod contract;
mod file;
mod folder;
mod random;
mod simulated;
mod support;
