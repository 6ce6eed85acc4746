//! What a model server is sent: a strict reader of requests, and a strict look at what is asked.
//!
//! Written without a look at how our client writes: servers differ in what they let pass, so this one takes only what
//! all of them would.

use serde_json::Value;

use super::super::parser::{field, show};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// `/v1/chat/completions`.
    pub path: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of the one field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the requests of one connection.
#[derive(Debug, Default)]
pub struct RequestReader {
    bytes: Vec<u8>,
    /// A head that was read, and how long its body is.
    head: Option<(Request, usize)>,
}

/// No head of ours is longer.
const HEAD_BYTES_MAX: usize = 2048;
/// No question of ours is longer, with all that belongs to it.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl RequestReader {
    /// Takes received bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing of a request has been received.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.head.is_none()
    }

    /// The next request, if it is whole.
    ///
    /// # Errors
    /// In words, what is wrong with the bytes.
    pub fn next(&mut self) -> Result<Option<Request>, String> {
        if self.head.is_none() {
            self.head = self.read_head()?;
        }
        let is_whole = self.head.as_ref().is_some_and(|(_, length)| self.bytes.len() >= *length);
        let Some((mut request, length)) = self.head.take_if(|_| is_whole) else { return Ok(None) };
        request.body = self.bytes.drain(..length).collect();
        Ok(Some(request))
    }

    fn read_head(&mut self) -> Result<Option<(Request, usize)>, String> {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if self.bytes.len() > HEAD_BYTES_MAX {
                return Err(format!("no end of head within {HEAD_BYTES_MAX} bytes: {}", show(&self.bytes)));
            }
            return Ok(None);
        };
        let head: Vec<u8> = self.bytes.drain(..end + 4).take(end).collect();
        let text = std::str::from_utf8(&head).map_err(|_| "a head that is not ASCII".to_owned())?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or("");
        let words: Vec<&str> = first.split(' ').collect();
        let [method, path, "HTTP/1.1"] = words[..] else { return Err(format!("no request line: {first}")) };
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path || method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("no request line: {first}"));
        }
        let fields: Vec<(String, String)> = lines.map(field).collect::<Result<_, _>>()?;
        for (name, _) in &fields {
            if fields.iter().filter(|(other, _)| other == name).count() > 1 {
                return Err(format!("two fields {name}"));
            }
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        let request = Request { method, path, fields, body: Vec::new() };
        if request.field("transfer-encoding").is_some() {
            return Err("a request in chunks, which not every server takes".to_owned());
        }
        let length = match request.field("content-length") {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| format!("a length that is none: {digits}"))?
            }
            Some(other) => return Err(format!("a length that is none: {other}")),
            None if request.method == "POST" => return Err("a POST without a length".to_owned()),
            None => 0,
        };
        if length > BODY_BYTES_MAX {
            return Err(format!("a question of {length} bytes"));
        }
        Ok(Some((request, length)))
    }
}

/// What a server wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `name:port`, as in the URL.
    pub authority: String,
    /// What stands before `/chat/completions`.
    pub path: String,
    /// The model's name.
    pub model: String,
    /// What must stand behind `Bearer`; without one there must be no such field.
    pub key: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Names the question: see [`tag`].
    pub tag: String,
    /// All texts but the rules, joined.
    pub prompt: String,
    /// The model may call tools.
    pub offers_tools: bool,
    /// Among them such as add to notes.
    pub offers_writing: bool,
    /// Replies before this one that called tools.
    pub rounds: usize,
    /// Bytes of the request's body.
    pub bytes: usize,
}

/// Rounds of tools after which whoever asks is taken to ask for ever.
const ROUNDS_MAX: usize = 20;

/// Looks at a whole request.
///
/// # Errors
/// In words, what some server would not take.
pub fn check(request: &Request, wanted: &Wanted) -> Result<Asked, String> {
    let path = format!("{}/chat/completions", wanted.path);
    let Request { method, path: found, body, .. } = request;
    if method != "POST" || *found != path {
        return Err(format!("was asked {method} {found} in place of POST {path}"));
    }
    let equal = |name: &str, value: Option<&str>| match (request.field(name), value) {
        (found, value) if found == value => Ok(()),
        // The key is nobody's business, not even here.
        (found, _) if name == "authorization" => Err(format!("the wrong key, or none: {}", found.is_some())),
        (found, value) => Err(format!("the field {name} is {found:?} in place of {value:?}")),
    };
    equal("host", Some(&wanted.authority))?;
    equal("authorization", wanted.key.as_ref().map(|key| format!("Bearer {key}")).as_deref())?;
    equal("content-type", Some("application/json"))?;
    if request.field("expect").is_some() {
        return Err("expects 100-continue, which not every server sends".to_owned());
    }
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the question is no JSON: {error}: {}", show(body)))?;
    if json["model"] != wanted.model.as_str() {
        return Err(format!("asks the model {} in place of {}", json["model"], wanted.model));
    }
    if json["stream"] != true || json["stream_options"]["include_usage"] != true {
        return Err("asks for no stream, or for one without usage".to_owned());
    }
    if json.get("max_tokens").is_some_and(|most| most.as_u64().is_none_or(|most| most == 0)) {
        return Err(format!("wants an answer of at most {} tokens", json["max_tokens"]));
    }
    let offers_tools = check_tools(&json)?;
    let offers_writing = json["tools"]
        .as_array()
        .is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == "append_note"));
    let messages = json["messages"].as_array().ok_or("no messages")?;
    let (question, prompt, rounds) = check_messages(messages)?;
    Ok(Asked { tag: tag(&question), prompt, offers_tools, offers_writing, rounds, bytes: body.len() })
}

/// Whether tools are offered, and that each says what it takes.
fn check_tools(json: &Value) -> Result<bool, String> {
    let tools = match (json.get("tools"), json.get("tool_choice")) {
        (None, None) => return Ok(false),
        (Some(Value::Array(tools)), Some(choice)) if !tools.is_empty() && choice == "auto" => tools,
        (tools, choice) => return Err(format!("offers the tools {tools:?}, to choose {choice:?}")),
    };
    for tool in tools {
        let function = &tool["function"];
        let is_whole = tool["type"] == "function"
            && function["name"].as_str().is_some_and(is_name)
            && function["description"].as_str().is_some_and(|text| !text.is_empty())
            && function["parameters"]["type"] == "object";
        if !is_whole {
            return Err(format!("offers what is no tool: {tool}"));
        }
    }
    Ok(true)
}

/// OpenAI: 1 to 64 of letters, digits, `_` and `-`.
fn is_name(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(may_stand)
}

/// The order of a conversation. Answers the last that a user said, all texts but the rules, and the rounds of tools.
fn check_messages(messages: &[Value]) -> Result<(String, String, usize), String> {
    let (mut question, mut prompt, mut rounds) = (None, String::new(), 0);
    // Calls of the last assistant's message that no tool has answered.
    let mut owed: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let wrong = |what: &str| format!("message {index} of {}: {what}: {message}", messages.len());
        let role = message["role"].as_str().unwrap_or("?");
        let content = message["content"].as_str();
        if (index == 0) != (role == "system") {
            return Err(wrong("the rules come first, and once"));
        }
        if role != "tool" && !owed.is_empty() {
            return Err(wrong("a call before it has no answer"));
        }
        if message.get("tool_calls").is_some() && role != "assistant" {
            return Err(wrong("only a model calls tools"));
        }
        match (role, content) {
            ("system", Some(text)) if !text.is_empty() => continue,
            ("user", Some(text)) if !text.is_empty() => question = Some(text.to_owned()),
            ("assistant", _) => {
                owed = check_calls(&message["tool_calls"]).map_err(|what| wrong(&what))?;
                if owed.is_empty() && content.is_none_or(str::is_empty) {
                    return Err(wrong("says nothing and calls nothing"));
                }
                rounds += usize::from(!owed.is_empty());
            }
            ("tool", Some(_)) => {
                let id = message["tool_call_id"].as_str().unwrap_or("?");
                let Some(at) = owed.iter().position(|owed| *owed == id) else {
                    return Err(wrong("answers no call"));
                };
                owed.swap_remove(at);
            }
            _ => return Err(wrong("a role or a text that is none")),
        }
        prompt += content.unwrap_or("");
        prompt.push('\n');
    }
    let ends_well = messages.last().is_some_and(|last| last["role"] == "user" || last["role"] == "tool");
    if !owed.is_empty() || !ends_well {
        return Err(format!("nothing is asked by the last message: {:?}", messages.last()));
    }
    if rounds > ROUNDS_MAX {
        return Err(format!("there were {rounds} rounds of tools, and it asks again"));
    }
    Ok((question.ok_or("nobody asks anything")?, prompt, rounds))
}

/// The ids of what an earlier reply called. Servers read these again, and refuse everything if they can't.
fn check_calls(calls: &Value) -> Result<Vec<&str>, String> {
    let calls = match calls {
        Value::Null => return Ok(Vec::new()),
        Value::Array(calls) if !calls.is_empty() => calls,
        _ => return Err("calls that are no list, or none".to_owned()),
    };
    let mut ids = Vec::new();
    for call in calls {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().unwrap_or("");
        let is_whole = call["type"] == "function"
            && function["name"].as_str().is_some_and(is_name)
            && serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object());
        let id = call["id"].as_str().filter(|id| !id.is_empty() && !ids.contains(id));
        match id {
            Some(id) if is_whole => ids.push(id),
            Some(_) | None => return Err("a call that is none".to_owned()),
        }
    }
    Ok(ids)
}

/// Names a question by its own words, whatever a prompt puts before it: the model says it at the beginning of its answer,
/// and whoever has asked can tell that it is his.
pub fn tag(text: &str) -> String {
    const BEGINNING: &str = "What is the code of ";
    let question = match text.rfind(BEGINNING) {
        Some(at) => text[at..].lines().next(),
        None => text.lines().rfind(|line| !line.trim().is_empty()),
    };
    let words = question.unwrap_or("").split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).take(16).collect();
    words.join("-").to_lowercase()
}
