//! What a model is asked and what it answered, in the shape that OpenAI's *chat completions* gave to everyone.
//!
//! A [`ModelRequest`] becomes the body of one `POST …/chat/completions`; what comes back is one [`ModelReply`]. A
//! reply is a recorded input, so it is plain data that survives a round trip through JSON.
//!
//! ```
//! use oneloop::agent::model::{LengthField, Message, ModelRequest};
//!
//! let messages = vec![Message::User("Who cleans the kitchen?".to_owned())];
//! let request = ModelRequest { messages, tools: None, answer_tokens_max: Some(64) };
//! assert_eq!(
//!     request.body("smollm2", LengthField::MaxTokens),
//!     r#"{"model":"smollm2","messages":[{"role":"user","content":"Who cleans the kitchen?"}],"#.to_owned()
//!         + r#""stream":true,"stream_options":{"include_usage":true},"max_tokens":64}"#
//! );
//! ```

pub mod deltas;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::question::Writes;
use super::tools::{self, Tool};

pub use deltas::{Delta, Deltas, ReplyError, error_message};

/// One question to a model: everything it is told, as it remembers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// What was said so far, oldest first.
    pub messages: Vec<Message>,
    /// The model may call the tools that are [offered](tools::offered) where this may be written; none without it.
    pub tools: Option<Writes>,
    /// Tokens after which the server ends the answer; `None` leaves that to the server.
    pub answer_tokens_max: Option<u32>,
}

/// One message of a conversation with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The rules.
    System(String),
    /// What is asked.
    User(String),
    /// What the model said before.
    Assistant {
        /// Its text; empty when it only called tools.
        content: String,
        /// The tools it called; each is answered by one [`Message::Tool`] behind this message.
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool found.
    Tool {
        /// The [`ToolCall::id`] that it answers.
        call_id: String,
        /// For the model to read.
        content: String,
    },
}

/// A model's wish to have a tool used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Tells the calls of one reply apart.
    pub id: String,
    /// The tool's name, as the model wrote it: it may name none of ours.
    pub name: String,
    /// JSON text as the model wrote it: it may be no JSON at all.
    pub arguments: String,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReply {
    /// Its text.
    pub content: String,
    /// The tools that it wants used before it goes on.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: Finish,
    /// What it cost, if the server said so.
    pub usage: Option<Usage>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It came to the end of its room: the answer is cut.
    Length,
    /// It waits for tools; there is at least one call.
    ToolCalls,
    /// The server held something back.
    ContentFilter,
    /// The server gave a reason that we don't know, or none.
    Unknown,
}

/// Tokens read and written for one reply, as the server counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the reply.
    pub completion_tokens: u64,
}

impl ModelRequest {
    /// Bytes of what is said in it.
    pub fn bytes(&self) -> usize {
        let bytes = |message: &Message| match message {
            Message::System(content) | Message::User(content) | Message::Tool { content, .. } => {
                content.len()
            }
            Message::Assistant { content, tool_calls } => {
                content.len() + tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>()
            }
        };
        self.messages.iter().map(bytes).sum()
    }

    /// The JSON of `POST /chat/completions`, which asks for a stream.
    ///
    /// Servers read a call's arguments and name again when they are told of an earlier reply, and refuse the whole
    /// conversation if those are malformed (vLLM, llama.cpp). So arguments that are no JSON object go out as `{}`,
    /// and a name keeps only the letters that one may have; the tool's answer says what was wrong with the call.
    pub fn body(&self, model: &str, length: LengthField) -> String {
        let body = Body {
            model,
            messages: self.messages.iter().map(WireMessage::of).collect(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: self.answer_tokens_max.filter(|_| length == LengthField::MaxTokens),
            max_completion_tokens: self
                .answer_tokens_max
                .filter(|_| length == LengthField::MaxCompletionTokens),
            tools: self.tools.map(|writes| tools::offered(writes).iter().map(WireTool::of).collect()),
            tool_choice: self.tools.map(|_| "auto"),
        };
        serde_json::to_string(&body).expect("text, numbers and lists of them have no value that JSON lacks")
    }
}

/// What the bound on an answer's length is called in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LengthField {
    /// `max_tokens`: the older name, which every server knows but those of OpenAI's newer models.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The JSON of a request. What is `None` is left out: some servers refuse a `null`.
#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<WireMessage<'r>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<WireTool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct WireMessage<'r> {
    role: &'static str,
    /// `null` when a model only called tools; the other messages always have one.
    content: Option<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
}

impl<'r> WireMessage<'r> {
    fn of(message: &'r Message) -> WireMessage<'r> {
        let plain = |role, content| WireMessage {
            role,
            content: Some(content),
            tool_calls: Vec::new(),
            tool_call_id: None,
        };
        match message {
            Message::System(content) => plain("system", content),
            Message::User(content) => plain("user", content),
            Message::Assistant { content, tool_calls } => WireMessage {
                content: (!content.is_empty() || tool_calls.is_empty()).then_some(content),
                tool_calls: tool_calls.iter().map(WireCall::of).collect(),
                ..plain("assistant", content)
            },
            Message::Tool { call_id, content } => {
                WireMessage { tool_call_id: Some(call_id), ..plain("tool", content) }
            }
        }
    }
}

#[derive(Serialize)]
struct WireCall<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireFunction<'r>,
}

#[derive(Serialize)]
struct WireFunction<'r> {
    name: Cow<'r, str>,
    arguments: &'r str,
}

impl<'r> WireCall<'r> {
    fn of(call: &'r ToolCall) -> WireCall<'r> {
        let arguments = if is_object(&call.arguments) { call.arguments.as_str() } else { "{}" };
        let function = WireFunction { name: well_formed_name(&call.name), arguments };
        WireCall { id: &call.id, kind: "function", function }
    }
}

/// A general reader takes it for an object: one that is too deep, or holds half a character, is none.
fn is_object(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// `name` without what a function's name may not hold (OpenAI: 1 to 64 of letters, digits, `_` and `-`).
fn well_formed_name(name: &str) -> Cow<'_, str> {
    let may_stand = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(may_stand) {
        return Cow::Borrowed(name);
    }
    let kept: String = name.chars().filter(|character| may_stand(*character)).take(NAME_BYTES_MAX).collect();
    if kept.is_empty() { Cow::Borrowed("unknown") } else { Cow::Owned(kept) }
}

/// Longest name of a function that servers take.
const NAME_BYTES_MAX: usize = 64;

#[derive(Serialize)]
struct WireTool {
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireDescription,
}

#[derive(Serialize)]
struct WireDescription {
    name: &'static str,
    description: &'static str,
    parameters: &'static RawValue,
}

impl WireTool {
    fn of(tool: &Tool) -> WireTool {
        let parameters = serde_json::from_str(tool.schema)
            .expect("the schemas are JSON: `tests::a_request_holds_what_servers_want` writes them all");
        let function = WireDescription { name: tool.name, description: tool.description, parameters };
        WireTool { kind: "function", function }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(messages: Vec<Message>, tools: Option<Writes>) -> Value {
        let request = ModelRequest { messages, tools, answer_tokens_max: None };
        serde_json::from_str(&request.body("m", LengthField::MaxTokens)).expect("a body is JSON")
    }

    fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
    }

    #[test]
    fn a_request_holds_what_servers_want() {
        for writes in [Writes::Off, Writes::Inbox, Writes::All] {
            let body = body(vec![Message::System("Be kind.".to_owned())], Some(writes));
            assert_eq!(body["stream"], true);
            assert_eq!(body["stream_options"], json!({"include_usage": true}));
            assert_eq!(body["tool_choice"], "auto");
            let told = body["tools"].as_array().expect("a list");
            let offered = tools::offered(writes);
            assert_eq!(told.len(), offered.len());
            for (told, tool) in told.iter().zip(offered) {
                assert_eq!(told["type"], "function");
                assert_eq!(told["function"]["name"], tool.name);
                assert_eq!(told["function"]["description"], tool.description);
                assert_eq!(told["function"]["parameters"]["type"], "object");
            }
            let fields: Vec<&String> = body.as_object().expect("an object").keys().collect();
            assert_eq!(fields, ["messages", "model", "stream", "stream_options", "tool_choice", "tools"]);
        }
    }

    #[test]
    fn a_round_of_tools_is_told_as_calls_and_their_answers() {
        let tool_calls = vec![call("call_1", "read_note", r#"{"path":"a \"b\".md"}"#)];
        let messages = vec![
            Message::Assistant { content: String::new(), tool_calls },
            Message::Tool { call_id: "call_1".to_owned(), content: "# A\n".to_owned() },
            Message::Assistant { content: String::new(), tool_calls: Vec::new() },
        ];
        let function = json!({"name": "read_note", "arguments": "{\"path\":\"a \\\"b\\\".md\"}"});
        assert_eq!(
            body(messages, None)["messages"],
            json!([
                {"role": "assistant", "content": null,
                 "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
                {"role": "tool", "content": "# A\n", "tool_call_id": "call_1"},
                {"role": "assistant", "content": ""},
            ])
        );
    }

    #[test]
    fn a_malformed_call_does_not_spoil_the_conversation() {
        for (name, arguments, name_told, arguments_told) in [
            ("read_note", "", "read_note", "{}"),
            ("read_note", "{\"path\": \"cut", "read_note", "{}"),
            ("read_note", "\"text\"", "read_note", "{}"),
            ("read_note", " {\"path\": 1} ", "read_note", " {\"path\": 1} "),
            ("functions.read note:0", "{}", "functionsreadnote0", "{}"),
            ("", "{}", "unknown", "{}"),
            ("日本", "{}", "unknown", "{}"),
        ] {
            let tool_calls = vec![call("1", name, arguments)];
            let told = body(vec![Message::Assistant { content: String::new(), tool_calls }], None);
            let function = &told["messages"][0]["tool_calls"][0]["function"];
            assert_eq!(*function, json!({"name": name_told, "arguments": arguments_told}));
        }
        assert_eq!(well_formed_name(&"x".repeat(80)).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_reply_survives_being_recorded() {
        let reply = ModelReply {
            content: "Mira. [1]".to_owned(),
            tool_calls: vec![call("a", "list_notes", "{}")],
            finish: Finish::ToolCalls,
            usage: Some(Usage { prompt_tokens: 7, completion_tokens: 3 }),
        };
        let text = serde_json::to_string(&reply).expect("plain data");
        assert_eq!(serde_json::from_str::<ModelReply>(&text).expect("plain data"), reply);
    }
}
