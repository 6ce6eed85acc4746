//! `epoll` through `mio`: the one sleep, woken by sockets, by the helpers and by signals.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use mio::{Events, Interest, Poll, Registry, Token, Waker};
use signal_hook_mio::v1_0::Signals;

use crate::base::Key;
use crate::limits::Limits;
use crate::os::{Completion, Ready, Signal, Wait, Woken};

// Keys are u64 and carry their kind in the top byte; kinds are small, so these two can't be keys.
const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The poller and everything it listens to beside sockets.
pub struct Poller {
    poll: Poll,
    events: Events,
    signals: Signals,
    mailbox: Mailbox,
    completions: Receiver<Completion>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("poll", &self.poll).finish_non_exhaustive()
    }
}

/// Where a helper puts its news; each clone wakes the same loop.
#[derive(Debug, Clone)]
pub struct Mailbox {
    sender: SyncSender<Completion>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Hands news to the loop and wakes it. Waits while the loop is behind: the sender is a helper and may block.
    ///
    /// # Errors
    /// The loop is gone; so should the helper be.
    pub fn send(&self, news: Completion) -> Result<(), LoopGone> {
        self.sender.send(news).map_err(|_| LoopGone)?;
        self.waker.wake().map_err(|_| LoopGone)
    }
}

/// The loop has ended; there is no one to tell.
#[derive(Debug)]
pub struct LoopGone;

impl Poller {
    /// Opens `epoll`, a waker, and catches SIGINT and SIGTERM.
    ///
    /// # Errors
    /// The system's own.
    pub fn new(limits: &Limits) -> io::Result<Poller> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let (sender, completions) = sync_channel(limits.completions_max);
        let events = Events::with_capacity(limits.events_per_wait_max);
        Ok(Poller { poll, events, signals, mailbox: Mailbox { sender, waker }, completions })
    }

    /// A second handle on the poller, with which sockets register themselves.
    ///
    /// # Errors
    /// The system's own: it is a duplicated descriptor.
    pub fn registry(&self) -> io::Result<Registry> {
        self.poll.registry().try_clone()
    }

    /// Where a helper puts its news.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }
}

impl Wait for Poller {
    fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout)?;
        for event in self.events.iter() {
            match event.token() {
                // One waking may stand for many messages and a message may come with a waking already spent, so
                // this drains all there are. Bounded by the channel and by the jobs that were handed out.
                WAKER => woken.done.extend(self.completions.try_iter()),
                SIGNALS => woken.done.extend(self.signals.pending().filter_map(|number| match number {
                    SIGINT => Some(Completion::Signal(Signal::Interrupt)),
                    SIGTERM => Some(Completion::Signal(Signal::Terminate)),
                    _ => None,
                })),
                Token(bits) => woken.ready.push(Ready {
                    key: Key::from_bits(bits as u64),
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    read_closed: event.is_read_closed(),
                    // EPOLLHUP alone is both sides shut in good order, and what the peer sent may still be unread.
                    broken: event.is_error(),
                    urgent: event.is_priority(),
                }),
            }
        }
        Ok(())
    }
}
