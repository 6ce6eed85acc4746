//! Words, stems and sentences of any script: what the index stores and what the answerer picks from.

pub mod boundary;
pub mod common;
pub mod kin;
pub mod language;
pub mod sense;
pub mod sentences;
pub mod terms;
pub mod words;

pub use boundary::{boundary_before, boundary_behind, excerpt};
pub use common::says;
pub use kin::{Kinship, kin};
pub use language::Language;
pub use sense::{Sense, WordId};
pub use sentences::sentences;
pub use terms::Terms;
pub use words::{Word, joined, words};
