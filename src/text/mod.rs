//! Words, stems and sentences of any script: what the index stores and what the answerer picks from.

pub mod sentences;
pub mod terms;
pub mod words;

pub use sentences::sentences;
pub use terms::Terms;
pub use words::{Word, words};
