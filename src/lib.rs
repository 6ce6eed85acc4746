//! `oneloop`: a knowledge agent over a folder of Markdown notes, served by one event-loop thread.

pub mod agent;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod limits;
pub mod net;
pub mod notes;
pub mod os;
pub mod reactor;
pub mod text;
pub mod wire;
