//! A message of MCP: what it asks for, and what is answered.

use oneloop::agent::Writes;
use oneloop::app::mcp::{Announced, Asked, Caller, Deed, Form, Refusal, Request, Speaker, read};
use oneloop::limits::Limits;
use oneloop::wire::http1::{RequestEvent, Server};
use serde_json::Value;

/// What heads say of it: nothing, and what clients of either era say.
const HEADS: [&str; 4] = [
    "",
    "MCP-Protocol-Version: 2025-11-25\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: ask\r\nAccept: application/json\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tasks/get\r\n",
];

/// A request has its own id in every answer; a refusal is an error of JSON-RPC with a code and a status that are known;
/// half a body is never taken; and whatever a tool gives, its result is JSON.
pub fn mcp_message(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let mut is_taken = false;
    for (fields, writes) in HEADS.into_iter().zip([Writes::Off, Writes::All, Writes::Inbox, Writes::All]) {
        let head = announced(fields, &limits);
        match read(bytes, &head, writes, &limits) {
            Ok(asked) => {
                let cut = bytes.trim_ascii_end().split_last().map_or(&[][..], |(_, cut)| cut);
                assert!(read(cut, &head, writes, &limits).is_err(), "a body is taken without its last byte");
                if let Asked::Request(request) = asked {
                    assert_is_answered(&request, bytes);
                }
                is_taken = true;
            }
            Err(refusal) => assert_is_told(&refusal, bytes),
        }
    }
    is_taken
}

fn announced(fields: &str, limits: &Limits) -> Announced {
    let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let mut server = Server::new();
    let step = server.receive(head.as_bytes(), limits).expect("the head is in order");
    let Some(RequestEvent::Head(head)) = step.event else { panic!("the head is whole") };
    Announced::of(&head)
}

fn assert_is_answered(request: &Request, bytes: &[u8]) {
    let Request { caller, deed } = request;
    if let Deed::Wrong(why) = deed {
        assert!(!why.is_empty(), "it is said what is wrong");
    }
    // What is given comes from us: no reader of it has ever met half a surrogate pair there.
    let readable = serde_json::from_slice::<Value>(bytes).is_ok();
    for form in [Form::Tool, Form::NewTask, Form::Task, Form::Done] {
        for given in [if readable { bytes } else { b"{}" }, br#"{"results":[]}"#] {
            let told = Speaker::of(Caller::clone(caller), form, 1).whole(given, usize::MAX);
            let told: Value = serde_json::from_slice(&told).expect("a response is JSON");
            assert_id(&told, bytes);
            assert!(told["result"].is_object());
        }
    }
}

fn assert_is_told(refusal: &Refusal, bytes: &[u8]) {
    let mut body = Vec::new();
    refusal.write(&mut body);
    let told: Value = serde_json::from_slice(&body).expect("a refusal is JSON");
    assert_eq!(told["jsonrpc"], "2.0");
    let code = told["error"]["code"].as_i64().expect("a code is a number");
    let status = match code {
        -32601 => [404, 200],
        -32602 => [400, 200],
        -32700 | -32600 | -32020 | -32021 | -32022 => [400, 400],
        _ => panic!("a code that nobody knows: {code}"),
    };
    assert!(status.contains(&refusal.status), "{code} with {}", refusal.status);
    assert!(told["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    if told.get("id").is_some() {
        assert_id(&told, bytes);
    }
}

/// A general reader finds the same id, unless it can't read what we pass over: too deep, or half a surrogate pair.
fn assert_id(told: &Value, bytes: &[u8]) {
    if let Ok(body) = serde_json::from_slice::<Value>(bytes) {
        assert_eq!(told["id"], body["id"], "another id");
    }
}
