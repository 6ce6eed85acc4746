//! The names helper: one thread that asks the system's resolver, started by its first job.
//!
//! It is nobody else's: a resolver that hangs for half a minute must not hold up a commit or the reading of a note.

use std::net::ToSocketAddrs;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use super::poller::Mailbox;
use crate::limits::Limits;
use crate::os::Completion;
use crate::os::names::{Lookup, Names, NamesDone};

/// The front of the helper; the thread itself starts with the first job.
#[derive(Debug)]
pub struct NamesHelper {
    mailbox: Mailbox,
    lookups_max: usize,
    lookups: Option<SyncSender<Lookup>>,
}

impl NamesHelper {
    /// A helper whose thread is not started yet.
    pub fn new(mailbox: Mailbox, limits: &Limits) -> NamesHelper {
        NamesHelper { mailbox, lookups_max: limits.lookups_max, lookups: None }
    }
}

impl Names for NamesHelper {
    fn resolve(&mut self, lookup: Lookup) -> Result<(), Lookup> {
        if self.lookups.is_none() {
            let (sender, lookups) = sync_channel(self.lookups_max);
            let mailbox = self.mailbox.clone();
            let started =
                thread::Builder::new().name("names".into()).spawn(move || serve(&lookups, &mailbox));
            if let Err(error) = started {
                log::error!(
                    "the names helper can't be started, so no name can be looked up for now: {error}"
                );
                return Err(lookup);
            }
            self.lookups = Some(sender);
        }
        let lookups = self.lookups.as_ref().expect("it was set in the lines above");
        lookups.try_send(lookup).map_err(|refused| match refused {
            TrySendError::Full(lookup) => lookup,
            TrySendError::Disconnected(lookup) => {
                // Its thread is gone; the next try starts another.
                self.lookups = None;
                lookup
            }
        })
    }
}

/// Ends when the loop drops its end of the queue, or can't be told any more.
fn serve(lookups: &Receiver<Lookup>, mailbox: &Mailbox) {
    for Lookup { asker, host, port } in lookups {
        let found = match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.collect::<Vec<_>>()),
            Err(error) => Err(plain(&error.to_string())),
        };
        let found = match found {
            Ok(addresses) if addresses.is_empty() => Err("the name has no address".to_owned()),
            other => other,
        };
        if mailbox.send(Completion::Names(NamesDone { asker, found })).is_err() {
            return;
        }
    }
}

/// The resolver's words without what std puts before them.
fn plain(text: &str) -> String {
    text.strip_prefix("failed to lookup address information: ").unwrap_or(text).to_owned()
}
