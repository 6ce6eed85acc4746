//! A model behind the real binary, which is killed or stopped in the middle of an answer: another process takes over.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{Events, Folder, PATIENCE, Server, StreamEvent};
use crate::durable::{assert_whole, put_together};
use crate::runs::{joined, question, resume};

const NOTES: &[(&str, &str)] = &[("kettle.md", "# Kettle\n\nThe kettle was bought in May 2019 by Ada.\n")];

const BOUGHT: &str = "When was the kettle bought?";

// --- The model's server -------------------------------------------------------------------------------------------

struct Model(TcpListener);

impl Model {
    fn new() -> Model {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE)).unwrap();
        Model(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().unwrap())
    }

    /// The next question, and the connection that it came on.
    fn asked(&self) -> (Call, Value) {
        let (stream, _) = self.0.accept().expect("the model is asked");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if let Some(text) = line.strip_prefix("Content-Length: ") {
                length = text.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        (Call(stream), serde_json::from_slice(&body).unwrap())
    }
}

struct Call(BufReader<TcpStream>);

impl Call {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("the server takes what is sent");
    }

    /// An answer that ends with its connection.
    fn begin(&mut self) {
        self.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    }

    fn piece(&mut self, delta: &Value, finish: Option<&str>) {
        let piece = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        self.send(&format!("data: {piece}\n\n"));
    }

    fn say(&mut self, text: &str) {
        self.piece(&json!({"content": text}), None);
    }

    fn end(mut self) {
        self.piece(&json!({}), Some("stop"));
        self.send("data: [DONE]\n\n");
    }

    fn answer(mut self, text: &str) {
        self.begin();
        self.say(text);
        self.end();
    }

    /// Wants to read the note.
    fn call_tool(mut self) {
        let function = json!({"name": "read_note", "arguments": r#"{"path":"kettle.md"}"#});
        self.begin();
        self.say("Let me look.");
        self.piece(
            &json!({"tool_calls": [{"index": 0, "id": "one", "function": function}]}),
            Some("tool_calls"),
        );
    }

    /// Waits until the other side has closed the connection.
    fn await_end(mut self) {
        let mut rest = Vec::new();
        // Closed with something unread it is reset; either is an end.
        let _ = self.0.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
}

fn start(folder: impl Into<Arc<Folder>>, url: &str) -> Server {
    Server::over(folder, &["--model-url", url, "--model", "smol"])
}

/// Reads on up to the first event of this kind that is told now.
fn until(events: &mut Events, told: &mut Vec<StreamEvent>, kind: &str) {
    loop {
        let event = events.next_event().unwrap_or_else(|| panic!("no {kind} in {told:?}"));
        let is_it = event.kind() == kind;
        told.push(event);
        if is_it {
            return;
        }
    }
}

/// The run was taken over: what its model had said last by then is void, and its reader has the answer all the same.
/// How much before that is void too is the disk's pace: what was committed stands. Answers what the run has ended with.
fn assert_goes_on(told: &[StreamEvent], void: &str, response: &str) -> Value {
    assert_whole(told);
    assert!(put_together(told).contains(response), "{told:?}");
    let restart = told.iter().position(|event| event.kind() == "restart").expect("something is void");
    let last =
        told[..restart].iter().rfind(|event| event.kind() == void).expect("it had been told").place().1;
    assert!(told[restart].json()["keep"].as_u64().is_some_and(|keep| keep < last), "{told:?}");
    told[told.len() - 2].json()["response"].clone()
}

// --- The process ends ---------------------------------------------------------------------------------------------

#[test]
fn a_kill_within_the_models_answer_has_it_asked_again_and_what_was_said_is_void() {
    let model = Model::new();
    let server = start(Folder::with(NOTES), &model.url());
    server.await_index();
    let mut events = server.client().stream("POST", "/chat/stream", Some(&question(BOUGHT)));
    let (mut call, first) = model.asked();
    call.begin();
    let mut told = Vec::new();
    for word in ["It was", " bought", " in"] {
        call.say(word);
        until(&mut events, &mut told, "token");
    }
    // Twice, as what the second has said is void again, and what the first had said still is.
    let (id, seen) = told.last().expect("it has told tokens").place();
    let server = start(server.kill(), &model.url());
    call.await_end();
    let mut events = resume(&server, &id, seen);
    assert_eq!(events.next_event().map(|state| state.kind()).as_deref(), Some("state"));
    let (mut call, again) = model.asked();
    assert_eq!(again, first);
    call.begin();
    call.say("Ada");
    until(&mut events, &mut told, "token");
    let (_, seen) = told.last().expect("it has told tokens").place();
    let server = start(server.kill(), &model.url());
    call.await_end();
    let events = resume(&server, &id, seen);
    let (call, again) = model.asked();
    assert_eq!(again, first);
    call.answer("In May 2019 [1].");
    told.extend(joined(events).1);
    let response = assert_goes_on(&told, "token", "In May 2019 [1].");
    assert_eq!((&response["answered_by"], &response["degraded"]), (&json!("model"), &json!([])));
}

#[test]
fn what_a_tool_has_brought_outlives_the_process() {
    let model = Model::new();
    let server = start(Folder::with(NOTES), &model.url());
    server.await_index();
    let mut events = server.client().stream("POST", "/chat/stream", Some(&question(BOUGHT)));
    let mut told = Vec::new();
    model.asked().0.call_tool();
    until(&mut events, &mut told, "revision");
    let (mut call, second) = model.asked();
    call.begin();
    call.say("In");
    until(&mut events, &mut told, "token");
    let (id, seen) = told.last().expect("it has told tokens").place();
    let folder = server.kill();
    folder.write("kettle.md", b"# Kettle\n\nThis was changed meanwhile.\n");
    let server = start(folder, &model.url());
    let events = resume(&server, &id, seen);
    let (call, again) = model.asked();
    // What was kept may end before the tool's result, if the disk is slow; then it is asked from the start.
    if again["messages"].as_array().map(Vec::len) == second["messages"].as_array().map(Vec::len) {
        assert_eq!(again, second);
    }
    call.answer("In May 2019 [1].");
    told.extend(joined(events).1);
    assert_goes_on(&told, "token", "In May 2019 [1].");
}

#[test]
fn a_kill_behind_a_first_answer_makes_its_revision_void() {
    let model = Model::new();
    let server = start(Folder::with(NOTES), &model.url());
    server.await_index();
    let body = json!({"message": BOUGHT, "strategy": "fast-first"});
    let mut events = server.client().stream("POST", "/chat/stream", Some(&body));
    let mut told = Vec::new();
    let (mut call, _) = model.asked();
    until(&mut events, &mut told, "token");
    call.begin();
    call.say("In");
    until(&mut events, &mut told, "revision");
    until(&mut events, &mut told, "token");
    let (id, seen) = told.last().expect("it has told tokens").place();
    // Nobody answers: what was told first stands again.
    let url = model.url();
    let folder = server.kill();
    drop((call, model));
    let server = Server::over(folder, &["--model-url", &url, "--model", "smol"]);
    told.extend(joined(resume(&server, &id, seen)).1);
    let response = assert_goes_on(&told, "revision", "May 2019");
    assert_eq!(response["answered_by"], "notes", "{response}");
}

#[test]
fn a_stop_leaves_a_model_that_does_not_come_to_an_end_to_the_next_process() {
    let model = Model::new();
    let server = start(Folder::with(NOTES), &model.url());
    server.await_index();
    let mut events = server.client().stream("POST", "/chat/stream", Some(&question(BOUGHT)));
    let (mut call, first) = model.asked();
    call.begin();
    call.say("It was");
    let mut told = Vec::new();
    until(&mut events, &mut told, "token");
    let (id, _) = told[0].place();
    let folder = Arc::clone(server.folder());
    server.signal(Signal::TERM);
    // It has 10 s, and then leaves what it has.
    let mut rest = events.rest();
    let last = rest.pop().expect("it says why it ends");
    assert_eq!((last.id.as_deref(), last.kind().as_str()), (None, "restarting"), "{rest:?}");
    told.extend(rest);
    call.await_end();
    assert_eq!(server.await_end().0.code(), Some(0));

    let seen = told.last().expect("it has told tokens").place().1;
    let server = start(folder, &model.url());
    let events = resume(&server, &id, seen);
    let (call, again) = model.asked();
    assert_eq!(again, first);
    call.answer("In May 2019 [1].");
    told.extend(joined(events).1);
    assert_goes_on(&told, "token", "In May 2019 [1].");
}

#[test]
fn a_stop_waits_for_a_model_that_comes_to_an_end() {
    let model = Model::new();
    let server = start(Folder::with(NOTES), &model.url());
    server.await_index();
    let mut events = server.client().stream("POST", "/chat/stream", Some(&question(BOUGHT)));
    let (mut call, _) = model.asked();
    call.begin();
    call.say("In");
    let mut told = Vec::new();
    until(&mut events, &mut told, "token");
    server.signal(Signal::TERM);
    call.say(" May 2019 [1].");
    until(&mut events, &mut told, "token");
    call.end();
    told.extend(events.rest());
    assert_whole(&told);
    assert_eq!(put_together(&told), "In May 2019 [1].");
    assert_eq!(server.await_end().0.code(), Some(0));
}

#[test]
fn the_next_process_may_have_no_model_or_another_and_says_so() {
    for (arguments, why) in [
        (&[][..], "no model is configured any more"),
        (&["--model", "other"], "the model smol is not configured any more"),
    ] {
        let model = Model::new();
        let url = model.url();
        let server = start(Folder::with(NOTES), &url);
        server.await_index();
        let mut events = server.client().stream("POST", "/chat/stream", Some(&question(BOUGHT)));
        let (mut call, _) = model.asked();
        call.begin();
        call.say("It was");
        let mut told = Vec::new();
        until(&mut events, &mut told, "token");
        let (id, seen) = told.last().expect("it has told a token").place();
        let named = ["--model-url", &url];
        let arguments = if arguments.is_empty() { vec![] } else { [&named[..], arguments].concat() };
        let server = Server::over(server.kill(), &arguments);
        told.extend(joined(resume(&server, &id, seen)).1);
        let response = assert_goes_on(&told, "token", "May 2019");
        assert_eq!(response["answered_by"], "notes", "{response}");
        assert_eq!(response["degraded"], json!([format!("The notes answer, because {why}.")]));
    }
}
