//! Accepting with care: a few at a time, never in a spin, whatever `accept` may say.
//!
//! The listening socket is edge-triggered too: the backlog is announced when someone joins it. So it is remembered
//! as *readable* until `accept` has said that it is empty, over budgets, pauses and shortages.

use crate::base::Key;
use crate::os::{AcceptError, Accepted, Net};
use crate::reactor::TimerId;

/// What to do next about the backlog.
#[derive(Debug)]
pub enum Next {
    /// Someone is here.
    Accepted(Accepted),
    /// Nobody is; the poller will say when.
    Nobody,
    /// The turn's share is spent; the listener is still wanted, so the loop must not sleep.
    Spent,
    /// Nothing can be accepted at all: try again after `limits::ACCEPT_BACKOFF`.
    BackOff(std::io::Error),
}

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    /// Names its socket.
    pub key: Key,
    /// The pause that is running, if any.
    pub backing_off: Option<TimerId>,
    /// Someone may be in the backlog.
    pub readable: bool,
    /// A pause has passed since nothing could be accepted. If that is still so, who waits is turned away: it is better
    /// told now than left to time out. Not before: whoever leaves meanwhile makes room.
    pub may_turn_away: bool,
}

impl Listener {
    /// For a socket that listens.
    pub fn new(key: Key) -> Listener {
        Listener { key, backing_off: None, readable: false, may_turn_away: false }
    }

    /// Someone may be in the backlog, and nothing keeps us from looking.
    pub fn is_wanted(&self) -> bool {
        self.readable && self.backing_off.is_none()
    }

    /// Takes the next one from the backlog, at most `allowance` of them, those turned away included.
    pub fn next(&mut self, net: &mut dyn Net, allowance: &mut usize) -> Next {
        while self.is_wanted() {
            if *allowance == 0 {
                return Next::Spent;
            }
            *allowance -= 1;
            match net.accept(self.key) {
                Ok(accepted) => {
                    self.may_turn_away = false;
                    return Next::Accepted(accepted);
                }
                Err(AcceptError::WouldBlock) => self.readable = false,
                // The next in the backlog may be fine.
                Err(AcceptError::ClientGone) => {}
                Err(AcceptError::Exhausted(_)) if self.may_turn_away && net.turn_away(self.key) => {}
                Err(AcceptError::Exhausted(error)) => return Next::BackOff(error),
            }
        }
        Next::Nobody
    }
}
