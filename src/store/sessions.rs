//! What is said in sessions, kept in memory: the plainest reading of that part of the contract.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::record::{KeptSaid, KeptSession, Said, SessionPlace, SessionRow, beginning};
use crate::base::WallTime;

/// Sessions by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    by_name: BTreeMap<Box<str>, Session>,
    /// The same, in the order in which they were spoken in.
    places: BTreeSet<SessionPlace>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    created_at: WallTime,
    updated_at: WallTime,
    said: BTreeMap<Uuid, KeptSaid>,
}

impl Sessions {
    /// The same run has said something else there.
    pub(super) fn contradict(&self, said: &Said) -> bool {
        let before = self.by_name.get(&said.session).and_then(|session| session.said.get(&said.run));
        before.is_some_and(|before| *before != kept(said))
    }

    /// Keeps what was said.
    pub(super) fn keep(&mut self, said: &Said) {
        let Said { run, session: name, asked_at, answered_at, bounds, .. } = said;
        let (asked_at, answered_at) = (*asked_at, *answered_at);
        let session = self.by_name.entry(name.clone()).or_insert_with(|| Session {
            created_at: asked_at,
            updated_at: WallTime::default(),
            said: BTreeMap::new(),
        });
        if session.said.contains_key(run) {
            return;
        }
        self.places.remove(&SessionPlace { updated_at: session.updated_at, name: name.clone() });
        session.updated_at = session.updated_at.max(answered_at);
        self.places.insert(SessionPlace { updated_at: session.updated_at, name: name.clone() });
        session.said.insert(*run, kept(said));
        session.let_go(bounds.messages_max, bounds.bytes_max);
        while self.places.len() as u64 > bounds.sessions_max.max(1)
            && let Some(oldest) = self.places.pop_first()
        {
            self.by_name.remove(&oldest.name);
        }
    }

    /// The one that was spoken in last first.
    pub(super) fn list(&self, after: Option<&SessionPlace>, rows_max: usize) -> Vec<SessionRow> {
        let end = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let places = self.places.range((std::ops::Bound::Unbounded, end)).rev().take(rows_max);
        let row = |place: &SessionPlace| {
            let session = self.by_name.get(&place.name)?;
            Some(SessionRow {
                name: place.name.clone(),
                created_at: session.created_at,
                updated_at: session.updated_at,
                messages: session.said.len() as u64,
                beginning: session.said.values().next().map_or("", |said| beginning(&said.message)).into(),
            })
        };
        places.filter_map(row).collect()
    }

    /// What was said in it, the oldest first.
    pub(super) fn find(&self, name: &str) -> Option<KeptSession> {
        let Session { created_at, updated_at, said } = self.by_name.get(name)?;
        let said = said.values().cloned().collect();
        Some(KeptSession { created_at: *created_at, updated_at: *updated_at, said })
    }

    /// Lets go of it.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let Some((name, session)) = self.by_name.remove_entry(name) else { return false };
        self.places.remove(&SessionPlace { updated_at: session.updated_at, name })
    }
}

fn kept(said: &Said) -> KeptSaid {
    let Said { run, asked_at, answered_at, message, answer, .. } = said;
    let (message, answer) = (message.clone(), answer.clone());
    KeptSaid { run: *run, asked_at: *asked_at, answered_at: *answered_at, message, answer }
}

/// One run has said both of these, and only one of them can be true.
pub(super) fn contradicts(one: &Said, other: &Said) -> bool {
    one.run == other.run && one.session == other.session && kept(one) != kept(other)
}

impl Session {
    /// Lets go of the oldest, as far as there is too much; the newest stays.
    fn let_go(&mut self, messages_max: u64, bytes_max: u64) {
        let bytes = |said: &KeptSaid| (said.message.len() + said.answer.len()) as u64;
        let mut all: u64 = self.said.values().map(bytes).sum();
        while self.said.len() > 1 && (self.said.len() as u64 > messages_max || all > bytes_max) {
            let Some((_, oldest)) = self.said.pop_first() else { return };
            all -= bytes(&oldest);
        }
    }
}
