//! Clients that speak wrongly.

use super::survives;
use crate::common::{End, Server, request};

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
    survives(|server| {
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
            let (found, end) = refused(server, request.as_bytes());
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
    });
}

#[test]
fn a_bad_chunk_is_refused_and_the_connection_closed() {
    survives(|server| {
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
            let (found, end) = refused(server, format!("{head}{body}").as_bytes());
            assert_eq!(found, status, "{body:?}");
            assert_eq!(end, End::Closed, "{body:?}");
        }
    });
}

#[test]
fn invalid_bytes_in_a_target_are_refused() {
    survives(|server| {
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
    });
}

#[test]
fn invalid_bytes_in_fields_are_refused_or_passed_over() {
    survives(|server| {
        for (fields, status) in [
            // Bytes above 0x7f are allowed in a value, and mean nothing (RFC 9110 §5.5).
            (&b"Host: localhost\r\nX: \xff\xfe\r\n"[..], 200),
            (b"Host: localhost\r\nUser-Agent: \xc3\x28\r\n", 200),
            (b"Host: localhost\r\nX\xff: a\r\n", 400),
            (b"Host: localhost\r\nX: a\x01b\r\n", 400),
            (b"Host: localhost\r\nX: a\x7fb\r\n", 400),
            (b"Host: local\xffhost\r\n", 400),
            (b"Host: localhost\r\nOrigin: http://\xff\r\n", 403),
            (b"Host: localhost\r\nContent-Length: \xff\r\n", 400),
            (b"Host: localhost\r\nTransfer-Encoding: \xff\r\n", 400),
            (b"Host: localhost\r\nConnection: \xff\r\n", 200),
            (b"Host: localhost\r\nExpect: \xff\r\n", 417),
        ] {
            let mut client = server.client();
            client.send([b"POST /sync HTTP/1.1\r\n", fields, b"\r\n"].concat());
            let answer = client.answer();
            assert_eq!(answer.status(), status, "{}: {answer}", String::from_utf8_lossy(fields));
        }
    });
}
