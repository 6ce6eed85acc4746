//! Puts a model's reply together from the pieces in which a server streams it.
//!
//! Each piece is the `data` of one server-sent event: a JSON object with what is new, and at last `[DONE]`. Everyone
//! speaks OpenAI's shape, each with an accent. What we understand beside it:
//!
//! * `reasoning_content` (DeepSeek, llama.cpp, vLLM) and `reasoning` (Ollama, OpenRouter, Groq);
//! * `content` as a list of parts (Mistral), `null` anywhere, and `finish_reason: ""` for none;
//! * tool calls without `index` or `id`, whole in one piece, all with index 0 (Ollama, Gemini), with another `id` in
//!   each piece, and `arguments` as an object;
//! * `finish_reason: "stop"` behind tool calls;
//! * `usage` beside or behind the last choice, or in `x_groq`;
//! * an error in the middle of the stream, and no `[DONE]` behind the last piece;
//! * one whole reply, where `stream` was passed over ([`Deltas::whole`]).
//!
//! Only one choice is read: no more are asked for. `<think>` inside `content` is text like any other, and so is a
//! call that a model wrote as text.
//!
//! ```
//! use oneloop::agent::model::{Deltas, Finish};
//! use oneloop::limits::Limits;
//!
//! let mut deltas = Deltas::new(&Limits::default());
//! let told = deltas.receive(r#"{"choices":[{"index":0,"delta":{"content":"Mira"}}]}"#).unwrap();
//! assert_eq!(told.unwrap().text, "Mira");
//! deltas.receive(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#).unwrap();
//! deltas.receive("[DONE]").unwrap();
//! let reply = deltas.finish().unwrap();
//! assert_eq!((reply.content.as_str(), reply.finish), ("Mira", Finish::Stop));
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;

use super::super::head;
use super::{Finish, ModelReply, ToolCall, Usage, is_object};

/// A reply that is coming in.
#[derive(Debug)]
pub struct Deltas {
    content: String,
    calls: Vec<Call>,
    /// The call that a piece without any name goes on with; `None` before the first and behind one that is left out.
    newest: Option<usize>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// Bytes of text, reasoning and calls so far, also of what is not kept.
    bytes: usize,
    /// `[DONE]`, or a whole reply: nothing that follows counts.
    is_over: bool,
    /// The first error; every later call tells it again.
    broken: Option<ReplyError>,
    bytes_max: usize,
    calls_max: usize,
    error_bytes_max: usize,
}

/// What is new in a piece; at least one of the two is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Belongs to the answer.
    pub text: String,
    /// The model thinks aloud: shown at most, never kept.
    pub reasoning: String,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyError {
    /// A piece that is not a JSON object of the shape that all servers share.
    Unreadable,
    /// The server told of an error of its own, in these words: one line, bounded.
    Server(String),
    /// More than `model_answer_bytes_max`.
    TooLong,
    /// The stream ended before the reply did.
    CutShort,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Unreadable => f.write_str("the model server sent what is no chat completion"),
            ReplyError::Server(words) if words.is_empty() => {
                f.write_str("the model server ended its answer with an error")
            }
            ReplyError::Server(words) => {
                write!(f, "the model server ended its answer with an error: {words}")
            }
            ReplyError::TooLong => f.write_str("the model's answer is longer than an answer may be"),
            ReplyError::CutShort => f.write_str("the model server's answer broke off"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A piece of a stream.
    Piece,
    /// A reply in one piece.
    Whole,
}

/// A tool call that is coming in.
#[derive(Debug, Default)]
struct Call {
    /// The server's number for it, if it gives one.
    index: Option<u64>,
    call: ToolCall,
    /// The first piece of its arguments was an object already.
    came_whole: bool,
}

impl Deltas {
    /// A reply of which nothing has come yet.
    pub fn new(limits: &Limits) -> Deltas {
        Deltas {
            content: String::new(),
            calls: Vec::new(),
            newest: None,
            finish: None,
            usage: None,
            bytes: 0,
            is_over: false,
            broken: None,
            bytes_max: limits.model_answer_bytes_max,
            calls_max: limits.tool_calls_max,
            error_bytes_max: limits.refusal_bytes_max,
        }
    }

    /// Takes the `data` of one event. `None` if it holds nothing to show: a call, a reason to stop, or nothing at all.
    ///
    /// # Errors
    /// [`ReplyError`]; from then on the same every time.
    pub fn receive(&mut self, data: &str) -> Result<Option<Delta>, ReplyError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let data = data.trim();
        if self.is_over || data.is_empty() {
            return Ok(None);
        }
        if data == "[DONE]" {
            self.is_over = true;
            return Ok(None);
        }
        let taken = self.take(data, Shape::Piece);
        self.broken = taken.as_ref().err().cloned();
        taken.map(|delta| delta.filter(|delta| !delta.text.is_empty() || !delta.reasoning.is_empty()))
    }

    /// Takes the body of an answer that is no stream: one whole reply. Nothing may have been received before.
    ///
    /// # Errors
    /// [`ReplyError`]; from then on the same every time.
    pub fn whole(&mut self, json: &str) -> Result<Delta, ReplyError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let taken = self.take(json.trim(), Shape::Whole);
        let taken = taken.and_then(|delta| delta.ok_or(ReplyError::Unreadable));
        self.broken = taken.as_ref().err().cloned();
        self.is_over = true;
        taken
    }

    /// The answer's text so far.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The server has said that nothing follows.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The reply, at the end of the stream.
    ///
    /// Calls without an id get one that no other has: `call_<n>`.
    ///
    /// # Errors
    /// What broke it, or [`ReplyError::CutShort`] for an end before the server said why it stops.
    pub fn finish(self) -> Result<ModelReply, ReplyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if !self.is_over && self.finish.is_none() && !is_planted(Planted::TakesHalfForWhole) {
            return Err(ReplyError::CutShort);
        }
        let tool_calls = with_ids(self.calls.into_iter().map(|call| call.call).collect());
        let finish = match (self.finish.unwrap_or(Finish::Unknown), tool_calls.is_empty()) {
            (Finish::Stop | Finish::Unknown | Finish::ToolCalls, false) => Finish::ToolCalls,
            (Finish::ToolCalls, true) => Finish::Stop,
            (finish @ (Finish::Stop | Finish::Unknown), true) => finish,
            (finish @ (Finish::Length | Finish::ContentFilter), _) => finish,
        };
        Ok(ModelReply { content: self.content, tool_calls, finish, usage: self.usage })
    }

    /// Takes one object. `None` for one without a choice.
    fn take(&mut self, json: &str, shape: Shape) -> Result<Option<Delta>, ReplyError> {
        let chunk: Chunk<'_> = object(json).ok_or(ReplyError::Unreadable)?;
        if let Some(words) = self.error_in(&chunk, json) {
            return Err(ReplyError::Server(words));
        }
        let groq = given(chunk.x_groq).and_then(|raw| object::<Groq<'_>>(raw.get()));
        if let Some(raw) = given(chunk.usage).or(groq.and_then(|groq| given(groq.usage))) {
            self.usage = object(raw.get()).map(Tokens::usage).or(self.usage);
        }
        let Some(choice) = choice(given(chunk.choices), shape)? else { return Ok(None) };
        if let Some(error) = given(choice.error) {
            return Err(ReplyError::Server(message_in(error.get(), self.error_bytes_max)));
        }
        if let Some(reason) = given(choice.finish_reason).and_then(|raw| string(raw.get()))
            && !reason.is_empty()
        {
            self.finish = Some(finish_of(&reason).ok_or_else(|| ReplyError::Server(String::new()))?);
        }
        let spoken = match shape {
            // Some servers repeat all there is so far in a `message` beside it.
            Shape::Piece => choice.delta,
            Shape::Whole => choice.message.or(choice.delta),
        };
        match given(spoken) {
            Some(raw) => self.hear(object(raw.get()).ok_or(ReplyError::Unreadable)?).map(Some),
            None => Ok(Some(Delta::default())),
        }
    }

    /// The words of an error that the server tells in the place of a piece.
    fn error_in(&self, chunk: &Chunk<'_>, json: &str) -> Option<String> {
        if let Some(error) = given(chunk.error) {
            return Some(message_in(error.get(), self.error_bytes_max));
        }
        let is_error =
            given(chunk.object).and_then(|raw| string(raw.get())).is_some_and(|kind| kind == "error");
        (is_error && given(chunk.choices).is_none()).then(|| message_in(json, self.error_bytes_max))
    }

    fn hear(&mut self, spoken: Spoken<'_>) -> Result<Delta, ReplyError> {
        let text = given(spoken.content).map_or_else(String::new, |raw| text_of(raw.get()));
        // Some servers tell the same under both names.
        let reasoning = [spoken.reasoning_content, spoken.reasoning].into_iter().flatten();
        let mut reasoning = reasoning.map(|raw| string(raw.get()).unwrap_or_default());
        let reasoning = reasoning.find(|text| !text.is_empty()).unwrap_or_default();
        self.count(text.len() + reasoning.len())?;
        self.content.push_str(&text);
        let pieces: Vec<&RawValue> = match given(spoken.tool_calls) {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|_| ReplyError::Unreadable)?,
            None => Vec::new(),
        };
        for piece in pieces {
            self.hear_call(object(piece.get()).ok_or(ReplyError::Unreadable)?)?;
        }
        Ok(Delta { text, reasoning })
    }

    fn hear_call(&mut self, piece: CallPiece<'_>) -> Result<(), ReplyError> {
        let index = given(piece.index).and_then(|raw| raw.get().parse().ok());
        let id = given(piece.id).map_or(Cow::Borrowed(""), |raw| word(raw.get()));
        let function: FunctionPiece<'_> = match given(piece.function) {
            Some(raw) => object(raw.get()).ok_or(ReplyError::Unreadable)?,
            None => FunctionPiece { name: None, arguments: None },
        };
        let name = given(function.name).map_or(Cow::Borrowed(""), |raw| word(raw.get()));
        let arguments = given(function.arguments).map_or(Cow::Borrowed(""), |raw| word(raw.get()));
        self.count(id.len() + name.len() + arguments.len())?;
        let at = match self.place(index, &id, &name, &arguments) {
            Some(at) => at,
            None if self.calls.len() < self.calls_max => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
            None => {
                self.newest = None;
                return Ok(());
            }
        };
        self.newest = Some(at);
        let Call { call, came_whole, .. } = &mut self.calls[at];
        for (known, told) in [(&mut call.id, &id), (&mut call.name, &name)] {
            if known.is_empty() {
                known.push_str(told);
            }
        }
        // Said once more, or said as `{}` before the first real piece.
        if *came_whole && arguments.starts_with('{') {
            call.arguments.clear();
        }
        if call.arguments.is_empty() {
            *came_whole = is_object(&arguments);
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The call that a piece goes on with; `None` if it begins one.
    fn place(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> Option<usize> {
        let latest = |holds: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(holds);
        if !id.is_empty()
            && let Some(at) = latest(&|call| call.call.id == id && (index.is_none() || call.index == index))
        {
            return Some(at);
        }
        match index {
            Some(_) => latest(&|call| call.index == index).filter(|at| {
                let known = &self.calls[*at];
                // Another id alone may be made anew for each piece; with a name it begins another call. So does a
                // second name with arguments, if the first has all of its own.
                let is_another =
                    !id.is_empty() && !known.call.id.is_empty() || known.came_whole && !arguments.is_empty();
                name.is_empty() || !is_another
            }),
            None if id.is_empty() && name.is_empty() => self.newest,
            None => None,
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), ReplyError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max { Err(ReplyError::TooLong) } else { Ok(()) }
    }
}

/// `calls`, each with an id of its own.
fn with_ids(mut calls: Vec<ToolCall>) -> Vec<ToolCall> {
    let mut made = 0;
    for at in 0..calls.len() {
        let is_known = |id: &str, among: &[ToolCall]| among.iter().any(|call| call.id == id);
        if !calls[at].id.is_empty() && !is_known(&calls[at].id, &calls[..at]) {
            continue;
        }
        // Of one more id than there are calls, one is free.
        calls[at].id = loop {
            made += 1;
            let id = format!("call_{made}");
            if !is_known(&id, &calls) {
                break id;
            }
        };
    }
    calls
}

/// What `reason` stands for; `None` for an error of the server.
fn finish_of(reason: &str) -> Option<Finish> {
    match reason {
        "stop" | "eos" | "end_turn" | "stop_sequence" => Some(Finish::Stop),
        "length" | "max_tokens" | "model_length" => Some(Finish::Length),
        "tool_calls" | "tool_use" | "function_call" => Some(Finish::ToolCalls),
        "content_filter" => Some(Finish::ContentFilter),
        "error" => None,
        _ => Some(Finish::Unknown),
    }
}

// --- The JSON of a piece ------------------------------------------------------------------------------------------

// Every field is read as its text first, so that one of another kind than we know spoils nothing but itself.

#[derive(Deserialize)]
struct Chunk<'d> {
    #[serde(borrow)]
    object: Option<&'d RawValue>,
    #[serde(borrow)]
    choices: Option<&'d RawValue>,
    #[serde(borrow)]
    usage: Option<&'d RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'d RawValue>,
    #[serde(borrow)]
    error: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct Groq<'d> {
    #[serde(borrow)]
    usage: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct Choice<'d> {
    #[serde(borrow)]
    index: Option<&'d RawValue>,
    #[serde(borrow)]
    delta: Option<&'d RawValue>,
    #[serde(borrow)]
    message: Option<&'d RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'d RawValue>,
    #[serde(borrow)]
    error: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct Spoken<'d> {
    #[serde(borrow)]
    content: Option<&'d RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'d RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'d RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct CallPiece<'d> {
    #[serde(borrow)]
    index: Option<&'d RawValue>,
    #[serde(borrow)]
    id: Option<&'d RawValue>,
    #[serde(borrow)]
    function: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct FunctionPiece<'d> {
    #[serde(borrow)]
    name: Option<&'d RawValue>,
    #[serde(borrow)]
    arguments: Option<&'d RawValue>,
}

#[derive(Deserialize)]
struct Tokens<'d> {
    #[serde(borrow)]
    prompt_tokens: Option<&'d RawValue>,
    #[serde(borrow)]
    completion_tokens: Option<&'d RawValue>,
}

impl Tokens<'_> {
    fn usage(self) -> Usage {
        let number = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse().ok()).unwrap_or_default();
        Usage { prompt_tokens: number(self.prompt_tokens), completion_tokens: number(self.completion_tokens) }
    }
}

#[derive(Deserialize)]
struct Part<'d> {
    #[serde(borrow)]
    text: Option<&'d RawValue>,
}

/// The fields of a JSON object; `None` for another value. (A derived struct alone would take a list for one, too.)
fn object<'d, T: Deserialize<'d>>(json: &'d str) -> Option<T> {
    json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}

/// A field that is there and is not `null`.
fn given(field: Option<&RawValue>) -> Option<&RawValue> {
    field.filter(|raw| raw.get() != "null")
}

/// The string that a JSON text is, if it is one.
fn string(json: &str) -> Option<String> {
    json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten().map(|Text(text)| text)
}

/// A string in which half a surrogate pair is replaced: a server that counts in UTF-16 may cut one in two.
struct Text(String);

impl<'d> Deserialize<'d> for Text {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Text, D::Error> {
        struct AsBytes;
        impl Visitor<'_> for AsBytes {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // serde_json lets halves through to those who ask for bytes, and to them alone.
        deserializer.deserialize_bytes(AsBytes)
    }
}

/// A name, an id or arguments: a string, or another value as it is written.
fn word(json: &str) -> Cow<'_, str> {
    string(json).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The choice with index 0 or without one. A whole reply has but one, whatever its index (Gemini: 1).
fn choice<'d>(choices: Option<&'d RawValue>, shape: Shape) -> Result<Option<Choice<'d>>, ReplyError> {
    let Some(choices) = choices else { return Ok(None) };
    let choices: Vec<&'d RawValue> =
        serde_json::from_str(choices.get()).map_err(|_| ReplyError::Unreadable)?;
    for choice in choices {
        let choice: Choice<'d> = object(choice.get()).ok_or(ReplyError::Unreadable)?;
        let is_first = given(choice.index).is_none_or(|index| index.get() == "0");
        if is_first || shape == Shape::Whole {
            return Ok(Some(choice));
        }
    }
    Ok(None)
}

/// The text of a content: a string, or the text of its parts.
fn text_of(json: &str) -> String {
    let parts: Vec<&RawValue> = match string(json) {
        Some(text) => return text,
        None => serde_json::from_str(json).unwrap_or_default(),
    };
    let texts = parts.into_iter().filter_map(|part| object::<Part<'_>>(part.get())?.text);
    texts.filter_map(|text| string(text.get())).collect()
}

// --- Errors -------------------------------------------------------------------------------------------------------

/// The message in the body of a refusal, as OpenAI, llama.cpp, Ollama, vLLM, Mistral or a proxy writes it: one line of
/// at most `bytes_max` bytes, empty if there is none.
///
/// It may repeat what we sent. Whoever shows it takes the key out.
pub fn error_message(body: &[u8], bytes_max: usize) -> String {
    message_in(&String::from_utf8_lossy(body), bytes_max)
}

#[derive(Deserialize)]
struct Refusal<'d> {
    #[serde(borrow)]
    error: Option<&'d RawValue>,
    #[serde(borrow)]
    message: Option<&'d RawValue>,
    #[serde(borrow)]
    detail: Option<&'d RawValue>,
    #[serde(borrow)]
    msg: Option<&'d RawValue>,
}

/// Looks into `{"error": {"message": …}}` and its like, no deeper than they go.
fn message_in(text: &str, bytes_max: usize) -> String {
    let mut text = text.trim();
    for _ in 0..DEPTH_MAX {
        let inner = if let Some(refusal) = object::<Refusal<'_>>(text) {
            let fields = [refusal.error, refusal.message, refusal.detail, refusal.msg];
            fields.into_iter().find_map(given)
        } else if text.starts_with('[') {
            serde_json::from_str::<Vec<&RawValue>>(text).ok().and_then(|list| list.first().copied())
        } else {
            None
        };
        match inner {
            Some(inner) => text = inner.get(),
            None => break,
        }
    }
    match string(text) {
        Some(message) => one_line(&message, bytes_max),
        None if text.starts_with('<') => one_line(title(text), bytes_max),
        None => one_line(text, bytes_max),
    }
}

/// As deep as `{"message": {"detail": [{"msg": …}]}}`, which Mistral writes.
const DEPTH_MAX: usize = 5;

/// The title of an HTML page, as a proxy answers with: its text says no more.
fn title(html: &str) -> &str {
    let after = html.split_once("<title>").map_or("", |(_, after)| after);
    after.split_once("</title>").map_or("", |(title, _)| title)
}

/// `text` with each run of white space and control characters as one space.
fn one_line(text: &str, bytes_max: usize) -> String {
    let is_gap = |character: char| character.is_whitespace() || character.is_control();
    let mut line = String::new();
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        if line.len() > bytes_max {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // A character more than there is room for, so that a word that is too long is seen to be.
        line.push_str(head(word, bytes_max.saturating_add(CHARACTER_BYTES_MAX)));
    }
    if line.len() > bytes_max {
        line.truncate(head(&line, bytes_max.saturating_sub(ELLIPSIS.len())).len());
        line.push_str(head(ELLIPSIS, bytes_max));
    }
    line
}

/// Bytes of the longest character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

const ELLIPSIS: &str = "…";
