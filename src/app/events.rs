//! What can happen, and who deals with it: the one `match` of the application.

use std::net::SocketAddr;

use super::callbacks::CALLBACK;
use super::embed::{EMBEDDER, EMBEDDING, Embedder};
use super::folder::Ended;
use super::journal::NO_HELPER;
use super::model::{CALL, Model};
use super::note_files::Settling;
use super::peers::{self, Found, Peer};
use super::runs::RUN;
use super::service::Service;
use super::{App, own_key};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, tidy_queue};
use crate::limits::KIB;
use crate::net::outbound::EXCHANGE;
use crate::net::{Listener, Next};
use crate::notes::IndexState;
use crate::os::disk::ChangeProblem;
use crate::os::{Completion, DiskDone, LISTENER, OUTBOUND, Ready, STREAM, Signal};
use crate::reactor::{Cx, Event, Host, TimerId};
use crate::store::{Cause, Done, KeptSession, Trouble};

impl Host for App {
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>) {
        match event {
            Event::Ready(ready) if ready.key.kind() == LISTENER => self.listener_ready(ready),
            Event::Ready(ready) if ready.key.kind() == OUTBOUND => {
                let Service { outbound, pool, limits, .. } = &mut self.service;
                outbound.ready(ready, pool, limits, cx);
                self.service.hear_servers(cx);
            }
            Event::Ready(ready) => {
                if let Some(peer) = self.peers.at_mut(ready.key) {
                    peers::ready(peer, ready, &mut self.service, cx);
                }
            }
            Event::Timer(id, owner) => self.timer(id, owner, cx),
            Event::Done(Completion::Disk(news)) => self.disk_done(news, cx),
            Event::Done(Completion::Store(done)) => self.store_done(done, cx),
            Event::Done(Completion::Names(done)) => {
                let Service { outbound, limits, .. } = &mut self.service;
                outbound.named(done, limits, cx);
                self.service.hear_servers(cx);
            }
            Event::Done(Completion::Signal(signal)) => self.signal(signal, cx),
            Event::Check => self.check(cx),
            // Whoever had it closed has forgotten it already.
            Event::Closed(key) if key.kind() == OUTBOUND => {}
            Event::Closed(key) => self.closed(key, cx),
        }
    }

    fn is_runnable(&self) -> bool {
        let Service { works, runs, journal, note_files, library, .. } = &self.service;
        let has_news = !self.news.is_empty() || runs.has_news() || self.service.has_unheard();
        let has_news = has_news || self.service.could_embed() || self.service.is_to_call();
        // A process that is to end must not sleep on it.
        let has_work = works.is_runnable() || runs.could_begin() || works.could_write(note_files, runs);
        let has_work = has_work || works.could_recall(journal);
        let has_work = (has_work && !self.service.is_parked()) || note_files.has_settled(library);
        self.exit.is_some() || has_news || has_work || journal.could_send(runs) || self.could_accept()
    }
}

impl App {
    fn timer(&mut self, id: TimerId, owner: Key, cx: &mut Cx<'_, '_>) {
        match owner.kind() {
            STREAM => {
                if let Some(peer) = self.peers.at_mut(owner) {
                    peers::timer(peer, id, &mut self.service, cx);
                }
            }
            OUTBOUND | EXCHANGE => {
                let Service { outbound, pool, limits, .. } = &mut self.service;
                outbound.timer(id, owner, pool, limits, cx);
                self.service.hear_servers(cx);
            }
            CALL => {
                let Service { outbound, model, .. } = &mut self.service;
                if let Some(model) = model {
                    model.timer(id, owner, outbound, cx);
                }
                self.service.hear_servers(cx);
            }
            EMBEDDING | EMBEDDER => self.service.embedder_timer(id, owner, cx),
            CALLBACK => self.service.callbacks.timer(id, owner),
            // Nobody came back for it in time.
            RUN if self.service.runs.at(owner).is_some_and(|record| record.grace == Some(id)) => {
                self.service.cancel(owner, cx);
            }
            LISTENER => {
                for listener in self.listeners.iter_mut().filter(|listener| listener.backing_off == Some(id))
                {
                    listener.backing_off = None;
                    listener.may_turn_away = true;
                }
                self.accept(cx);
            }
            _ if self.stop_timer == Some(id) => {
                self.stop_timer = None;
                self.time_is_up(cx);
            }
            // The check of this turn is over, and the next may be far away.
            _ if self.service.journal.owns(id) => {
                if self.service.journal.timer(id, &self.service.runs) {
                    self.service.runs.tell_readers();
                }
                self.service.journal.sweep(cx);
            }
            _ if self.evict_timer == Some(id) => {
                self.evict_timer = None;
                self.make_room(cx);
            }
            _ if self.tidy_timer == Some(id) => self.tidy(cx),
            _ if self.patience_timer == Some(id) => {
                self.patience_timer = None;
                log::warn!("runs that were taken over go on, although not all notes are indexed");
                self.release_left(cx);
            }
            _ if self.disk_timer == Some(id) => {
                self.disk_timer = None;
                let Service { folder, note_files, library, works, .. } = &mut self.service;
                folder.ask_for_more(library, cx.os.disk);
                note_files.send(cx.os.disk);
                works.wake_index();
                self.see_to_stuck_folder(cx);
            }
            _ => {}
        }
    }

    // --- Connections ----------------------------------------------------------------------------------------------

    /// Remembers that somebody waits. They are let in by this turn's check, when everybody else has been heard: who
    /// leaves in this turn makes room for them.
    fn listener_ready(&mut self, ready: Ready) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.key == ready.key) {
            listener.readable |= ready.readable;
        }
    }

    /// Somebody may wait, and there is room: what this turn's share left in the backlog nobody will announce again.
    fn could_accept(&self) -> bool {
        let is_forgotten = is_planted(Planted::ForgetsTheBacklog);
        !is_forgotten
            && self.peers.len() <= self.connections_max
            && self.listeners.iter().any(Listener::is_wanted)
    }

    /// Takes clients from the backlogs, while there is room for them.
    ///
    /// One more than the bound is let in: it shows that somebody waits, which a backlog does not tell. For its sake
    /// the connection that has been idle longest is closed.
    fn accept(&mut self, cx: &mut Cx<'_, '_>) {
        // Descriptors that the close phase gives back are not missing: without this, who comes as others leave could
        // be turned away.
        if self.service.closing_connections > 0 {
            return;
        }
        for index in 0..self.listeners.len() {
            let one_more = usize::from(is_planted(Planted::LetsOneMoreIn));
            while self.peers.len() <= self.connections_max + one_more {
                let listener = &mut self.listeners[index];
                match listener.next(cx.os.net, &mut self.accepts_left) {
                    Next::Accepted(accepted) => self.welcome(accepted.key, accepted.peer, cx),
                    Next::Nobody | Next::Spent => break,
                    Next::BackOff(error) => {
                        log::warn!("no connection can be accepted for now: {error}");
                        let until = cx.now.after(self.service.limits.accept_backoff);
                        if is_planted(Planted::NeverAcceptsAgain) {
                            listener.readable = false;
                            break;
                        }
                        listener.backing_off = Some(cx.set_timer(until, listener.key));
                        break;
                    }
                }
            }
        }
        self.make_room(cx);
    }

    fn welcome(&mut self, key: Key, address: SocketAddr, cx: &mut Cx<'_, '_>) {
        let mut peer = Box::new(Peer::new(key, address, cx.now, &self.service.limits));
        // Nothing is there to be read yet, or the poller will say so; this arms the timer for the first head.
        peers::serve(&mut peer, &mut self.service, cx);
        self.peers.insert(key, peer);
        self.service.open_connections = self.peers.len();
    }

    /// If there is one connection too many, closes the one that has been idle longest, once it has been idle for a
    /// while. Without an idle one, nobody is let in until some connection ends.
    fn make_room(&mut self, cx: &mut Cx<'_, '_>) {
        if self.peers.len() <= self.connections_max || self.is_evicting || self.evict_timer.is_some() {
            return;
        }
        let idle = self.peers.iter().filter_map(|(key, peer)| Some((peer.idle_since()?, key)));
        let Some((since, key)) = idle.min() else { return };
        let due = since.after(self.service.limits.eviction_idle_min);
        if due > cx.now {
            self.evict_timer = Some(cx.set_timer(due, own_key()));
        } else if let Some(peer) = self.peers.at_mut(key) {
            self.is_evicting = true;
            peers::evict(peer, &mut self.service, cx);
        }
    }

    fn closed(&mut self, key: Key, cx: &mut Cx<'_, '_>) {
        if key.kind() == LISTENER {
            self.stop_if_done(cx);
            return;
        }
        if !is_planted(Planted::KeepsClosedPeers) {
            self.peers.remove(key);
        }
        self.service.open_connections = self.peers.len();
        self.is_evicting = false;
        self.service.closing_connections = self.service.closing_connections.saturating_sub(1);
        self.service.pool.count_freed(CONNECTION_BYTES);
        self.tidy_later(cx);
        // A descriptor is free again.
        for listener in &mut self.listeners {
            cx.cancel_timer(&mut listener.backing_off);
        }
        self.accept(cx);
        self.stop_if_done(cx);
    }

    /// If enough is unused, sees to it that memory is given back soon.
    fn tidy_later(&mut self, cx: &mut Cx<'_, '_>) {
        if self.tidy_timer.is_none()
            && self.service.pool.unused_bytes() > self.service.limits.unused_bytes_max
        {
            let due = cx.now.after(self.service.limits.tidy_delay);
            self.tidy_timer = Some(cx.set_timer(due, own_key()));
        }
    }

    /// Much was freed: gives memory back that was only needed for it.
    fn tidy(&mut self, cx: &mut Cx<'_, '_>) {
        self.tidy_timer = None;
        self.peers.tidy();
        self.service.pool.tidy();
        self.service.runs.tidy();
        self.service.journal.tidy();
        if let Some(model) = &mut self.service.model {
            model.tidy();
        }
        if let Some(embedder) = &mut self.service.embedder {
            embedder.tidy();
        }
        self.service.callbacks.tidy();
        self.service.outbound.tidy();
        tidy_queue(&mut self.news);
        cx.tidy();
    }

    // --- Once a turn ----------------------------------------------------------------------------------------------

    fn check(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.service.is_parked() {
            let Service { works, runs, library, folder, model, .. } = &mut self.service;
            works.check(model.as_ref().map(Model::plan), runs, library, folder, cx);
            self.ask_servers(cx);
            let Service { works, runs, library, note_files, journal, .. } = &mut self.service;
            works.recall(journal, runs);
            works.write(note_files, runs, cx);
            if runs.holds_left() && library.progress().state == IndexState::Ready {
                self.release_left(cx);
            }
        }
        if self.service.could_embed() {
            let Service { embedder, library, journal, outbound, .. } = &mut self.service;
            if let Some(embedder) = embedder {
                embedder.work(library, journal, outbound, cx);
            }
        }
        self.service.call_back(cx);
        self.service.hear_servers(cx);
        self.tell_scan(cx);
        self.tell_views(cx);
        self.tell_vectors(cx);
        self.tell_changes(cx);
        if !self.service.is_parked() {
            // A run that has heard of its change may want to ask.
            self.ask_servers(cx);
        }
        self.see_to_stuck_folder(cx);
        self.tell_news(self.service.limits.news_per_turn_max, cx);
        self.accept(cx);
        self.send_to_store(cx);
        self.tidy_later(cx);
        self.service.access_log.flush(cx.os.log);
        self.stop_if_done(cx);
        self.service.outbound.new_turn(&self.service.limits);
        self.service.requests_this_turn = 0;
        self.service.frames_this_turn = 0;
        self.accepts_left = self.service.limits.accepts_per_turn_max;
    }

    /// Asks the model and the embedding server for the runs that want it.
    fn ask_servers(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { works, runs, library, outbound, model, embedder, .. } = &mut self.service;
        works.ask(model, outbound, runs, library, cx);
        works.embed(embedder, outbound, runs, library, cx);
    }

    /// Runs that were taken over go on. Before the notes are indexed they would be told that there is nothing.
    fn release_left(&mut self, cx: &mut Cx<'_, '_>) {
        cx.cancel_timer(&mut self.patience_timer);
        self.service.runs.release_left();
    }

    /// Goes on with the clients whose runs have told something, with so many in a turn.
    fn tell_news(&mut self, clients_max: usize, cx: &mut Cx<'_, '_>) {
        for _ in 0..clients_max {
            // Only then: a run that tells more meanwhile would add its readers again, turn by turn, without a bound.
            if self.news.is_empty() {
                self.service.runs.take_news(&mut self.news);
            }
            let Some(key) = self.news.pop_front() else { return };
            if let Some(peer) = self.peers.at_mut(key) {
                peers::serve(peer, &mut self.service, cx);
            }
        }
    }

    /// Answers those whose views are whole: as many as there were slices for in this turn, at most.
    fn tell_views(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some(viewed) = self.service.works.next_viewed() {
            if let Some(peer) = self.peers.at_mut(viewed.asker) {
                peers::viewed(peer, viewed.task, viewed.body, &mut self.service, cx);
            }
        }
    }

    /// Answers those whose vectors are there, or of whom it is known that they get none.
    fn tell_vectors(&mut self, cx: &mut Cx<'_, '_>) {
        while let Some((asker, request, outcome)) =
            self.service.embedder.as_mut().and_then(Embedder::take_over)
        {
            if let Some(peer) = self.peers.at_mut(asker) {
                peers::embedded(peer, request, outcome, &mut self.service, cx);
            }
        }
    }

    fn tell_scan(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { folder, library, .. } = &mut self.service;
        let Some(ended) = folder.ended(library, cx.os.disk) else { return };
        let Ended { report, is_whole, waiting } = ended;
        log::log!(
            if is_whole { log::Level::Info } else { log::Level::Debug },
            "{} notes: {} added, {} changed, {} removed",
            library.counts().notes,
            report.added,
            report.changed,
            report.removed
        );
        for (path, problem) in report.problems.iter().take(PROBLEMS_LOGGED_MAX) {
            log::warn!("{path}: {problem}");
        }
        let untold = report.problems.len().saturating_sub(PROBLEMS_LOGGED_MAX) + report.problems_untold;
        if untold > 0 {
            log::warn!("{untold} more files or folders are left out, in part or in whole");
        }
        for key in waiting {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::synced(peer, &report, &mut self.service, cx);
            }
        }
    }

    /// The disk helper has done something.
    fn disk_done(&mut self, news: DiskDone, cx: &mut Cx<'_, '_>) {
        match news {
            DiskDone::Fetched { asker, outcome } => {
                self.service.note_files.done();
                if asker.kind() == RUN {
                    let Service { works, runs, library, .. } = &mut self.service;
                    works.hear_file(asker, outcome, runs, library, cx.os.clock);
                } else if let Some(peer) = self.peers.at_mut(asker) {
                    peers::fetched(peer, outcome, &mut self.service, cx);
                }
            }
            DiskDone::Changed { asker, path, outcome } => {
                self.service.note_files.done();
                let Service { folder, library, .. } = &mut self.service;
                folder.changed(&path, &outcome, library);
                match outcome {
                    Ok(changed) => self.service.note_files.settle(asker, path, changed),
                    Err(problem) => self.not_changed(asker, &problem, cx),
                }
            }
            DiskDone::Listed { .. } | DiskDone::ListEnded { .. } | DiskDone::Read(_) => {
                let Service { folder, library, .. } = &mut self.service;
                folder.done(news, library);
            }
        }
        let Service { folder, note_files, library, works, .. } = &mut self.service;
        folder.ask_for_more(library, cx.os.disk);
        note_files.send(cx.os.disk);
        works.wake_index();
    }

    fn not_changed(&mut self, asker: Key, problem: &ChangeProblem, cx: &mut Cx<'_, '_>) {
        if asker.kind() == RUN {
            let Service { works, runs, library, .. } = &mut self.service;
            works.hear_change(asker, Err(problem.clone()), runs, library, cx.os.clock);
        } else if let Some(peer) = self.peers.at_mut(asker) {
            peers::not_changed(peer, problem, &mut self.service, cx);
        }
    }

    /// Answers those whose changes are in the index.
    fn tell_changes(&mut self, cx: &mut Cx<'_, '_>) {
        loop {
            let Service { note_files, library, .. } = &mut self.service;
            let Some(settled) = note_files.next_settled(library) else { return };
            self.changed(&settled, cx);
        }
    }

    fn changed(&mut self, settled: &Settling, cx: &mut Cx<'_, '_>) {
        if settled.asker.kind() == RUN {
            let Service { works, runs, library, .. } = &mut self.service;
            works.hear_change(settled.asker, Ok(()), runs, library, cx.os.clock);
        } else if let Some(peer) = self.peers.at_mut(settled.asker) {
            peers::changed(peer, &settled.path, &settled.changed, &mut self.service, cx);
        }
    }

    /// While the disk helper can't be started: tries again after a while, and lets nobody wait for it.
    fn see_to_stuck_folder(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { folder, note_files, .. } = &mut self.service;
        // If it has a job of either kind, there will be news, and room.
        let has_jobs = folder.has_jobs() || note_files.under_way() > 0;
        if has_jobs || !(folder.is_stuck() || note_files.is_stuck()) {
            return;
        }
        for asker in self.service.note_files.give_up() {
            self.not_changed(asker, &ChangeProblem::System(std::io::ErrorKind::ResourceBusy), cx);
        }
        for settled in self.service.note_files.take_settling() {
            self.changed(&settled, cx);
        }
        if !(self.service.folder.is_stuck() || self.service.note_files.is_stuck()) {
            return;
        }
        if self.disk_timer.is_none() {
            let due = cx.now.after(self.service.limits.disk_backoff);
            self.disk_timer = Some(cx.set_timer(due, own_key()));
        }
        for key in self.service.folder.take_waiting() {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::not_synced(peer, &mut self.service, cx);
            }
        }
    }

    // --- The store ------------------------------------------------------------------------------------------------

    /// Sends what this turn has to keep, and asks what there is to ask.
    fn send_to_store(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { journal, runs, .. } = &mut self.service;
        if let Err(trouble) = journal.send_batch(runs, cx.os.store) {
            self.service.not_kept(&trouble, false, cx);
        }
        for key in self.service.journal.send_reads(cx.os.store) {
            let trouble = Trouble::new(Cause::Failed, NO_HELPER);
            match key.kind() {
                EMBEDDER => self.service.vectors_found(Err(trouble), cx),
                RUN => self.hear_session(key, Err(trouble), cx),
                CALLBACK => self.service.call_found(key, Err(trouble), cx),
                _ => self.found(key, Found::Nothing(trouble), cx),
            }
        }
        self.service.journal.sweep(cx);
    }

    fn store_done(&mut self, done: Done, cx: &mut Cx<'_, '_>) {
        match done {
            Done::Committed(Ok(())) => self.service.kept(cx),
            Done::Committed(Err(trouble)) => self.service.not_kept(&trouble, true, cx),
            Done::Swept(swept) => self.service.journal.swept(swept, cx),
            Done::Found { asker, found } if asker.kind() == CALLBACK => {
                self.service.journal.read_done();
                self.service.call_found(asker, found, cx);
            }
            Done::Found { asker, found } => self.read_done(asker, found.map(Found::Run), cx),
            Done::Listed { asker, found } => self.read_done(asker, found.map(Found::Rows), cx),
            Done::FoundKey { asker, found } => self.read_done(asker, found.map(Found::Key), cx),
            Done::ListedSessions { asker, found } => self.read_done(asker, found.map(Found::Sessions), cx),
            Done::FoundSession { asker, found } if asker.kind() == RUN => {
                self.service.journal.read_done();
                self.hear_session(asker, found, cx);
            }
            Done::FoundSession { asker, found } => self.read_done(asker, found.map(Found::Session), cx),
            Done::DroppedSession { asker, dropped } => {
                self.read_done(asker, dropped.map(Found::Dropped), cx);
            }
            Done::FoundVectors { found, .. } => {
                self.service.journal.read_done();
                self.service.vectors_found(found, cx);
            }
            Done::KeptVectors { kept, .. } => {
                self.service.journal.read_done();
                if let Some(embedder) = &mut self.service.embedder {
                    embedder.kept(kept);
                }
            }
        }
        self.stop_if_done(cx);
    }

    /// What was said in the session of a run is known, or can't be read.
    fn hear_session(&mut self, run: Key, found: Result<Option<KeptSession>, Trouble>, cx: &mut Cx<'_, '_>) {
        let Service { works, runs, library, limits, .. } = &mut self.service;
        works.hear_session(run, found, runs, library, limits, cx.os.clock);
    }

    fn read_done(&mut self, asker: Key, found: Result<Found, Trouble>, cx: &mut Cx<'_, '_>) {
        self.service.journal.read_done();
        self.found(asker, found.unwrap_or_else(Found::Nothing), cx);
    }

    fn found(&mut self, asker: Key, found: Found, cx: &mut Cx<'_, '_>) {
        if let Some(peer) = self.peers.at_mut(asker) {
            peers::found(peer, found, &mut self.service, cx);
        }
    }

    // --- Stopping -------------------------------------------------------------------------------------------------

    /// The first signal lets what runs finish, within a bound; the second does not wait.
    fn signal(&mut self, signal: Signal, cx: &mut Cx<'_, '_>) {
        if self.service.is_stopping() {
            log::info!("stopping at once");
            self.exit = Some(128 + signal.number());
            return;
        }
        let counts = self.service.runs.counts();
        log::info!(
            "stopping: {} runs may finish, within {:?}",
            counts.pending + counts.running,
            self.service.limits.shutdown_timeout
        );
        self.service.stop();
        for mut listener in self.listeners.drain(..) {
            cx.cancel_timer(&mut listener.backing_off);
            cx.close(listener.key);
        }
        self.stop_timer = Some(cx.set_timer(cx.now.after(self.service.limits.shutdown_timeout), own_key()));
        self.serve_all(cx);
        self.stop_if_done(cx);
    }

    fn serve_all(&mut self, cx: &mut Cx<'_, '_>) {
        let keys: Vec<Key> = self.peers.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::serve(peer, &mut self.service, cx);
            }
        }
    }

    /// What has not finished by now is left to the next process, or is cancelled if nothing is kept for one. Readers are
    /// told, and the process ends once what is to be kept is, within a bound.
    fn time_is_up(&mut self, cx: &mut Cx<'_, '_>) {
        if self.service.is_parked() {
            log::error!("not all could be kept within {:?}", self.service.limits.farewell_timeout);
            return self.exit_with(1, cx);
        }
        if self.service.journal.is_durable() {
            let count = self.service.park(cx);
            log::info!("{count} runs are left to the next process");
        } else {
            log::warn!("{:?} are over: cancelling what still runs", self.service.limits.shutdown_timeout);
            for run in self.service.runs.unfinished() {
                self.service.cancel(run, cx);
            }
            self.service.park(cx);
        }
        // Others than readers of runs may be told as well that there will be nothing more.
        self.serve_all(cx);
        self.tell_news(usize::MAX, cx);
        let farewell = cx.now.after(self.service.limits.farewell_timeout);
        self.stop_timer = Some(cx.set_timer(farewell, own_key()));
        self.send_to_store(cx);
        self.stop_if_done(cx);
    }

    fn stop_if_done(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { journal, runs, .. } = &self.service;
        if !self.service.is_stopping() || self.exit.is_some() || !journal.is_quiet(runs) {
            return;
        }
        let counts = runs.counts();
        let done = counts.pending + counts.running == 0 && self.peers.is_empty();
        if done || self.service.is_parked() {
            self.exit_with(0, cx);
        }
    }

    fn exit_with(&mut self, code: u8, cx: &mut Cx<'_, '_>) {
        cx.cancel_timer(&mut self.stop_timer);
        self.tell_news(usize::MAX, cx);
        self.service.access_log.flush(cx.os.log);
        self.exit = Some(code);
    }
}

/// What a connection takes, in all tables together; about.
const CONNECTION_BYTES: usize = KIB;

/// Problems of one scan that are logged, a line each; `POST /sync` tells more of them.
const PROBLEMS_LOGGED_MAX: usize = 10;
