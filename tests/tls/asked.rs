//! All of it, over a real socket: the binary asks a model's server that is behind TLS.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Authority;
use crate::server::{VERSIONS, settings};

const ANSWER: &str =
    r#"{"choices":[{"message":{"role":"assistant","content":"Two spades."},"finish_reason":"stop"}]}"#;

/// Answers one request, and says nothing before. Those before it are read, and their connections cut without the end that
/// TLS asks for. Answers the port.
fn answer_behind(cut: usize, config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    thread::spawn(move || {
        for _ in 0..cut {
            drop(read_request(&listener, &config));
        }
        let mut stream = read_request(&listener, &config);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            ANSWER.len()
        );
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        stream.get_mut().write_all(ANSWER.as_bytes()).unwrap();
    });
    port
}

/// The next connection, behind the request on it.
fn read_request(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
) -> BufReader<StreamOwned<ServerConnection, TcpStream>> {
    let (socket, _) = listener.accept().unwrap();
    let session = ServerConnection::new(config.clone()).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(session, socket));
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    stream
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("oneloop-tls-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_server_that_says_nothing_between_the_handshake_and_its_answer_is_asked() {
    assert_answered("silent", 0);
}

#[test]
fn a_server_that_cuts_the_connection_before_it_has_answered_is_asked_again() {
    assert_answered("cut", 1);
}

/// A server that cuts so many connections before it answers is asked until it does.
fn assert_answered(name: &str, cut: usize) {
    let folder = Folder::new(name);
    let notes = folder.0.join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("shed.md"), "# The shed\n\nTwo spades are in the shed.\n").unwrap();
    let authority = Authority::new();
    let file = folder.0.join("authority.pem");
    fs::write(&file, authority.pem()).unwrap();

    for version in VERSIONS {
        let mut config = settings(authority.issue(&["localhost"]), version);
        // They would be said behind the handshake, and wake whoever sleeps.
        config.send_tls13_tickets = 0;
        let url = format!("https://localhost:{}/v1", answer_behind(cut, config));
        let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
        command.arg("ask").arg(&notes).args(["What is in the shed?", "--json", "--model-url", &url]);
        let asked = command.args(["--model", "scripted", "--model-ca"]).arg(&file).output().unwrap();
        let answer = String::from_utf8_lossy(&asked.stdout);
        assert!(answer.contains(r#""answered_by":"model""#), "{version:?}: {answer}");
        assert!(answer.starts_with(r#"{"response":"Two spades.""#), "{version:?}: {answer}");
    }
}
