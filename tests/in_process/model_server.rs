//! A model's server that does what its test says, and a client that reads what comes of it.
//!
//! Nothing here waits by itself: whoever looks for something lets the server turn meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use oneloop::config::ModelConfig;
use oneloop::wire::url::Url;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::{Value, json};

use crate::harness::{Server, post};

/// Where the model is asked.
pub struct ModelServer {
    listener: TcpListener,
}

impl ModelServer {
    /// On a port of its own.
    pub fn new() -> ModelServer {
        ModelServer::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// There.
    pub fn at(address: SocketAddr) -> ModelServer {
        let listener = TcpListener::bind(address).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        ModelServer { listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// The usual bounds for a model here.
    pub fn config(&self) -> ModelConfig {
        config_of(self.address())
    }

    /// A connection that was made, if one was.
    pub fn accept_now(&self) -> Option<Call> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true).expect("a socket can be made non-blocking");
                stream.set_nodelay(true).expect("so can this");
                Some(Call { stream, read: Vec::new() })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("nothing can be accepted: {error}"),
        }
    }

    /// The next connection.
    pub fn accept(&self, server: &mut Server) -> Call {
        server.until("the model's server is connected to", |_| self.accept_now())
    }

    /// The next connection, and what is asked on it first.
    pub fn asked(&self, server: &mut Server) -> (Call, Value) {
        let mut call = self.accept(server);
        let request = call.request(server);
        (call, request)
    }
}

/// The usual bounds for a model at this address.
pub fn config_of(address: SocketAddr) -> ModelConfig {
    ModelConfig::new(Url::parse(&format!("http://{address}/v1")).expect("it is one"), "smol")
}

/// One connection to the model's server.
pub struct Call {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Call {
    /// The next whole request: its body.
    pub fn request(&mut self, server: &mut Server) -> Value {
        self.request_and_head(server).0
    }

    /// The next whole request: its body and its head.
    pub fn request_and_head(&mut self, server: &mut Server) -> (Value, String) {
        let (body, head) = self.bytes_and_head(server);
        (serde_json::from_slice(&body).expect("a body is JSON"), head)
    }

    /// The same, with the body as it was sent.
    pub fn bytes_and_head(&mut self, server: &mut Server) -> (Vec<u8>, String) {
        server.until("the model is asked", |_| {
            assert!(!self.fill(), "the connection was closed");
            let head_end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            let head = String::from_utf8(self.read[..head_end].to_vec()).expect("a head is ASCII");
            assert!(head.starts_with("POST /v1/"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.expect("it has a body").parse().expect("it is a number");
            let body = self.read.get(head_end..head_end + length)?.to_vec();
            self.read.drain(..head_end + length);
            Some((body, head))
        })
    }

    /// Reads what there is; `true` at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }

    /// Something was asked that nobody has read.
    pub fn has_request(&mut self) -> bool {
        !self.fill() && !self.read.is_empty()
    }

    /// The other side has closed the connection, or reset it.
    pub fn is_closed(&mut self) -> bool {
        self.fill()
    }

    /// Sends these bytes.
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("little is sent");
    }

    /// Sends what the other side takes: it may have heard enough.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write(bytes);
    }

    /// A whole answer that is no success.
    pub fn refuse(&mut self, status: u16, fields: &str, body: &str) {
        let length = body.len();
        self.send(&format!("HTTP/1.1 {status} No\r\n{fields}Content-Length: {length}\r\n\r\n{body}"));
    }

    /// The head of an answer that is told piece by piece.
    pub fn begin(&mut self) {
        self.send(HEAD);
    }

    /// The next words.
    pub fn say(&mut self, text: &str) {
        self.send(&chunk(&delta(&json!({"content": text}), None)));
    }

    /// That is all. The connection can be used again.
    pub fn end(&mut self) {
        self.send(
            &[&chunk(&delta(&json!({}), Some("stop"))), &chunk("data: [DONE]\n\n"), "0\r\n\r\n"].concat(),
        );
    }

    /// A whole answer.
    pub fn answer(&mut self, text: &str) {
        self.begin();
        self.say(text);
        self.end();
    }

    /// A whole answer that calls a tool.
    pub fn call_tool(&mut self, content: &str, name: &str, arguments: &str) {
        let call = json!([{"index": 0, "id": "one", "function": {"name": name, "arguments": arguments}}]);
        self.begin();
        if !content.is_empty() {
            self.say(content);
        }
        self.send(&chunk(&delta(&json!({"tool_calls": call}), Some("tool_calls"))));
        self.send("0\r\n\r\n");
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Text as a chunk of a body.
pub fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// One piece of a reply, as an event.
pub fn delta(delta: &Value, finish: Option<&str>) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
}

/// Somebody who asks for a stream, and what was heard of it.
pub struct Chat {
    stream: TcpStream,
    /// Received, and not read as events yet.
    rest: Vec<u8>,
    /// All events so far.
    pub events: Vec<Value>,
    /// The run's id, once an event was read.
    pub id: String,
}

impl Chat {
    /// Asks this.
    pub fn ask(server: &mut Server, message: &str) -> Chat {
        Chat::ask_for(server, &json!({"message": message}))
    }

    /// Asks with this body.
    pub fn ask_for(server: &mut Server, body: &Value) -> Chat {
        let mut stream = server.connect();
        stream.write_all(&post("/chat/stream", &body.to_string())).expect("the server reads");
        stream.set_nonblocking(true).expect("a socket can be made non-blocking");
        Chat { stream, rest: Vec::new(), events: Vec::new(), id: String::new() }
    }

    /// Has the system take about so much for it that it has not read.
    pub fn set_backlog(&self, bytes: usize) {
        set_socket_recv_buffer_size(&self.stream, bytes).expect("a socket's buffer has a size");
    }

    /// Reads what has come, without any turn: the events in it.
    pub fn read(&mut self) -> &[Value] {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the stream was closed"),
                Ok(count) => self.rest.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the stream has failed: {error}"),
            }
        }
        // An event begins behind "data: " and is one line; where chunks begin does not matter for that, as none is cut
        // within an event of ours.
        let before = self.events.len();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let text = String::from_utf8(block).expect("a stream is UTF-8");
            if let Some((id, _)) = text.lines().find_map(|line| line.strip_prefix("id: ")?.rsplit_once('-')) {
                id.clone_into(&mut self.id);
            }
            if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
                self.events.push(serde_json::from_str(data).expect("an event is JSON"));
            }
        }
        &self.events[before..]
    }

    /// Turns until an event of this kind was heard.
    pub fn until(&mut self, server: &mut Server, kind: &str) -> Value {
        if let Some(event) = self.heard(kind) {
            return event.clone();
        }
        server.until(kind, |_| self.read().iter().find(|event| event["type"] == kind).cloned())
    }

    /// The last event of this kind so far.
    pub fn heard(&self, kind: &str) -> Option<&Value> {
        self.events.iter().rev().find(|event| event["type"] == kind)
    }

    /// Turns until the run has ended: its answer, which whoever joins the tokens has too.
    pub fn answer(&mut self, server: &mut Server) -> Value {
        self.until(server, "done");
        let response =
            self.heard("complete").unwrap_or_else(|| panic!("{:?}", self.events))["response"].clone();
        assert_eq!(response["response"], self.joined().as_str(), "{:?}", self.events);
        response
    }

    /// What a reader has by now.
    pub fn joined(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            match event["type"].as_str() {
                Some("revision") => text.clear(),
                Some("token") => text.push_str(event["text"].as_str().expect("a token is text")),
                _ => {}
            }
        }
        text
    }
}
