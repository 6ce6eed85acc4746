//! What requests and connections cost, in counts that don't depend on the machine: system calls, turns, allocations.
//!
//! The server and its clients share this one thread: a client writes, the loop turns once, the client reads. Loopback
//! delivers at once, so every count is exact. The allocator of this test counts, which is why it is a file of its own.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test that makes its own notes")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use oneloop::app::App;
use oneloop::base::HashSeed;
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::os::NetCounters;
use oneloop::os::real::RealWorld;
use oneloop::reactor::Reactor;

/// Counts while it is told to.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "the only way to count allocations; every call is passed on unchanged")]
// SAFETY: each method hands its arguments to `System` and gives back what that gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Relaxed) {
            CALLS.fetch_add(1, Relaxed);
        }
        LIVE_BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts are the process's, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct Server {
    world: RealWorld,
    reactor: Reactor,
    app: App,
    address: SocketAddr,
    notes: PathBuf,
}

impl Server {
    fn start(name: &str, config: Config) -> Server {
        let notes = std::env::temp_dir().join(format!("oneloop-cost-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&notes).expect("the temporary folder can be written");
        std::fs::write(notes.join("kettle.md"), "# Kettle\n\nThe kettle boils at 96 degrees.\n")
            .expect("so can a note");
        let limits = Limits::default();
        let config = Config { notes: notes.clone(), access_log: false, ..config };
        let mut world = RealWorld::new(&notes, &limits).expect("the poller opens");
        let mut reactor = Reactor::new(&limits);
        let mut app = App::new(&config, &limits, HashSeed(7));
        let address = reactor.enter(&mut world.os(), |cx| {
            app.read_folder(cx);
            app.listen(SocketAddr::from(([127, 0, 0, 1], 0)), cx).expect("a free port can be bound")
        });
        let mut server = Server { world, reactor, app, address, notes };
        while !server.app.is_ready() {
            server.turn();
        }
        server
    }

    fn turn(&mut self) {
        self.reactor.turn(&mut self.world.os(), &mut self.app).expect("the poller goes on");
    }

    fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("the listener has a backlog");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        client.set_nodelay(true).expect("so can this");
        self.turn();
        client
    }

    /// One request, one turn, one answer: how many bytes it had.
    fn ask(&mut self, client: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> usize {
        client.write_all(request).expect("the server reads");
        self.turn();
        client.read(answer).expect("the server has answered within the turn")
    }

    fn counters(&mut self) -> (NetCounters, u64) {
        let counters = self.world.os().net.counters();
        (counters, self.reactor.figures().waits)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.notes);
    }
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cost\r\nAccept: */*\r\n\r\n";

#[test]
fn a_kept_connection_costs_one_read_one_write_one_wait_and_no_allocation_per_request() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut server = Server::start("steady", Config::default());
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    for _ in 0..10 {
        let count = server.ask(&mut client, HEALTH, &mut answer);
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    const REQUESTS: u64 = 1000;
    let (before, waits_before) = server.counters();
    CALLS.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
    for _ in 0..REQUESTS {
        server.ask(&mut client, HEALTH, &mut answer);
    }
    COUNTS.store(false, Relaxed);
    let (after, waits_after) = server.counters();

    assert_eq!(after.reads - before.reads, REQUESTS, "reads: none only to see WouldBlock");
    assert_eq!(after.writes - before.writes, REQUESTS, "writes: head and body together");
    assert_eq!(waits_after - waits_before, REQUESTS, "waits");
    assert_eq!(after.registrations, before.registrations, "changes to what is watched");
    assert_eq!(CALLS.load(Relaxed), 0, "allocations");
}

#[test]
fn pipelined_requests_share_their_read_write_and_wait() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut server = Server::start("pipeline", Config::default());
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
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut server = Server::start("idle", Config::default());
    let mut answer = vec![0; 4096];
    const CONNECTIONS: usize = 512;
    // Tables double as they grow; a first round of as many shows them at their size.
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    let before = LIVE_BYTES.load(Relaxed);
    for _ in 0..CONNECTIONS {
        let mut client = server.connect();
        server.ask(&mut client, HEALTH, &mut answer);
        clients.push(client);
    }
    let each = (LIVE_BYTES.load(Relaxed) - before) / CONNECTIONS;
    assert!(each < 1024, "{each} bytes for each idle connection");
    assert!(each > 100, "{each} bytes can't be all: the measurement is broken");
}

#[test]
fn a_reader_of_a_stream_costs_an_offset_and_not_a_copy() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // No run ever begins, so every reader of one waits, having seen all there is.
    let mut server = Server::start("reader", Config { runs_max: 0, ..Config::default() });
    let mut client = server.connect();
    let mut answer = vec![0; 4096];
    let body = r#"{"message":"How hot is the kettle?"}"#;
    let request = format!(
        "POST /chat/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let count = server.ask(&mut client, request.as_bytes(), &mut answer);
    let text = String::from_utf8_lossy(&answer[..count]).into_owned();
    let location =
        text.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a 202 says where its task is");
    let request = format!("GET {location}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");

    const READERS: usize = 512;
    let mut readers = Vec::with_capacity(READERS);
    let before = LIVE_BYTES.load(Relaxed);
    for _ in 0..READERS {
        let mut reader = server.connect();
        let count = server.ask(&mut reader, request.as_bytes(), &mut answer);
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"), "the head comes at once");
        readers.push(reader);
    }
    let each = (LIVE_BYTES.load(Relaxed) - before) / READERS;
    assert!(each < 1024, "{each} bytes for each waiting reader");
}
