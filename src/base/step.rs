//! The shape of every parser here: bytes in, at most one event out, and how many of the bytes are done with.

/// What one call to a machine's `receive` did.
///
/// `event: None` means *need more bytes*: nothing is wrong, and the caller calls again when more have arrived.
/// An event may come with `consumed: 0` (it was owed from earlier bytes), and bytes may be consumed without an
/// event (padding). A caller loops until it gets no event and nothing was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<E> {
    /// Bytes of the input that the machine is done with; the caller drops them from its inbox.
    pub consumed: usize,
    /// What happened, if anything did.
    pub event: Option<E>,
}

impl<E> Step<E> {
    /// The machine can do nothing with these bytes until more arrive.
    pub const MORE: Step<E> = Step { consumed: 0, event: None };

    /// `consumed` bytes made `event` happen.
    pub fn event(consumed: usize, event: E) -> Step<E> {
        Step { consumed, event: Some(event) }
    }

    /// `consumed` bytes were taken in silence.
    pub fn silent(consumed: usize) -> Step<E> {
        Step { consumed, event: None }
    }
}
