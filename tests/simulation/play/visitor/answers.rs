//! How closely a visitor looks at what it is answered.

use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Line, Outside};
use serde_json::{Value, json};

use super::super::judge::{self, Question};
use super::super::parser::{Head, Piece, show};
use super::super::scenario::SESSIONS;
use super::super::town::{SUBJECTS, is_terminal, rank};
use super::completion::Completion;
use super::errand::{
    Asked, Errand, OwnStep, TALLY, Verdict, Words, note_code, own_text, said, session_name, told,
};
use super::{Loss, Sent, Visitor};

/// In calm weather whatever is asked for is done within this time, before some timeout wakes a loop that has forgotten
/// it.
pub(super) const PROMPT: Duration = Duration::from_millis(500);
/// The same for what needs a model: a call that was begun before may still have to be tried again, and whoever came
/// first is served first.
const PROMPT_MODEL: Duration = Duration::from_secs(100);
/// The same for what needs the disk helper, whose last slow job was begun before.
const PROMPT_SCAN: Duration = Duration::from_secs(15);

impl Visitor {
    pub(super) fn take_pieces(&mut self, line: Line, outside: &mut Outside<'_>) {
        loop {
            let piece = match self.parser.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(wrong) => return self.complain(format!("was sent {wrong}")),
            };
            if let Err(wrong) = self.take_piece(piece, line, outside) {
                let errand = self.sent.front().map(|sent| format!("{:?}", sent.errand));
                return self.complain(format!("{wrong}, when asked {}", errand.unwrap_or_default()));
            }
            if self.line.is_none() {
                return;
            }
        }
    }

    pub(super) fn take_piece(
        &mut self,
        piece: Piece,
        line: Line,
        outside: &mut Outside<'_>,
    ) -> Result<(), String> {
        match piece {
            Piece::Interim => {
                let asked =
                    self.sent.front_mut().is_some_and(|sent| std::mem::replace(&mut sent.expects, false));
                if !asked {
                    return Err("was sent 100 and had not asked for it, or twice".to_owned());
                }
                self.see("a client was told to go on with its body");
                Ok(())
            }
            Piece::Head(head) => {
                let now = outside.now();
                let Some(sent) = self.sent.front_mut() else {
                    return self.unasked(&head);
                };
                if head.status == 408 {
                    let limits = &self.town.limits;
                    let least = limits.head_timeout.min(limits.body_gap_timeout).min(limits.body_timeout);
                    // The first head has its time from when the connection was accepted.
                    let took = now.since(if self.line_answers == 0 { self.connected_at } else { sent.began });
                    if took < least {
                        return Err(format!("was timed out after {took:?}, before {least:?}"));
                    }
                }
                sent.head = Some(head);
                Ok(())
            }
            Piece::Body(bytes) => {
                let Some(sent) = self.sent.front_mut() else { return Ok(()) };
                let head = sent.head.as_ref().ok_or("has a body without a head")?;
                if head.status == 200 && head.field("content-type") == Some("text/event-stream") {
                    sent.events.feed(&bytes);
                    return self.take_events(line, outside);
                }
                sent.body.extend(bytes);
                Ok(())
            }
            Piece::End => {
                let Some(sent) = self.sent.pop_front() else { return Ok(()) };
                let errand = sent.errand.clone();
                self.answered(sent, outside).map_err(|wrong| format!("{wrong}, when asked {errand:?}"))
            }
        }
    }

    /// The server may refuse before anything is asked only for being too slow.
    pub(super) fn unasked(&mut self, head: &Head) -> Result<(), String> {
        if head.status == 408 { Ok(()) } else { Err(format!("was answered {} unasked", head.status)) }
    }

    pub(super) fn take_events(&mut self, line: Line, outside: &mut Outside<'_>) -> Result<(), String> {
        loop {
            let Some(sent) = self.sent.front_mut() else { return Ok(()) };
            let next = sent.events.next()?;
            let has_heartbeat = sent.events.heartbeats() > 0;
            let Some(event) = next else {
                if has_heartbeat {
                    self.see("a silent stream had a heartbeat");
                }
                return Ok(());
            };
            let Some((run, number)) = event.id else {
                if matches!(sent.errand, Errand::Complete { by: Words::Mcp, .. }) {
                    self.take_rpc(&event.data, line, outside)?;
                } else if matches!(sent.errand, Errand::Complete { .. }) {
                    self.take_chunk(&event.data, line, outside)?;
                } else {
                    self.take_note(&event.data)?;
                }
                continue;
            };
            let last = match &sent.position {
                Some((known, _)) if *known != run => return Err(format!("was sent an event of {run}")),
                Some((_, last)) => *last,
                None => 0,
            };
            let keep = judge::kept_by_restart(&event.data);
            judge::follows(&run, last, number, &event.data)?;
            if sent.is_done {
                return Err(format!("was sent event {number} behind the last of run {run}"));
            }
            sent.position = Some((run.clone(), number));
            sent.is_done = event.data.contains("\"type\":\"done\"");
            let kind = event.data.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
            match kind {
                Some("revision") => self.see("a reader was told that an answer begins anew"),
                Some("reasoning") => self.see("a reader was told what the model thought"),
                Some(_) | None => {}
            }
            if keep.is_some() {
                self.see("a reader was told that a crash has made events void");
            }
            if keep.is_some_and(|keep| keep < last) {
                self.see("a reader was ahead of what a crash has kept");
            }
            if self.has_finished || self.town.is_stopping.get() {
                self.town.oracle.borrow_mut().may_be_cancelled(&run);
            }
            self.town.event(&run, number, &event.data, outside.now())?;
            if !outside.is_calm() && self.random.chance(self.temper.quit_stream_per_mille) {
                if self.random.chance(500) {
                    outside.reset(line)
                } else {
                    outside.close(line)
                }
                self.lose(outside, Loss::Own);
                return Ok(());
            }
        }
    }

    /// An event without a number: it says how things are, and the position stays.
    fn take_note(&mut self, data: &str) -> Result<(), String> {
        let note: Value = serde_json::from_str(data).map_err(|error| format!("was sent {data}: {error}"))?;
        let is_ending = self.town.is_stopping.get() || self.is_excused_by_an_end();
        let Some(sent) = self.sent.front_mut() else { return Ok(()) };
        match note["type"].as_str() {
            Some("state") if matches!(sent.errand, Errand::Rejoin { .. }) => {
                rank(note["status"].as_str().unwrap_or("?")).ok_or(format!("was sent {data}"))?;
                Ok(())
            }
            Some("restarting") if is_ending => {
                sent.restarts = true;
                // Whoever has had no event yet learns here what to come back for.
                let run = note["run_id"].as_str().ok_or("was told of a restart without a run")?;
                sent.position.get_or_insert((run.to_owned(), 0));
                self.see("a stream was told that the server restarts");
                Ok(())
            }
            Some("storage") if self.town.store_fails => {
                self.see("a stream was told that it is not kept for now");
                Ok(())
            }
            _ => Err(format!("was sent an event without an id: {data}")),
        }
    }

    pub(super) fn answered(&mut self, sent: Sent, outside: &mut Outside<'_>) -> Result<(), String> {
        let Sent {
            errand,
            question,
            began,
            head,
            body,
            position,
            is_done,
            restarts,
            completion,
            events,
            in_calm,
            is_indexed,
            asked_ends,
            ..
        } = sent;
        let now = outside.now();
        let head = head.ok_or("was sent an answer without a head")?;
        let status = head.status;
        outside.say(|| format!("({}) is answered {status}", self.temper.name));
        let text = || show(&body);
        if let Some(length) = head.field("content-length")
            && length != body.len().to_string()
            && errand != Errand::HeadOnly
        {
            return Err(format!("was promised {length} bytes and sent {}", body.len()));
        }
        let calm = outside.is_calm();
        let took = outside.now().since(began);
        let prompt = match errand {
            Errand::Sync | Errand::SyncNote { .. } => PROMPT_SCAN,
            _ if errand.is_a_scribes() => PROMPT_SCAN,
            // The request before it may still wait for a connection.
            Errand::Embed { .. } => PROMPT_MODEL,
            // A run that was taken over waits for the notes to be read.
            _ if self.town.has_model && errand.is_about_a_run() => PROMPT_MODEL,
            Errand::Rejoin { .. } if self.town.ends.get() > 0 => PROMPT_SCAN,
            _ => PROMPT,
        };
        if self.line_is_calm && !self.town.evicts && took > prompt {
            return Err(format!("waited {took:?} in calm weather"));
        }
        self.line_answers += 1;
        match status {
            408 => {
                if self.line_is_calm {
                    return Err("was timed out although it said all at once".to_owned());
                }
                self.see("a slow request was answered 408");
                self.agenda.push_front(errand);
                return Ok(());
            }
            503 if matches!(errand, Errand::Embed { .. }) && !self.town.gives_vectors => {
                self.see("a client was told that there are no vectors for now");
                return Ok(());
            }
            503 if errand.may_be_too_much() => {
                let seconds: u64 = head
                    .field("retry-after")
                    .and_then(|text| text.parse().ok())
                    .ok_or("503 without Retry-After")?;
                self.see("a request was answered 503");
                self.next_errand = outside.now().after(Duration::from_secs(seconds));
                self.agenda.push_front(errand);
                return Ok(());
            }
            403 | 507 if errand.is_a_scribes() && self.town.notes_fail => {
                self.see("a note could not be written");
                self.next_errand = outside.now().after(Duration::from_secs(1));
                self.agenda.push_front(errand);
                return Ok(());
            }
            503 | 507 if errand.needs_the_store() && self.town.store_fails => {
                self.see("something could not be kept, or not be looked up");
                self.next_errand = outside.now().after(Duration::from_secs(1));
                self.agenda.push_front(errand);
                return Ok(());
            }
            503 if errand.needs_the_store() && self.town.has_sockets => {
                self.see("too many ended runs were read at once");
                self.next_errand = outside.now().after(Duration::from_secs(1));
                self.agenda.push_front(errand);
                return Ok(());
            }
            410 if self.town.forgets_runs && errand.is_about_a_run() => {
                self.see("a run was forgotten while somebody asked for it");
                return Ok(());
            }
            _ => {}
        }
        let is_stream = position.is_some() || completion.id.is_some() || completion.failed.is_some();
        let json: Value = match status {
            200 | 202 if errand.is_answered_with_a_note() => Value::Null,
            200..=202 if errand != Errand::HeadOnly && !is_stream => serde_json::from_slice(&body)
                .map_err(|error| format!("was sent broken JSON: {error}: {}", text()))?,
            _ => Value::Null,
        };
        self.done_count += 1;
        let expect = |wanted: u16| {
            if status == wanted {
                Ok(())
            } else {
                Err(format!("was answered {status} in place of {wanted}: {}", show(&body)))
            }
        };
        match errand {
            Errand::Health => {
                expect(200)?;
                let stopping = self.town.is_stopping.get() || self.is_excused_by_an_end();
                match json["status"].as_str() {
                    Some("healthy") => Ok(()),
                    Some("stopping") if stopping => {
                        self.see("a request was answered while stopping");
                        Ok(())
                    }
                    other => Err(format!("was told {other:?}")),
                }
            }
            Errand::HeadOnly | Errand::Info => expect(200),
            Errand::Options => expect(204),
            Errand::Nowhere => expect(404),
            Errand::BrokenJson => expect(422),
            Errand::TooLarge => {
                expect(413)?;
                self.see("a body was refused from its declared size");
                Ok(())
            }
            Errand::Tasks => {
                expect(200)?;
                let ids: Vec<&str> = json["tasks"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|task| task["task_id"].as_str())
                    .collect();
                if !ids.windows(2).all(|pair| pair[0] > pair[1]) {
                    return Err(format!("was told tasks out of order: {ids:?}"));
                }
                Ok(())
            }
            Errand::Sync => {
                expect(200)?;
                self.see("a sync was answered");
                if in_calm && asked_ends == self.town.ends.get() {
                    self.town.is_indexed.set(true);
                }
                if json["added"].as_u64() > Some(0) && json["removed"].as_u64() > Some(0) {
                    self.see("a sync found notes added and removed");
                }
                Ok(())
            }
            Errand::Embed { texts } => match status {
                409 if self.has_finished => {
                    self.see("a client that had half-closed was not told the vectors of its texts");
                    Ok(())
                }
                400 if !in_calm => {
                    self.see("a client was told that its texts can't be embedded");
                    Ok(())
                }
                _ => {
                    expect(200)?;
                    check_vectors(texts, &json, in_calm)
                }
            },
            Errand::Chat { subject } => {
                if status == 409 && (self.has_finished || self.town.is_stopping.get()) {
                    self.see("a chat was cancelled under a client that had half-closed");
                    return Ok(());
                }
                expect(200)?;
                let run = json["run_id"].as_str().ok_or("was sent an answer without a run")?;
                self.town.oracle.borrow_mut().status(run, "completed", began, now)?;
                self.check_author(question.as_ref(), &json)?;
                self.check_answer(run, subject, &json, is_indexed)
            }
            Errand::Complete { by: Words::Mcp, .. } => {
                expect(200)?;
                if events.is_within_event() {
                    return Err("was sent half a message".to_owned());
                }
                let Completion { id, finish, .. } = completion;
                let response = finish.or((!is_stream).then_some(json));
                self.called(errand, response, id.as_deref(), (question.as_ref(), is_indexed), (began, now))
            }
            Errand::Complete { .. } if status == 409 => {
                if !self.has_finished && !self.town.is_stopping.get() {
                    return expect(200);
                }
                self.see("a completion was cancelled under a client that had half-closed");
                Ok(())
            }
            Errand::Complete { subject, streams, .. } => {
                expect(200)?;
                let question = question.as_ref();
                match streams {
                    false => self.check_whole(&json, subject, question, is_indexed, (began, now)),
                    true if events.is_within_event() => Err("was sent half a chunk".to_owned()),
                    true => self.completed(completion, subject, question, is_indexed, (began, now)),
                }
            }
            Errand::Left(left) => {
                expect(200)?;
                let status = self.check_task(&left.id, &json, began, now)?;
                if !self.check_left(left.clone(), &status, now)? {
                    let pause = if calm { 20 } else { self.random.between(1, 300) as u64 };
                    self.next_errand = outside.now().after(Duration::from_millis(pause));
                    self.agenda.push_front(Errand::Left(left));
                }
                Ok(())
            }
            Errand::Begin { cancels, .. } | Errand::Call { cancels, .. } => {
                expect(202)?;
                let key = if let Errand::Begin { key, .. } = errand { key } else { None };
                let id = json["task_id"].as_str().ok_or("was sent no task_id")?.to_owned();
                if head.field("location") != Some(&format!("/chat/task/{id}")) {
                    return Err(format!("was sent to {:?}", head.field("location")));
                }
                if json["status"] == "pending" {
                    self.see("a task was accepted");
                }
                if let Some(key) = key {
                    self.town.oracle.borrow_mut().under_key(key, &id, self.town.forgets_runs)?;
                }
                self.town.oracle.borrow_mut().accepted(&id);
                self.agenda.push_front(Errand::Poll { id: id.clone(), again: 2 });
                if cancels {
                    self.agenda.push_front(Errand::Cancel { id });
                }
                Ok(())
            }
            Errand::Follow | Errand::Meddle | Errand::Write => Err("is undecided".to_owned()),
            Errand::Scribble | Errand::Edit => Err("is undecided".to_owned()),
            Errand::Add { token } => match status {
                404 => {
                    self.agenda.push_front(Errand::Put { token, etag: None, text: String::new() });
                    Ok(())
                }
                200 => {
                    let text = String::from_utf8(body).map_err(|_| "was sent a note that is not UTF-8")?;
                    if text.lines().any(|line| line == token) {
                        self.see("a note that was written had its answer lost");
                        self.town.oracle.borrow_mut().wrote(&token);
                        return Ok(());
                    }
                    let etag = head.field("etag").ok_or("was sent a note without its version")?;
                    let etag = Some(etag.to_owned());
                    self.agenda.push_front(Errand::Put { token, etag, text });
                    Ok(())
                }
                _ => expect(200),
            },
            Errand::Put { token, etag, text } => match status {
                200 | 201 => {
                    if (status == 201) != etag.is_none() {
                        return Err(format!("was answered {status} for a note with the version {etag:?}"));
                    }
                    let on_disk = outside.saved(TALLY).unwrap_or_default();
                    if !String::from_utf8_lossy(&on_disk).contains(&token) {
                        return Err(format!("was told that {token} is written, and it is not"));
                    }
                    if !text.is_empty() {
                        self.see("a note that others write as well was written");
                    }
                    self.town.oracle.borrow_mut().wrote(&token);
                    if asked_ends == self.town.ends.get() {
                        self.agenda.push_front(Errand::Find { token, ends: asked_ends });
                    }
                    Ok(())
                }
                412 => {
                    self.see("a writer was told that somebody else was faster");
                    self.agenda.push_front(Errand::Add { token });
                    Ok(())
                }
                _ => expect(200),
            },
            Errand::Find { token, ends } => {
                expect(200)?;
                let lines = json["results"].as_array().ok_or("was told no lines")?;
                let excused = ends != self.town.ends.get() || self.town.reads_fail;
                // A note is found by its old text until the new one is whole, whoever writes it meanwhile.
                if !excused && lines.is_empty() {
                    return Err(format!("has written {token}, and the index does not hold it: {json}"));
                }
                if !lines.is_empty() {
                    self.see("what was written was found at once");
                }
                Ok(())
            }
            Errand::Own { token, step, .. } => {
                let next = match (step, status) {
                    // It may be the second try, the answer to the first being lost.
                    (OwnStep::Make, 201 | 412) => Some(OwnStep::Read),
                    (OwnStep::Read, 200) if body == own_text(&token).as_bytes() => Some(OwnStep::Remove),
                    (OwnStep::Remove, 200 | 404) => Some(OwnStep::Miss),
                    (OwnStep::Miss, 404) => None,
                    _ => return Err(format!("was answered {status} at {step:?}: {}", show(&body))),
                };
                let etag = head.field("etag").map(ToOwned::to_owned);
                match next {
                    Some(step) => self.agenda.push_front(Errand::Own { token, step, etag }),
                    None => self.see("a note was made, read, removed and missed"),
                }
                Ok(())
            }
            Errand::Keep { token } => {
                expect(202)?;
                let id = json["task_id"].as_str().ok_or("was sent no task_id")?.to_owned();
                self.agenda.push_front(Errand::Kept { token, id });
                Ok(())
            }
            Errand::Kept { token, id } => {
                expect(200)?;
                if !is_terminal(json["status"].as_str().unwrap_or("?")) {
                    let pause = if calm { 20 } else { self.random.between(1, 300) as u64 };
                    self.next_errand = outside.now().after(Duration::from_millis(pause));
                    self.agenda.push_front(Errand::Kept { token, id });
                    return Ok(());
                }
                let update = &json["result"]["knowledge_updates"][0];
                match (update["id"].as_str(), update["path"].as_str()) {
                    (Some(change), Some(path)) => {
                        let notes = outside.notes_with(&format!("# {}", told(&token)));
                        // Whoever asks again for what was forgotten has asked for another.
                        let is_there = notes.iter().any(|note| note == path);
                        if !is_there || (notes.len() > 1 && !self.town.forgets_runs) {
                            return Err(format!(
                                "was told that {token} stands in {path}; it does in {notes:?}"
                            ));
                        }
                        self.see("what was told was kept as a note");
                        self.town.oracle.borrow_mut().noted(&token, true);
                        if self.random.chance(400) {
                            let id = change.to_owned();
                            self.town.oracle.borrow_mut().forget_note(&token);
                            self.agenda.push_front(Errand::Undo { token, id });
                        }
                        Ok(())
                    }
                    _ if self.town.notes_fail || json["status"] == "failed" => Ok(()),
                    _ => Err(format!("told {token}, and nothing was noted: {json}")),
                }
            }
            Errand::Undo { token, .. } => {
                // It may be the second try, the answer to the first being lost.
                if status != 409 {
                    expect(200)?;
                    self.see("a note of the agent's was taken away again");
                }
                let notes = outside.notes_with(&format!("# {}", told(&token)));
                if !notes.is_empty() && !self.town.forgets_runs {
                    return Err(format!("has undone {token}, which stands in {notes:?}"));
                }
                self.town.oracle.borrow_mut().noted(&token, false);
                Ok(())
            }
            Errand::Say { on_busy: "reject", .. } if status == 409 => {
                self.see("a message was refused because another of its session was not answered");
                Ok(())
            }
            Errand::Say { session, token, asked, .. } => {
                expect(202)?;
                let id = json["task_id"].as_str().ok_or("was sent no task_id")?.to_owned();
                let Asked::After { drops } = asked else { return Err("is unasked".to_owned()) };
                self.agenda.push_front(Errand::Said { session, token, id, drops });
                Ok(())
            }
            Errand::Said { session, token, id, drops } => {
                expect(200)?;
                let name = session_name(session);
                let mut talks = self.town.talks.borrow_mut();
                match json["status"].as_str().unwrap_or("?") {
                    "completed" => talks.answered(&name, &id, &said(&token), drops),
                    "cancelled" if talks.has_cancels(&name) || self.town.is_stopping.get() => {}
                    "failed" if self.town.store_fails || self.town.ends.get() > 0 => {}
                    "pending" | "running" => {
                        drop(talks);
                        let pause = if calm { 20 } else { self.random.between(1, 300) as u64 };
                        self.next_errand = outside.now().after(Duration::from_millis(pause));
                        self.agenda.push_front(Errand::Said { session, token, id, drops });
                    }
                    other => return Err(format!("has said {token} in {name}, and was told {other}")),
                }
                Ok(())
            }
            Errand::Hear { session, wanted } => {
                let name = session_name(session);
                let may_be_gone = self.town.config.session_keep < SESSIONS;
                let mut talks = self.town.talks.borrow_mut();
                if status == 404 {
                    // It may have been dropped since.
                    let is_wanted = !wanted.is_empty() && wanted == talks.wanted(&name);
                    let missed = format!("{name} is not there, and had {wanted:?}");
                    return if is_wanted && !may_be_gone { Err(missed) } else { Ok(()) };
                }
                expect(200)?;
                let kept = json["messages"].as_array().map_or(0, Vec::len) / 2;
                let is_all_kept = kept < self.town.limits.session_messages_max && !may_be_gone;
                talks.check(&name, &json, &wanted, is_all_kept, self.town.forgets_runs)?;
                drop(talks);
                if kept > 1 {
                    self.see("a session had several messages");
                }
                if json["unanswered"].as_array().is_some_and(|open| open.len() > 1) {
                    self.see("a message waited for another of its session");
                }
                Ok(())
            }
            Errand::Drop { session, token } => {
                self.town.talks.borrow_mut().dropped(&session_name(session), &token);
                match status {
                    404 => Ok(()),
                    409 => {
                        self.see("a session was not dropped while something was to be said in it");
                        Ok(())
                    }
                    _ => expect(204),
                }
            }
            Errand::Sessions { .. } => {
                expect(200)?;
                let rows = json["sessions"].as_array().ok_or("was told no sessions")?;
                match json["next"].as_str() {
                    Some(next) if rows.len() == 1 => {
                        self.see("sessions were listed page by page");
                        self.agenda.push_front(Errand::Sessions { after: Some(next.to_owned()) });
                        Ok(())
                    }
                    None if rows.len() <= 1 => Ok(()),
                    _ => Err(format!("was told {json}, and had asked for one session")),
                }
            }
            Errand::Page { after } => {
                expect(200)?;
                let paths: Vec<&str> = json["notes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|note| note["path"].as_str())
                    .collect();
                let before = after.as_deref().into_iter();
                let all: Vec<&str> = before.chain(paths.iter().copied()).collect();
                if paths.len() > 3 || !all.windows(2).all(|pair| pair[0] < pair[1]) {
                    return Err(format!("was told of notes out of order: {all:?}"));
                }
                match json["next"].as_str() {
                    Some(next) if Some(&next) == paths.last() => {
                        self.see("notes were listed page by page");
                        self.agenda.push_front(Errand::Page { after: Some(next.to_owned()) });
                        Ok(())
                    }
                    Some(next) => Err(format!("is to go on behind {next}, and was told {paths:?}")),
                    None => Ok(()),
                }
            }
            // The note in the middle of a graph may not be indexed yet, or be one that can't be read.
            Errand::Look { .. } if status == 404 => Ok(()),
            Errand::Look { .. } => expect(200),
            Errand::SyncNote { name } => {
                expect(200)?;
                // What could not be read is told, and may be the note.
                if json["problems"] == json!([]) {
                    self.agenda.push_front(Errand::ChatNote { name, ends: asked_ends });
                }
                Ok(())
            }
            Errand::ChatNote { name, ends } if ends != self.town.ends.get() => {
                // Another process has answered, and may not have read the note yet.
                self.agenda.push_front(Errand::SyncNote { name });
                Ok(())
            }
            Errand::ChatNote { name, ends } => {
                if status == 409 && (self.has_finished || self.town.is_stopping.get()) {
                    return Ok(());
                }
                expect(200)?;
                self.check_author(question.as_ref(), &json)?;
                if !json["response"].as_str().is_some_and(|answer| answer.contains(&note_code(&name))) {
                    return Err(format!(
                        "saved {name} and synced, and is not told of it: {}",
                        json["response"]
                    ));
                }
                self.see("a note was saved, synced and found");
                let (source, wanted) = self.doubt(&name, &json)?;
                self.agenda.push_front(Errand::Verify { source, wanted, ends });
                Ok(())
            }
            // Another process may not have read the note yet.
            Errand::Verify { ends, .. } if ends != self.town.ends.get() => Ok(()),
            Errand::Verify { source, wanted: Verdict { state, start, end }, .. } => {
                expect(200)?;
                let told = &json["sources"][0];
                if told["state"] != state || told["start"] != start || told["end"] != end {
                    return Err(format!("asked for {source}, which is {state} at {start}..{end}: {json}"));
                }
                self.see(match state {
                    "stands" => "a source was verified and stands",
                    "moved" => "a source was verified and has moved",
                    "changed" => "a source was verified and has changed",
                    _ => "a source was verified and is gone",
                });
                Ok(())
            }
            Errand::ClearCaches => {
                expect(200)?;
                self.see("the caches were emptied");
                self.agenda.push_front(Errand::CacheStats);
                Ok(())
            }
            Errand::CacheStats => {
                expect(200)?;
                self.check_caches(&json)
            }
            Errand::Cancel { id } => {
                expect(200)?;
                let status = self.check_task(&id, &json, began, now)?;
                self.check_callback(&id, &json["callback"])?;
                if !is_terminal(&status) {
                    return Err(format!("cancelled {id}, which is {status}"));
                }
                if status == "cancelled" {
                    self.see("a run was cancelled by request");
                } else {
                    self.see("a cancel came too late");
                }
                Ok(())
            }
            Errand::Poll { id, again } => {
                expect(200)?;
                let status = self.check_task(&id, &json, began, now)?;
                match (status.as_str(), is_terminal(&status), again) {
                    (_, true, 0) => {}
                    (_, true, again) => self.agenda.push_front(Errand::Poll { id, again: again - 1 }),
                    (status, false, _) => {
                        if status == "pending" && json["place"].as_u64() > Some(1) {
                            self.see("a task waited behind another");
                        }
                        let pause = if calm { 20 } else { self.random.between(1, 300) as u64 };
                        self.next_errand = outside.now().after(Duration::from_millis(pause));
                        self.agenda.push_front(Errand::Poll { id, again });
                    }
                }
                Ok(())
            }
            Errand::Rejoin { done: true, .. } => {
                expect(204)?;
                self.see("a reader of an ended stream was told 204");
                Ok(())
            }
            Errand::Stream { .. } | Errand::Rejoin { .. } if restarts && !is_done => {
                let again = match position {
                    Some((id, after)) => {
                        // Others may be served first, and the grace be over by then.
                        self.town.oracle.borrow_mut().may_be_cancelled(&id);
                        Errand::Rejoin { id, after, done: false }
                    }
                    None => errand,
                };
                self.agenda.push_front(again);
                Ok(())
            }
            Errand::Stream { .. } | Errand::Rejoin { .. } => {
                expect(200)?;
                if !is_done || events.is_within_event() {
                    return Err("was sent the end of a stream that is not done".to_owned());
                }
                let (id, after) = position.ok_or("was sent an empty stream")?;
                if self.random.chance(300) {
                    self.agenda.push_front(Errand::Rejoin { id, after, done: true });
                }
                Ok(())
            }
        }
    }

    /// A callback that is delivered was taken, and one that is not may still be.
    fn check_callback(&mut self, id: &str, callback: &Value) -> Result<(), String> {
        let Some(state) = callback["state"].as_str() else { return Ok(()) };
        let was_taken = self.town.calls.borrow().taken.contains(id);
        match state {
            "pending" if callback["last_error"].is_string() => {
                self.see("a client saw why a callback was to be tried again");
            }
            "pending" => {}
            "delivered" if was_taken => self.see("a client saw that a callback was delivered"),
            "given_up" if callback["last_error"].is_string() => {
                self.see("a client saw that a callback was given up");
            }
            _ => return Err(format!("was told of the callback of {id}, taken: {was_taken}: {callback}")),
        }
        Ok(())
    }

    pub(super) fn check_task(
        &mut self,
        id: &str,
        json: &Value,
        asked: Time,
        now: Time,
    ) -> Result<String, String> {
        if json["task_id"] != id {
            return Err(format!("asked for {id} and was told of {}", json["task_id"]));
        }
        if self.town.is_stopping.get() {
            self.town.oracle.borrow_mut().may_be_cancelled(id);
        }
        let status = json["status"].as_str().unwrap_or("?").to_owned();
        let far = rank(&status).ok_or_else(|| format!("was told {status}, which is no status"))?;
        let before = self.told.insert(id.to_owned(), far);
        if before > Some(far) {
            return Err(format!("was told that {id} is {status}, after it had been told better"));
        }
        self.town.oracle.borrow_mut().status(id, &status, asked, now)?;
        if json["result"].is_object() {
            self.town.account.borrow().check_answer(None, &json["result"])?;
        }
        if let Some(response) = json["result"]["response"].as_str() {
            self.town.oracle.borrow_mut().response(id, response)?;
        }
        if (status == "completed") != (json["result"]["run_id"] == id) {
            return Err(format!("was told {status} with the result {}", json["result"]));
        }
        if is_terminal(&status) != json["completed_at"].is_string() {
            return Err(format!("was told {status}, completed at {}", json["completed_at"]));
        }
        Ok(status)
    }

    pub(super) fn check_author(&mut self, question: Option<&Question>, json: &Value) -> Result<(), String> {
        let Some(question) = question else { return Ok(()) };
        let seen = judge::author(&self.town, question, json)?;
        seen.into_iter().for_each(|what| self.see(what));
        Ok(())
    }

    /// A source of an answer about a note that nobody changes, or one that is like it, and what is to be said of that.
    fn doubt(&mut self, name: &str, json: &Value) -> Result<(String, Verdict), String> {
        let path = format!("written/{name}.md");
        let mut sources = json["sources"].as_array().into_iter().flatten();
        let Some(source) = sources.find(|source| source["path"] == path) else {
            return Err(format!("was told what stands in {path}, and not that it does: {}", json["sources"]));
        };
        let (Some(start), Some(end)) = (source["start"].as_u64(), source["end"].as_u64()) else {
            return Err(format!("was told a source without a place: {source}"));
        };
        let mut doubted = source.clone();
        let wanted = match self.random.below(5) {
            0 => {
                doubted["start"] = json!(start + 1);
                doubted["end"] = json!(end + 1);
                Verdict { state: "moved", start, end }
            }
            1 => {
                doubted["text"] = json!(format!("{} Never.", source["text"].as_str().unwrap_or("")));
                Verdict { state: "changed", start, end }
            }
            2 => {
                doubted["path"] = json!(format!("written/not-{name}.md"));
                Verdict { state: "gone", start, end }
            }
            _ => Verdict { state: "stands", start, end },
        };
        Ok((doubted.to_string(), wanted))
    }

    /// What caches hold adds up, and is no more than they may.
    fn check_caches(&mut self, json: &Value) -> Result<(), String> {
        let there = [
            ("searches", true),
            ("model_answers", self.town.has_model),
            ("question_vectors", self.town.embeds),
        ];
        for (name, is_there) in there {
            let cache = &json[name];
            if cache.is_object() != is_there {
                return Err(format!("is told of the cache of {name}: {cache}"));
            }
            let number = |field: &str| cache[field].as_u64().unwrap_or(0);
            let (entries, bytes) = (number("entries"), number("bytes"));
            if bytes > number("bytes_max") || (entries == 0) != (bytes == 0) {
                return Err(format!("is told that {name} are {entries} with {bytes} bytes: {cache}"));
            }
        }
        Ok(())
    }

    pub(super) fn check_answer(
        &mut self,
        run: &str,
        subject: usize,
        json: &Value,
        is_indexed: bool,
    ) -> Result<(), String> {
        let seen = judge::answer(&self.town, run, subject, json, is_indexed)?;
        self.see(seen);
        Ok(())
    }
}

/// There is a vector for each text, and in calm weather it points to what that is about.
fn check_vectors(texts: usize, json: &Value, in_calm: bool) -> Result<(), String> {
    let data = json["data"].as_array().ok_or("was told no vectors")?;
    if data.len() != texts {
        return Err(format!("was told {} vectors for {texts} texts", data.len()));
    }
    for (number, item) in data.iter().enumerate() {
        let vector = item["embedding"].as_array().filter(|vector| vector.len() > SUBJECTS.len());
        let vector = vector.ok_or_else(|| format!("was told {item} in place of a vector"))?;
        let is_right = vector[number % SUBJECTS.len()] == 1.0;
        if item["index"] != number || (in_calm && !is_right) {
            return Err(format!("was told the vector {item} for text {number}"));
        }
    }
    Ok(())
}
