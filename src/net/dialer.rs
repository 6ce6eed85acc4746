//! Connecting to a host that has several addresses: the next one is tried when the one before has failed, or has not
//! answered for a quarter of a second (RFC 8305 §5, "Happy Eyeballs"). Whichever stands first wins; the others are closed.
//!
//! ```text
//!   addresses ──► [::1]:80 ─ ─ ─ ─ ─ ─ ─ ─ ✕
//!                    250 ms ──► 127.0.0.1:80 ──────► stands: it is the one
//!                                  250 ms ──► …
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Time};
use crate::limits::Limits;

use crate::reactor::Cx;

/// Where an attempt to reach a host is.
#[derive(Debug)]
pub enum Dialed {
    /// Something is under way. If this time comes first, ask [`Dialer::due`].
    Trying(Option<Time>),
    /// This connection stands.
    Connected(Key, SocketAddr),
    /// No address can be reached; the error is the last one's.
    Failed(io::Error),
}

/// Tries the addresses of one host.
#[derive(Debug)]
pub struct Dialer {
    left: VecDeque<SocketAddr>,
    under_way: Vec<(Key, SocketAddr)>,
    /// When the next address is tried, although nothing has failed.
    next_at: Option<Time>,
    last_error: Option<io::Error>,
}

impl Dialer {
    /// For these addresses, the preferred one first. Families take turns, so that one that leads nowhere costs one delay
    /// and not many (RFC 8305 §4). Beyond `dial_addresses_max` addresses are left out.
    pub fn new(addresses: &[SocketAddr], limits: &Limits) -> Dialer {
        let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
            addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
        let mut left = VecDeque::new();
        while left.len() < limits.dial_addresses_max && !(first.is_empty() && second.is_empty()) {
            left.extend(first.pop_front());
            std::mem::swap(&mut first, &mut second);
        }
        Dialer { left, under_way: Vec::new(), next_at: None, last_error: None }
    }

    /// Tries the first address.
    pub fn begin(&mut self, limits: &Limits, cx: &mut Cx<'_, '_>) -> Dialed {
        self.try_next(limits, cx)
    }

    /// The poller has told something of one of the sockets.
    pub fn ready(&mut self, key: Key, limits: &Limits, cx: &mut Cx<'_, '_>) -> Dialed {
        let Some(place) = self.under_way.iter().position(|(attempt, _)| *attempt == key) else {
            return Dialed::Trying(self.next_at);
        };
        match cx.os.net.connected(key) {
            Ok(()) => {
                let (_, address) = self.under_way.swap_remove(place);
                self.give_up(cx);
                Dialed::Connected(key, address)
            }
            // Announced for nothing, or interrupted: it will be announced.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Dialed::Trying(self.next_at),
            Err(error) => {
                self.under_way.swap_remove(place);
                if !is_planted(Planted::KeepsFailedDials) {
                    cx.close(key);
                }
                self.last_error = Some(error);
                self.try_next(limits, cx)
            }
        }
    }

    /// The time that [`Dialed::Trying`] told has come.
    pub fn due(&mut self, limits: &Limits, cx: &mut Cx<'_, '_>) -> Dialed {
        match self.next_at {
            Some(next_at) if next_at <= cx.now => self.try_next(limits, cx),
            Some(_) | None => Dialed::Trying(self.next_at),
        }
    }

    /// Closes whatever is under way; nothing is tried any more.
    pub fn give_up(&mut self, cx: &mut Cx<'_, '_>) {
        self.left.clear();
        self.next_at = None;
        self.under_way.drain(..).for_each(|(key, _)| cx.close(key));
    }

    /// When the next address is tried, although nothing has failed.
    pub fn next_at(&self) -> Option<Time> {
        self.next_at
    }

    /// Sockets that are being connected.
    pub fn sockets(&self) -> impl Iterator<Item = Key> {
        self.under_way.iter().map(|(key, _)| *key)
    }

    fn try_next(&mut self, limits: &Limits, cx: &mut Cx<'_, '_>) -> Dialed {
        while let Some(address) = self.left.pop_front() {
            match cx.os.net.connect(address) {
                Ok(key) => {
                    self.under_way.push((key, address));
                    self.next_at = (!self.left.is_empty()).then(|| cx.now.after(limits.dial_next_after));
                    return Dialed::Trying(self.next_at);
                }
                Err(error) => self.last_error = Some(error),
            }
        }
        self.next_at = None;
        if !self.under_way.is_empty() {
            return Dialed::Trying(None);
        }
        Dialed::Failed(self.last_error.take().unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
    }
}

/// The system's own words for why a connection could not be made, without its number.
pub fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.rfind(" (os error").map_or(text.as_str(), |end| &text[..end]).to_lowercase()
}
