//! Clients that are slow, greedy, broken or gone, against the real binary: each may hurt itself, and nobody else.
//!
//! "At once" is a read timeout of a few seconds on a machine that may be busy; that no turn was wasted is shown by
//! the server's own counters and by what the kernel says of its process. Waiting is always a read that something
//! ends: an answer, the end of a connection, or a timeout where silence is what we want to see.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{self, Client, End, Server, request, until};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use serde_json::json;

/// How long somebody else may have to wait while a client misbehaves.
const AT_ONCE: Duration = Duration::from_secs(5);

const NOTES: &[(&str, &str)] = &[("loop.md", "# The loop\n\nThe loop sleeps in one place only.\n")];

fn server() -> Server {
    Server::start(NOTES, &["--no-access-log"])
}

/// A client whose every answer must come at once.
fn bystander(server: &Server) -> Client {
    let client = server.client();
    client.socket().set_read_timeout(Some(AT_ONCE)).unwrap();
    client
}

fn is_served(client: &mut Client) {
    assert_eq!(client.call("GET", "/health", None).status(), 200);
}

/// Lets the server be for so long, in which this connection may hear nothing.
fn hears_nothing(client: &Client, time: Duration) {
    client.socket().set_read_timeout(Some(time)).unwrap();
    let mut byte = [0];
    match client.socket().peek(&mut byte) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        other => panic!("instead of silence: {other:?} {byte:?}"),
    }
    client.socket().set_read_timeout(Some(common::PATIENCE)).unwrap();
}

/// Makes room for many sockets in this process.
fn many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// Waits until the one connection that asks is the only one.
fn await_alone(client: &mut Client) {
    until("the other connections are gone", || {
        client.call("GET", "/info", None).json()["connections"]["open"] == 1
    });
}

// --- Who doesn't read ---------------------------------------------------------------------------------------------

#[test]
fn a_pipeliner_who_does_not_read_delays_nobody_and_gets_every_answer_in_order() {
    const REQUESTS: usize = 20_000;
    let server = server();
    let mut bystander = bystander(&server);
    is_served(&mut bystander);
    let before = server.resident_kib();

    let mut pipeliner = server.client();
    // Answers of several MiB must not vanish into the kernel's buffers.
    rustix::net::sockopt::set_socket_recv_buffer_size(pipeliner.socket(), 16 * 1024).unwrap();
    let mut writer = pipeliner.socket().try_clone().unwrap();
    let targets = ["/info", "/nowhere", "/health"];
    let all: Vec<u8> = (0..REQUESTS).flat_map(|index| request("GET", targets[index % 3], None)).collect();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| writer.write_all(&all).expect("the server goes on reading once we do"));
        for _ in 0..300 {
            is_served(&mut bystander);
        }
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown < 4 * 1024, "memory grew by {grown} KiB under a client that does not read");
        rustix::net::sockopt::set_socket_recv_buffer_size(pipeliner.socket(), 1024 * 1024).unwrap();
        for index in 0..REQUESTS {
            let expected = if index % 3 == 1 { 404 } else { 200 };
            let answer = pipeliner.answer();
            assert_eq!(answer.status(), expected, "answer {index}: {answer}");
            if index % 3 != 1 {
                let is_info = answer.json().get("uptime_seconds").is_some();
                assert_eq!(is_info, index % 3 == 0, "answer {index} is another one's: {answer}");
            }
        }
        sender.join().unwrap();
    });
    is_served(&mut pipeliner);
}

#[test]
fn a_reader_of_a_stream_who_stops_reading_holds_up_neither_the_run_nor_others() {
    let server = server();
    let mut bystander = bystander(&server);
    let body = json!({"message": "Where does the loop sleep?"});
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut client = server.client();
        client.send(request("POST", "/chat/stream", Some(&body)));
        silent.push(client);
    }
    until("all runs have ended", || {
        is_served(&mut bystander);
        bystander.call("GET", "/info", None).json()["runs"]["completed"] == 50
    });
    let mut late = silent.pop().expect("there are fifty");
    let head = late.head();
    let events = late.events(&head).rest();
    assert_eq!(events.last().map(common::StreamEvent::kind).as_deref(), Some("done"));
}

// --- Who sends slowly, or without end -----------------------------------------------------------------------------

#[test]
fn a_head_that_drips_in_delays_nobody_and_is_answered() {
    let server = server();
    let mut bystander = bystander(&server);
    let mut slow = server.client();
    for byte in request("GET", "/health", None) {
        slow.send([byte]);
        is_served(&mut bystander);
    }
    assert_eq!(slow.answer().status(), 200);
    is_served(&mut slow);
}

#[test]
fn a_head_that_drips_too_long_is_answered_408_however_steadily_it_comes() {
    let server = server();
    let mut slow = server.client();
    slow.send("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    slow.socket().set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    let mut byte = [0];
    // The bound is 10 s in all. It may be noticed late on a busy machine, but not early.
    let silent = (0..).find(|_| match slow.socket().peek(&mut byte) {
        Ok(count) => count > 0,
        Err(_) => slow.try_send("x").is_err(),
    });
    let silent = silent.expect("the range has no end");
    assert!((30..80).contains(&silent), "answered after {silent} quarters of a second");
    let answer = slow.answer();
    assert_eq!(answer.status(), 408, "{answer}");
    assert!(answer.head.closes(), "{answer}");
}

#[test]
fn an_upload_too_large_is_refused_from_its_declared_size_before_100_continue() {
    let server = server();
    for (target, length) in [
        ("/chat", 256 * 1024 + 1),
        ("/chat/stream", 1 << 40),
        ("/chat/async", usize::MAX),
        ("/sync", 1024 * 1024 + 1),
    ] {
        let mut client = server.client();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!(answer.status(), 413, "{target}: {answer}");
        assert!(answer.head.closes(), "{target}: {answer}");
        assert!(!answer.detail().is_empty());
        client.shut();
        assert_eq!(client.end(), End::Closed, "{target}");
    }
}

#[test]
fn a_body_at_its_bound_is_taken_after_100_continue() {
    let server = server();
    let mut client = server.client();
    let filler = "x".repeat(256 * 1024 - r#"{"message":"loop?","filler":""}"#.len());
    let body = format!(r#"{{"message":"loop?","filler":"{filler}"}}"#);
    client.send(format!(
        "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.answer().status(), 100);
    client.send(body);
    assert_eq!(client.answer().status(), 200);
    is_served(&mut client);
}

#[test]
fn an_endless_chunked_upload_is_cut_at_the_bound() {
    let server = server();
    let mut bystander = bystander(&server);
    let before = server.resident_kib();
    let mut client = server.client();
    client.send(
        "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
    );
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..17 {
        client.send(&chunk);
        is_served(&mut bystander);
    }
    let answer = client.answer();
    assert_eq!(answer.status(), 413, "{answer}");
    assert!(answer.head.closes(), "{answer}");
    // Who goes on all the same is cut off, not read for ever.
    let sent = (0..4096).position(|_| client.try_send(&chunk).is_err());
    assert!(sent.is_some(), "64 MiB were taken after the refusal");
    is_served(&mut bystander);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 4 * 1024, "memory grew by {grown} KiB");
}

#[test]
fn bodies_that_never_end_take_no_more_memory_each_time() {
    many_sockets();
    let server = server();
    let mut bystander = bystander(&server);
    is_served(&mut bystander);
    let before = server.resident_kib();
    let half = "x".repeat(120 * 1024);
    let mut peaks = Vec::new();
    for _ in 0..4 {
        let mut uploads = Vec::new();
        for _ in 0..100 {
            let mut client = server.client();
            client.send(format!(
                "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{half}",
                200 * 1024
            ));
            is_served(&mut bystander);
            uploads.push(client);
        }
        peaks.push(server.resident_kib());
        uploads.into_iter().for_each(Client::reset);
        await_alone(&mut bystander);
    }
    // Each is 12 MiB of bodies. What the allocator keeps of it for the next time is its own affair.
    assert!(peaks[0] < before + 40 * 1024, "{before} KiB before, then {peaks:?}");
    assert!(peaks[3] <= peaks[0] + peaks[0] / 8, "{before} KiB before, then {peaks:?}");
}

// --- Who is many, or gone -----------------------------------------------------------------------------------------

#[test]
fn five_hundred_idle_connections_cost_little_and_their_memory_comes_back() {
    many_sockets();
    let server = server();
    let mut bystander = bystander(&server);
    // Warm: tables and buffers have grown as far as one round needs.
    let crowd: Vec<Client> = std::iter::repeat_with(|| server.client()).take(500).collect();
    drop(crowd);
    await_alone(&mut bystander);
    let before = server.resident_kib();

    let mut crowd: Vec<Client> = std::iter::repeat_with(|| server.client()).take(500).collect();
    crowd.iter_mut().for_each(is_served);
    is_served(&mut bystander);
    let open = bystander.call("GET", "/info", None).json()["connections"]["open"].clone();
    assert_eq!(open, 501);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 500, "500 idle connections cost {grown} KiB");

    // Nothing is done for them while they are idle.
    let (turns, ticks) = (server.info("loop", "turns"), server.processor_ticks());
    hears_nothing(&crowd[0], Duration::from_secs(1));
    let turns = server.info("loop", "turns") - turns;
    assert!(turns <= 10.0, "{turns} turns in a second of silence");
    assert!(server.processor_ticks() - ticks <= 10, "processor time in a second of silence");

    drop(crowd);
    await_alone(&mut bystander);
    let after = server.resident_kib();
    assert!(after <= before + before / 8, "{before} KiB before, {after} KiB after");
}

#[test]
fn a_storm_of_resets_leaves_nothing_behind() {
    let server = server();
    let mut bystander = bystander(&server);
    let body = json!({"message": "Where does the loop sleep?"});
    let requests: [Vec<u8>; 6] = [
        Vec::new(),
        b"GET /hea".to_vec(),
        request("GET", "/health", None),
        request("GET", "/info", None).repeat(50),
        request("POST", "/chat", Some(&body)),
        request("POST", "/chat/stream", Some(&body)),
    ];
    let warm = server.resident_kib();
    for round in 0..300 {
        for bytes in &requests {
            let mut client = server.client();
            client.send(bytes);
            // Every other time the answer is under way already, where there is one.
            if round % 2 == 1 && bytes.ends_with(b"\n") {
                let _ = client.socket().peek(&mut [0]);
            }
            client.reset();
        }
        if round % 10 == 0 {
            is_served(&mut bystander);
        }
    }
    await_alone(&mut bystander);
    until("every run has ended", || {
        let runs = &bystander.call("GET", "/info", None).json()["runs"];
        runs["pending"] == 0 && runs["running"] == 0
    });
    let grown = server.resident_kib().saturating_sub(warm);
    assert!(grown < 6 * 1024, "memory grew by {grown} KiB, 600 kept runs included");
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[test]
fn a_half_closed_client_still_gets_its_answers() {
    let server = server();
    let body = json!({"message": "Where does the loop sleep?"});

    let mut client = server.client();
    client.send(request("GET", "/health", None).repeat(10));
    client.shut();
    for _ in 0..10 {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(client.end(), End::Closed);

    let mut client = server.client();
    client.send(request("POST", "/chat", Some(&body)));
    client.shut();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(client.end(), End::Closed);

    let mut client = server.client();
    client.send(request("POST", "/chat/stream", Some(&body)));
    client.shut();
    let head = client.head();
    let mut events = client.events(&head);
    assert_eq!(events.rest().last().map(common::StreamEvent::kind).as_deref(), Some("done"));
    assert_eq!(events.into_client().end(), End::Closed);

    // Cut in the middle of a request there is nothing to answer.
    let mut client = server.client();
    client.send("GET /health HTTP/1.1\r\nHost: local");
    client.shut();
    let mut rest = Vec::new();
    client.drain(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&rest));
}

// --- Beyond what the system gives ---------------------------------------------------------------------------------

/// A flood of clients that have each begun a request, so that none is idle and may be parted with. They are far more
/// than there are places, and no more than a backlog of 128 holds beside those: the kernel would let the others try
/// again after seconds.
fn flood(server: &Server) -> Vec<TcpStream> {
    let flood: Vec<TcpStream> = std::iter::repeat_with(|| server.connect()).take(150).collect();
    for mut client in &flood {
        // One that was turned away already can't be written to.
        let _ = client.write_all(b"GET /hea");
    }
    flood
}

/// Waits through a second of the flood, in which the server may do next to nothing, and lets it go.
fn sits_out(server: &Server, flood: Vec<TcpStream>) {
    let mut last = flood.last().expect("it is a flood");
    let ticks = server.processor_ticks();
    last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = last.read(&mut [0; 512]);
    let spent = server.processor_ticks() - ticks;
    assert!(spent <= 20, "{spent} hundredths of a second of processor time in one second: it spins");
    drop(flood);
}

fn is_calm_again(server: &Server) {
    let mut client = bystander(server);
    is_served(&mut client);
    await_alone(&mut client);
    let turns = client.call("GET", "/info", None).json()["loop"]["turns"].as_f64().expect("a number");
    hears_nothing(&client, Duration::from_millis(500));
    let more = client.call("GET", "/info", None).json()["loop"]["turns"].as_f64().expect("a number") - turns;
    assert!(more <= 5.0, "{more} turns in half a second of silence");
}

#[test]
fn more_clients_than_descriptors_wait_their_turn_and_nothing_spins() {
    many_sockets();
    let server = Server::with_descriptors(64, NOTES, &["--no-access-log"]);
    for _ in 0..2 {
        let flood = flood(&server);
        sits_out(&server, flood);
        is_calm_again(&server);
    }
    let turns = server.info("loop", "turns");
    // Two floods of 150 clients, and what `await_alone` has asked.
    assert!(turns < 20_000.0, "{turns} turns");
}

#[test]
fn idle_clients_make_way_when_descriptors_are_scarce() {
    many_sockets();
    let server = Server::with_descriptors(64, NOTES, &["--no-access-log"]);
    let mut kept = Vec::new();
    for _ in 0..200 {
        let mut client = bystander(&server);
        is_served(&mut client);
        kept.push(client);
    }
    drop(kept);
    is_calm_again(&server);
}

#[test]
fn descriptors_that_run_out_under_way_are_survived() {
    many_sockets();
    let server = server();
    // As when something else in the machine takes them: the server has counted on more.
    let id = Pid::from_raw(i32::try_from(server.id()).unwrap());
    prlimit(id, Resource::Nofile, Rlimit { current: Some(40), maximum: Some(40) }).unwrap();
    let flood = flood(&server);
    sits_out(&server, flood);
    is_calm_again(&server);
}

// --- Who speaks wrongly -------------------------------------------------------------------------------------------

/// Sends these bytes over a connection of their own; answers the status and how the connection ended.
fn refused(server: &Server, bytes: &[u8]) -> (u16, End) {
    let mut client = server.client();
    client.send(bytes);
    let answer = client.answer();
    assert!(answer.head.closes(), "{answer} to {}", String::from_utf8_lossy(bytes));
    assert!(!answer.detail().is_empty());
    client.shut();
    (answer.status(), client.end())
}

#[test]
fn a_request_that_two_readers_could_read_differently_is_refused_and_the_connection_closed() {
    let server = server();
    let get = |fields: &str| format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let post = |fields: &str| format!("POST /sync HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    for (request, status) in [
        (post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400),
        (post("Content-Length: 3\r\nContent-Length: 3\r\n"), 400),
        (post("Content-Length: 3, 3\r\n"), 400),
        (post("Content-Length: +3\r\n"), 400),
        (post("Content-Length: -1\r\n"), 400),
        (post("Content-Length: 0x3\r\n"), 400),
        (post("Content-Length:\r\n"), 400),
        (post("Transfer-Encoding: gzip, chunked\r\n"), 501),
        (post("Transfer-Encoding: chunked, chunked\r\n"), 400),
        (post("Transfer-Encoding: \x0bchunked\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400),
        (get("X: a\r\n b\r\n"), 400),
        (get("X : a\r\n"), 400),
        (get("X: a\nY: b\r\n"), 400),
        (get("X: a\rY: b\r\n"), 400),
        (get("X: a\0b\r\n"), 400),
        (get(": a\r\n"), 400),
        (get("Host: localhost\r\n"), 400),
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nHost: localhost/x\r\n\r\n".to_owned(), 400),
        ("GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("GET /health\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n".to_owned(), 505),
        ("GET /health HTTP/1.1 \r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\r\n\r\n".to_owned(), 400),
    ] {
        let (found, end) = refused(&server, request.as_bytes());
        assert_eq!(found, status, "{request:?}");
        assert_eq!(end, End::Closed, "{request:?}");
    }
    let mut client = server.client();
    client.send(request("GET", "/health", None));
    client.send(request("HEAD", "/health", None));
    client.send(post("Content-Length: 1\r\nContent-Length: 2\r\n"));
    client.send(request("GET", "/info", None));
    assert_eq!(client.answer().status(), 200);
    assert_eq!(client.answer_to("HEAD").status(), 200);
    assert_eq!(client.answer().status(), 400, "what is right before it is answered first");
    client.shut();
    assert_eq!(client.end(), End::Closed, "nothing behind it is");
}

#[test]
fn a_bad_chunk_is_refused_and_the_connection_closed() {
    let server = server();
    let head = "POST /sync HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("g\r\n", 400),
        ("-1\r\n", 400),
        ("0x3\r\nabc\r\n", 400),
        ("3\nabc\r\n", 400),
        ("3\r\nabcd\r\n", 400),
        ("ffffffffffffffff\r\n", 413),
        ("10000000000000000\r\n", 400),
        ("100001\r\n", 413),
    ] {
        let (found, end) = refused(&server, format!("{head}{body}").as_bytes());
        assert_eq!(found, status, "{body:?}");
        assert_eq!(end, End::Closed, "{body:?}");
    }
}

#[test]
fn heads_and_targets_beyond_their_bounds_have_their_own_status() {
    let server = server();
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(bytes - 1));
    let fields = |count: usize| {
        let fields: String = (1..count).map(|number| format!("X-{number}: {number}\r\n")).collect();
        format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
    };
    let value =
        |bytes: usize| format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    for (request, status) in [
        (target(8 * 1024 + 1), 414),
        (target(60_000), 414),
        (fields(101), 431),
        (fields(1000), 431),
        (value(17 * 1024), 431),
        (value(1024 * 1024), 431),
    ] {
        let mut client = server.client();
        // The answer may come, and the connection end, before all is sent.
        let _ = client.try_send(&request);
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{} bytes: {answer}", request.len());
        assert!(answer.head.closes(), "{answer}");
    }
    for (request, status) in [(target(7_900), 404), (fields(99), 200), (value(12 * 1024), 200)] {
        let mut client = server.client();
        client.send(&request);
        assert_eq!(client.answer().status(), status, "{} bytes", request.len());
        is_served(&mut client);
    }
}

#[test]
fn bodies_that_are_no_question_are_refused_and_the_connection_is_kept() {
    let server = server();
    let mut client = server.client();
    let deep = "[".repeat(100_000);
    let long = "x".repeat(128 * 1024 + 1);
    for (body, status) in [
        (format!(r#"{{"message":{deep}"#).into_bytes(), 422),
        (format!(r#"{{"message":{deep}{}}}"#, "]".repeat(100_000)).into_bytes(), 422),
        // In a field that nobody reads it is passed over, however deep.
        (format!(r#"{{"message":"a","x":{deep}{}}}"#, "]".repeat(100_000)).into_bytes(), 200),
        (format!(r#"{{"message":"{long}"}}"#).into_bytes(), 422),
        (b"{\"message\":\"\xff\xfe\"}".to_vec(), 422),
        (br#"{"message":"\ud800"}"#.to_vec(), 422),
        (b"{\"message\":\"a\"} trailing".to_vec(), 422),
        (b"{\"message\":\"\"}".to_vec(), 422),
        (b"\xef\xbb\xbf{\"message\":\"a\"}".to_vec(), 422),
        (b"null".to_vec(), 422),
        (Vec::new(), 422),
        (br#"{"message":"\u0000\u202e loop?"}"#.to_vec(), 200),
    ] {
        client.send(format!(
            "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        ));
        client.send(&body);
        let answer = client.answer();
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(answer.status(), status, "{shown:?}: {answer}");
        if status == 422 {
            let first = answer.json()["detail"][0].clone();
            assert!(
                first["loc"].is_array() && first["msg"].is_string() && first["type"].is_string(),
                "{answer}"
            );
        }
    }
    is_served(&mut client);
}

#[test]
fn invalid_bytes_in_a_target_are_refused() {
    let server = server();
    for (target, status) in [
        (&b"/\xff\xfe"[..], 400),
        (b"/%ff", 400),
        (b"/%00", 400),
        (b"/%zz", 400),
        (b"/health%2", 400),
        (b"*", 400),
    ] {
        let mut client = server.client();
        client.send([b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat());
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{}: {answer}", String::from_utf8_lossy(target));
    }
}
