//! The real world: `mio` for sockets and sleeping, a helper thread each for the disk, for names and for the
//! store, the system's clocks and randomness.

mod change;
mod clock;
mod diagnostics;
mod helper;
mod log_sink;
mod memory;
mod names_helper;
mod poller;
mod secret;
mod sockets;
mod sqlite;
mod state_folder;
mod store_helper;
mod trust;

use std::io;
use std::path::Path;

pub use clock::{SystemClock, SystemEntropy};
pub use diagnostics::start_logging;
pub use helper::{DiskHelper, check_folder};
pub use log_sink::Stderr;
pub use names_helper::NamesHelper;
pub use poller::Poller;
pub use secret::read_secret;
pub use sockets::Sockets;
pub use sqlite::{OpenTrouble, Sqlite};
pub use state_folder::{StateFolder, StateTrouble};
pub use store_helper::StoreHelper;
pub use trust::trust_anchors;

use super::Os;
use crate::limits::Limits;
use crate::store::Storage;

/// Every real part, owned in one place by `main`.
#[derive(Debug)]
pub struct RealWorld {
    poller: Poller,
    sockets: Sockets,
    clock: SystemClock,
    disk: DiskHelper,
    names: NamesHelper,
    store: StoreHelper,
    entropy: SystemEntropy,
    log: Stderr,
}

impl RealWorld {
    /// Opens the poller, catches SIGINT and SIGTERM, and remembers the notes folder and the storage for their
    /// helpers, which are started by their first jobs.
    ///
    /// # Errors
    /// No poller, no signal handling, or a notes folder that can't be opened.
    pub fn new(notes: &Path, storage: Box<dyn Storage>, limits: &Limits) -> io::Result<RealWorld> {
        let poller = Poller::new(limits)?;
        let sockets = Sockets::new(poller.registry()?, limits);
        let disk = DiskHelper::new(notes, poller.mailbox(), limits)?;
        let names = NamesHelper::new(poller.mailbox(), limits);
        let store = StoreHelper::new(storage, poller.mailbox(), limits);
        Ok(RealWorld {
            poller,
            sockets,
            clock: SystemClock::new(),
            disk,
            names,
            store,
            entropy: SystemEntropy::default(),
            log: Stderr::new(),
        })
    }

    /// Lends all parts.
    pub fn os(&mut self) -> Os<'_> {
        Os {
            net: &mut self.sockets,
            clock: &self.clock,
            disk: &mut self.disk,
            names: &mut self.names,
            store: &mut self.store,
            entropy: &mut self.entropy,
            log: &mut self.log,
            waiter: &mut self.poller,
        }
    }
}

/// Raises the soft limit on open descriptors to the hard one, as Node and Go do at start, and answers what is in
/// force then. Each connection is a descriptor.
pub fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let in_force = if raised.is_ok() { limit.maximum } else { limit.current };
    in_force.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX))
}
