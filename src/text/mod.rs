//! Words, stems and sentences of any script: what the index stores and what the answerer picks from.

pub mod boundary;
pub mod sentences;
pub mod terms;
pub mod words;

pub use boundary::{boundary_before, boundary_behind};
pub use sentences::sentences;
pub use terms::{Terms, is_function_word};
pub use words::{Word, words};
