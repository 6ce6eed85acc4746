//! What runs out when: each bound on time is set to a few milliseconds, and the loop sleeps through it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use oneloop::base::WallTime;
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::store::{self, Memory, Storage};
use uuid::Uuid;

use crate::harness::{HEALTH, Server, post};

/// Long enough that nothing else happens in the meantime, short enough to sleep through.
const SOON: Duration = Duration::from_millis(30);

const INFO: &[u8] = b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n";

const QUESTION: &str = r#"{"message":"How hot is the kettle?"}"#;

fn server(limits: Limits) -> Server {
    Server::start(Config::default(), limits)
}

/// No run ever begins, so whoever waits for one goes on waiting.
fn server_that_holds_runs_back(limits: Limits, disconnect_grace: Duration) -> Server {
    Server::start(Config { runs_max: 0, disconnect_grace, ..Config::default() }, limits)
}

/// What the server sends until it closes, turning it as often as that takes.
fn rest(server: &mut Server, client: &mut TcpStream) -> String {
    client.set_nonblocking(true).expect("a socket can be made non-blocking");
    let mut rest = Vec::new();
    let mut buffer = [0; 4096];
    for _ in 0..100 {
        match client.read(&mut buffer) {
            Ok(0) => return String::from_utf8(rest).expect("answers are UTF-8"),
            Ok(count) => rest.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => server.turn_and_look(),
            Err(error) => return format!("{}{}", String::from_utf8_lossy(&rest), error.kind()),
        }
    }
    panic!("not closed after 100 turns; so far {}", String::from_utf8_lossy(&rest));
}

/// The field of this name in a JSON object that an answer holds.
fn field(text: &str, name: &str) -> String {
    let (_, value) =
        text.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {text}"));
    value.split('"').next().expect("there is always a first part").to_owned()
}

fn get(server: &mut Server, target: &str) -> String {
    let mut client = server.connect();
    server.ask_store(&mut client, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
}

/// What a client is told at once; that a run has ended is told only once it is kept.
fn run_status(server: &mut Server, id: &str) -> String {
    field(&get(server, &format!("/chat/task/{id}")), "status")
}

/// What a client is told who waits for the end.
fn status_at_end(server: &mut Server, id: &str) -> String {
    field(&get(server, &format!("/chat/task/{id}?wait=60")), "status")
}

fn newest_run(server: &mut Server) -> String {
    field(&get(server, "/tasks?limit=1"), "task_id")
}

#[test]
fn a_head_that_is_not_finished_in_time_is_answered_408() {
    let mut server = server(Limits { head_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    client.write_all(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    let said = rest(&mut server, &mut client);
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("Connection: close"), "{said}");
}

#[test]
fn a_later_head_has_its_time_from_its_first_byte() {
    let mut server = server(Limits { head_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    server.ask(&mut client, HEALTH, &mut answer);
    client.write_all(b"GET /hea").unwrap();
    let said = rest(&mut server, &mut client);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let mut server = server(Limits { head_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    assert_eq!(rest(&mut server, &mut client), "");
}

#[test]
fn an_idle_connection_is_closed_without_a_word_and_not_before_its_time() {
    let mut server = server(Limits { idle_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    server.ask(&mut client, HEALTH, &mut answer);
    server.ask(&mut client, HEALTH, &mut answer);
    assert_eq!(rest(&mut server, &mut client), "");
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let mut server = server(Limits { body_gap_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    client.write_all(&post("/chat", QUESTION)[..120]).unwrap();
    let said = rest(&mut server, &mut client);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[test]
fn a_body_as_a_whole_has_its_end_too() {
    let mut server = server(Limits { body_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    client.write_all(&post("/chat", QUESTION)[..120]).unwrap();
    let said = rest(&mut server, &mut client);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[test]
fn a_silent_stream_has_a_heartbeat() {
    let limits = Limits { heartbeat_interval: SOON, ..Limits::default() };
    let mut server = server_that_holds_runs_back(limits, Duration::from_secs(15));
    let mut client = server.connect();
    let head = server.ask_store(&mut client, &post("/chat/stream", QUESTION));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for _ in 0..2 {
        assert_eq!(server.hear(&client), "4\r\n: \n\n\r\n");
    }
}

#[test]
fn who_reads_nothing_is_reset_in_the_end() {
    let mut server = server(Limits { write_stall_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    client.set_nonblocking(true).unwrap();
    // Ask without reading. Once neither side takes any more, only the stall's timer is left to wake the loop.
    let requests = HEALTH.repeat(200);
    let error = loop {
        match client.write(&requests) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => break error.kind(),
        }
        server.turn();
    };
    assert_eq!(error, ErrorKind::ConnectionReset);
}

#[test]
fn after_the_last_answer_the_peer_has_a_while_to_close() {
    let mut server = server(Limits { linger_timeout: SOON, ..Limits::default() });
    let mut client = server.connect();
    client.write_all(b"BAD\r\n\r\n").unwrap();
    server.turn();
    let mut answer = vec![0; 4096];
    let count = client.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 400 "));
    assert_eq!(client.read(&mut answer).unwrap(), 0, "the server sends no more");
    // It still takes what comes, so that no reset overtakes the answer.
    client.write_all(&[b'x'; 1000]).unwrap();
    server.turn();
    assert_eq!(rest(&mut server, &mut client), "");
}

#[test]
fn a_chat_whose_client_has_left_is_cancelled_after_the_grace() {
    let mut server = server_that_holds_runs_back(Limits::default(), SOON);
    let mut client = server.connect();
    client.write_all(&post("/chat", QUESTION)).unwrap();
    server.turn();
    let id = newest_run(&mut server);
    client.shutdown(Shutdown::Write).unwrap();
    server.turn();
    assert_eq!(run_status(&mut server, &id), "pending", "a FIN may be half-close");
    let said = rest(&mut server, &mut client);
    assert!(said.starts_with("HTTP/1.1 409 "), "{said}");
    assert_eq!(run_status(&mut server, &id), "cancelled", "its client was told, so it is kept");
}

#[test]
fn a_chat_whose_client_was_reset_is_cancelled_at_once() {
    let mut server = server_that_holds_runs_back(Limits::default(), Duration::from_secs(3600));
    let mut client = server.connect();
    client.write_all(&post("/chat", QUESTION)).unwrap();
    server.turn();
    let id = newest_run(&mut server);
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    server.turn();
    assert_eq!(server.census().runs.cancelled, 1, "in this very turn");
    assert_eq!(status_at_end(&mut server, &id), "cancelled");
}

#[test]
fn a_broken_stream_is_cancelled_after_the_grace_unless_someone_comes_back() {
    for comes_back in [false, true] {
        let limits = Limits { idle_timeout: 3 * SOON, ..Limits::default() };
        let mut server = server_that_holds_runs_back(limits, SOON);
        let mut client = server.connect();
        let mut answer = vec![0; 4096];
        server.ask_store(&mut client, &post("/chat/stream", QUESTION));
        let id = newest_run(&mut server);
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        server.turn();
        assert_eq!(server.census().runs.pending, 1);
        let mut reader = server.connect();
        if comes_back {
            let request = format!("GET /chat/task/{id}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
            server.ask(&mut reader, request.as_bytes(), &mut answer);
        }
        // An idle connection is our clock: it is closed long after the grace.
        let mut clock = server.connect();
        server.ask(&mut clock, HEALTH, &mut answer);
        assert_eq!(rest(&mut server, &mut clock), "");
        if comes_back {
            assert_eq!(server.census().runs.pending, 1);
        } else {
            assert_eq!(status_at_end(&mut server, &id), "cancelled");
        }
    }
}

#[test]
fn whoever_only_looks_in_on_an_abandoned_run_does_not_keep_it_going() {
    let limits = Limits { idle_timeout: SOON * 10, ..Limits::default() };
    for looks_in in ["GET /chat/task/{}?wait=1", "HEAD /chat/task/{}/stream"] {
        let mut server = server_that_holds_runs_back(limits.clone(), SOON);
        let mut client = server.connect();
        server.ask_store(&mut client, &post("/chat/stream", QUESTION));
        let id = newest_run(&mut server);
        drop(client);
        server.turn();
        let mut other = server.connect();
        let request = format!("{} HTTP/1.1\r\nHost: localhost\r\n\r\n", looks_in.replace("{}", &id));
        other.write_all(request.as_bytes()).unwrap();
        server.turn();
        drop(other);
        server.turn();
        // An idle connection is our clock: it is closed long after the grace.
        let mut clock = server.connect();
        server.ask(&mut clock, HEALTH, &mut [0; 4096]);
        assert_eq!(rest(&mut server, &mut clock), "");
        assert_eq!(server.census().runs.pending, 0, "after {looks_in}");
    }
}

#[test]
fn all_that_was_left_is_taken_over_however_few_may_wait_now() {
    let mut storage = Memory::default();
    let admitted = |run: u128| {
        store::Record::Admitted(store::Admitted {
            run: Uuid::from_u128(run),
            created_at: WallTime::from_millis(1),
            question: r#"{"message":"How hot is the kettle?"}"#.into(),
            subject: store::Subject::default(),
            ends_when_left: false,
            key: None,
            reserved: 10,
            callback: None,
        })
    };
    let left: u128 = 300;
    storage.commit(&store::Batch { records: (1..=left).map(admitted).collect() }).unwrap();
    let limits = Limits { unkept_runs_max: 1, connections_max: 10, ..Limits::default() };
    let config = Config { runs_max: 1, waiting_max: 1, is_durable: true, ..Config::default() };
    let mut server = Server::with_storage(Box::new(storage), config, limits);
    for run in 1..=left {
        let id = Uuid::from_u128(run).to_string();
        assert_eq!(status_at_end(&mut server, &id), "completed");
    }
}

#[test]
fn a_run_that_is_cancelled_while_it_waits_leaves_the_queue() {
    let mut server = server_that_holds_runs_back(Limits::default(), Duration::ZERO);
    let mut client = server.connect();
    for _ in 0..10 {
        let accepted = server.ask_store(&mut client, &post("/chat/async", QUESTION));
        let id = field(&accepted, "task_id");
        let request = format!("DELETE /tasks/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(field(&server.ask_store(&mut client, request.as_bytes()), "status"), "cancelled");
        assert_eq!(run_status(&mut server, &id), "cancelled");
    }
    assert_eq!(server.census().queued, 0);
}

#[test]
fn on_disconnect_continue_keeps_a_run_whose_client_was_reset() {
    let mut server = server_that_holds_runs_back(Limits::default(), Duration::ZERO);
    let mut client = server.connect();
    client.write_all(&post("/chat", r#"{"message":"How hot?","on_disconnect":"continue"}"#)).unwrap();
    server.turn();
    let id = newest_run(&mut server);
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    server.turn();
    assert_eq!(run_status(&mut server, &id), "pending");
    // What a client is told of an end may be late; this is not.
    assert_eq!(server.census().runs.pending, 1);
}

#[test]
fn ended_tasks_are_swept_when_their_time_is_over_though_nothing_else_happens() {
    // Their time goes by the wall clock, in whole milliseconds.
    let limits = Limits { idle_timeout: 10 * SOON, ..Limits::default() };
    let mut server = Server::start(Config { task_ttl: SOON, ..Config::default() }, limits);
    let mut client = server.connect();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(field(&server.ask_store(&mut client, &post("/chat/async", QUESTION)), "task_id"));
    }
    // An idle connection is our clock: it is closed long after the tasks' time.
    assert_eq!(rest(&mut server, &mut client), "");
    for id in ids {
        let said = get(&mut server, &format!("/chat/task/{id}"));
        assert!(said.starts_with("HTTP/1.1 410 "), "{said}");
    }
}

#[test]
fn a_scan_that_the_disk_refuses_is_answered_503_and_made_up_for_later() {
    let mut server = server(Limits { disk_backoff: SOON, ..Limits::default() });
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    server.write_note("pan.md", "# Pan\n\nThe pan is black.\n");
    client.write_all(&post("/sync", "")).expect("the server reads");
    server.turn_without_disk();
    let count = client.read(&mut answer).expect("it is answered within the turn");
    let text = String::from_utf8_lossy(&answer[..count]);
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n"), "{text}");
    // Still refused when its time has come, which must not be the last try.
    server.turn_without_disk();
    // Nobody asks for it: the loop sleeps until the next try.
    server.turn();
    for _ in 0..50_000 {
        let count = server.ask(&mut client, INFO, &mut answer);
        if String::from_utf8_lossy(&answer[..count]).contains("\"notes\":{\"count\":2,") {
            return;
        }
    }
    panic!("the new note was not read");
}

#[test]
fn urgent_data_hides_nothing_of_a_request() {
    let mut server = server(Limits::default());
    let mut client = server.connect();
    let (head, rest) = HEALTH.split_at(20);
    let (urgent, rest) = rest.split_at(1);
    client.write_all(head).expect("the server reads");
    rustix::net::send(&client, urgent, rustix::net::SendFlags::OOB).expect("TCP has urgent data");
    client.write_all(rest).expect("the server reads");
    server.turn();
    client.set_nonblocking(true).expect("a socket can be made non-blocking");
    let mut answer = [0; 4096];
    let count = client.read(&mut answer).expect("the answer is there after one turn");
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "{}", answer[..count].escape_ascii());
}
