//! Bytes that are changed on their way, or that never were TLS.

use std::sync::Arc;

use oneloop::wire::tls::{Tls, TlsError};
use rustls::ServerConfig;

use crate::authority::Authority;
use crate::random::Random;
use crate::server::{Server, VERSIONS, feed, read_all, settings};
use crate::transfer::connected;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Bytes of one conversation whose change the protocol does not notice: the version that a record in plain text claims
/// to have, which is only there for old machines on the way (RFC 8446 §5.1); and those at the end, when a signature is a
/// few bytes shorter this time.
const UNNOTICED_MAX: usize = 20;

/// One conversation in which byte `at` of all that the server sends is changed. Answers what the client was told, whether
/// the server's end was told, what went wrong, and how many bytes there were.
fn damaged(
    tls: &mut Tls,
    config: &Arc<ServerConfig>,
    at: usize,
    change: u8,
) -> (Vec<u8>, bool, Option<TlsError>, usize) {
    let mut server = Server::new(config);
    let (mut heard, mut seen, mut answered) = (Vec::new(), 0, false);
    loop {
        let mut out = Vec::new();
        if server.heard.is_empty() && server.error.is_none() {
            tls.send(b"GET / HTTP/1.1\r\n\r\n");
        }
        tls.take(&mut out);
        server.receive(&out);
        if !answered && !server.heard.is_empty() && server.error.is_none() {
            server.send(ANSWER);
            server.session.send_close_notify();
            answered = true;
        }
        let mut bytes = server.take();
        if out.is_empty() && bytes.is_empty() {
            let ended = read_all(tls, &mut heard);
            let error = tls.end_of_input().err();
            return (heard, ended, error, seen);
        }
        if let Some(byte) = at.checked_sub(seen).and_then(|index| bytes.get_mut(index)) {
            *byte ^= change;
        }
        seen += bytes.len();
        let _ = feed(tls, &bytes, &mut heard);
    }
}

#[test]
fn no_changed_byte_gets_through() {
    let authority = Authority::new();
    for version in VERSIONS {
        let config = Arc::new(settings(authority.issue(&["model.test"]), version));
        let mut tls = Tls::new(&authority.trust(), "model.test").unwrap();
        let (heard, ended, error, bytes) = damaged(&mut tls, &config, 0, 0);
        assert_eq!((&heard[..], ended, error), (ANSWER, true, None), "unchanged, it goes well");
        assert!(bytes > 500, "{bytes} bytes are no handshake");
        let mut random = Random::new(0x7715);
        let mut unnoticed = 0;
        for at in 0..bytes {
            let change = 1 << random.below(8);
            let mut tls = Tls::new(&authority.trust(), "model.test").unwrap();
            let (heard, ended, error, _) = damaged(&mut tls, &config, at, change);
            assert!(ANSWER.starts_with(&heard), "{version:?}, byte {at} changed by {change}: another answer");
            if error.is_none() {
                assert!(
                    heard == ANSWER && ended,
                    "{version:?}, byte {at} changed by {change}: a part passes for all"
                );
                unnoticed += 1;
            }
        }
        assert!(unnoticed <= UNNOTICED_MAX, "{version:?}: {unnoticed} changed bytes went unnoticed");
    }
}

#[test]
fn whatever_is_answered_to_the_hello_nothing_panics() {
    let trust = Authority::new().trust();
    for seed in 1..=2000 {
        let mut random = Random::new(seed);
        let mut tls = Tls::new(&trust, "model.test").unwrap();
        let mut bytes: Vec<u8> = (0..random.below(400)).map(|_| random.below(256) as u8).collect();
        // Half of them begin as a record does, so that what is inside is looked at.
        if random.below(2) == 0 && bytes.len() > 9 {
            let inside = (bytes.len() - 5) as u8;
            bytes[..6].copy_from_slice(&[22, 3, 3, 0, inside, 2]);
        }
        let outcome = feed(&mut tls, &bytes, &mut Vec::new()).and_then(|()| tls.end_of_input());
        assert!(outcome.is_err(), "seed {seed}: noise passes for a server");
        tls.close();
        tls.take(&mut Vec::new());
    }
}

#[test]
fn noise_amid_a_connection_breaks_it() {
    for seed in 1..=50 {
        let mut random = Random::new(seed);
        let (mut tls, mut server) = connected();
        server.send(b"before");
        let mut bytes = server.take();
        bytes.extend((0..100).map(|_| random.below(256) as u8));
        let mut heard = Vec::new();
        let outcome = feed(&mut tls, &bytes, &mut heard).and_then(|()| tls.end_of_input());
        assert!(outcome.is_err(), "seed {seed}");
        assert_eq!(heard, b"before", "what came before the noise is as good as any");
        tls.close();
        tls.take(&mut Vec::new());
    }
}

#[test]
fn noise_after_our_end_is_passed_over() {
    let (mut tls, _server) = connected();
    tls.close();
    assert_eq!(feed(&mut tls, &[0x55; 100], &mut Vec::new()), Ok(()));
    assert_eq!(tls.error(), None);
}
