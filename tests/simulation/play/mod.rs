//! A world to play in: who lives in it, what they check, and how a run of it goes.

pub mod others;
pub mod parser;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod town;
pub mod visitor;
