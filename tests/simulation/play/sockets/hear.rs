//! How closely such a client looks at what it is told.

use std::time::Duration;

use oneloop::base::Time;
use oneloop::limits::Limits;
use oneloop::os::sim::Outside;
use serde_json::Value;

use super::super::judge;
use super::super::parser::{field, show};
use super::super::town::{is_terminal, rank};
use super::frames::{self, Frame, LAST, PONG, frame};
use super::wish::{BREACHES, NAMELESS, NONSENSE, Wish};
use super::{Asked, Own, Pending, Phase, Socket};

/// In calm weather whatever is asked for is done within this time, where no model and no other process is waited for.
const PROMPT: Duration = Duration::from_secs(1);
/// The same for what needs a model, or a process that has just taken over.
const PROMPT_MODEL: Duration = Duration::from_secs(100);

impl Socket {
    /// Takes what was received.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub(super) fn take(&mut self, bytes: &[u8], outside: &mut Outside<'_>) -> Result<(), String> {
        if self.phase == Phase::Greeting {
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(()) };
            let rest = self.head.split_off(end + 4);
            self.greeted(end, outside)?;
            // Behind a refusal comes its body, and then the end.
            if self.phase == Phase::Open {
                self.frames.feed(&rest);
            }
        } else {
            self.frames.feed(bytes);
        }
        while self.phase != Phase::Greeting
            && let Some(frame) = self.frames.next().map_err(|wrong| format!("was sent {wrong}"))?
        {
            self.hear(frame, outside)?;
        }
        Ok(())
    }

    /// The handshake is answered.
    fn greeted(&mut self, end: usize, outside: &mut Outside<'_>) -> Result<(), String> {
        let head = std::str::from_utf8(&self.head[..end]).map_err(|_| "a head that is not ASCII")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or("");
        if !status.starts_with("HTTP/1.1 101 ") {
            let is_excused = !self.line_is_calm || self.town.evicts || self.town.is_stopping.get();
            let may_be = ["HTTP/1.1 408 ", "HTTP/1.1 503 "].iter().any(|known| status.starts_with(known));
            return if is_excused && may_be {
                Ok(())
            } else {
                Err(format!("asked for a WebSocket: {status}"))
            };
        }
        let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
        let value = |name: &str| {
            let mut values =
                fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
            (values.next(), values.next())
        };
        for (name, wanted) in [
            ("upgrade", Some("websocket")),
            ("connection", Some("Upgrade")),
            ("sec-websocket-accept", Some(frames::accepts().as_str())),
            ("content-length", None),
            ("transfer-encoding", None),
            ("sec-websocket-protocol", None),
            ("sec-websocket-extensions", None),
        ] {
            if value(name) != (wanted, None) {
                return Err(format!("was greeted with {name}: {:?}", value(name)));
            }
        }
        outside.say(|| format!("({}) speaks WebSocket", self.manner.name));
        self.phase = Phase::Open;
        if self.hurries {
            self.see("somebody spoke before its handshake was answered");
        }
        Ok(())
    }

    fn hear(&mut self, frame: Frame, outside: &mut Outside<'_>) -> Result<(), String> {
        let now = outside.now();
        match frame {
            Frame::Ping(payload) => {
                let interval = self.town.limits.websocket_ping_interval;
                if self.dead.is_none() && matches!(self.phase, Phase::Open) && !self.has_finished {
                    if now.since(self.last_sent) >= interval {
                        self.see("a silent socket was pinged, and answered");
                    }
                    let mask = frames::mask(&mut self.random);
                    self::frame(LAST | PONG, &payload, mask, &mut self.outgoing);
                }
                Ok(())
            }
            Frame::Pong(payload) => {
                let place = self.pings.iter().position(|ping| *ping == payload);
                let place = place.ok_or_else(|| format!("was sent a pong unasked: {}", show(&payload)))?;
                // One that was overtaken by another may go unanswered.
                self.pings.drain(..=place);
                self.see("a ping was answered");
                Ok(())
            }
            Frame::Close(code) => {
                let is_ending = self.town.is_stopping.get() || self.is_excused_by_an_end();
                let wanted = if let Phase::Leaving { code } = self.phase { Some(code) } else { None };
                match code {
                    Some(code) if Some(code) == wanted => {
                        if self.breach.take().is_some() {
                            self.see("a socket that broke the protocol was told so");
                        } else {
                            self.see("a socket was closed in good order");
                        }
                    }
                    // Over some wires a message takes longer than it may in some worlds.
                    Some(1008) if self.town.limits.body_timeout < Limits::default().body_timeout => {
                        self.see("a socket was too slow with a message");
                    }
                    Some(1013) if self.town.evicts => {
                        self.see("a socket was closed in favour of somebody else")
                    }
                    Some(1001) if is_ending => self.see("a socket was told that the server goes away"),
                    code => {
                        let breach = self.breach.map(|place| BREACHES[place].0);
                        return Err(format!(
                            "was told the code {code:?} in place of {wanted:?} ({breach:?})"
                        ));
                    }
                }
                self.phase = Phase::Ended;
                Ok(())
            }
            Frame::Text(text) => {
                let json: Value =
                    serde_json::from_str(&text).map_err(|error| format!("was sent {text}: {error}"))?;
                outside.say(|| format!("({}) is told {:.90}", self.manner.name, text));
                let told = self.told(&text, &json, now, outside);
                told.map_err(|wrong| format!("{wrong}, when told {text:.200}"))
            }
        }
    }

    /// The request that a message answers.
    fn asked(&mut self, json: &Value, now: Time) -> Result<Pending, String> {
        let id = match &json["id"] {
            Value::String(text) => text.strip_prefix('n').and_then(|text| text.parse().ok()),
            id => id.as_u64(),
        };
        let nameless =
            |pending: &Pending| matches!(pending.asked, Asked::Nonsense { place } if place < NAMELESS);
        let id = match id {
            None if json.get("id").is_none() => {
                self.pending.iter().find(|(_, pending)| nameless(pending)).map(|(id, _)| *id)
            }
            id => id,
        };
        let id = id.ok_or("is answered under no name")?;
        let pending = match self.pending.remove(&id) {
            Some(pending) => pending,
            None if self.settled.remove(&id) => {
                Pending { asked: Asked::Cancel { run: String::new() }, at: now, in_calm: false }
            }
            None => return Err("is answered twice, or unasked".to_owned()),
        };
        let took = now.since(pending.at);
        let is_slow = self.town.has_model || self.town.ends.get() > 0;
        if pending.in_calm && self.line_is_calm && took > if is_slow { PROMPT_MODEL } else { PROMPT } {
            return Err(format!("waited {took:?} in calm weather"));
        }
        Ok(pending)
    }

    fn told(&mut self, text: &str, json: &Value, now: Time, outside: &mut Outside<'_>) -> Result<(), String> {
        let run = json["run_id"].as_str();
        match (json["type"].as_str().unwrap_or("?"), run) {
            ("pong", None) => match self.asked(json, now)?.asked {
                Asked::Pong => Ok(()),
                other => Err(format!("asked {other:?}")),
            },
            ("accepted", Some(run)) => self.accepted(run, json, now, outside.is_calm()),
            ("state", Some(run)) => self.state(run, json, now),
            ("refused", _) => self.refused(json, now),
            (_, Some(run)) => self.event(run, text, json, now, outside),
            (_, None) => Err("is told of no run".to_owned()),
        }
    }

    fn accepted(&mut self, run: &str, json: &Value, now: Time, calm: bool) -> Result<(), String> {
        let Pending { asked, .. } = self.asked(json, now)?;
        let Asked::Chat { subject, question, is_indexed, stays, cancels, .. } = asked else {
            return Err(format!("asked {asked:?}"));
        };
        if json["seq"] != 0 || self.runs.contains_key(run) {
            return Err("is told again of what was accepted before".to_owned());
        }
        let mut oracle = self.town.oracle.borrow_mut();
        oracle.accepted(run);
        // In rough weather the server may know before its client that the connection is gone.
        if !stays && (!self.line_is_calm || self.has_finished) {
            oracle.may_be_cancelled(run);
        }
        drop(oracle);
        let own = Own {
            subject,
            question,
            is_indexed,
            ends: self.connected_ends,
            stays,
            after: 0,
            is_done: false,
            is_read: true,
            next_try: now,
            accepted_in_calm: (calm && self.line_is_calm).then_some(now),
        };
        self.runs.insert(run.to_owned(), own);
        if cancels {
            self.agenda.push_front(Wish::Cancel { run: run.to_owned() });
        }
        if self.runs.values().filter(|own| own.is_read).count() > 1 {
            self.see("a socket read several runs at once");
        }
        Ok(())
    }

    fn state(&mut self, run: &str, json: &Value, now: Time) -> Result<(), String> {
        let Pending { asked, at, .. } = self.asked(json, now)?;
        let status = json["status"].as_str().unwrap_or("?");
        rank(status).ok_or("is told no status")?;
        if self.town.is_stopping.get() {
            self.town.oracle.borrow_mut().may_be_cancelled(run);
        }
        self.town.oracle.borrow_mut().status(run, status, at, now)?;
        match asked {
            Asked::Resume { run: wanted, after } => {
                if wanted != run || json["seq"] != after {
                    return Err(format!("wanted {wanted} from {after} on"));
                }
                let own = self.runs.get_mut(run).ok_or("has no such run")?;
                let what = match own.after {
                    known if after < known => "a run was read again from an earlier event",
                    _ if own.is_read => "a run was resumed that was read already",
                    _ => "a run was resumed over another socket",
                };
                (own.after, own.is_done, own.is_read) = (after, false, true);
                self.see(what);
                Ok(())
            }
            Asked::Cancel { run: wanted } => {
                if (wanted != run && !wanted.is_empty()) || !is_terminal(status) {
                    return Err(format!("cancelled {wanted}"));
                }
                self.see("a cancel over a socket was answered with a state");
                Ok(())
            }
            other => Err(format!("asked {other:?}")),
        }
    }

    fn refused(&mut self, json: &Value, now: Time) -> Result<(), String> {
        let Pending { asked, .. } = self.asked(json, now)?;
        let status = json["status"].as_u64().unwrap_or(0);
        if json["detail"].is_null() {
            return Err("is refused without a reason".to_owned());
        }
        if let Asked::Nonsense { place } = asked {
            // Where runs are forgotten, what never was may have been.
            let may_be_gone = NONSENSE[place].1 == 404 && status == 410 && self.town.forgets_runs;
            let is_busy = NONSENSE[place].1 == 404 && matches!(status, 503 | 507);
            // Whether there is room is looked at first.
            let is_busy = is_busy || (status == 429 && NONSENSE[place].0.contains("chat"));
            if status != u64::from(NONSENSE[place].1) && !may_be_gone && !is_busy {
                return Err(format!("said {}", NONSENSE[place].0));
            }
            self.see("nonsense over a socket was refused");
            return Ok(());
        }
        let after = match status {
            429 => {
                let chats = self.pending.values().filter(|pending| !matches!(pending.asked, Asked::Pong));
                let most = self.runs.values().filter(|own| own.is_read).count() + chats.count() + 1;
                if most + self.settled.len() < self.town.limits.websocket_runs_max {
                    return Err(format!("reads no more than {most} runs"));
                }
                self.see("a socket read as many runs as it may");
                json["retry_after"].as_u64().ok_or("is told no time to try again")?
            }
            503 => {
                self.see("a message over a socket was refused with 503");
                json["retry_after"].as_u64().unwrap_or(1)
            }
            507 if self.town.store_fails => 1,
            410 if self.town.forgets_runs => {
                let (Asked::Resume { run, .. } | Asked::Cancel { run }) = asked else {
                    return Err("asked of no run".to_owned());
                };
                self.runs.remove(&run);
                self.see("a run was forgotten while somebody asked for it");
                return Ok(());
            }
            _ => return Err(format!("asked {asked:?}")),
        };
        let next = now.after(Duration::from_secs(after));
        match asked {
            Asked::Resume { run, .. } => {
                if let Some(own) = self.runs.get_mut(&run) {
                    own.next_try = next;
                }
            }
            // It has ended, as was wanted.
            Asked::Cancel { run } if run.is_empty() => {}
            asked => {
                self.next_wish = next;
                self.agenda.extend(asked.again());
            }
        }
        Ok(())
    }

    /// An event of a run, which must be the next.
    fn event(
        &mut self,
        run: &str,
        text: &str,
        json: &Value,
        now: Time,
        outside: &mut Outside<'_>,
    ) -> Result<(), String> {
        let number = json["seq"].as_u64().ok_or("an event without a number")?;
        let is_ending = self.town.is_stopping.get() || self.is_excused_by_an_end();
        let own = self.runs.get_mut(run).filter(|own| own.is_read).ok_or("does not read this run")?;
        let kind = json["type"].as_str().unwrap_or("?");
        match kind {
            "restarting" if is_ending && number == own.after => {
                own.is_read = false;
                self.town.oracle.borrow_mut().may_be_cancelled(run);
                self.see("a socket was told that the server restarts");
                return Ok(());
            }
            "storage" if self.town.store_fails && number == own.after => {
                self.see("a socket was told that something is not kept for now");
                return Ok(());
            }
            _ => {}
        }
        // Behind its run and its number it stands as it does in the log, where others may have read it.
        let prefix = format!("{{\"run_id\":\"{run}\",\"seq\":{number},");
        let rest = text.strip_prefix(&prefix).ok_or("an event that begins otherwise")?;
        let data = format!("{{{rest}");
        judge::follows(run, own.after, number, &data)?;
        if own.is_done {
            return Err("is told more than the end".to_owned());
        }
        own.after = number;
        let own = own.clone();
        if is_ending || self.has_finished {
            self.town.oracle.borrow_mut().may_be_cancelled(run);
        }
        self.town.event(run, number, &data, now)?;
        match kind {
            "complete" => {
                let is_indexed = own.is_indexed && own.ends == self.town.ends.get();
                let response = &json["response"];
                let seen = judge::author(&self.town, &own.question, response)?;
                seen.into_iter().for_each(|what| self.see(what));
                let seen = judge::answer(&self.town, run, own.subject, response, is_indexed)?;
                self.see(seen);
                self.see("a chat over a socket was answered");
            }
            "done" => self.done(run, &own, now, outside)?,
            _ => {}
        }
        Ok(())
    }

    fn done(&mut self, run: &str, own: &Own, now: Time, outside: &mut Outside<'_>) -> Result<(), String> {
        if let Some(own) = self.runs.get_mut(run) {
            (own.is_done, own.is_read, own.accepted_in_calm) = (true, false, None);
        }
        let is_cancel =
            |pending: &Pending| matches!(&pending.asked, Asked::Cancel { run: asked } if asked == run);
        let cancels: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| is_cancel(pending)).map(|(id, _)| *id).collect();
        for id in cancels {
            self.pending.remove(&id);
            self.settled.insert(id);
        }
        outside.say(|| format!("({}) has all of run {run}", self.manner.name));
        let most = if self.town.has_model { PROMPT_MODEL } else { PROMPT * 10 };
        match own.accepted_in_calm {
            Some(since) if self.line_is_calm && now.since(since) > most => {
                Err(format!("waited {:?} for its end in calm weather", now.since(since)))
            }
            Some(_) | None => Ok(()),
        }
    }
}
