//! What can happen, and who deals with it: the one `match` of the application.

use std::net::SocketAddr;

use super::peers::{self, Peer};
use super::runs::RUN;
use super::service::Service;
use super::{App, OWN};
use crate::base::Key;
use crate::net::{Listener, Next};
use crate::os::{Completion, LISTENER, Ready, STREAM, Signal};
use crate::reactor::{Cx, Event, Host, TimerId};

impl Host for App {
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>) {
        match event {
            Event::Ready(ready) if ready.key.kind() == LISTENER => self.listener_ready(ready, cx),
            Event::Ready(ready) => {
                if let Some(peer) = self.peers.at_mut(ready.key) {
                    peers::ready(peer, ready, &mut self.service, cx);
                }
            }
            Event::Timer(id, owner) => self.timer(id, owner, cx),
            Event::Done(Completion::Disk(news)) => {
                let Service { folder, library, works, .. } = &mut self.service;
                folder.done(news, library, cx.os.disk);
                works.wake_index();
            }
            Event::Done(Completion::Signal(signal)) => self.signal(signal, cx),
            Event::Check => self.check(cx),
            Event::Closed(key) => self.closed(key, cx),
        }
    }

    fn is_runnable(&self) -> bool {
        // A process that is to end must not sleep on it.
        self.exit.is_some() || self.service.works.is_runnable() || self.service.runs.could_begin()
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
            // Nobody came back for it in time.
            RUN if self.service.runs.at(owner).is_some_and(|record| record.grace == Some(id)) => {
                self.service.cancel(owner, cx);
            }
            LISTENER => {
                for listener in self.listeners.iter_mut().filter(|listener| listener.backing_off == Some(id))
                {
                    listener.backing_off = None;
                }
                self.accept(cx);
            }
            _ if self.stop_timer == Some(id) => self.time_is_up(cx),
            // Sweeping itself is a part of every check; this has only woken the loop for it.
            _ if self.sweep_timer == Some(id) => self.sweep_timer = None,
            _ => {}
        }
    }

    // --- Connections ----------------------------------------------------------------------------------------------

    fn listener_ready(&mut self, ready: Ready, cx: &mut Cx<'_, '_>) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.key == ready.key) {
            listener.readable |= ready.readable;
            if ready == Ready::quiet(listener.key) {
                listener.waits_in_pending = false;
            }
        }
        self.accept(cx);
    }

    /// Takes clients from the backlogs, while there is room for them.
    fn accept(&mut self, cx: &mut Cx<'_, '_>) {
        let mut allowance = self.service.limits.accepts_per_turn_max;
        for index in 0..self.listeners.len() {
            // Without room the backlog waits, still marked readable; a connection that closes looks at it again.
            while self.has_room(cx) {
                let listener = &mut self.listeners[index];
                match listener.next(cx.os.net, &mut allowance) {
                    Next::Accepted(accepted) => self.welcome(accepted.key, accepted.peer, cx),
                    Next::Nobody => break,
                    Next::Spent => {
                        if !std::mem::replace(&mut listener.waits_in_pending, true) {
                            cx.again(Ready::quiet(listener.key));
                        }
                        break;
                    }
                    Next::BackOff(error) => {
                        log::warn!("no connection can be accepted for now: {error}");
                        let until = cx.now.after(self.service.limits.accept_backoff);
                        listener.backing_off = Some(cx.set_timer(until, listener.key));
                        break;
                    }
                }
            }
        }
    }

    fn welcome(&mut self, key: Key, address: SocketAddr, cx: &mut Cx<'_, '_>) {
        let mut peer = Box::new(Peer::new(key, address, cx.now, &self.service.limits));
        // Nothing is there to be read yet, or the poller will say so; this arms the timer for the first head.
        peers::serve(&mut peer, &mut self.service, cx);
        self.peers.insert(key, peer);
        self.service.open_connections = self.peers.len();
    }

    /// There is room for a client, if need be by parting with the one that has been idle longest. Its place is free
    /// after this turn's close phase, which looks at the backlog again.
    fn has_room(&mut self, cx: &mut Cx<'_, '_>) -> bool {
        if self.peers.len() < self.connections_max {
            return true;
        }
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.is_wanted()) else {
            return false;
        };
        let idle = self.peers.iter().filter_map(|(key, peer)| Some((peer.idle_since()?, key)));
        let Some((since, key)) = idle.min() else { return false };
        let due = since.after(self.service.limits.eviction_idle_min);
        if due > cx.now {
            listener.backing_off = Some(cx.set_timer(due, listener.key));
        } else if let Some(peer) = self.peers.at_mut(key) {
            peers::over(peer, &mut self.service, cx);
        }
        false
    }

    fn closed(&mut self, key: Key, cx: &mut Cx<'_, '_>) {
        self.peers.remove(key);
        self.service.open_connections = self.peers.len();
        if self.listeners.iter().any(Listener::is_wanted) {
            self.accept(cx);
        }
    }

    // --- Once a turn ----------------------------------------------------------------------------------------------

    fn check(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { works, runs, library, folder, .. } = &mut self.service;
        works.check(runs, library, folder, cx);
        self.tell_scan(cx);
        self.tell_news(cx);
        self.sweep(cx);
        // Someone waits for a place, and a connection may have become idle since.
        if self.peers.len() >= self.connections_max {
            self.accept(cx);
        }
        self.service.access_log.flush(cx.os.log);
        self.stop_if_done(cx);
    }

    /// Goes on with every client whose run has told something.
    fn tell_news(&mut self, cx: &mut Cx<'_, '_>) {
        let mut news = std::mem::take(&mut self.news);
        self.service.runs.take_news(&mut news);
        for key in news.drain(..) {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::serve(peer, &mut self.service, cx);
            }
        }
        self.news = news;
    }

    fn tell_scan(&mut self, cx: &mut Cx<'_, '_>) {
        let Service { folder, library, .. } = &mut self.service;
        let Some((report, waiting)) = folder.ended(library, cx.os.disk) else { return };
        log::info!(
            "{} notes: {} added, {} changed, {} removed",
            library.counts().notes,
            report.added,
            report.changed,
            report.removed
        );
        for (path, problem) in &report.problems {
            log::warn!("{path}: {problem}");
        }
        for key in waiting {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::synced(peer, &report, &mut self.service, cx);
            }
        }
    }

    fn sweep(&mut self, cx: &mut Cx<'_, '_>) {
        let next = self.service.runs.sweep(cx.now);
        if let Some(due) = next
            && self.sweep_timer.is_none()
        {
            self.sweep_timer = Some(cx.set_timer(due, own_key()));
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
        for listener in self.listeners.drain(..) {
            cx.close(listener.key);
        }
        self.stop_timer = Some(cx.set_timer(cx.now.after(self.service.limits.shutdown_timeout), own_key()));
        let keys: Vec<Key> = self.peers.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(peer) = self.peers.at_mut(key) {
                peers::serve(peer, &mut self.service, cx);
            }
        }
        self.stop_if_done(cx);
    }

    /// What has not finished by now is cancelled, its readers are told, and the process ends.
    fn time_is_up(&mut self, cx: &mut Cx<'_, '_>) {
        log::warn!("{:?} are over: cancelling what still runs", self.service.limits.shutdown_timeout);
        for run in self.service.runs.unfinished() {
            self.service.cancel(run, cx);
        }
        self.tell_news(cx);
        self.service.access_log.flush(cx.os.log);
        self.exit.get_or_insert(0);
    }

    fn stop_if_done(&mut self, cx: &mut Cx<'_, '_>) {
        let counts = self.service.runs.counts();
        let done = counts.pending + counts.running == 0 && self.peers.is_empty();
        if self.service.is_stopping() && done && self.exit.is_none() {
            cx.cancel_timer(&mut self.stop_timer);
            self.exit = Some(0);
        }
    }
}

/// For timers that are the application's own; which one it is, its id tells.
fn own_key() -> Key {
    Key::new(OWN, 0, 0)
}
