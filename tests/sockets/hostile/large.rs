//! Requests that are too large, too deep, or without end.

use super::{bystander, is_served, survives};
use crate::common::{Client, End, Server};

#[test]
fn an_upload_too_large_is_refused_from_its_declared_size_before_100_continue() {
    survives(|server| {
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
    });
}

#[test]
fn a_body_at_its_bound_is_taken_after_100_continue() {
    survives(|server| {
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
    });
}

#[test]
fn an_endless_chunked_upload_is_cut_at_the_bound() {
    survives(|server| {
        let mut bystander = bystander(server);
        let before = server.memory_kib();
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
        let grown = server.memory_kib().saturating_sub(before);
        assert!(grown < 4 * 1024, "memory grew by {grown} KiB");
    });
}

/// Begins so many uploads, sends so many bytes of each, and cuts them off.
fn uploads_cut_off(count: u64, body_kib: u64, server: &Server) {
    let mut bystander = bystander(server);
    let before = server.memory_kib();
    let part = "x".repeat(body_kib as usize * 1024);
    let mut uploads = Vec::new();
    for _ in 0..count {
        let mut client = server.client();
        client.send(format!(
            "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{part}",
            200 * 1024
        ));
        is_served(&mut bystander);
        uploads.push(client);
    }
    let (grown, sent) = (server.memory_kib().saturating_sub(before), count * body_kib);
    // Some of it finds room in what normal traffic has freed.
    assert!((sent / 2..sent * 2).contains(&grown), "{sent} KiB of bodies take {grown} KiB");
    uploads.into_iter().for_each(Client::reset);
}

#[test]
fn a_hundred_large_bodies_that_never_end_are_dropped_with_their_connections() {
    survives(|server| uploads_cut_off(100, 120, server));
}

#[test]
fn twenty_small_bodies_that_never_end_are_dropped_with_their_connections() {
    survives(|server| uploads_cut_off(20, 15, server));
}

#[test]
fn heads_and_targets_beyond_their_bounds_have_their_own_status() {
    survives(|server| {
        let target =
            |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(bytes - 1));
        let fields = |count: usize| {
            let fields: String = (1..count).map(|number| format!("X-{number}: {number}\r\n")).collect();
            format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
        };
        let value = |bytes: usize| {
            format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(bytes))
        };
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
    });
}

#[test]
fn bodies_that_are_no_question_are_refused_and_the_connection_is_kept() {
    survives(|server| {
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
    });
}
