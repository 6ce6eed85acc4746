//! What can be checked and what is kept: `POST /verify`, `GET /cache/stats` and `POST /cache/clear`, as a client meets them.

use oneloop::config::Config;
use oneloop::limits::Limits;
use serde_json::{Value, json};

use crate::harness::{Server, post};
use crate::model_server::{Chat, ModelServer};

const QUESTION: &str = "How hot is the kettle?";

/// Asks once more of a new connection; status and body.
fn ask(server: &mut Server, request: &[u8]) -> (u16, Value) {
    let mut client = server.connect();
    let answer = server.ask_store(&mut client, request);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let (_, body) = answer.split_once("\r\n\r\n").expect("the end of a head");
    (status, serde_json::from_str(body).expect("all bodies are JSON"))
}

fn verify(server: &mut Server, sources: &Value) -> (u16, Value) {
    ask(server, &post("/verify", &json!({ "sources": sources }).to_string()))
}

fn stats(server: &mut Server) -> Value {
    ask(server, b"GET /cache/stats HTTP/1.1\r\nHost: localhost\r\n\r\n").1
}

fn clear(server: &mut Server) -> Value {
    let (status, body) = ask(server, &post("/cache/clear?confirm=true", ""));
    assert_eq!(status, 200, "{body}");
    body
}

/// The state and the range of the only source.
fn only(body: &Value) -> (&str, u64, u64) {
    let source = &body["sources"][0];
    let number = |name: &str| source[name].as_u64().expect("it is an offset");
    (source["state"].as_str().expect("it has a state"), number("start"), number("end"))
}

#[test]
fn a_source_stands_then_has_moved_then_has_changed_then_is_gone() {
    let mut server = Server::start(Config::default(), Limits::default());
    let response = Chat::ask(&mut server, QUESTION).answer(&mut server);
    let sources = response["sources"].clone();
    let (start, end) = (sources[0]["start"].as_u64().unwrap(), sources[0]["end"].as_u64().unwrap());
    let (status, body) = verify(&mut server, &sources);
    assert_eq!((status, only(&body)), (200, ("stands", start, end)));

    let moved = start + "A line above.\n\n".len() as u64;
    for (note, state, start, end) in [
        (
            "# Kettle\n\nA line above.\n\nThe kettle boils at 96 degrees.\n",
            "moved",
            moved,
            moved + end - start,
        ),
        ("# Kettle\n\nThe kettle boils at 97 degrees.\n", "changed", start, end),
    ] {
        server.write_note("kettle.md", note);
        assert_eq!(ask(&mut server, &post("/sync", "")).0, 200);
        assert_eq!(only(&verify(&mut server, &sources).1), (state, start, end));
    }
    server.remove_note("kettle.md");
    assert_eq!(ask(&mut server, &post("/sync", "")).0, 200);
    assert_eq!(only(&verify(&mut server, &sources).1), ("gone", start, end));
}

#[test]
fn what_would_take_too_long_to_look_up_is_refused_and_so_are_too_many() {
    let limits = Limits { verify_bytes_max: 50, verify_sources_max: 2, ..Limits::default() };
    let mut server = Server::start(Config::default(), limits);
    let source = json!({ "path": "kettle.md", "start": 0, "end": 4, "text": "96 degrees" });
    let (status, body) = verify(&mut server, &json!([source]));
    assert_eq!((status, only(&body).0), (200, "moved"));
    let (status, body) = verify(&mut server, &json!([source, source]));
    assert_eq!(
        (status, &body["detail"]),
        (413, &json!("these sources take too long to look up: ask for fewer at once"))
    );
    let (status, body) = verify(&mut server, &json!([source, source, source]));
    assert_eq!((status, &body["detail"][0]["msg"]), (422, &json!("List should have at most 2 items")));
    let (status, body) = verify(&mut server, &json!([{ "path": "kettle.md", "start": 0 }]));
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", "sources", 0, "end"])));
}

#[test]
fn searches_are_kept_until_the_caches_are_emptied() {
    let mut server = Server::start(Config::default(), Limits::default());
    for _ in 0..2 {
        Chat::ask(&mut server, QUESTION).answer(&mut server);
    }
    let searches = |stats: &Value, name: &str| stats["searches"][name].as_u64().expect("it is a count");
    let before = stats(&mut server);
    assert_eq!(["entries", "hits", "misses"].map(|name| searches(&before, name)), [1, 1, 1]);
    assert_eq!((&before["model_answers"], &before["question_vectors"]), (&Value::Null, &Value::Null));

    let (status, body) = ask(&mut server, &post("/cache/clear", ""));
    assert_eq!((status, &body["detail"]), (400, &json!("the caches are only emptied with ?confirm=true")));
    assert_eq!(searches(&stats(&mut server), "entries"), 1);
    assert_eq!(searches(&clear(&mut server), "bytes"), searches(&before, "bytes"));
    let after = stats(&mut server);
    assert_eq!(["entries", "bytes", "hits"].map(|name| searches(&after, name)), [0, 0, 1]);
    Chat::ask(&mut server, QUESTION).answer(&mut server);
    assert_eq!(searches(&stats(&mut server), "misses"), 2);
}

#[test]
fn a_call_under_way_outlives_the_caches_being_emptied() {
    let model = ModelServer::new();
    let mut server =
        Server::start(Config { model: Some(model.config()), ..Config::default() }, Limits::default());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    assert_eq!(clear(&mut server)["model_answers"]["entries"], 0);
    // It can still be shared, too.
    let mut second = Chat::ask(&mut server, QUESTION);
    server.until("both have asked", |server| (server.census().askers == 2).then_some(()));
    call.answer("Hot.");
    for chat in [&mut chat, &mut second] {
        assert_eq!(chat.answer(&mut server)["response"], "Hot.");
    }
    assert!(model.accept_now().is_none());
    assert_eq!(stats(&mut server)["model_answers"]["entries"], 1);
    assert_eq!(clear(&mut server)["model_answers"]["entries"], 1);
    assert_eq!(stats(&mut server)["model_answers"]["entries"], 0);
}
