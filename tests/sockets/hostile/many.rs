//! Clients that are many, and clients that are gone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use super::{ARGUMENTS, NOTES, await_alone, bystander, hears_nothing, is_served, survives, survives_with};
use crate::common::{self, Client, End, Server, request, until};

// --- Who is many, or gone -----------------------------------------------------------------------------------------

#[test]
fn five_thousand_idle_connections_cost_little_and_nothing_is_done_for_them() {
    const CROWD: usize = 5000;
    survives(|server| {
        let mut bystander = bystander(server);
        let before = server.memory_kib();
        let mut crowd: Vec<Client> = std::iter::repeat_with(|| server.client()).take(CROWD).collect();
        crowd.iter_mut().for_each(is_served);
        is_served(&mut bystander);
        let open = bystander.call("GET", "/info", None).json()["connections"]["open"].clone();
        assert_eq!(open, CROWD + 1);
        let grown = server.memory_kib().saturating_sub(before);
        assert!(grown < CROWD as u64, "{CROWD} idle connections cost {grown} KiB");

        let (turns, ticks) = (server.info("loop", "turns"), server.processor_ticks());
        hears_nothing(&crowd[0], Duration::from_secs(1));
        let turns = server.info("loop", "turns") - turns;
        assert!(turns <= 10.0, "{turns} turns in a second of silence");
        assert!(server.processor_ticks() - ticks <= 10, "processor time in a second of silence");
    });
}

#[test]
fn a_storm_of_resets_leaves_nothing_behind() {
    survives(|server| {
        let mut bystander = bystander(server);
        let body = json!({"message": "Where does the loop sleep?"});
        let upload = request("POST", "/chat", Some(&json!({"message": "a", "rest": "x".repeat(100_000)})));
        let fragments = [&b""[..], b"GET /hea", &upload[..100], &upload[..70_000]];
        let requests = [
            request("GET", "/health", None),
            request("GET", "/info", None).repeat(50),
            request("POST", "/chat", Some(&body)),
            request("POST", "/chat/stream", Some(&body)),
        ];
        for round in 0..300 {
            for fragment in fragments {
                let mut client = server.client();
                client.send(fragment);
                client.reset();
            }
            for bytes in &requests {
                let mut client = server.client();
                client.send(bytes);
                // Every other time the answer is under way already.
                if round % 2 == 1 {
                    let _ = client.socket().peek(&mut [0]);
                }
                client.reset();
            }
            if round % 10 == 0 {
                is_served(&mut bystander);
            }
        }
    });
}

#[test]
fn a_half_closed_client_still_gets_its_answers() {
    survives(|server| {
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
    });
}

// --- Beyond what the system gives ---------------------------------------------------------------------------------

/// Descriptors that the server has.
const DESCRIPTORS: u32 = 256;

/// Far more clients than there are places, and no more than a backlog of 128 holds beside those: the kernel would let
/// the others try again after seconds.
const FLOOD: usize = 340;

/// A flood of clients that have each begun a request, so that none is idle and may be parted with.
fn flood(server: &Server) -> Vec<TcpStream> {
    let flood: Vec<TcpStream> = std::iter::repeat_with(|| server.connect()).take(FLOOD).collect();
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
    survives_with(Server::with_descriptors(DESCRIPTORS, NOTES, ARGUMENTS), |server| {
        for _ in 0..2 {
            let flood = flood(server);
            sits_out(server, flood);
            is_calm_again(server);
        }
        let turns = server.info("loop", "turns");
        // Two floods, and what `await_alone` has asked.
        assert!(turns < 20_000.0, "{turns} turns");
    });
}

#[test]
fn idle_clients_make_way_when_descriptors_are_scarce() {
    survives_with(Server::with_descriptors(DESCRIPTORS, NOTES, ARGUMENTS), |server| {
        let mut kept = Vec::new();
        for _ in 0..400 {
            let mut client = bystander(server);
            is_served(&mut client);
            kept.push(client);
        }
        drop(kept);
        is_calm_again(server);
    });
}

#[test]
fn descriptors_that_run_out_under_way_are_survived() {
    survives(|server| {
        // As when something else in the machine takes them: the server has counted on more.
        let id = Pid::from_raw(i32::try_from(server.id()).unwrap());
        let limit = Some(u64::from(DESCRIPTORS));
        prlimit(id, Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();
        let flood = flood(server);
        sits_out(server, flood);
        // Whoever comes while the flood is still leaving may be turned away, as there is no descriptor for him.
        until("somebody is let in", || {
            let mut client = server.connect();
            let asked = client.write_all(&request("GET", "/health", None));
            asked.is_ok() && matches!(client.read(&mut [0; 1024]), Ok(count) if count > 0)
        });
        is_calm_again(server);
    });
}
