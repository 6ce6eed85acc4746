//! Clients that are slow, greedy, broken or gone, against the real binary: each may hurt itself, and nobody else.
//!
//! Every test here goes through [`survives`]: whatever was done to the server, it then answers at once, and the memory
//! that the attack took is given back.
//!
//! "At once" is a read timeout of a few seconds on a machine that may be busy; that no turn was wasted is shown by
//! the server's own counters and by what the kernel says of its process. Waiting is always a read that something
//! ends: an answer, the end of a connection, or a timeout where silence is what we want to see.

mod large;
mod many;
mod slow;
mod wrong;

use std::io::ErrorKind;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::common::{self, Client, Server, until};

/// How long somebody else may have to wait while a client misbehaves.
const AT_ONCE: Duration = Duration::from_secs(5);

const NOTES: &[(&str, &str)] = &[("loop.md", "# The loop\n\nThe loop sleeps in one place only.\n")];

/// Ended runs are kept by design. Normal traffic fills their places, and each further run takes the place of one.
const RUNS_KEPT: usize = 32;

const ARGUMENTS: &[&str] = &["--no-access-log", "--task-keep", "32"];

/// Descriptors for the largest crowd, and for what other tests have open meanwhile.
const DESCRIPTORS_MIN: u64 = 8192;

/// Clients that normal traffic has at once.
const CLIENTS: usize = 32;

/// How often normal traffic comes before the attack. At first the store's file grows, and with it the pages of it that
/// are held in memory; once runs were swept and the log was copied into it several times, both stay as they are.
const MINUTES: usize = 3;

/// Times that memory is looked at before it counts as kept, and the silence between. The server looks for what it can
/// give back a second after much was freed.
const LOOKS_MAX: u32 = 100;
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Lets a server have its normal traffic, the attack, and its normal traffic again; then it must be as before.
fn survives(attack: impl FnOnce(&Server)) {
    survives_with(Server::start(NOTES, ARGUMENTS), attack);
}

/// The same for a server of a special kind. It should have been given [`ARGUMENTS`].
fn survives_with(server: Server, attack: impl FnOnce(&Server)) {
    many_sockets();
    for _ in 0..MINUTES {
        normal_traffic(&server);
    }
    await_alone(&mut server.client());
    let before = server.memory_kib();
    attack(&server);

    let mut bystander = bystander(&server);
    is_served(&mut bystander);
    // The runs that are kept are like those from before, not those of the attack.
    normal_traffic(&server);
    await_alone(&mut bystander);
    until("every run has ended", || {
        let runs = &bystander.call("GET", "/info", None).json()["runs"];
        runs["pending"] == 0 && runs["running"] == 0
    });
    let mut after = server.memory_kib();
    for _ in 0..LOOKS_MAX {
        if after <= before + before / 10 {
            break;
        }
        hears_nothing(&bystander, LOOK_PAUSE);
        after = server.memory_kib();
    }
    println!("{before} KiB before, {after} KiB after");
    assert!(after <= before + before / 10, "{before} KiB before, {after} KiB after");
    is_served(&mut bystander);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

/// What the server has in a usual minute, so that what is allocated at first use is there.
fn normal_traffic(server: &Server) {
    let question = json!({"message": "Where does the loop sleep?"});
    let mut clients: Vec<Client> = std::iter::repeat_with(|| server.client()).take(CLIENTS).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        is_served(client);
        assert_eq!(client.call("GET", "/info", None).status(), 200);
        assert_eq!(client.call("GET", "/nowhere", None).status(), 404);
        for _ in 0..RUNS_KEPT / CLIENTS {
            assert_eq!(client.post("/chat", &question).status(), 200);
        }
        if index == 0 {
            assert_eq!(client.call("POST", "/sync", None).status(), 200);
        }
    }
    // All at once, so that their ends are kept in one large batch, which fills the store's cache of pages.
    for client in &mut clients {
        client.send(common::request("POST", "/chat/stream", Some(&question)));
    }
    for mut client in clients {
        let head = client.head();
        let events = client.events(&head).rest();
        assert_eq!(events.last().map(common::StreamEvent::kind).as_deref(), Some("done"));
    }
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

/// Lets the server be for so long, or until this connection hears something; true if it does not.
fn is_silent(client: &Client, time: Duration) -> bool {
    client.socket().set_read_timeout(Some(time)).unwrap();
    let peeked = client.socket().peek(&mut [0]);
    client.socket().set_read_timeout(Some(common::PATIENCE)).unwrap();
    matches!(peeked, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// Lets the server be for so long, in which this connection may hear nothing.
fn hears_nothing(client: &Client, time: Duration) {
    assert!(is_silent(client, time), "the server has something to say, or the connection has ended");
}

/// Makes room for many sockets in this process; the server does so by itself.
fn many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|maximum| maximum >= DESCRIPTORS_MIN),
        "the hard limit on descriptors is too low for these tests: raise it with `ulimit -Hn {DESCRIPTORS_MIN}`"
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// Waits until the one connection that asks is the only one.
fn await_alone(client: &mut Client) {
    until("the other connections are gone", || {
        client.call("GET", "/info", None).json()["connections"]["open"] == 1
    });
}
