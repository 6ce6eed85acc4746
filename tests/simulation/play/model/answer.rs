//! What a model server does about one question, step by step, all of it drawn from one number.
//!
//! An answer is made in three layers, as real ones are: pieces of JSON, events around them, HTTP around those. Each layer
//! has its accents, and each has its ways to go wrong.

use std::time::Duration;

use oneloop::os::sim::Random;
use serde_json::{Value, json};

use super::manners::{Manners, Trouble};
use super::request::Asked;
use crate::play::ledger::{ENTRY, LEDGER};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Lets time pass.
    Wait(Duration),
    /// Sends all of these bytes, however long it takes.
    Send(Vec<u8>),
    /// With what is sent next the answer may be taken for whole.
    Told,
    /// Sends this for ever, with a pause behind each.
    Repeat(Vec<u8>, Duration),
    /// Does nothing, for ever.
    Hang,
    /// Sends no more, and waits for the other side to do the same.
    Finish,
    /// Closes the connection.
    Close,
    /// Resets it.
    Reset,
    /// The answer is over, and the next question may come.
    Over,
}

/// What is done about one question.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Text of the answer, if it gets that far.
    pub text: String,
    /// It wants tools to be used first.
    pub wants_tools: bool,
    /// What goes wrong with it.
    pub trouble: Option<Trouble>,
    /// In order.
    pub steps: Vec<Step>,
    /// Remarkable things about it.
    pub seen: Vec<&'static str>,
}

/// Draws what is done about a question. In calm weather it is answered, at once and well.
pub fn plan(asked: &Asked, call: usize, manners: &Manners, random: &mut Random, is_calm: bool) -> Plan {
    let mut plan =
        Plan { text: String::new(), wants_tools: false, trouble: None, steps: Vec::new(), seen: Vec::new() };
    let is_troubled = random.chance(manners.trouble_per_mille) && !manners.troubles.is_empty() && !is_calm;
    if is_troubled {
        let trouble = random.pick(&manners.troubles);
        // That is decided when a connection is taken: this one was read.
        plan.trouble = Some(if trouble == Trouble::NeverReads { Trouble::NeverAnswers } else { trouble });
    }
    if !is_calm {
        plan.steps.push(Step::Wait(up_to(manners.think, random)));
    }
    if manners.refuses_tools && asked.offers_tools {
        plan.seen.push("a model server refused tools");
        let words = [
            "\"sim\" does not support tools",
            "tools param requires --jinja flag",
            "This model doesn't support tool use",
        ];
        plan.steps.extend(refusal("400 Bad Request", "", random.pick(&words), random));
        return plan;
    }
    if asked.bytes > manners.question_bytes_max {
        plan.seen.push("a model server found a question too long");
        let words = [
            "the request exceeds the available context size, try increasing it",
            "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens",
        ];
        plan.steps.extend(refusal("400 Bad Request", "", random.pick(&words), random));
        return plan;
    }
    let said = say(asked, call, manners, random, is_calm, &mut plan);
    let gap = if is_calm { Duration::ZERO } else { manners.gap };
    let closes = random.chance(manners.closes_per_mille) && !is_calm;
    match plan.trouble {
        Some(trouble) => plan.steps.extend(troubled(trouble, &said, gap, random)),
        None => {
            let (steps, seen) = whole(&said, closes, gap, random);
            plan.steps.extend(steps);
            plan.seen.extend(seen);
        }
    }
    plan
}

fn up_to(most: Duration, random: &mut Random) -> Duration {
    Duration::from_micros(random.below(most.as_micros() as usize + 1) as u64)
}

// --- What is said --------------------------------------------------------------------------------------------------

/// An answer as pieces of JSON.
#[derive(Debug, Clone, Default)]
struct Said {
    /// In order. With the first that says why it stops, and with all behind it, the answer is whole.
    pieces: Vec<Value>,
    /// The first piece that makes it whole.
    whole_at: usize,
    /// The same as one object, for who was not asked to stream, or passes that over.
    at_once: Value,
}

fn piece(delta: &Value, finish: Option<&str>) -> Value {
    json!({ "id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "sim",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }] })
}

fn say(
    asked: &Asked,
    call: usize,
    manners: &Manners,
    random: &mut Random,
    is_calm: bool,
    plan: &mut Plan,
) -> Said {
    let mut said = Said::default();
    if random.chance(700) {
        said.pieces
            .push(piece(&json!({ "role": "assistant", "content": random.pick(&[Some(""), None]) }), None));
    }
    if random.chance(300) {
        plan.seen.push("a model thought aloud");
        let name = random.pick(&["reasoning_content", "reasoning"]);
        for index in 0..random.spread(12) {
            said.pieces.push(piece(&json!({ name: format!("hm{call}-{index} ") }), None));
        }
    }
    let wants_tools =
        asked.offers_tools && (manners.calls_for_ever || random.chance(manners.tools_per_mille)) && !is_calm;
    // Whoever calls tools may say something before it, which is no part of the answer.
    let speaks = !wants_tools || random.chance(200);
    if speaks {
        plan.text = text(asked, call, manners, random);
        said.pieces
            .extend(cut(&plan.text, random).iter().map(|part| piece(&json!({ "content": part }), None)));
    }
    let mut calls = Vec::new();
    if wants_tools {
        plan.wants_tools = true;
        plan.seen.push("a model called a tool");
        if asked.rounds > 3 {
            plan.seen.push("a model called tools again and again");
        }
        calls = tool_calls(asked, call, manners, random, plan);
        said.pieces.extend(call_pieces(&calls, random));
    }
    let reason = match (calls.is_empty(), random.below(20)) {
        (false, 0..15) => "tool_calls",
        (true, 0) => "length",
        (true, 1) => "eos",
        (true, 2) => "content_filter",
        _ => "stop",
    };
    let usage = json!({ "prompt_tokens": asked.bytes / 4, "completion_tokens": 7, "total_tokens": 7 + asked.bytes / 4 });
    said.whole_at = said.pieces.len();
    let mut last = piece(&json!({}), Some(reason));
    let has_usage = random.below(3);
    if has_usage == 1 {
        last["usage"] = usage.clone();
    }
    said.pieces.push(last);
    if has_usage == 2 {
        said.pieces.push(json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage.clone() }));
    }
    said.at_once = json!({ "object": "chat.completion", "model": "sim", "usage": usage,
        "choices": [{ "index": 0, "finish_reason": reason, "message":
            { "role": "assistant", "content": plan.text, "tool_calls": calls } }] });
    if calls.is_empty() {
        said.at_once["choices"][0]["message"]["tool_calls"] = Value::Null;
    }
    said
}

/// Words that nobody else would say, the question's own among them, and out of the notes what was asked for.
fn text(asked: &Asked, call: usize, manners: &Manners, random: &mut Random) -> String {
    let mut text = format!("re:{} ", asked.tag);
    for index in 0..random.spread(manners.words_max) {
        text += &format!("w{call}-{index}");
        text += random
            .pick(&["", "", "", "", "", "", "é☂", "[1]", "[2][3]", "[999]", "\n\n", "\"", "\\", "`x[7]`"]);
        text.push(' ');
    }
    if let Some(sentence) = sentence_about(asked) {
        let quoted = [format!("{sentence} [1]"), format!("“{sentence}”"), sentence.clone()];
        text += &quoted[random.below(3)];
    }
    if random.chance(100) {
        text += " “The moon is made of cheese.”";
    }
    text
}

/// What the prompt says of the subject's code.
fn sentence_about(asked: &Asked) -> Option<String> {
    let subject = subject(asked)?;
    let beginning = format!("The code of {subject} is ");
    let at = asked.prompt.find(&beginning)?;
    let code: String =
        asked.prompt[at + beginning.len()..].chars().take_while(char::is_ascii_alphanumeric).collect();
    (!code.is_empty()).then(|| format!("{beginning}{code}."))
}

fn subject(asked: &Asked) -> Option<&str> {
    asked.tag.strip_prefix("what-is-the-code-of-")?.split('-').next()
}

/// `text` in pieces of a few letters each, one sometimes empty.
fn cut(text: &str, random: &mut Random) -> Vec<String> {
    let most = random.pick(&[1, 4, 12, 12, 40, 1000]);
    // Not too many, lest one answer be all that happens in a world.
    let most = most.max(text.chars().count() / 200);
    let mut parts = Vec::new();
    let mut letters = text.chars().peekable();
    while letters.peek().is_some() {
        let count = random.between(1, most);
        parts.push(letters.by_ref().take(count).collect());
        if random.chance(20) {
            parts.push(String::new());
        }
    }
    parts
}

fn tool_calls(
    asked: &Asked,
    call: usize,
    manners: &Manners,
    random: &mut Random,
    plan: &mut Plan,
) -> Vec<Value> {
    let subject = subject(asked).unwrap_or("nothing");
    let many = random.pick(&[1, 1, 1, 1, 2, 3, 12]);
    let mut calls: Vec<Value> = (0..many)
        .map(|index| {
            let is_wrong = random.chance(manners.wrong_tools_per_mille);
            let path = json!({ "path": format!("codes/{subject}.md") });
            let good = [
                ("search_notes", json!({ "query": format!("code of {subject}") })),
                ("search_notes", json!({ "query": subject, "limit": 3 })),
                ("read_note", path.clone()),
                ("list_links", path),
                ("list_notes", json!({})),
                ("read_note", json!({ "path": "no/such/note.md", "start": 7 })),
            ];
            let bad = [
                ("search_notes", "{\"query\": "),
                ("search_notes", "{}"),
                ("search_notes", "{\"query\": 7}"),
                ("read_note", "{\"path\": \"codes/zebra.md\", \"evil\": true}"),
                ("list_links", ""),
                ("list_notes", "[]"),
                ("delete_everything", "{}"),
                ("", "null"),
                ("list_links", "{\"path\": \"../../etc/passwd\"}"),
            ];
            let (name, arguments) = if is_wrong {
                plan.seen.push("a model called a tool wrongly");
                let (name, arguments) = random.pick(&bad);
                (name, arguments.to_owned())
            } else {
                let (name, arguments) = &good[random.below(good.len())];
                (*name, arguments.to_string())
            };
            json!({ "index": index, "id": format!("call-{call}-{index}"), "type": "function",
                "function": { "name": name, "arguments": arguments } })
        })
        .collect();
    if asked.offers_writing && manners.writes_per_mille > 0 {
        write_instead(&mut calls, call, asked, manners);
    }
    calls
}

/// Makes some of the calls write. Drawn apart, so that where nobody writes nothing is drawn for it.
fn write_instead(calls: &mut [Value], call: usize, asked: &Asked, manners: &Manners) {
    let mut random = Random::new((call * 1009 + asked.bytes) as u64, WRITES);
    for (index, called) in calls.iter_mut().enumerate() {
        if !random.chance(manners.writes_per_mille) {
            continue;
        }
        let text = format!("entry {call}-{index}");
        let (name, arguments) = match random.below(8) {
            0 => (
                "create_note",
                json!({ "title": format!("{ENTRY}{call}-{index}"), "content": text, "folder": "entries" }),
            ),
            1 => (
                "create_note",
                json!({ "title": format!("{ENTRY}{call}"), "content": text, "tags": ["entry"] }),
            ),
            2 => ("link_notes", json!({ "from": "codes/zebra.md", "to": LEDGER, "why": text })),
            3 => ("append_note", json!({ "path": "../ledger.md", "content": text })),
            _ => ("append_note", json!({ "path": LEDGER, "content": format!("- {text}") })),
        };
        called["function"] = json!({ "name": name, "arguments": arguments.to_string() });
    }
}

/// The stream of numbers that decides about it.
const WRITES: u64 = 1;

/// Calls as servers stream them: name first and arguments letter by letter, or each whole; with an index or without.
fn call_pieces(calls: &[Value], random: &mut Random) -> Vec<Value> {
    let mut pieces = Vec::new();
    let (is_whole, has_index, has_id) = (random.chance(400), random.chance(700), random.chance(800));
    for call in calls {
        let mut first = call.clone();
        let arguments = call["function"]["arguments"].as_str().unwrap_or("").to_owned();
        // Without either, only a name tells where the next call begins, so the pieces must be whole.
        let is_whole = is_whole || !has_index;
        if !is_whole {
            first["function"]["arguments"] = json!("");
        }
        if let Some(first) = first.as_object_mut() {
            if !has_index {
                first.remove("index");
            }
            if !has_id {
                first.remove("id");
            }
        }
        pieces.push(piece(&json!({ "tool_calls": [first] }), None));
        if !is_whole {
            for part in cut(&arguments, random) {
                let more = json!({ "index": call["index"], "function": { "arguments": part } });
                pieces.push(piece(&json!({ "tool_calls": [more] }), None));
            }
        }
    }
    pieces
}

// --- Events and HTTP around it -------------------------------------------------------------------------------------

/// How this server writes events.
#[derive(Debug, Clone, Copy)]
struct Accent {
    newline: &'static str,
    has_space: bool,
    names_events: bool,
    comments_per_mille: u16,
}

impl Accent {
    fn draw(random: &mut Random) -> Accent {
        Accent {
            newline: random.pick(&["\n", "\n", "\n", "\r\n", "\r\n", "\r"]),
            has_space: random.chance(800),
            names_events: random.chance(100),
            comments_per_mille: random.pick(&[0, 0, 300]),
        }
    }

    fn event(&self, data: &str, random: &mut Random) -> Vec<u8> {
        let Accent { newline, has_space, names_events, comments_per_mille } = *self;
        let mut event = String::new();
        if random.chance(comments_per_mille) {
            event += &format!(": ping{newline}{newline}");
        }
        if names_events {
            event += &format!("event: message{newline}id:{newline}");
        }
        event += if has_space { "data: " } else { "data:" };
        event += data;
        event += newline;
        event += newline;
        event.into_bytes()
    }
}

/// How the body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Chunks,
    Length,
    UntilEnd,
}

fn head(status: &str, fields: &[String], random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<String> = fields.to_vec();
    lines.push("Date: Thu, 01 Jan 2026 00:00:00 GMT".to_owned());
    lines.push("Server: sim".to_owned());
    if random.chance(300) {
        lines.iter_mut().for_each(|line| {
            if let Some((name, value)) = line.split_once(": ") {
                *line = format!("{}:{value}", name.to_lowercase());
            }
        });
    }
    for index in (1..lines.len()).rev() {
        lines.swap(index, random.below(index + 1));
    }
    let mut text = format!("HTTP/1.1 {status}\r\n");
    if random.chance(100) {
        let interim = random.pick(&[
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        ]);
        text.insert_str(0, interim);
    }
    for line in lines {
        text += &line;
        text += "\r\n";
    }
    text += "\r\n";
    text.into_bytes()
}

fn chunk(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let extension = if random.chance(50) { ";x=\"y\"" } else { "" };
    let size = if random.chance(100) { format!("{:04X}", bytes.len()) } else { format!("{:x}", bytes.len()) };
    [format!("{size}{extension}\r\n").as_bytes(), bytes, b"\r\n"].concat()
}

/// The steps of an answer that is told to its end.
fn whole(said: &Said, closes: bool, gap: Duration, random: &mut Random) -> (Vec<Step>, Vec<&'static str>) {
    let mut seen = Vec::new();
    let framing = random.pick(&[Framing::Chunks, Framing::Chunks, Framing::Length, Framing::UntilEnd]);
    let is_at_once = random.chance(80);
    // Bytes of the body, each with whether the answer is whole with it.
    let body: Vec<(bool, Vec<u8>)> = if is_at_once {
        seen.push("a model server did not stream");
        vec![(true, said.at_once.to_string().into_bytes())]
    } else {
        events(said, random, &mut seen)
    };
    seen.push(match framing {
        Framing::Chunks => "a model's answer came in chunks",
        Framing::Length => "a model's answer came with its length",
        Framing::UntilEnd => "a model's answer ended with its connection",
    });
    let kind = if is_at_once { "application/json" } else { "text/event-stream" };
    let charset = random.pick(&["", "; charset=utf-8"]);
    let mut fields = vec![format!("Content-Type: {kind}{charset}")];
    let closes = closes || framing == Framing::UntilEnd;
    match framing {
        Framing::Chunks => fields.push("Transfer-Encoding: chunked".to_owned()),
        Framing::Length => {
            fields.push(format!(
                "Content-Length: {}",
                body.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
            ));
        }
        Framing::UntilEnd => {}
    }
    if closes && (framing != Framing::UntilEnd || random.chance(700)) {
        fields.push("Connection: close".to_owned());
    } else if !closes && random.chance(500) {
        fields.push("Connection: keep-alive".to_owned());
    }
    let mut steps = vec![Step::Send(head("200 OK", &fields, random))];
    let mut is_told = false;
    for (is_whole, bytes) in body {
        if !gap.is_zero() && random.chance(700) {
            steps.push(Step::Wait(up_to(gap, random)));
        }
        if is_whole && !std::mem::replace(&mut is_told, true) {
            steps.push(Step::Told);
        }
        steps.push(Step::Send(if framing == Framing::Chunks { chunk(&bytes, random) } else { bytes }));
    }
    if framing == Framing::Chunks {
        steps.push(Step::Send(random.pick(&["0\r\n\r\n", "0\r\nX-Took: 7\r\n\r\n"]).into()));
    }
    steps.push(match (closes, random.chance(500)) {
        (false, _) => Step::Over,
        (true, true) => Step::Finish,
        (true, false) => Step::Close,
    });
    (steps, seen)
}

/// The events of an answer, and with which of them it is whole.
fn events(said: &Said, random: &mut Random, seen: &mut Vec<&'static str>) -> Vec<(bool, Vec<u8>)> {
    let accent = Accent::draw(random);
    let mut body: Vec<(bool, Vec<u8>)> = Vec::new();
    for (index, piece) in said.pieces.iter().enumerate() {
        body.push((index >= said.whole_at, accent.event(&json_text(piece, random), random)));
    }
    if random.chance(850) {
        body.push((true, accent.event("[DONE]", random)));
    } else {
        seen.push("a model's answer ended without [DONE]");
    }
    if random.chance(50)
        && let Some((_, first)) = body.first_mut()
    {
        first.splice(0..0, *b"\xef\xbb\xbf");
    }
    // Several at once, or one in two halves: how they come is not what they are.
    match random.below(4) {
        0 => {
            let all: Vec<u8> = body.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            body = vec![(true, all)];
        }
        1 => {
            let at = random.below(body.len());
            let half = random.between(1, body[at].1.len() - 3);
            let rest = body[at].1.split_off(half);
            let is_whole = std::mem::replace(&mut body[at].0, false);
            body.insert(at + 1, (is_whole, rest));
        }
        _ => {}
    }
    body
}

/// JSON, sometimes with every letter beyond ASCII escaped.
fn json_text(value: &Value, random: &mut Random) -> String {
    let text = value.to_string();
    if !random.chance(200) {
        return text;
    }
    let mut escaped = String::new();
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}

// --- What goes wrong -----------------------------------------------------------------------------------------------

/// A refusal in the words of some server.
fn refusal(status: &str, field: &str, words: &str, random: &mut Random) -> Vec<Step> {
    let body = match random.below(5) {
        0 => json!({ "error": { "message": words, "type": "invalid_request_error", "code": null } })
            .to_string(),
        1 => json!({ "error": words }).to_string(),
        2 => json!({ "object": "error", "message": words, "code": 400 }).to_string(),
        3 => json!({ "detail": words }).to_string(),
        _ => words.to_owned(),
    };
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    let mut fields = vec![format!("Content-Type: {kind}"), format!("Content-Length: {}", body.len())];
    if !field.is_empty() {
        fields.push(field.to_owned());
    }
    let closes = random.chance(300);
    if closes {
        fields.push("Connection: close".to_owned());
    }
    let last = if closes { Step::Close } else { Step::Over };
    vec![Step::Send([head(status, &fields, random), body.into_bytes()].concat()), last]
}

/// The steps of an answer with which this goes wrong.
fn troubled(trouble: Trouble, said: &Said, gap: Duration, random: &mut Random) -> Vec<Step> {
    let stream = |more: &str, random: &mut Random| {
        let fields = ["Content-Type: text/event-stream".to_owned(), more.to_owned()];
        Step::Send(head("200 OK", &fields, random))
    };
    let chunked = "Transfer-Encoding: chunked";
    let closing = "Connection: close";
    let accent = Accent::draw(random);
    // A good beginning, for what goes wrong behind it.
    let some = random.below(said.whole_at + 1);
    let mut beginning = Vec::new();
    for piece in &said.pieces[..some] {
        beginning.extend(accent.event(&piece.to_string(), random));
    }
    let broken = |bytes: &[u8], random: &mut Random| {
        let rest = [beginning.clone(), bytes.to_vec()].concat();
        vec![stream(closing, random), Step::Send(rest), Step::Close]
    };
    match trouble {
        Trouble::NeverReads | Trouble::NeverAnswers => vec![Step::Hang],
        Trouble::StopsBehindHead => vec![stream(chunked, random), Step::Hang],
        Trouble::StopsWithin => cut_short(said, gap, Step::Hang, random),
        Trouble::ResetsAtOnce => vec![Step::Reset],
        Trouble::ResetsWithin => cut_short(said, gap, Step::Reset, random),
        Trouble::HangsUpAtOnce => vec![Step::Close],
        Trouble::HangsUpWithin => cut_short(said, gap, Step::Close, random),
        Trouble::HalfAnEvent => {
            let event = accent.event(&said.pieces[said.whole_at].to_string(), random);
            // Without its empty line an event is none, however much of it came.
            let most = event.len() - accent.newline.len();
            broken(&event[..random.between(1, most)], random)
        }
        Trouble::NeverSaysWhy => {
            let rest =
                [chunk(&[b": \n\n".to_vec(), beginning].concat(), random), b"0\r\n\r\n".to_vec()].concat();
            vec![stream(chunked, random), Step::Send(rest), Step::Over]
        }
        Trouble::Garbage => {
            let bytes = random.pick(&[
                &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
                b"\x15\x03\x01\x00\x02\x02\x46",
                b"HTTP/2 200\r\n\r\n",
                b"HTTP/1.1 2000 OK\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent Type: x\r\n\r\n",
                b"\r\n\r\n\r\n\r\n",
                b"data: {}\n\n",
            ]);
            vec![Step::Send(bytes.to_vec()), random.pick(&[&Step::Close, &Step::Hang]).clone()]
        }
        Trouble::GiantHead => {
            let line = format!("X-Long: {}\r\n", "a".repeat(4000));
            vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::Repeat(line.into_bytes(), gap)]
        }
        Trouble::GiantLine => {
            let mut steps = vec![stream(closing, random), Step::Send(b"data: {\"x\":\"".to_vec())];
            steps.push(Step::Repeat(vec![b'x'; 60_000], gap));
            steps
        }
        Trouble::Endless => {
            let event =
                accent.event(&piece(&json!({ "content": "and on ".repeat(300) }), None).to_string(), random);
            vec![stream(closing, random), Step::Repeat(event, gap)]
        }
        Trouble::OnlyComments => {
            vec![
                stream(closing, random),
                Step::Repeat(b": wait\n\n".to_vec(), gap.max(Duration::from_secs(1))),
            ]
        }
        Trouble::Error => {
            let error = random.pick(&[
                "{\"error\":{\"message\":\"out of memory\",\"code\":500}}",
                "{\"error\":\"out of memory\"}",
                "{\"object\":\"error\",\"message\":\"out of memory\"}",
            ]);
            broken(&accent.event(error, random), random)
        }
        Trouble::NoJson => {
            let data = random.pick(&["{\"choices\":[{", "hello", "{\"choices\": NaN}", "\u{feff}{}"]);
            broken(&accent.event(data, random), random)
        }
        Trouble::OtherShape => {
            let data = random.pick(&[
                "[]",
                "7",
                "{\"choices\":7}",
                "{\"choices\":[7]}",
                "{\"choices\":[{\"delta\":[1]}]}",
            ]);
            broken(&accent.event(data, random), random)
        }
        Trouble::WebPage => {
            let page = b"<!DOCTYPE html><title>Sign in</title>";
            let fields = ["Content-Type: text/html".to_owned(), format!("Content-Length: {}", page.len())];
            vec![Step::Send([head("200 OK", &fields, random), page.to_vec()].concat()), Step::Over]
        }
        Trouble::Nothing => vec![stream("Content-Length: 0", random), Step::Over],
        Trouble::NoContent => vec![Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Step::Over],
        Trouble::Switches => {
            let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n";
            vec![Step::Send(head.to_vec()), Step::Hang]
        }
        Trouble::BadChunk => {
            let size =
                random.pick(&["zz\r\n", "-1\r\n", "\r\n", "ffffffffffffffffff\r\n", "5 5\r\nhello\r\n"]);
            let bytes = [chunk(&[b": \n\n".to_vec(), beginning].concat(), random), size.into()].concat();
            vec![stream(chunked, random), Step::Send(bytes), Step::Close]
        }
        Trouble::TooShort => {
            let fields = format!("Content-Length: {}", beginning.len() + random.between(1, 1000));
            vec![stream(&fields, random), Step::Send(beginning), Step::Close]
        }
        Trouble::TwoLengths => {
            let more = random.pick(&[
                "Content-Length: 5\r\nContent-Length: 6",
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
            ]);
            vec![stream(more, random), Step::Send(b"0\r\n\r\n".to_vec()), Step::Close]
        }
        Trouble::TooMany => {
            let when = random.pick(&["0", "1", "7", "Thu, 01 Jan 2026 00:00:30 GMT"]);
            refusal("429 Too Many Requests", &format!("Retry-After: {when}"), "slow down", random)
        }
        Trouble::TooManyForLong => refusal("429 Too Many Requests", "Retry-After: 3600", "slow down", random),
        Trouble::TooManyPlain => refusal("429 Too Many Requests", "", "slow down", random),
        Trouble::Failed => refusal("500 Internal Server Error", "", "it broke", random),
        Trouble::Gateway => refusal("502 Bad Gateway", "", "nobody is there", random),
        Trouble::Busy => {
            refusal("503 Service Unavailable", random.pick(&["", "Retry-After: 2"]), "Loading model", random)
        }
        Trouble::WrongKey => {
            refusal("401 Unauthorized", "WWW-Authenticate: Bearer", "Invalid API Key", random)
        }
        Trouble::NoSuchModel => refusal("404 Not Found", "", "model \"sim\" not found", random),
        Trouble::BadRequest => refusal("400 Bad Request", "", "I don't like it", random),
        Trouble::Redirects => {
            let status = random.pick(&[
                "301 Moved Permanently",
                "302 Found",
                "307 Temporary Redirect",
                "308 Permanent Redirect",
            ]);
            refusal(status, "Location: https://elsewhere.example/v1", "over there", random)
        }
        Trouble::LongRefusal => {
            let words = "no, ".repeat(random.between(1000, 30_000));
            refusal("500 Internal Server Error", "", &words, random)
        }
        Trouble::EndlessRefusal => {
            let head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n";
            vec![Step::Send(head.to_vec()), Step::Repeat(vec![b'n'; 500], gap)]
        }
    }
}

/// A good answer up to some byte, and then this. If it is whole by then, so be it.
fn cut_short(said: &Said, gap: Duration, last: Step, random: &mut Random) -> Vec<Step> {
    let (steps, _) = whole(said, true, gap, random);
    let length = |steps: &[Step]| -> usize {
        steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum()
    };
    let mut left = random.below(length(&steps) + 1);
    let mut short = Vec::new();
    for step in steps {
        match step {
            Step::Send(mut bytes) if bytes.len() > left => {
                bytes.truncate(left);
                if !bytes.is_empty() {
                    short.push(Step::Send(bytes));
                }
                break;
            }
            Step::Send(bytes) => {
                left -= bytes.len();
                short.push(Step::Send(bytes));
            }
            step => short.push(step),
        }
    }
    short.retain(|step| !matches!(step, Step::Finish | Step::Close | Step::Over));
    // Nothing was sent of what would have made it whole.
    short.pop_if(|step| *step == Step::Told);
    short.push(last);
    short
}
