//! Who is served when all want more than a turn has to give.

use std::io::{ErrorKind, Read, Write};

use oneloop::config::Config;
use oneloop::limits::Limits;

use crate::harness::{HEALTH, Server, post};

#[test]
fn whoever_was_passed_over_comes_before_those_who_were_served() {
    let limits = Limits { requests_per_turn_max: 2, requests_per_turn_all_max: 2, ..Limits::default() };
    let mut server = Server::start(Config::default(), limits);
    let (mut greedy, mut modest) = (server.connect(), server.connect());
    greedy.write_all(&HEALTH.repeat(50)).expect("the server reads");
    server.turn();
    modest.write_all(HEALTH).expect("the server reads");
    modest.set_nonblocking(true).expect("a socket can be made non-blocking");
    // One to hear of it when the share is spent, one to be served.
    server.turn();
    server.turn();
    let answered = modest.read(&mut [0; 4096]);
    assert!(!matches!(&answered, Err(error) if error.kind() == ErrorKind::WouldBlock), "not after two turns");
}

#[test]
fn the_last_request_of_a_share_is_answered_in_its_turn() {
    let limits = Limits { requests_per_turn_max: 1, requests_per_turn_all_max: 1, ..Limits::default() };
    let mut server = Server::start(Config::default(), limits);
    let mut client = server.connect();
    let mut answer = [0; 4096];
    let count = server.ask(&mut client, &post("/chat", "{}"), &mut answer);
    assert!(answer[..count].starts_with(b"HTTP/1.1 422 "), "{}", String::from_utf8_lossy(&answer[..count]));
}
