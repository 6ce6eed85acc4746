//! Clients that send slowly, and clients that don't read what they have asked for.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use serde_json::json;

use super::{bystander, is_served, is_silent, survives};
use crate::common::{self, Client, request, until};

const QUARTER: Duration = Duration::from_millis(250);

/// The head of a question that comes in chunks.
const CHUNKED: &str = "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

// --- Who doesn't read ---------------------------------------------------------------------------------------------

#[test]
fn a_pipeliner_who_does_not_read_delays_nobody_and_gets_every_answer_in_order() {
    survives(|server| {
        const REQUESTS: usize = 20_000;
        let mut bystander = bystander(server);
        is_served(&mut bystander);
        let before = server.memory_kib();

        let mut pipeliner = server.client();
        // Answers of several MiB must not vanish into the kernel's buffers.
        rustix::net::sockopt::set_socket_recv_buffer_size(pipeliner.socket(), 16 * 1024).unwrap();
        let mut writer = pipeliner.socket().try_clone().unwrap();
        let targets = ["/info", "/nowhere", "/health"];
        let all: Vec<u8> = (0..REQUESTS).flat_map(|index| request("GET", targets[index % 3], None)).collect();
        std::thread::scope(|scope| {
            let sender =
                scope.spawn(|| writer.write_all(&all).expect("the server goes on reading once we do"));
            for _ in 0..300 {
                is_served(&mut bystander);
            }
            let grown = server.memory_kib().saturating_sub(before);
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
    });
}

/// Feeds a server with requests as long as it takes them and `meanwhile` goes on, and then ends the connection.
fn feeding(client: &Client, requests: &[u8], meanwhile: impl FnOnce()) {
    // Megabytes of answers must not vanish into the kernel's buffers.
    rustix::net::sockopt::set_socket_recv_buffer_size(client.socket(), 16 * 1024).unwrap();
    std::thread::scope(|scope| {
        // Whether all of it is taken depends on the kernel's buffers, which may hold megabytes of requests.
        scope.spawn(|| client.socket().write_all(requests));
        meanwhile();
        client.socket().shutdown(Shutdown::Both).unwrap();
    });
}

#[test]
fn a_hundred_thousand_requests_whose_answers_are_never_read_delay_nobody() {
    survives(|server| {
        let mut bystander = bystander(server);
        let before = server.memory_kib();
        let pipeliner = server.client();
        feeding(&pipeliner, &request("GET", "/info", None).repeat(100_000), || {
            for _ in 0..1000 {
                is_served(&mut bystander);
            }
            let grown = server.memory_kib().saturating_sub(before);
            assert!(grown < 1024, "memory grew by {grown} KiB under a client that does not read");
        });
        pipeliner.reset();
    });
}

#[test]
fn a_pipeliner_of_megabytes_who_reads_a_byte_at_a_time_delays_nobody() {
    survives(|server| {
        let mut bystander = bystander(server);
        let before = server.memory_kib();
        let pipeliner = server.client();
        feeding(&pipeliner, &request("GET", "/info", None).repeat(100_000), || {
            let mut byte = [0];
            for _ in 0..5000 {
                pipeliner.socket().read_exact(&mut byte).expect("an answer goes on");
                is_served(&mut bystander);
            }
            let grown = server.memory_kib().saturating_sub(before);
            assert!(grown < 1024, "memory grew by {grown} KiB under a client that hardly reads");
        });
    });
}

#[test]
fn a_reader_of_a_stream_who_stops_reading_holds_up_neither_the_run_nor_others() {
    survives(|server| {
        let mut bystander = bystander(server);
        let body = json!({"message": "Where does the loop sleep?"});
        let completed = server.info("runs", "completed");
        let mut silent = Vec::new();
        for _ in 0..30 {
            let mut client = server.client();
            client.send(request("POST", "/chat/stream", Some(&body)));
            silent.push(client);
        }
        until("all runs have ended", || {
            is_served(&mut bystander);
            bystander.call("GET", "/info", None).json()["runs"]["completed"] == completed + 30.0
        });
        let mut late = silent.pop().expect("there are thirty");
        let head = late.head();
        let events = late.events(&head).rest();
        assert_eq!(events.last().map(common::StreamEvent::kind).as_deref(), Some("done"));
    });
}

// --- Who sends slowly ---------------------------------------------------------------------------------------------

#[test]
fn a_head_a_body_and_chunks_that_drip_in_delay_nobody_and_are_answered() {
    survives(|server| {
        let mut bystander = bystander(server);
        let question = json!({"message": "Where does the loop sleep?"});
        let chunks: String = question.to_string().chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
        for bytes in [
            request("GET", "/health", None),
            request("POST", "/chat", Some(&question)),
            format!("{CHUNKED}{chunks}0\r\n\r\n").into_bytes(),
        ] {
            let mut slow = server.client();
            for byte in bytes {
                slow.send([byte]);
                is_served(&mut bystander);
            }
            assert_eq!(slow.answer().status(), 200);
            is_served(&mut slow);
        }
    });
}

#[test]
fn a_head_that_drips_too_long_and_bodies_that_stop_are_answered_408() {
    survives(|server| {
        let mut bystander = bystander(server);
        let mut head = server.client();
        head.send("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        let mut body = server.client();
        body.send(&request("POST", "/chat", Some(&json!({"message": "x".repeat(1000)})))[..200]);
        let mut chunks = server.client();
        chunks.send(CHUNKED);
        // 2 s of drops for each. The bodies' bound is on silence, and begins anew with each.
        for _ in 0..8 {
            assert!(is_silent(&head, QUARTER), "answered early");
            head.send("x");
            body.send("x");
            chunks.send("1\r\nx\r\n");
            is_served(&mut bystander);
        }
        // The head's bound is 10 s in all, however steadily it comes. It may be noticed late on a busy machine, but not
        // early.
        let quarters = (8..).find(|_| !is_silent(&head, QUARTER) || head.try_send("x").is_err());
        let quarters = quarters.expect("the range has no end");
        assert!((30..80).contains(&quarters), "the head is answered after {quarters} quarters of a second");
        assert!(
            is_silent(&body, QUARTER) && is_silent(&chunks, QUARTER),
            "the bodies still have some seconds"
        );
        for client in [&mut head, &mut body, &mut chunks] {
            let answer = client.answer();
            assert_eq!(answer.status(), 408, "{answer}");
            assert!(answer.head.closes(), "{answer}");
            is_served(&mut bystander);
        }
    });
}
