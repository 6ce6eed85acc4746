//! What requests and connections cost, in counts that don't depend on the machine: system calls, turns, allocations.
//!
//! The server and its clients share this one thread: a client writes, the loop turns once, the client reads. Loopback
//! delivers at once, so every count is exact. The allocator counts by thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::time::Duration;

use oneloop::config::Config;
use oneloop::limits::Limits;

use crate::harness::{HEALTH, Server, post};

/// Counts what this thread allocates. The server lives in the test's own thread, and other tests in theirs.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    pub static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(calls: usize, bytes: isize) {
    CALLS.set(CALLS.get() + calls);
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
}

#[expect(unsafe_code, reason = "the only way to count allocations; every call is passed on unchanged")]
// SAFETY: each method hands its arguments to `System` and gives back what that gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -layout.size().cast_signed());
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_kept_connection_costs_one_read_one_write_one_wait_and_no_allocation_per_request() {
    let mut server = Server::start(Config::default(), Limits::default());
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    for _ in 0..10 {
        let count = server.ask(&mut client, HEALTH, &mut answer);
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    const REQUESTS: u64 = 1000;
    let (before, waits_before) = server.counters();
    let calls = CALLS.get();
    for _ in 0..REQUESTS {
        server.ask(&mut client, HEALTH, &mut answer);
    }
    let calls = CALLS.get() - calls;
    let (after, waits_after) = server.counters();

    assert_eq!(after.reads - before.reads, REQUESTS, "reads: none only to see WouldBlock");
    assert_eq!(after.writes - before.writes, REQUESTS, "writes: head and body together");
    assert_eq!(waits_after - waits_before, REQUESTS, "waits");
    assert_eq!(after.registrations, before.registrations, "changes to what is watched");
    assert_eq!(calls, 0, "allocations");
}

#[test]
fn pipelined_requests_share_their_read_write_and_wait() {
    let mut server = Server::start(Config::default(), Limits::default());
    let mut client = server.connect();
    let mut answer = vec![0; 64 * 1024];
    let one = server.ask(&mut client, HEALTH, &mut answer);

    let (before, waits_before) = server.counters();
    let sixteen = server.ask(&mut client, &HEALTH.repeat(16), &mut answer);
    let (after, waits_after) = server.counters();

    assert_eq!(sixteen, 16 * one, "sixteen whole answers");
    assert_eq!(
        (after.reads - before.reads, after.writes - before.writes, waits_after - waits_before),
        (1, 1, 1)
    );
}

#[test]
fn an_idle_connection_costs_less_than_a_kibibyte() {
    let mut server = Server::start(Config::default(), Limits::default());
    let mut answer = vec![0; 4096];
    const CONNECTIONS: isize = 512;
    let mut clients = Vec::new();
    let before = LIVE_BYTES.get();
    for _ in 0..CONNECTIONS {
        let mut client = server.connect();
        server.ask(&mut client, HEALTH, &mut answer);
        clients.push(client);
    }
    let each = (LIVE_BYTES.get() - before) / CONNECTIONS;
    assert!(each < 1024, "{each} bytes for each idle connection");
    assert!(each > 100, "{each} bytes can't be all: the measurement is broken");
}

#[test]
fn when_a_crowd_has_left_nothing_of_it_is_kept() {
    let limits = Limits { tidy_delay: Duration::ZERO, ..Limits::default() };
    let mut server = Server::start(Config::default(), limits);
    let mut answer = vec![0; 4096];
    let mut lone = server.connect();
    server.ask(&mut lone, HEALTH, &mut answer);
    let before = LIVE_BYTES.get();
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        let mut client = server.connect();
        // More than is moved out of a buffer, and no whole head: each holds a buffer of its own.
        client.write_all(&[b'x'; 2000]).expect("the server reads");
        server.turn();
        crowd.push(client);
    }
    let grown = LIVE_BYTES.get() - before;
    assert!(grown > 1000 * 16 * 1024, "{grown} bytes: the crowd does not weigh what it should");
    drop(crowd);
    server.turn();
    let kept = LIVE_BYTES.get() - before;
    assert!(kept < 16 * 1024, "{kept} bytes are kept");
}

#[test]
fn a_reader_of_a_stream_costs_an_offset_and_not_a_copy() {
    // No run ever begins, so every reader of one waits, having seen all there is.
    let mut server = Server::start(Config { runs_max: 0, ..Config::default() }, Limits::default());
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    let body = r#"{"message":"How hot is the kettle?"}"#;
    let text = server.ask_store(&mut client, &post("/chat/async", body));
    let location =
        text.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a 202 says where its task is");
    let request = format!("GET {location}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");

    const READERS: isize = 512;
    let mut readers = Vec::new();
    let before = LIVE_BYTES.get();
    for _ in 0..READERS {
        let mut reader = server.connect();
        let count = server.ask(&mut reader, request.as_bytes(), &mut answer);
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"), "the head comes at once");
        readers.push(reader);
    }
    let each = (LIVE_BYTES.get() - before) / READERS;
    assert!(each < 1024, "{each} bytes for each waiting reader");
}
