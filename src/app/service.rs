//! Everything that requests act upon: the tables, side by side, and the few moves that touch two of them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;

use super::access_log::AccessLog;
use super::callbacks::Callbacks;
use super::document::Packed;
use super::doors::Doors;
use super::embed::{Embedder, Granted};
use super::folder::Folder;
use super::journal::Journal;
use super::model::{Heard, Model};
use super::note_files::NoteFiles;
use super::runs::{CallKept, OnDisconnect, Runs, Stage};
use super::work::Works;
use crate::agent::Writes;
use crate::base::planted::{Planted, is_planted};
use crate::base::{HashSeed, Key, Pool, WallTime};
use crate::config::{self, Config};
use crate::limits::Limits;
use crate::net::outbound::{Lines, Outbound};
use crate::notes::Library;
use crate::reactor::{Cx, TimerId};
use crate::store::{CallState, Callback, KeptRun, Trouble};

/// The tables.
#[derive(Debug)]
pub struct Service {
    /// Bounds in force.
    pub limits: Limits,
    /// Who may come in.
    pub doors: Doors,
    /// The folder of notes, as it was named.
    pub notes_folder: String,
    /// What is known of the notes.
    pub library: Library,
    /// The folder they are read from.
    pub folder: Folder,
    /// What runs may write.
    pub writes: Writes,
    /// What is read and written of single notes.
    pub note_files: NoteFiles,
    /// Runs and their logs.
    pub runs: Runs,
    /// What goes to the store, and comes back.
    pub journal: Journal,
    /// Work in slices.
    pub works: Works,
    /// What is on its way to other servers.
    pub outbound: Outbound,
    /// The model that answers, if one does.
    pub model: Option<Model>,
    /// The embedding server, if there is one.
    pub embedder: Option<Embedder>,
    /// Ends of runs that are still to be told.
    pub callbacks: Callbacks,
    /// Spare buffers for connections.
    pub pool: Pool,
    /// Lines of this turn.
    pub access_log: AccessLog,
    /// The `Date` field.
    pub date: DateText,
    /// Files of the page that somebody has asked for.
    pub packed: Packed,
    /// Where bodies are put together, one at a time.
    pub scratch: Vec<u8>,
    /// Bytes of request bodies that are being received.
    pub body_bytes_in_flight: usize,
    /// Requests that were begun in this turn, on all connections.
    pub requests_this_turn: usize,
    /// Frames of WebSockets that were taken in this turn, on all connections.
    pub frames_this_turn: usize,
    /// Connections that the coming close phase will close.
    pub closing_connections: usize,
    /// Connections that are open.
    pub open_connections: usize,
    /// Exchanges with news, kept for its room.
    heard: Vec<Key>,
    /// What becomes of runs' wishes for a vector; likewise.
    vectors: Vec<Granted>,
    stopping: bool,
    parked: bool,
    disconnect_grace: Duration,
}

impl Service {
    /// Empty tables, as `config` and `limits` want them.
    pub fn new(config: &Config, limits: &Limits, seed: HashSeed) -> Service {
        let mut outbound = Outbound::new(limits);
        let model = config.model.as_ref().map(|model| Model::new(model, &mut outbound, limits));
        let embedder = config.embed.as_ref();
        let embedder = embedder.map(|embed| Embedder::new(embed, config.is_durable, &mut outbound, limits));
        Service {
            doors: Doors::new(config.listen, &config.allow_hosts, config.cors_origins.as_deref()),
            notes_folder: config.notes.display().to_string(),
            library: Library::new(seed, limits),
            folder: Folder::new(limits.notes_max, limits.note_bytes_max),
            writes: match config.writes {
                config::Writes::Off => Writes::Off,
                config::Writes::Inbox => Writes::Inbox,
                config::Writes::All => Writes::All,
            },
            note_files: NoteFiles::new(limits),
            runs: Runs::new(config.runs_max, config.waiting_max, config.session_keep, limits),
            journal: Journal::new(config.is_durable, config.task_keep, config.task_ttl, limits),
            works: Works::new(config.runs_max, embedder.is_some(), limits),
            outbound,
            model,
            embedder,
            callbacks: Callbacks::new(config.callbacks.as_ref(), limits),
            heard: Vec::new(),
            vectors: Vec::new(),
            pool: Pool::new(limits.buffer_bytes, limits.buffers_spare_max),
            access_log: AccessLog::new(config.access_log, limits.access_log_bytes_max),
            date: DateText::default(),
            packed: Packed::default(),
            scratch: Vec::new(),
            body_bytes_in_flight: 0,
            requests_this_turn: 0,
            frames_this_turn: 0,
            closing_connections: 0,
            open_connections: 0,
            stopping: false,
            parked: false,
            disconnect_grace: config.disconnect_grace,
            limits: limits.clone(),
        }
    }

    /// The server was told to stop: what runs may finish, nothing new begins.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// From here on the server is stopping.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The runs that have not ended are left to the next process: nothing is done on them any more.
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// Leaves all runs that have not ended to the next process.
    pub fn park(&mut self, cx: &mut Cx<'_, '_>) -> usize {
        self.parked = true;
        let unfinished = self.runs.unfinished();
        for run in &unfinished {
            self.stop_work(*run, cx);
            self.runs.park(*run);
        }
        unfinished.len()
    }

    /// Nothing more is done on a run; a call of the model that nobody else waits for is ended in this turn.
    fn stop_work(&mut self, run: Key, cx: &mut Cx<'_, '_>) {
        self.works.drop_task(run, &mut self.runs);
        let Some(record) = self.runs.at_mut(run) else { return };
        let stage = std::mem::replace(&mut record.stage, Stage::None);
        match stage {
            Stage::Asking(call) => {
                if let Some(model) = &mut self.model {
                    let mut lines = Lines { outbound: &mut self.outbound, pool: &mut self.pool };
                    model.leave(call, run, &mut lines, cx);
                }
            }
            Stage::Embedding(call, _) => {
                if let Some(embedder) = &mut self.embedder {
                    embedder.leave(call, run, cx);
                }
            }
            _ => {}
        }
    }

    /// Tells whoever waits what the servers that were asked have told.
    pub fn hear_servers(&mut self, cx: &mut Cx<'_, '_>) {
        let Service {
            outbound,
            model,
            embedder,
            callbacks,
            works,
            runs,
            library,
            journal,
            pool,
            limits,
            heard,
            vectors,
            ..
        } = self;
        let clock = cx.os.clock;
        outbound.take_news(heard, pool, limits, cx);
        let mut lines = Lines { outbound, pool };
        for exchange in heard.drain(..) {
            if let Some(model) = model {
                let mut hear = |run: Key, heard: Heard<'_>| works.hear(run, heard, runs, library, clock);
                model.tell(exchange, &mut lines, cx, &mut hear);
            }
            if let Some(embedder) = embedder {
                embedder.tell(exchange, library, journal, &mut lines, cx, vectors);
            }
            callbacks.tell(exchange, runs, &mut lines, cx);
        }
        if let Some(model) = model {
            let mut hear = |run: Key, heard: Heard<'_>| works.hear(run, heard, runs, library, clock);
            model.tell_unbegun(&mut lines, cx, &mut hear);
        }
        if let Some(embedder) = embedder {
            embedder.tell_unbegun(library, journal, lines.outbound, cx, vectors);
        }
        for (run, vector) in vectors.drain(..) {
            works.hear_vector(run, vector, runs, library);
        }
    }

    /// A timer of the embedding server's.
    pub fn embedder_timer(&mut self, id: TimerId, owner: Key, cx: &Cx<'_, '_>) {
        let Service { embedder, works, runs, library, vectors, .. } = self;
        let Some(embedder) = embedder else { return };
        embedder.timer(id, owner, cx, vectors);
        for (run, vector) in vectors.drain(..) {
            works.hear_vector(run, vector, runs, library);
        }
    }

    /// The client that wanted these vectors does not wait for them any more.
    pub fn leave_vectors(&mut self, request: Key, cx: &mut Cx<'_, '_>) {
        let Service { embedder, outbound, pool, .. } = self;
        if let Some(embedder) = embedder {
            embedder.leave_request(request, &mut Lines { outbound, pool }, cx);
        }
    }

    /// The store has looked for vectors.
    pub fn vectors_found(&mut self, found: Result<Vec<Option<Box<[u8]>>>, Trouble>, cx: &mut Cx<'_, '_>) {
        let Service { embedder, library, outbound, .. } = self;
        if let Some(embedder) = embedder {
            embedder.found(found, library, outbound, cx);
        }
    }

    /// Passages are to be embedded, and nothing else is waited for.
    pub fn could_embed(&self) -> bool {
        let is_wanted = !self.stopping && !self.parked;
        is_wanted && self.embedder.as_ref().is_some_and(|embedder| embedder.could_work(&self.library))
    }

    /// Ends of runs are to be told, and nothing else is waited for.
    pub fn could_call(&self) -> bool {
        !self.stopping && !self.parked && self.callbacks.could_begin()
    }

    /// The loop must not sleep on one of them.
    pub fn is_to_call(&self) -> bool {
        self.could_call() && !is_planted(Planted::SleepsOnCallbacks)
    }

    /// Tells ends of runs to whom they are to be told.
    pub fn call_back(&mut self, cx: &mut Cx<'_, '_>) {
        if self.could_call() {
            let Service { callbacks, runs, journal, outbound, pool, .. } = self;
            callbacks.begin(runs, journal, &mut Lines { outbound, pool }, cx);
        }
    }

    /// The store has looked for a run whose end is to be told.
    pub fn call_found(
        &mut self,
        callback: Key,
        found: Result<Option<KeptRun>, Trouble>,
        cx: &mut Cx<'_, '_>,
    ) {
        let Service { callbacks, outbound, pool, .. } = self;
        callbacks.found(callback, found, &mut Lines { outbound, pool }, cx);
    }

    /// Some server has told something that nobody has heard.
    pub fn has_unheard(&self) -> bool {
        self.outbound.has_news()
            || self.model.as_ref().is_some_and(Model::has_unbegun)
            || self.embedder.as_ref().is_some_and(Embedder::has_news)
    }

    /// No more requests begin in this turn, on whatever connection.
    pub fn has_spent_requests(&self) -> bool {
        self.requests_this_turn >= self.limits.requests_per_turn_all_max
    }

    /// No more frames are taken from WebSockets in this turn, on whatever connection.
    pub fn has_spent_frames(&self) -> bool {
        self.frames_this_turn >= self.limits.websocket_frames_per_turn_all_max
    }

    /// Of what somebody else keeps, so many bytes count among all bodies from here on, and so many did before. Answers
    /// whether they are too many together.
    pub fn count_held(&mut self, before: usize, now: usize) -> bool {
        self.body_bytes_in_flight = self.body_bytes_in_flight.saturating_sub(before) + now;
        now <= before || self.body_bytes_in_flight <= self.limits.body_bytes_in_flight_max
    }

    /// Keeps a piece of a request's body, unless all bodies together would be too much.
    pub fn keep_body(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> bool {
        if bytes.len() > self.limits.body_bytes_in_flight_max.saturating_sub(self.body_bytes_in_flight) {
            return false;
        }
        body.extend_from_slice(bytes);
        self.body_bytes_in_flight += bytes.len();
        true
    }

    /// Lets go of a body that was kept.
    pub fn drop_body(&mut self, body: Vec<u8>) {
        self.body_bytes_in_flight = self.body_bytes_in_flight.saturating_sub(body.len());
        self.pool.count_freed(body.capacity());
    }

    /// Takes a body that was kept, for whoever keeps it from here on.
    pub fn take_body(&mut self, body: &mut Vec<u8>) -> Vec<u8> {
        self.body_bytes_in_flight = self.body_bytes_in_flight.saturating_sub(body.len());
        std::mem::take(body)
    }

    /// Cancels a run, by request.
    pub fn cancel(&mut self, run: Key, cx: &mut Cx<'_, '_>) {
        if let Some(record) = self.runs.at_mut(run) {
            cx.cancel_timer(&mut record.grace);
        }
        self.stop_work(run, cx);
        self.works.cancel(run, &mut self.runs, cx.os.clock);
    }

    /// Lets go of a run if its end is kept and nobody reads it.
    pub fn retire(&mut self, run: Key, cx: &mut Cx<'_, '_>) {
        if let Some(mut record) = self.runs.retire(run) {
            cx.cancel_timer(&mut record.grace);
            self.pool.count_freed(record.log_bytes());
        }
    }

    /// The batch under way is kept: whoever waited for it is told.
    pub fn kept(&mut self, cx: &mut Cx<'_, '_>) {
        let mut settled = Vec::new();
        let (mut ends, mut first_end) = self.runs.kept(|run| settled.push(run));
        settled.into_iter().for_each(|run| self.retire(run, cx));
        for uncalled in self.runs.take_uncalled() {
            self.callbacks.ended(uncalled, &mut self.runs, cx);
        }
        for CallKept { run, ended_at, called } in self.runs.take_called() {
            let url = self.callbacks.kept(run);
            // From here on it is an ended run like any other.
            if called.state != CallState::Outstanding {
                ends += 1;
                first_end = first_end.into_iter().chain([ended_at]).min();
            }
            let here = self.runs.find(run).and_then(|run| self.runs.at_mut(run));
            if let (Some(url), Some(record)) = (url, here) {
                record.callback = Some(Callback { url, called });
            }
        }
        if self.journal.committed(ends, first_end) {
            self.runs.tell_readers();
        }
    }

    /// The batch under way may not be kept, or, if it was not sent, is not: runs of which nobody has been told are
    /// refused, the others wait.
    pub fn not_kept(&mut self, trouble: &Trouble, was_sent: bool, cx: &mut Cx<'_, '_>) {
        if is_planted(Planted::TakesAFailureForDone) {
            return self.kept(cx);
        }
        let mut refused = Vec::new();
        self.runs.not_kept(trouble, was_sent, |run| refused.push(run));
        for run in refused {
            if let Some(record) = self.runs.at(run) {
                self.callbacks.forget(record.id);
            }
            self.stop_work(run, cx);
            self.retire(run, cx);
        }
        if self.journal.not_committed(trouble, cx) {
            self.runs.tell_readers();
        }
    }

    /// A run that its lost client would have had cancelled: its reader has the grace to come back.
    pub fn await_readers(&mut self, cx: &mut Cx<'_, '_>) {
        for run in self.runs.unfinished() {
            self.left(run, cx);
        }
    }

    /// A reader has left, or may be leaving: unless another stays, the run has its grace, and then is cancelled.
    pub fn left(&mut self, run: Key, cx: &mut Cx<'_, '_>) {
        let Some(record) = self.runs.at_mut(run) else { return };
        let abandoned = !record.is_attended() && !record.status.is_final();
        if abandoned && record.on_disconnect == OnDisconnect::Cancel && record.grace.is_none() {
            let until = cx.now.after(self.disconnect_grace);
            record.grace = Some(cx.set_timer(until, run));
        }
    }

    /// A reader is gone for good: unless another stays, the run is cancelled at once.
    pub fn lost(&mut self, run: Key, cx: &mut Cx<'_, '_>) {
        let Some(record) = self.runs.at(run) else { return };
        if !record.is_attended() && record.on_disconnect == OnDisconnect::Cancel {
            self.cancel(run, cx);
        }
    }
}

/// The `Date` field's text, made once a second (RFC 9110 §6.6.1).
#[derive(Debug, Default)]
pub struct DateText {
    second: Option<u64>,
    text: String,
}

impl DateText {
    /// The text for `now`.
    pub fn text(&mut self, now: WallTime) -> &str {
        if self.second != Some(now.as_seconds()) {
            self.second = Some(now.as_seconds());
            // `httpdate` knows years up to 9999.
            let seconds = now.as_seconds().min(253_402_300_799);
            let moment = HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            self.text.clear();
            // Writing into a String can't fail, and after the first time there is room.
            let _ = write!(self.text, "{moment}");
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_made_anew_when_the_second_changes() {
        let mut date = DateText::default();
        assert_eq!(date.text(WallTime::from_millis(784_111_777_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.text(WallTime::from_millis(784_111_778_000)), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(date.text(WallTime::from_millis(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
