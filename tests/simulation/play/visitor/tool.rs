//! Clients of MCP: a tool's call whose run ends with whoever has made it, as revision 2026-07-28 has it.

use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Line, Outside};
use serde_json::{Value, json};

use super::super::judge::{self, Question};
use super::super::town::SUBJECTS;
use super::errand::Errand;
use super::{Sent, Visitor};

/// The id of each call: connections have one open request, as they see it.
const ID: u64 = 7;

/// Fields that say in a head what its body is about.
pub const HEAD: &str = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: ask\r\n\
     Accept: application/json, text/event-stream\r\n";

impl Visitor {
    pub(super) fn tool_question(&mut self, subject: usize, streams: bool) -> (Question, String) {
        let wants_model = self.town.has_model && self.random.chance(700);
        let name = SUBJECTS[subject];
        let mut arguments = json!({});
        let message = match wants_model {
            true => judge::in_other_words(name, &mut self.random),
            false => {
                arguments["strategy"] = json!("notes");
                format!("What is the code of {name}?")
            }
        };
        arguments["message"] = json!(message);
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if streams {
            meta["progressToken"] = json!("p");
        }
        let params = json!({ "name": "ask", "arguments": arguments, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": ID, "method": "tools/call", "params": params });
        (Question { message, wants_model }, body.to_string())
    }

    /// How far a call has come, or its response.
    pub(super) fn take_rpc(
        &mut self,
        data: &str,
        line: Line,
        outside: &mut Outside<'_>,
    ) -> Result<(), String> {
        let Some(Sent { errand: Errand::Complete { leaves_after, .. }, completion, .. }) =
            self.sent.front_mut()
        else {
            return Err(format!("was sent a message: {data}"));
        };
        let message: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        if completion.finish.is_some() || message["jsonrpc"] != "2.0" {
            return Err(format!("was sent {data} behind the response"));
        }
        if message["method"] != "notifications/progress" {
            completion.finish = Some(message);
            return Ok(());
        }
        let params = &message["params"];
        let id = params["_meta"]["oneloop/run_id"].as_str().ok_or("progress of no run")?.to_owned();
        let progress = params["progress"].as_u64().ok_or("progress without a number")?;
        let is_first = completion.id.is_none();
        let is_same = completion.id.get_or_insert_with(|| id.clone()) == &id;
        let grows = is_first || progress > completion.progress;
        if !is_same || !grows || params["progressToken"] != "p" {
            return Err(format!("was sent {data} behind {}", completion.progress));
        }
        completion.progress = progress;
        completion.chunks += 1;
        let wants_to_leave = *leaves_after == Some(completion.chunks);
        if is_first {
            self.began(&id);
        }
        if wants_to_leave || (!outside.is_calm() && self.random.chance(self.temper.quit_stream_per_mille)) {
            self.go_away(line, outside);
        }
        Ok(())
    }

    /// The response to a call, behind its progress or alone.
    pub(super) fn called(
        &mut self,
        errand: Errand,
        response: Option<Value>,
        run: Option<&str>,
        (question, is_indexed): (Option<&Question>, bool),
        asked: (Time, Time),
    ) -> Result<(), String> {
        let Errand::Complete { subject, .. } = errand else { return Err("was called back".to_owned()) };
        let response = response.ok_or("was sent the end of a call that is not answered")?;
        let result = &response["result"];
        if response["id"] != ID || !result.is_object() {
            return Err(format!("was answered {response}"));
        }
        if result["isError"] == true {
            let why = result["content"][0]["text"].as_str().ok_or("a failure without words")?;
            if let Some(id) = run {
                self.town.oracle.borrow_mut().may_be_cancelled(id);
            }
            if why.contains("cancelled") {
                self.see("a call was cancelled");
                return Ok(());
            }
            self.see("a call was put off");
            self.next_errand = asked.1.after(Duration::from_secs(1));
            self.agenda.push_front(errand);
            return Ok(());
        }
        let told = &result["structuredContent"];
        let id = told["run_id"].as_str().ok_or("was told an answer of no run")?;
        if run.is_some_and(|run| run != id) {
            return Err(format!("was told the answer of {id}, having asked {run:?}"));
        }
        self.see("a tool was called over MCP");
        self.check_completion(id, subject, question, told, is_indexed, asked)
    }
}
