//! What the application holds at a moment, counted: whoever checks that nothing leaks compares these numbers.
//!
//! Each number has a twin somewhere else (the loop's timers, the world's sockets, another table), and after each turn
//! the two must agree. The simulator checks it after every turn; nothing here is kept up while serving.

use std::collections::BTreeMap;

use super::App;
use super::callbacks::Callbacks;
use super::embed::Embedder;
use super::model::Model;
use super::record::{Stage, Status};
use super::runs::RunCounts;
use crate::net::outbound::Outbound;

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Connections that are kept.
    pub connections: usize,
    /// Of these, between requests with nothing to send.
    pub idle: usize,
    /// Bytes of memory in their inboxes and outboxes.
    pub buffer_bytes: usize,
    /// Bytes that have arrived and are not used yet.
    pub unread_bytes: usize,
    /// Bytes that wait to be sent.
    pub unsent_bytes: usize,
    /// The most bytes of memory that one of them holds in its outbox.
    pub outbox_bytes_most: usize,
    /// Bytes of bodies that are being received, as the bodies say.
    pub body_bytes: usize,
    /// The same, as the bound on all of them counts it.
    pub body_bytes_counted: usize,
    /// Timers that connections, runs, listeners and the application believe to have set.
    pub timers: usize,
    /// Runs that are here and that connections read, once for each that does.
    pub with_run: usize,
    /// Connections that runs believe to have as readers.
    pub watchers: usize,
    /// Connections that wait for a scan of the folder.
    pub with_sync: usize,
    /// Connections that the folder believes to wait for a scan.
    pub sync_waiters: usize,
    /// Connections that wait for a view of the notes.
    pub with_view: usize,
    /// Views of the notes in the making.
    pub views: usize,
    /// Connections that wait for vectors.
    pub with_vectors: usize,
    /// Requests for vectors that are not told yet.
    pub vector_requests: usize,
    /// Connections that wait for a file to be read or changed.
    pub with_file: usize,
    /// Files that are being read or changed for somebody, who may have gone since.
    pub note_files: usize,
    /// Connections that are to be told of news.
    pub news: usize,
    /// Runs by state.
    pub runs: RunCounts,
    /// Runs that stand in the queue for a place.
    pub queued: usize,
    /// Runs that are here, whatever their state.
    pub records: usize,
    /// Ended runs that the store is believed to keep.
    pub ended_kept: u64,
    /// All that is to be kept is.
    pub is_kept: bool,
    /// Runs are left to the next process.
    pub is_parked: bool,
    /// Runs at work that may not be worked on before it is kept that they are tried again.
    pub awaiting_attempt: usize,
    /// The most bytes of memory that one of their logs holds.
    pub log_bytes_most: usize,
    /// Runs that wait for the model.
    pub asking: usize,
    /// Runs of which calls of the model believe that they wait.
    pub askers: usize,
    /// Sockets that are connected to others, or are to be.
    pub outbound_sockets: usize,
    /// Runs that wait for the vector of what they look for.
    pub embedding: usize,
    /// Runs of which the embedding server's calls believe that they wait.
    pub embedding_askers: usize,
    /// Runs that want to know what was said in their session.
    pub recalling: usize,
    /// The most runs of one session that are at work.
    pub talking_most: usize,
    /// Tries of callbacks that are on their way.
    pub callbacks: usize,
    /// Runs for which a note is written.
    pub writing: usize,
    /// Tasks, one for each run at work that does not wait for the model, one for each view, and one for the index.
    pub tasks: usize,
    /// Slices of work that tasks have had so far.
    pub slices: u64,
    /// The most turns that a runnable task has waited for its slice.
    pub longest_wait_turns: u64,
    /// Listening sockets.
    pub listeners: usize,
    /// Of these, those that pause because nothing could be accepted.
    pub backing_off: usize,
}

impl App {
    /// Counts what is held. Looks at everything, so it is not for every request.
    pub fn census(&self) -> Census {
        let service = &self.service;
        let own =
            [&self.stop_timer, &self.evict_timer, &self.tidy_timer, &self.disk_timer, &self.patience_timer];
        let backing_off = self.listeners.iter().filter(|listener| listener.backing_off.is_some()).count();
        let mut census = Census {
            connections: self.peers.len(),
            body_bytes_counted: service.body_bytes_in_flight,
            timers: own.iter().filter(|timer| timer.is_some()).count()
                + backing_off
                + service.journal.timers(),
            sync_waiters: service.folder.waiters(),
            news: self.news.len(),
            runs: service.runs.counts(),
            queued: service.runs.queued(),
            tasks: service.works.tasks(),
            views: service.works.views(),
            note_files: service.note_files.count(),
            slices: service.works.slices(),
            longest_wait_turns: service.works.longest_wait_turns(),
            ended_kept: service.journal.figures().ended,
            is_kept: service.journal.is_at_rest(&service.runs),
            is_parked: service.is_parked(),
            listeners: self.listeners.len(),
            backing_off,
            ..Census::default()
        };
        for (_, peer) in self.peers.iter() {
            let holds = peer.holds();
            census.idle += usize::from(peer.is_idle());
            census.buffer_bytes += holds.inbox_bytes + holds.outbox_bytes;
            census.outbox_bytes_most = census.outbox_bytes_most.max(holds.outbox_bytes);
            census.unread_bytes += holds.unread_bytes;
            census.unsent_bytes += holds.unsent_bytes;
            census.body_bytes += holds.body_bytes;
            census.timers += usize::from(holds.has_timer);
            // A run stays here as long as somebody reads it.
            census.with_run += holds.runs.iter().filter(|run| service.runs.at(**run).is_some()).count();
            census.with_sync += usize::from(holds.awaits_sync);
            census.with_view += usize::from(holds.awaits_view);
            census.with_vectors += usize::from(holds.awaits_vectors);
            census.with_file += usize::from(holds.awaits_file);
        }
        if let Some(model) = &service.model {
            let (askers, timers) = model.holds();
            census.askers = askers;
            census.timers += timers;
        }
        if let Some(embedder) = &service.embedder {
            let (askers, timers, _) = embedder.holds();
            census.embedding_askers = askers;
            census.vector_requests = embedder.requests();
            census.timers += timers;
        }
        let (timers, calls) = service.callbacks.holds();
        census.callbacks = calls;
        census.timers += timers;
        let (timers, sockets) = service.outbound.holds();
        census.outbound_sockets = sockets;
        census.timers += timers;
        let mut talking: BTreeMap<&str, usize> = BTreeMap::new();
        for record in service.runs.iter() {
            census.records += 1;
            census.awaiting_attempt += usize::from(record.awaits_attempt());
            census.log_bytes_most = census.log_bytes_most.max(record.log_bytes());
            census.watchers += record.watchers();
            census.asking += usize::from(matches!(record.stage, Stage::Asking(_)));
            census.recalling += usize::from(matches!(record.stage, Stage::ToRecall | Stage::Recalling));
            if let Some(spoken) = record.spoken.as_ref().filter(|_| record.status == Status::Running) {
                let talking = talking.entry(&spoken.session).or_default();
                *talking += 1;
                census.talking_most = census.talking_most.max(*talking);
            }
            census.writing += usize::from(record.stage.is_writing());
            census.embedding += usize::from(matches!(record.stage, Stage::Embedding(..)));
            census.timers += usize::from(record.grace.is_some());
        }
        census
    }

    /// The model, if there is one.
    pub fn model(&self) -> Option<&Model> {
        self.service.model.as_ref()
    }

    /// The embedding server, if there is one.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.service.embedder.as_ref()
    }

    /// Ends of runs that are still to be told.
    pub fn callbacks(&self) -> &Callbacks {
        &self.service.callbacks
    }

    /// All passages have a vector, as far as the embedding server gives them one; so they have without such a server.
    pub fn is_embedded(&self) -> bool {
        let library = &self.service.library;
        self.service.embedder.as_ref().is_none_or(|embedder| embedder.is_done(library))
    }

    /// What is on its way to other servers.
    pub fn outbound(&self) -> &Outbound {
        &self.service.outbound
    }

    /// Runs that are here, in no order.
    pub fn runs(&self) -> impl Iterator<Item = &super::runs::Record> {
        self.service.runs.iter()
    }
}
