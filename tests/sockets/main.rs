//! The real binary over real sockets: what users are promised, and what hostile clients can't do to others.
//!
//! One test binary, so that all of it shares `common` and is linked once.

mod common;
mod durable;
mod end_to_end;
mod hostile;
mod model;
mod runs;
