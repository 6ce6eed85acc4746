//! Bytes both ways, cut anywhere.

use std::sync::Arc;

use oneloop::limits::{KIB, Limits, MIB};
use oneloop::wire::tls::{Read, Tls, TlsError};
use rustls::HandshakeKind;

use crate::authority::Authority;
use crate::random::Random;
use crate::server::{Server, VERSIONS, read_all, settings, settle};

/// Rounds for each version.
const SEEDS: u64 = 40;

/// More than the machine ever holds of what it took and nobody has read: one arrival's records, and the next one's
/// beginning.
const INSIDE_BYTES_MAX: usize = 48 * KIB;

/// Everything is cut at random, the order in which both sides have their go is random, too.
#[test]
fn what_one_side_sends_the_other_reads_however_it_is_cut() {
    let authority = Authority::new();
    for version in VERSIONS {
        let config = Arc::new(settings(authority.issue(&["model.test"]), version));
        for seed in 1..=SEEDS {
            println!("{version:?}, seed {seed}");
            let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            // A fresh trust, so that no session is resumed: the whole handshake is cut.
            let tls = Tls::new(&authority.trust(), "model.test").unwrap();
            converse(tls, Server::new(&config), &mut random);
        }
    }
}

fn converse(mut tls: Tls, mut server: Server, random: &mut Random) {
    let up = noise(random, 64 * KIB);
    let down = noise(random, 128 * KIB);
    let piece_bytes_max = *random.pick(&[1, 7, 300, 5000, 70_000]);
    let (up, down) =
        if piece_bytes_max == 1 { (&up[..up.len().min(500)], &down[..0]) } else { (&up[..], &down[..]) };
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let (mut sent, mut answered, mut closed) = (0, 0, false);
    let mut heard = Vec::new();
    let (mut taken, mut ended) = (0, false);
    for step in 0.. {
        assert!(step < 3_000_000, "they do not come to an end");
        match random.below(5) {
            0 => {
                sent += tls.send(&up[sent..]);
                if sent == up.len() && ended && !closed {
                    tls.close();
                    closed = true;
                }
                tls.take(&mut to_server);
            }
            1 => {
                if answered < down.len() {
                    let piece = &down[answered..][..(1 + random.below(40_000)).min(down.len() - answered)];
                    server.send(piece);
                    answered += piece.len();
                } else if server.heard.len() == up.len() {
                    server.session.send_close_notify();
                }
                to_client.extend(server.take());
            }
            2 => {
                let piece: Vec<u8> =
                    to_server.drain(..some(random, piece_bytes_max, to_server.len())).collect();
                server.receive(&piece);
                assert_eq!(server.error, None);
            }
            3 => {
                let piece = some(random, piece_bytes_max, to_client.len());
                let count = tls.receive(&to_client[..piece]).unwrap();
                assert!(count > 0 || piece == 0 || tls.has_plaintext(), "it can be neither fed nor read");
                to_client.drain(..count);
                taken += count;
                assert!(taken - heard.len() < INSIDE_BYTES_MAX + 4 * KIB + heard.len(), "it hoards");
            }
            _ => {
                let mut space = vec![0; 1 + random.below(20_000)];
                match tls.read(&mut space) {
                    Read::Bytes(count) => heard.extend_from_slice(&space[..count]),
                    Read::Nothing => {}
                    Read::Ended => ended = true,
                }
            }
        }
        if ended && server.was_told_the_end && to_client.is_empty() {
            break;
        }
    }
    assert!(heard == down && server.heard == up, "something was lost or changed");
    assert_eq!(tls.end_of_input(), Ok(()));
    assert_eq!(tls.error(), None);
}

#[test]
fn no_more_is_taken_than_can_be_held_until_it_is_read() {
    let (mut tls, mut server) = connected();
    server.send(&vec![b'x'; MIB]);
    let ciphertext = server.take();
    let taken = tls.receive(&ciphertext).unwrap();
    assert!(taken > 0 && taken < INSIDE_BYTES_MAX, "{taken} bytes are taken");
    assert_eq!(tls.receive(&ciphertext[taken..]), Ok(0), "until it is read");
    let mut heard = Vec::new();
    assert!(!read_all(&mut tls, &mut heard));
    assert!(heard.len() <= taken);
}

#[test]
fn no_more_is_sealed_than_is_wanted_until_it_is_taken() {
    let (mut tls, mut server) = connected();
    let plaintext = vec![b'x'; MIB];
    let limits = Limits::default();
    assert_eq!(tls.send(&plaintext), limits.tls_send_bytes_max);
    assert_eq!(tls.send(&plaintext), 0, "until it is taken");
    let mut out = Vec::new();
    tls.take(&mut out);
    assert!(out.len() <= limits.buffer_bytes, "{} bytes do not fit into a buffer", out.len());
    server.receive(&out);
    assert_eq!(server.heard.len(), limits.tls_send_bytes_max);
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over() {
    let mut tls = Tls::new(&Authority::new().trust(), "model.test").unwrap();
    assert!(tls.is_handshaking() && tls.has_ciphertext(), "its hello waits");
    assert_eq!(tls.send(b"early"), 0);
    let mut hello = Vec::new();
    tls.take(&mut hello);
    assert_eq!(tls.send(b"early"), 0);
    assert!(!tls.has_ciphertext());
}

#[test]
fn an_end_that_was_told_is_not_one_that_was_not() {
    let (mut tls, mut server) = connected();
    let mut heard = Vec::new();
    server.send(b"all of it");
    server.session.send_close_notify();
    settle(&mut tls, &mut server, &mut heard).unwrap();
    assert_eq!(tls.read(&mut [0; 8]), Read::Ended);
    assert_eq!(tls.receive(b"whatever follows"), Ok(16), "it is ignored");
    assert_eq!((tls.end_of_input(), &heard[..]), (Ok(()), &b"all of it"[..]));

    let (mut tls, mut server) = connected();
    let mut heard = Vec::new();
    server.send(b"a part");
    settle(&mut tls, &mut server, &mut heard).unwrap();
    assert_eq!(tls.read(&mut [0; 8]), Read::Nothing);
    assert_eq!(tls.end_of_input(), Err(TlsError::CutShort));
    assert_eq!((tls.error(), &heard[..]), (Some(&TlsError::CutShort), &b"a part"[..]));
    assert_eq!(tls.receive(b"more"), Err(TlsError::CutShort), "it stays broken");
}

#[test]
fn the_peers_end_leaves_our_half_open() {
    let (mut tls, mut server) = connected();
    server.session.send_close_notify();
    settle(&mut tls, &mut server, &mut Vec::new()).unwrap();
    assert_eq!(tls.send(b"still here"), 10);
    settle(&mut tls, &mut server, &mut Vec::new()).unwrap();
    assert!(!server.was_told_the_end && server.heard == b"still here");
}

#[test]
fn who_has_closed_says_no_more_and_hears_no_more() {
    let (mut tls, mut server) = connected();
    let mut heard = Vec::new();
    server.send(b"before");
    settle(&mut tls, &mut server, &mut heard).unwrap();
    tls.close();
    assert_eq!(tls.send(b"not any more"), 0);
    server.send(b"after");
    settle(&mut tls, &mut server, &mut heard).unwrap();
    assert!(server.was_told_the_end && server.heard.is_empty());
    assert_eq!((&heard[..], tls.end_of_input()), (&b"before"[..], Ok(())));
}

#[test]
fn keys_are_changed_in_the_middle() {
    let (mut tls, mut server) = connected();
    let mut heard = Vec::new();
    for round in 0..5 {
        server.send(b"one ");
        server.session.refresh_traffic_keys().unwrap();
        server.send(b"two ");
        settle(&mut tls, &mut server, &mut heard).unwrap();
        assert_eq!(tls.send(b"three "), 6, "round {round}");
        settle(&mut tls, &mut server, &mut heard).unwrap();
    }
    assert_eq!((server.heard, heard), (b"three ".repeat(5), b"one two ".repeat(5)));
    assert_eq!((server.error, tls.error()), (None, None));
}

#[test]
fn a_second_connection_to_the_same_host_resumes_the_session() {
    let authority = Authority::new();
    let trust = authority.trust();
    for version in VERSIONS {
        let config = Arc::new(settings(authority.issue(&["model.test"]), version));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut tls = Tls::new(&trust.clone(), "model.test").unwrap();
            let mut server = Server::new(&config);
            settle(&mut tls, &mut server, &mut Vec::new()).unwrap();
            assert_eq!(server.session.handshake_kind(), Some(expected), "{version:?}");
        }
    }
}

#[test]
fn nothing_of_a_session_is_told_to_a_log() {
    let (tls, _server) = connected();
    assert_eq!(format!("{:?}", Authority::new().trust()), "Trust");
    assert_eq!(
        format!("{tls:?}"),
        "Tls { handshaking: false, ended: false, closed: false, error: None, .. }"
    );
}

/// Two that have shaken hands, with the newest version.
pub fn connected() -> (Tls, Server) {
    let authority = Authority::new();
    let config = Arc::new(settings(authority.issue(&["model.test"]), VERSIONS[1]));
    let mut tls = Tls::new(&authority.trust(), "model.test").unwrap();
    let mut server = Server::new(&config);
    settle(&mut tls, &mut server, &mut Vec::new()).unwrap();
    (tls, server)
}

/// Bytes that differ.
pub fn noise(random: &mut Random, bytes_max: usize) -> Vec<u8> {
    let (count, first) = (random.below(bytes_max), random.below(256));
    (0..count).map(|index| ((index * 31 + index / 256 + first) % 256) as u8).collect()
}

fn some(random: &mut Random, bytes_max: usize, there: usize) -> usize {
    random.below(bytes_max.min(there) + 1)
}
