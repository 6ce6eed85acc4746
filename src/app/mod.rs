//! The application: what the events of the loop mean.
//!
//! [`App`] is the [`Host`](crate::reactor::Host) of the reactor. It has tables and no behaviour of its own: `events`
//! is the one `match` over what can happen, [`peers`] is where a client's bytes become requests and answers, and each
//! other file holds functions over the two or three tables that it needs.

pub mod about;
pub mod access_log;
pub mod breaker;
pub mod caches;
pub mod callbacks;
pub mod census;
pub mod chat;
pub mod dialect;
pub mod document;
pub mod doors;
pub mod embed;
mod events;
pub mod folder;
pub mod health;
pub mod journal;
pub mod keeping;
pub mod mcp;
pub mod model;
pub mod note_files;
pub mod openai;
pub mod openapi;
pub mod page;
pub mod peers;
pub mod record;
pub mod respond;
pub mod restore;
pub mod routes;
pub mod run_log;
pub mod runs;
pub mod service;
pub mod sessions;
pub mod step_log;
pub mod tasks;
pub mod tools;
pub mod verify;
pub mod views;
pub mod work;
pub mod writes;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::base::{HashSeed, Key, Kind, SideTable};
use crate::config::Config;
use crate::limits::Limits;
use crate::net::Listener;
use crate::reactor::{Cx, TimerId};

use crate::store::Loaded;
use chat::Asking;
use peers::Peer;
use runs::{OnDisconnect, Record};
use service::Service;

/// Keys that name no table's entry but the application itself, for its own timers.
const OWN: Kind = Kind(5);

/// For timers that are the application's own; which one it is, its id tells.
fn own_key() -> Key {
    Key::new(OWN, 0, 0)
}

/// The whole application.
#[derive(Debug)]
pub struct App {
    service: Service,
    peers: SideTable<Box<Peer>>,
    listeners: Vec<Listener>,
    /// Connections that are kept at most.
    connections_max: usize,
    stop_timer: Option<TimerId>,
    evict_timer: Option<TimerId>,
    tidy_timer: Option<TimerId>,
    disk_timer: Option<TimerId>,
    /// Ends the wait of runs that were taken over for the index.
    patience_timer: Option<TimerId>,
    /// A connection is being closed to make room; its place is free after the close phase.
    is_evicting: bool,
    /// Clients that may still be taken from the backlogs in this turn.
    accepts_left: usize,
    exit: Option<u8>,
    /// Connections whose run has news and that have not been served with it yet.
    news: VecDeque<Key>,
}

impl App {
    /// An application that knows nothing yet and listens nowhere.
    pub fn new(config: &Config, limits: &Limits, seed: HashSeed) -> App {
        App {
            service: Service::new(config, limits, seed),
            peers: SideTable::default(),
            listeners: Vec::new(),
            connections_max: limits.connections_max,
            stop_timer: None,
            evict_timer: None,
            tidy_timer: None,
            disk_timer: None,
            patience_timer: None,
            is_evicting: false,
            accepts_left: limits.accepts_per_turn_max,
            exit: None,
            news: VecDeque::new(),
        }
    }

    /// Listens on `address`; answers the address really bound.
    ///
    /// # Errors
    /// The system's own.
    pub fn listen(&mut self, address: SocketAddr, cx: &mut Cx<'_, '_>) -> io::Result<SocketAddr> {
        let (key, bound) = cx.os.net.listen(address)?;
        self.listeners.push(Listener::new(key));
        Ok(bound)
    }

    /// Begins to read the folder of notes.
    pub fn read_folder(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { folder, library, works, .. } = &mut self.service;
        folder.sync(None, false, library, cx.os.disk);
        works.wake_index();
    }

    /// Takes over what the process before this one has left; answers how many runs had not ended.
    pub fn take_over(&mut self, loaded: Loaded, cx: &mut Cx<'_, '_>) -> usize {
        let Service { runs, works, journal, callbacks, limits, .. } = &mut self.service;
        journal.loaded(&loaded);
        let count = restore::take_over(&loaded, runs, works, limits, cx.os.clock);
        callbacks.take_over(&loaded, runs, cx);
        // What it was made from is not needed any more, and may have been much.
        self.service.pool.count_freed(loaded.bytes());
        drop(loaded);
        self.service.await_readers(cx);
        if self.service.runs.holds_left() {
            let due = cx.now.after(self.service.limits.index_patience);
            self.patience_timer = Some(cx.set_timer(due, own_key()));
        }
        count
    }

    /// Asks a question without a client: the run goes on by itself.
    ///
    /// # Errors
    /// In words, when no run can begin.
    pub fn ask(&mut self, message: &str, cx: &mut Cx<'_, '_>) -> Result<Key, String> {
        let question = crate::agent::Question { message: message.to_owned(), ..Default::default() };
        let Service { runs, limits, .. } = &mut self.service;
        let (clock, entropy) = (cx.os.clock, &mut *cx.os.entropy);
        let asking = Asking { on_disconnect: OnDisconnect::Continue, key: None, callback: None };
        let run = chat::begin(&question, asking, runs, limits, clock, entropy);
        let run = run.map_err(|problem| format!("{:?}", problem.detail))?;
        // Somebody reads it, so that it stays when it has ended.
        runs.watch(run, own_key());
        Ok(run)
    }

    /// The run that [`ask`](App::ask) began.
    pub fn run(&self, key: Key) -> Option<&Record> {
        self.service.runs.at(key)
    }

    /// The whole folder is indexed.
    pub fn is_ready(&self) -> bool {
        self.service.library.progress().state == crate::notes::IndexState::Ready
    }

    /// Set once the process should end: its exit code.
    pub fn exit(&self) -> Option<u8> {
        self.exit
    }
}
