//! MCP over a connection: who cancels by leaving, and who does not.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use oneloop::config::Config;
use oneloop::limits::Limits;
use serde_json::{Value, json};

use crate::harness::Server;

/// No run ever begins, and whoever leaves has a grace that is never over.
fn server() -> Server {
    let config = Config { runs_max: 0, disconnect_grace: Duration::from_secs(3600), ..Config::default() };
    Server::start(config, Limits::default())
}

fn post(fields: &str, params: Value) -> Vec<u8> {
    let body = json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":params}).to_string();
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A question by the rules of 2026-07-28, of a client that can do this and wants to hear of its progress or not.
fn stateless(capabilities: Value, progress: bool) -> Vec<u8> {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    if progress {
        meta["progressToken"] = json!("p");
    }
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: ask\r\n";
    post(fields, json!({"name":"ask","arguments":{"message":"How hot?"},"_meta":meta}))
}

/// The same by the rules before.
fn handshake(progress: bool) -> Vec<u8> {
    let mut params = json!({"name":"ask","arguments":{"message":"How hot?"}});
    if progress {
        params["_meta"] = json!({"progressToken":"p"});
    }
    post("MCP-Protocol-Version: 2025-11-25\r\n", params)
}

fn newest_status(server: &mut Server) -> Option<String> {
    let mut client = server.connect();
    let list = server.ask_store(&mut client, b"GET /tasks?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (_, body) = list.split_once("\r\n\r\n")?;
    let list: Value = serde_json::from_str(body).ok()?;
    Some(list["tasks"][0]["status"].as_str()?.to_owned())
}

fn waits(server: &mut Server) {
    server.until("a run that waits", |server| newest_status(server).filter(|status| status == "pending"));
}

/// What is heard of a stream that has begun.
fn begun(server: &mut Server, client: &TcpStream) {
    let heard = server.hear(client);
    assert!(heard.contains("text/event-stream"), "{heard}");
}

#[test]
fn to_leave_cancels_at_once_where_a_request_stands_alone() {
    for progress in [true, false] {
        let mut server = server();
        let mut client = server.connect();
        client.write_all(&stateless(json!({}), progress)).unwrap();
        waits(&mut server);
        if progress {
            begun(&mut server, &client);
        }
        drop(client);
        server.until("a run that is cancelled", |server| {
            newest_status(server).filter(|status| status == "cancelled")
        });
    }
}

#[test]
fn to_leave_cancels_nothing_where_there_is_a_handshake_or_a_task() {
    let tasks = json!({"extensions":{"io.modelcontextprotocol/tasks":{}}});
    for request in [handshake(true), handshake(false), stateless(tasks, true)] {
        let mut server = server();
        let mut client = server.connect();
        client.write_all(&request).unwrap();
        waits(&mut server);
        drop(client);
        for _ in 0..20 {
            server.turn_soon();
        }
        assert_eq!(newest_status(&mut server).as_deref(), Some("pending"));
    }
}

#[test]
fn a_task_of_mcp_is_told_once_it_is_kept() {
    let mut server = server();
    let mut client = server.connect();
    let tasks = json!({"extensions":{"io.modelcontextprotocol/tasks":{}}});
    let told = server.ask_store(&mut client, &stateless(tasks, false));
    let (_, body) = told.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!(told["result"]["resultType"], "task");
    assert_eq!(told["result"]["status"], "working");
    assert_eq!(told["result"]["statusMessage"], "It waits for its turn, as number 1.");
}

#[test]
fn a_broken_body_is_refused_in_the_words_of_its_request_and_what_follows_in_our_own() {
    let fields =
        "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let cases =
        [("/v1/chat/completions", "{\"error\":{"), ("/mcp", "{\"jsonrpc\":"), ("/chat", "{\"detail\":")];
    for (path, words) in cases {
        let mut server = server();
        let mut client = server.connect();
        client.write_all(format!("POST {path} HTTP/1.1\r\n{fields}").as_bytes()).unwrap();
        let refusal =
            server.until("a refusal", |server| Some(server.hear(&client)).filter(|it| !it.is_empty()));
        assert!(refusal.starts_with("HTTP/1.1 400 ") && refusal.contains(words), "{path}: {refusal}");
    }
    let mut server = server();
    let mut client = server.connect();
    let models = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\nGET /\u{1} HTTP/1.1\r\n\r\n";
    client.write_all(models.as_bytes()).unwrap();
    let heard = server
        .until("both", |server| Some(server.hear(&client)).filter(|heard| heard.contains("HTTP/1.1 400 ")));
    assert!(heard.contains("\r\n\r\n{\"detail\":"), "{heard}");
}
