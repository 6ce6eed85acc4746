//! One call of the model: a question on its way, for every run that asks the same, and what is answered so far.
//!
//! ```text
//!             exchange begun                  head 200                 all told
//!  (asked) ───────────────────► AwaitHead ──────────────► InAnswer ──────────────► (over)
//!     ▲                            │   other status          │ error, too long
//!     │ the pause is over          ▼                         ▼
//!  Pausing ◄──────────────── InRefusal ──────────────────► (over)
//!            429, 5xx, nothing answered yet: twice
//! ```

use uuid::Uuid;

use crate::agent::model::{Deltas, LengthField, ModelRequest};
use crate::base::{Key, Time};
use crate::limits::Limits;
use crate::net::exchange::Head;
use crate::reactor::TimerId;
use crate::wire::sse::Reader;

/// Where a call is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits for the next try.
    Pausing(TimerId),
    /// A request is on its way, and nothing was answered yet.
    AwaitHead,
    /// The answer comes as a stream of events.
    InStream(Box<Reader>),
    /// The answer comes in one piece: this server does not stream.
    InWhole(Vec<u8>),
    /// The server refuses; what it says about it is gathered.
    InRefusal(Head, Vec<u8>),
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// What makes two calls the same.
    pub identity: Uuid,
    pub request: ModelRequest,
    /// Runs that wait for it.
    pub askers: Vec<Key>,
    pub stage: Stage,
    /// The exchange that carries it, while one does.
    pub exchange: Option<Key>,
    pub deltas: Deltas,
    /// Tries so far.
    pub tries: u32,
    /// What the bound on its length is called in the last of them.
    pub length_field: LengthField,
    /// The breaker waits for what becomes of it.
    pub is_probe: bool,
    pub begun: Time,
    /// Told to the askers with the next piece of news: what came in one turn is told as one.
    pub text: String,
    pub reasoning: String,
}

impl Call {
    pub fn new(identity: Uuid, request: ModelRequest, now: Time, limits: &Limits) -> Call {
        Call {
            identity,
            request,
            askers: Vec::new(),
            stage: Stage::AwaitHead,
            exchange: None,
            deltas: Deltas::new(limits),
            tries: 0,
            length_field: LengthField::default(),
            is_probe: false,
            begun: now,
            text: String::new(),
            reasoning: String::new(),
        }
    }
}
