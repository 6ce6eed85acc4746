//! A folder of Markdown notes: read, taken apart, linked, indexed and searched, all in slices.
//!
//! ```text
//! listing ─► scan ─► files to read ─► source ─► pieces ─► parse ─► Note
//!                                                                   ├─► graph   names and links
//!                                                                   └─► index   terms and passages ─► search
//! ```
//!
//! Everything here is pure: the caller lists and reads the files, and lends a [`Budget`](crate::base::Budget) for
//! each slice of work. Start with [`Library`]; a question is a [`Query`], its machine a [`Search`].

mod blend;
mod front_matter;
mod graph;
mod index;
mod library;
mod link;
mod note;
mod pages;
mod parse;
mod pieces;
mod scan;
mod search;
mod shelf;
mod source;
mod spelling;
mod vectors;

pub use index::PassageId;
pub use library::{Counts, Library, ToEmbed};
pub use link::is_note_path;
pub use note::{Cut, Heading, Link, LinkKind, Note, Passage};
pub use scan::{Entry, IndexState, Problem, Progress, ReadFile, ScanReport};
pub use search::{Found, Hit, Query, QueryTerm, Search};
pub use source::NoteHash;
pub use vectors::{Nearest, OtherDimension, UnitVector, Vectors};
