//! Clients of OpenAI's dialect: chunks in their order, the right answer, and a run that ends with whoever has asked for it.

use oneloop::base::Time;
use oneloop::os::sim::{Line, Outside};
use serde_json::{Value, json};

use super::super::judge::{self, Question};
use super::super::town::{SUBJECTS, is_terminal};
use super::errand::Errand;
use super::{Loss, Sent, Visitor};

/// What has come of a completion that is streamed.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// The run.
    pub(super) id: Option<String>,
    pub(super) chunks: usize,
    /// Of a call over MCP: how far it has come.
    pub(super) progress: u64,
    text: String,
    /// The chunk that says how it ended, or the response.
    pub(super) finish: Option<Value>,
    /// `[DONE]` was read.
    pub(super) is_done: bool,
    /// The code of the error that it ended with.
    pub(super) failed: Option<String>,
}

/// Where somebody who has left a completion looks for its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub id: String,
    at: Time,
    in_calm: bool,
    ends: u32,
}

/// Models that there are.
const MODELS: [&str; 2] = ["oneloop", "oneloop-notes"];

impl Visitor {
    pub(super) fn completion_question(&mut self, subject: usize, streams: bool) -> (Question, String) {
        let model = self.random.pick(&MODELS);
        let wants_model = self.town.has_model && model == MODELS[0];
        let name = SUBJECTS[subject];
        let message = match wants_model {
            true => judge::in_other_words(name, &mut self.random),
            false => format!("What is the code of {name}?"),
        };
        let messages = [json!({ "role": "user", "content": message })];
        let body = json!({ "model": model, "messages": messages, "stream": streams });
        (Question { message, wants_model }, body.to_string())
    }

    /// A chunk, or what stands in the place of one.
    pub(super) fn take_chunk(
        &mut self,
        data: &str,
        line: Line,
        outside: &mut Outside<'_>,
    ) -> Result<(), String> {
        let is_ending = self.town.is_stopping.get() || self.is_excused_by_an_end();
        let Some(Sent { errand: Errand::Complete { leaves_after, .. }, completion, .. }) =
            self.sent.front_mut()
        else {
            return Err(format!("was sent a chunk: {data}"));
        };
        if completion.is_done || completion.failed.is_some() {
            return Err(format!("was sent more than the end of a completion: {data}"));
        }
        if data == "[DONE]" {
            completion.is_done = completion.finish.is_some();
            return if completion.is_done { Ok(()) } else { Err("was told that half is all".to_owned()) };
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        if let Some(code) = chunk["error"]["code"].as_str() {
            completion.failed = Some(code.to_owned());
            let id = completion.id.as_deref().unwrap_or("");
            let may_be = match code {
                "restarting" => is_ending,
                "run_cancelled" => {
                    self.has_finished || is_ending || self.town.oracle.borrow().has_end_wanted(id)
                }
                _ => false,
            };
            return if may_be { Ok(()) } else { Err(format!("was sent {data}")) };
        }
        let id =
            chunk["id"].as_str().and_then(|id| id.strip_prefix("chatcmpl-")).ok_or("a chunk of nothing")?;
        let is_first = completion.id.is_none();
        let known = completion.id.get_or_insert_with(|| id.to_owned());
        if known != id || chunk["object"] != "chat.completion.chunk" || completion.finish.is_some() {
            return Err(format!("was sent {data} as a chunk of {known}"));
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        let is_in_order = if is_first {
            *delta == json!({ "role": "assistant", "content": "" })
        } else if choice["finish_reason"] == "stop" {
            completion.finish = Some(chunk.clone());
            *delta == json!({}) && chunk["run_id"] == id
        } else if let Some(text) = delta["content"].as_str() {
            completion.text += text;
            true
        } else {
            delta["reasoning_content"].is_string()
        };
        if !is_in_order {
            return Err(format!("was sent {data}, the first: {is_first}"));
        }
        completion.chunks += 1;
        let wants_to_leave = *leaves_after == Some(completion.chunks);
        if is_first {
            self.began(id);
        }
        if wants_to_leave || (!outside.is_calm() && self.random.chance(self.temper.quit_stream_per_mille)) {
            self.go_away(line, outside);
        }
        Ok(())
    }

    /// A run has begun that ends with whoever has asked for it.
    pub(super) fn began(&mut self, id: &str) {
        self.town.completions.borrow_mut().insert(id.to_owned(), self.connected_ends);
        if self.has_finished || self.town.is_stopping.get() || self.is_excused_by_an_end() {
            self.town.oracle.borrow_mut().may_be_cancelled(id);
        }
    }

    /// Leaves before it was told all.
    pub(super) fn go_away(&mut self, line: Line, outside: &mut Outside<'_>) {
        self.see("a client left its completion");
        if self.random.chance(500) {
            outside.reset(line)
        } else {
            outside.close(line)
        }
        self.lose(outside, Loss::Own);
    }

    /// A completion that was broken off can't be joined again: its run is looked for.
    pub(super) fn leave(&mut self, id: String, outside: &Outside<'_>) {
        self.town.oracle.borrow_mut().may_be_cancelled(&id);
        let (at, in_calm) = (outside.now(), outside.is_calm() && self.line_is_calm);
        self.agenda.push_front(Errand::Left(Left { id, at, in_calm, ends: self.town.ends.get() }));
    }

    /// A stream of chunks has ended.
    pub(super) fn completed(
        &mut self,
        completion: Completion,
        subject: usize,
        question: Option<&Question>,
        is_indexed: bool,
        asked: (Time, Time),
    ) -> Result<(), String> {
        // A server that restarts may have had no chunk for it yet.
        let Some(id) = completion.id else {
            return completion.failed.map(drop).ok_or_else(|| "was sent no chunks".to_owned());
        };
        match (completion.failed.as_deref(), completion.finish) {
            (Some("restarting"), _) => {
                self.see("a completion was told that the server restarts");
                self.town.oracle.borrow_mut().may_be_cancelled(&id);
                self.agenda.push_front(Errand::Poll { id, again: 0 });
                Ok(())
            }
            (Some(_), _) => Ok(()),
            (None, Some(finish)) if completion.is_done => {
                // Behind a line that says so the answer begins anew.
                let anew =
                    completion.text.rsplit_once("\n\n---\n\n").and_then(|(_, anew)| anew.split_once("\n\n"));
                let text = anew.map_or(&*completion.text, |(_, text)| text);
                let json = json!({
                    "response": text, "answered_by": finish["answered_by"], "degraded": finish["degraded"],
                    "knowledge_updates": [],
                });
                self.see("a completion was streamed");
                self.check_completion(&id, subject, question, &json, is_indexed, asked)
            }
            (None, _) => Err("was sent the end of a completion that is not done".to_owned()),
        }
    }

    /// A whole completion.
    pub(super) fn check_whole(
        &mut self,
        json: &Value,
        subject: usize,
        question: Option<&Question>,
        is_indexed: bool,
        asked: (Time, Time),
    ) -> Result<(), String> {
        let id = json["run_id"].as_str().ok_or("was sent a completion of no run")?;
        let choice = &json["choices"][0];
        let is_named = json["id"].as_str().and_then(|id| id.strip_prefix("chatcmpl-")) == Some(id);
        if !is_named || json["object"] != "chat.completion" || choice["finish_reason"] != "stop" {
            return Err(format!("was sent {json}"));
        }
        let told = json!({
            "response": choice["message"]["content"], "answered_by": json["answered_by"],
            "degraded": json["degraded"], "knowledge_updates": [],
        });
        self.see("a completion was sent whole");
        self.check_completion(id, subject, question, &told, is_indexed, asked)
    }

    pub(super) fn check_completion(
        &mut self,
        id: &str,
        subject: usize,
        question: Option<&Question>,
        json: &Value,
        is_indexed: bool,
        (began, now): (Time, Time),
    ) -> Result<(), String> {
        self.town.oracle.borrow_mut().status(id, "completed", began, now)?;
        self.check_author(question, json)?;
        self.check_answer(id, subject, json, is_indexed)
    }

    /// The run of somebody who has left has ended with that; where nothing holds up the news, at once.
    pub(super) fn check_left(&mut self, left: Left, status: &str, now: Time) -> Result<bool, String> {
        let Left { at, in_calm, ends, .. } = left;
        match status {
            "cancelled" => self.see("a run was cancelled because its completion was left"),
            "completed" => self.see("a run had ended before its completion was left"),
            _ => {}
        }
        let is_late = in_calm && ends == self.town.ends.get() && now.since(at) > super::answers::PROMPT;
        if is_late && !is_terminal(status) {
            return Err(format!("was gone for {:?}, and the run is {status}", now.since(at)));
        }
        Ok(is_terminal(status))
    }
}
