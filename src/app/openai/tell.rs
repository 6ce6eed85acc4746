//! A run's answer as a completion, its events as chunks of one, and every refusal in that API's envelope.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Asked;
use crate::agent::Usage;
use crate::app::dialect::Told;
use crate::app::record::json;
use crate::app::respond::{Detail, Invalid, Place, Problem, write_json};
use crate::wire::sse;

/// What a client of this API is told of one run.
#[derive(Debug, Default)]
pub struct Speaker {
    asked: Option<Box<Completion>>,
}

/// A completion that is under way.
#[derive(Debug)]
struct Completion {
    model: String,
    counts: bool,
    /// The first chunk, which says who speaks, is out.
    has_begun: bool,
    /// Something of the answer is out.
    has_said: bool,
    /// How it ended is out.
    has_ended: bool,
}

/// An event of a run, as far as it is of interest here.
#[derive(Deserialize)]
struct Event<'j> {
    r#type: &'j str,
    text: Option<String>,
    detail: Option<String>,
    #[serde(borrow)]
    response: Option<&'j RawValue>,
}

/// A run's answer, likewise; what is only handed on stays text.
#[derive(Deserialize)]
struct Answer<'j> {
    #[serde(borrow)]
    response: &'j RawValue,
    #[serde(borrow)]
    sources: &'j RawValue,
    #[serde(borrow)]
    answered_by: &'j RawValue,
    #[serde(borrow)]
    degraded: &'j RawValue,
    usage: Option<Usage>,
}

/// What was counted. Where no model was asked, none of its tokens were used.
#[derive(Serialize)]
struct Counted {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Counted {
    fn of(usage: Usage) -> Counted {
        let Usage { prompt_tokens, completion_tokens } = usage;
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Counted { prompt_tokens, completion_tokens, total_tokens }
    }
}

/// What a run has besides an answer's text.
#[derive(Serialize)]
struct Extra<'a> {
    sources: &'a RawValue,
    answered_by: &'a RawValue,
    degraded: &'a RawValue,
}

impl Speaker {
    /// For a completion that was asked for like this.
    pub fn of(asked: &Asked) -> Speaker {
        let completion = Completion {
            model: asked.model.clone(),
            counts: asked.counts,
            has_begun: false,
            has_said: false,
            has_ended: false,
        };
        Speaker { asked: Some(Box::new(completion)) }
    }

    fn model(&self) -> &str {
        self.asked.as_ref().map_or("", |asked| &asked.model)
    }

    /// The whole answer of a run, appended to `body`.
    ///
    /// # Errors
    /// 500 for a response that can't be read.
    pub fn answer(&self, run: Uuid, created: u64, response: &str, body: &mut Vec<u8>) -> Result<(), Problem> {
        #[derive(Serialize)]
        struct Whole<'a> {
            id: String,
            object: &'static str,
            created: u64,
            model: &'a str,
            choices: [Choice<'a>; 1],
            usage: Counted,
            run_id: Uuid,
            #[serde(flatten)]
            extra: Extra<'a>,
        }
        #[derive(Serialize)]
        struct Choice<'a> {
            index: u32,
            message: Message<'a>,
            logprobs: (),
            finish_reason: &'static str,
        }
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: &'a RawValue,
            refusal: (),
        }
        let Answer { response: content, sources, answered_by, degraded, usage } =
            serde_json::from_str(response).map_err(|error| {
                log::error!("the answer of run {run} can't be read: {error}");
                Problem::new(500, "the answer can't be read")
            })?;
        let message = Message { role: "assistant", content, refusal: () };
        let whole = Whole {
            id: completion_id(run),
            object: "chat.completion",
            created,
            model: self.model(),
            choices: [Choice { index: 0, message, logprobs: (), finish_reason: "stop" }],
            usage: Counted::of(usage.unwrap_or_default()),
            run_id: run,
            extra: Extra { sources, answered_by, degraded },
        };
        write_json(&whole, body);
        Ok(())
    }

    /// An event of a run, appended to `frames` as what chunks it makes.
    pub fn event(&mut self, told: Told<'_>, frames: &mut Vec<u8>) {
        let Some(asked) = &mut self.asked else { return };
        // What a later version of us has put into a log is nothing that this API knows.
        let Ok(event) = serde_json::from_str::<Event<'_>>(told.json) else { return };
        if asked.has_ended {
            return;
        }
        if !std::mem::replace(&mut asked.has_begun, true) {
            let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            asked.chunk(told, delta, frames);
        }
        let text = event.text.as_deref().unwrap_or_default();
        match event.r#type {
            "token" => {
                asked.has_said = true;
                asked.chunk(told, Delta { content: Some(text), ..Delta::default() }, frames);
            }
            "reasoning" => {
                asked.chunk(told, Delta { reasoning_content: Some(text), ..Delta::default() }, frames);
            }
            // What was said can't be unsaid here: a line tells where the answer begins anew.
            "revision" if asked.has_said => {
                let detail = event.detail.as_deref().unwrap_or("The answer begins anew.");
                let line = format!("\n\n---\n\n{detail}\n\n");
                asked.chunk(told, Delta { content: Some(&line), ..Delta::default() }, frames);
            }
            "complete" => {
                let answer = event.response.and_then(|text| serde_json::from_str(text.get()).ok());
                if let Some(answer) = answer {
                    asked.finish(told, answer, frames);
                }
            }
            "error" => {
                let detail = event.detail.as_deref().unwrap_or("the run has failed");
                asked.fail(detail, "run_failed", frames);
            }
            // It has ended, and neither with an answer nor with an error.
            "done" => asked.fail("the run was cancelled", "run_cancelled", frames),
            _ => {}
        }
    }

    /// The process ends before the run does.
    pub fn restarting(&mut self, run: Uuid, frames: &mut Vec<u8>) {
        let Some(asked) = &mut self.asked else { return };
        let detail =
            format!("the server restarts, and this run goes on in the next process: GET /chat/task/{run}");
        asked.fail(&detail, "restarting", frames);
    }
}

/// What a chunk adds.
#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    /// Not OpenAI's own, but what those say it with whose models think aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    /// Where it was asked for, it is null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Counted>>,
    #[serde(flatten)]
    ending: Option<Ending<'a>>,
}

#[derive(Serialize)]
struct Ending<'a> {
    run_id: &'a str,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

impl Completion {
    fn chunk(&self, told: Told<'_>, delta: Delta<'_>, frames: &mut Vec<u8>) {
        let choice = ChunkChoice { index: 0, delta, logprobs: (), finish_reason: None };
        self.put(told, &[choice], self.counts.then_some(None), None, frames);
    }

    /// The answer is whole: that it is, what it rests on, what was counted, and the word that ends the stream.
    fn finish(&mut self, told: Told<'_>, answer: Answer<'_>, frames: &mut Vec<u8>) {
        let Answer { sources, answered_by, degraded, usage, .. } = answer;
        let choice =
            ChunkChoice { index: 0, delta: Delta::default(), logprobs: (), finish_reason: Some("stop") };
        let ending = Ending { run_id: told.run, extra: Extra { sources, answered_by, degraded } };
        self.put(told, &[choice], self.counts.then_some(None), Some(ending), frames);
        if self.counts {
            self.put(told, &[], Some(Some(Counted::of(usage.unwrap_or_default()))), None, frames);
        }
        sse::event(None, "[DONE]", frames);
        self.has_ended = true;
    }

    fn put(
        &self,
        told: Told<'_>,
        choices: &[ChunkChoice<'_>],
        usage: Option<Option<Counted>>,
        ending: Option<Ending<'_>>,
        frames: &mut Vec<u8>,
    ) {
        let chunk = Chunk {
            id: format!("chatcmpl-{}", told.run),
            object: "chat.completion.chunk",
            created: told.created,
            model: &self.model,
            choices,
            usage,
            ending,
        };
        sse::event(None, &json(&chunk), frames);
    }

    /// It ends without an answer. No `[DONE]` follows: what was said is not all.
    fn fail(&mut self, message: &str, code: &'static str, frames: &mut Vec<u8>) {
        let error = Failure { message, r#type: "server_error", param: None, code: Some(code) };
        sse::event(None, &json(&Envelope { error }), frames);
        self.has_ended = true;
    }
}

fn completion_id(run: Uuid) -> String {
    format!("chatcmpl-{run}")
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// What is wrong, in that API's envelope. Answers its status, and whether to try again: those clients would do so after
/// every 409 and every status from 500 on, also where it is of no use.
pub fn refuse(problem: &Problem, body: &mut Vec<u8>) -> (u16, Option<(&'static str, &'static str)>) {
    let status = if problem.status == 422 { 400 } else { problem.status };
    let retry = if problem.retry_after.is_some() { "true" } else { "false" };
    let (message, param, code) = match &problem.detail {
        Detail::Text(text) => (text.to_string(), None, None),
        Detail::Fields(fields) => {
            let first = fields.first();
            let messages: Vec<String> = fields.iter().map(in_words).collect();
            (messages.join("; "), first.and_then(place), first.map(|field| field.kind))
        }
    };
    let (r#type, usual) = match status {
        429 => ("rate_limit_error", None),
        400..=499 => ("invalid_request_error", None),
        503 if problem.retry_after.is_some() => ("server_error", Some("overloaded")),
        _ => ("server_error", None),
    };
    let error = Failure { message: &message, r#type, param: param.as_deref(), code: code.or(usual) };
    write_json(&Envelope { error }, body);
    (status, Some(("x-should-retry", retry)))
}

fn in_words(field: &Invalid) -> String {
    match (place(field), field.loc.last()) {
        (Some(place), _) => format!("{place}: {}", field.msg),
        (None, Some(Place::Index(byte))) => format!("{} (at byte {byte} of the body)", field.msg),
        (None, _) => format!("the body: {}", field.msg),
    }
}

/// Where a field is, as that API writes it: `messages[0].content`; none if it is the body itself that is wrong.
fn place(field: &Invalid) -> Option<String> {
    if field.kind == "json_invalid" {
        return None;
    }
    let mut place = String::new();
    for step in field.loc.iter().skip(1) {
        match step {
            Place::Name(name) if place.is_empty() => place.push_str(name),
            Place::Name(name) => place.extend([".", name]),
            // Writing into a String can't fail.
            Place::Index(index) => drop(write!(place, "[{index}]")),
        }
    }
    (!place.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::limits::Limits;

    const RUN: &str = "0198c0de-0000-7000-8000-000000000001";

    fn speaker(rest: &str) -> Speaker {
        let body =
            format!("{{\"model\":\"oneloop\",\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}]{rest}}}");
        Speaker::of(&super::super::parse(body.as_bytes(), None, &Limits::default()).unwrap())
    }

    fn told(speaker: &mut Speaker, events: &[&str]) -> Vec<Value> {
        let mut frames = Vec::new();
        for (number, json) in (1..).zip(events) {
            speaker.event(Told { run: RUN, created: 7, number, json }, &mut frames);
        }
        let text = String::from_utf8(frames).unwrap();
        let data = text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap());
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
    }

    const STATUS: &str = r#"{"type":"status","status":"searching","detail":"x"}"#;
    const TOKEN: &str = r#"{"type":"token","text":"Hi \"you\""}"#;
    const COMPLETE: &str = r#"{"type":"complete","response":{"response":"Hi \"you\"","sources":[{"path":"a.md"}],
        "answered_by":"model","degraded":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}}"#;
    const DONE: &str = r#"{"type":"done","status":"completed"}"#;

    #[test]
    fn chunks_come_in_the_order_role_content_finish_done() {
        let chunks = told(&mut speaker(",\"stream\":true"), &[STATUS, TOKEN, COMPLETE, DONE]);
        let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
        assert_eq!(*deltas[0], json!({"role":"assistant","content":""}));
        assert_eq!(*deltas[1], json!({"content":"Hi \"you\""}));
        assert_eq!(*deltas[2], json!({}));
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[2]["sources"], json!([{"path":"a.md"}]));
        assert_eq!(chunks[2]["run_id"], RUN);
        assert_eq!(chunks[3], "[DONE]");
        assert_eq!(chunks.len(), 4);
        for chunk in &chunks[..3] {
            assert_eq!(chunk["id"], format!("chatcmpl-{RUN}"));
            assert_eq!(chunk["created"], 7);
            assert!(chunk.get("usage").is_none());
        }
    }

    #[test]
    fn usage_comes_only_when_asked_with_empty_choices() {
        let mut speaker = speaker(",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
        let chunks = told(&mut speaker, &[TOKEN, COMPLETE, DONE]);
        let usage = json!({"prompt_tokens":3,"completion_tokens":4,"total_tokens":7});
        assert_eq!((&chunks[3]["choices"], &chunks[3]["usage"]), (&json!([]), &usage));
        assert!(chunks[..3].iter().all(|chunk| chunk["usage"] == Value::Null));
        assert_eq!(chunks[4], "[DONE]");
    }

    #[test]
    fn an_error_or_a_cancel_is_an_envelope_and_no_done() {
        for (events, code) in [
            (&[TOKEN, r#"{"type":"error","detail":"no luck"}"#, DONE][..], "run_failed"),
            (&[TOKEN, r#"{"type":"done","status":"cancelled"}"#][..], "run_cancelled"),
        ] {
            let chunks = told(&mut speaker(",\"stream\":true"), events);
            assert_eq!(chunks.last().unwrap()["error"]["code"], code);
        }
    }

    #[test]
    fn an_answer_that_begins_anew_says_so_between_the_two() {
        let revision = r#"{"type":"revision","detail":"The model was cut off."}"#;
        let chunks = told(&mut speaker(",\"stream\":true"), &[revision, TOKEN, revision, TOKEN]);
        let said: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(said, "Hi \"you\"\n\n---\n\nThe model was cut off.\n\nHi \"you\"");
    }

    #[test]
    fn a_whole_answer_has_its_text_its_sources_and_what_was_counted() {
        let response = COMPLETE.strip_prefix(r#"{"type":"complete","response":"#).unwrap();
        let mut body = Vec::new();
        let run = Uuid::try_parse(RUN).unwrap();
        speaker("").answer(run, 7, &response[..response.len() - 1], &mut body).unwrap();
        let whole: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "Hi \"you\"");
        assert_eq!(whole["usage"]["total_tokens"], 7);
        assert_eq!(whole["sources"][0]["path"], "a.md");
        assert_eq!(whole["object"], "chat.completion");
    }

    #[test]
    fn only_what_may_pass_is_to_be_tried_again() {
        let refused = |problem: &Problem| {
            let mut body = Vec::new();
            let (status, field) = refuse(problem, &mut body);
            let body: Value = serde_json::from_slice(&body).unwrap();
            (status, field.unwrap().1, body["error"].clone())
        };
        let (status, retry, error) = refused(&Problem::busy("full", 1));
        assert_eq!((status, retry, &error["code"]), (503, "true", &json!("overloaded")));
        let (status, retry, _) = refused(&Problem::new(409, "the run was cancelled"));
        assert_eq!((status, retry), (409, "false"));
        let field = Invalid::new(
            "missing",
            &[Place::Name("body"), Place::Name("messages"), Place::Index(2), Place::Name("content")],
            "Field required",
        );
        let (status, _, error) = refused(&Problem::invalid(field));
        assert_eq!(status, 400);
        assert_eq!(error["param"], "messages[2].content");
        assert_eq!(error["type"], "invalid_request_error");
    }
}
