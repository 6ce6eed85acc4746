//! The names helper in a simulated world: names one after the other, answered late.
//!
//! As the real one is a single thread, a resolver that takes long over one name keeps all others waiting.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::random::Random;
use crate::os::{Lookup, NamesDone};

/// Who has which addresses, and the helper that knows it.
#[derive(Debug)]
pub(super) struct Names {
    /// What the resolver would answer now.
    pub known: BTreeMap<String, Vec<IpAddr>>,
    lookups: VecDeque<Lookup>,
    lookups_max: usize,
    /// When the name at the head of the queue is answered.
    pub due: u64,
    /// How long that takes.
    pub random: Random,
}

/// What a resolver says that has no answer.
const UNKNOWN: &str = "Name or service not known";
const UNANSWERED: &str = "Temporary failure in name resolution";

impl Names {
    pub fn new(lookups_max: usize, random: Random) -> Names {
        let (known, lookups) = (BTreeMap::new(), VecDeque::new());
        Names { known, lookups, lookups_max: lookups_max.max(1), due: u64::MAX, random }
    }

    /// Queues a name. `Ok(true)` if the helper was idle.
    pub fn submit(&mut self, lookup: Lookup) -> Result<bool, Lookup> {
        if self.lookups.len() >= self.lookups_max {
            return Err(lookup);
        }
        self.lookups.push_back(lookup);
        Ok(self.lookups.len() == 1)
    }

    /// There is something to do.
    pub fn is_busy(&self) -> bool {
        !self.lookups.is_empty()
    }

    /// Answers the name at the head of the queue; `None` when there is none.
    pub fn step(&mut self, fails: bool) -> Option<(Box<str>, NamesDone)> {
        let Lookup { asker, host, port } = self.lookups.pop_front()?;
        let found = match (host.parse::<IpAddr>(), self.known.get(&host)) {
            (Ok(address), _) => Ok(vec![SocketAddr::new(address, port)]),
            (Err(_), _) if fails => Err(UNANSWERED.to_owned()),
            (Err(_), Some(addresses)) if !addresses.is_empty() => {
                Ok(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
            }
            (Err(_), Some(_) | None) => Err(UNKNOWN.to_owned()),
        };
        Some((host.into(), NamesDone { asker, found }))
    }

    /// The process is no more.
    pub fn crash(&mut self) {
        self.lookups.clear();
        self.due = u64::MAX;
    }
}
