//! A world to play in: who lives in it, what they check, and how a run of it goes.
#![allow(dead_code, reason = "each of the programs that include this uses its own part of it")]

pub mod embeddings;
pub mod judge;
pub mod ledger;
pub mod model;
pub mod others;
pub mod parser;
pub mod receiver;
pub mod run;
pub mod scenario;
pub mod script;
pub mod shrink;
pub mod sockets;
pub mod talks;
pub mod town;
pub mod visitor;
