//! A connection on a socket that announces everything once: nothing may be left behind that nobody speaks of again.
//!
//! The socket is a script: what has arrived, how much can be sent, what is announced. The server behind it is real.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use oneloop::base::{Key, Pool, Pressure, Slots};
use oneloop::limits::{KIB, Limits};
use oneloop::net::{Connection, Fill};
use oneloop::os::{AcceptError, Accepted, Net, NetCounters, OUTBOUND, Ready};
use oneloop::wire::tls::{Tls, TlsError};
use rustls::{AlertDescription, Error};

use crate::authority::Authority;
use crate::random::Random;
use crate::server::{Server, VERSIONS, settings};
use crate::transfer::noise;

/// One socket.
#[derive(Default)]
struct Socket {
    /// Bytes that have come from the server and were not read.
    arrived: VecDeque<u8>,
    /// The server has shut its side.
    ended: bool,
    /// Bytes that were written.
    left: Vec<u8>,
    /// Bytes that can be written before it is full.
    room: usize,
    /// A write has found it full: more room will be announced.
    is_full: bool,
    /// Announcements that wait to be told.
    news: Option<Ready>,
    /// Odds that a call is interrupted, in percent.
    interrupts: usize,
    random: Option<Random>,
    counters: NetCounters,
}

impl Socket {
    fn announce(&mut self, key: Key) -> &mut Ready {
        self.news.get_or_insert(Ready::quiet(key))
    }

    fn is_interrupted(&mut self) -> bool {
        let interrupts = self.interrupts;
        self.random.as_mut().is_some_and(|random| random.below(100) < interrupts)
    }
}

impl Net for Socket {
    fn listen(&mut self, _: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        Err(ErrorKind::Unsupported.into())
    }
    fn accept(&mut self, _: Key) -> Result<Accepted, AcceptError> {
        Err(AcceptError::WouldBlock)
    }
    fn turn_away(&mut self, _: Key) -> bool {
        false
    }
    fn connect(&mut self, _: SocketAddr) -> io::Result<Key> {
        Err(ErrorKind::Unsupported.into())
    }
    fn connected(&mut self, _: Key) -> io::Result<()> {
        Ok(())
    }
    fn read(&mut self, _: Key, space: &mut [u8]) -> io::Result<usize> {
        self.counters.reads += 1;
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted.into());
        }
        if self.arrived.is_empty() && !self.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = space.len().min(self.arrived.len());
        for (place, byte) in space.iter_mut().zip(self.arrived.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
    fn write(&mut self, _: Key, bytes: &[u8]) -> io::Result<usize> {
        self.counters.writes += 1;
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted.into());
        }
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.is_full = count < bytes.len();
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.left.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
    fn shutdown_write(&mut self, _: Key) {}
    fn reset_on_close(&mut self, _: Key) {}
    fn close(&mut self, _: Key) {}
    fn counters(&self) -> NetCounters {
        self.counters
    }
}

/// A client's connection, its socket, and the server.
struct Scene {
    socket: Socket,
    server: Server,
    connection: Connection,
    pool: Pool,
    limits: Limits,
    /// A go in the pending queue was asked for.
    again: Option<Ready>,
    /// Plaintext that came out of the inbox.
    heard: Vec<u8>,
    /// What the last fill said.
    last: Fill,
}

impl Scene {
    fn new(version: usize, limits: Limits) -> Scene {
        let authority = Authority::new();
        let config = Arc::new(settings(authority.issue(&["model.test"]), VERSIONS[version]));
        Scene::between(Tls::new(&authority.trust(), "model.test").unwrap(), Server::new(&config), limits)
    }

    fn between(tls: Tls, server: Server, limits: Limits) -> Scene {
        let key = Slots::new(OUTBOUND, 1).insert(()).unwrap();
        let mut connection = Connection::new(key, &limits);
        connection.secure(tls);
        let pool = Pool::new(limits.buffer_bytes, limits.buffers_spare_max);
        let socket = Socket { room: usize::MAX, ..Socket::default() };
        let heard = Vec::new();
        Scene { socket, server, connection, pool, limits, again: None, heard, last: Fill::Nothing }
    }

    /// What a turn of the loop does for a connection that was announced, or has its go.
    fn serve(&mut self, ready: Ready) {
        self.connection.note(ready);
        let mut allowance = self.limits.read_bytes_per_turn;
        let spent = loop {
            self.last = self.connection.fill(&mut self.socket, &mut self.pool, &mut allowance);
            match self.last {
                Fill::Received => {
                    let unread = self.connection.inbox.unread();
                    assert!(!unread.is_empty(), "it says that it has received something");
                    self.heard.extend_from_slice(unread);
                    self.connection.inbox.consume(unread.len());
                }
                Fill::Spent => break true,
                Fill::Full => panic!("the inbox is empty"),
                Fill::Nothing | Fill::Ended | Fill::Broken => break false,
            }
        };
        self.connection.flush(&mut self.socket);
        if (spent || self.connection.may_write()) && !self.connection.broken() {
            self.again = self.connection.ask_again().or(self.again);
        }
        self.connection.settle(&mut self.pool);
    }

    /// Serves until nobody has anything to announce or to ask for.
    fn run(&mut self) {
        self.serve_quietly();
        loop {
            self.pass_to_server();
            self.pass_to_client();
            let Some(ready) = self.socket.news.take().or_else(|| self.again.take()) else { return };
            self.serve(ready);
        }
    }

    /// The owner has a reason of its own to look.
    fn serve_quietly(&mut self) {
        self.serve(Ready::quiet(self.connection.key));
    }

    fn pass_to_server(&mut self) {
        let bytes = std::mem::take(&mut self.socket.left);
        self.server.receive(&bytes);
    }

    /// All that the server has to say arrives at once, and is announced once.
    fn pass_to_client(&mut self) {
        let bytes = self.server.take();
        if !bytes.is_empty() {
            self.socket.arrived.extend(&bytes);
            self.socket.announce(self.connection.key).readable = true;
        }
    }

    fn make_room(&mut self, room: usize) {
        self.socket.room = room;
        if self.socket.is_full && room > 0 {
            self.socket.is_full = false;
            self.socket.announce(self.connection.key).writable = true;
        }
    }

    fn end(&mut self) {
        self.socket.ended = true;
        let news = self.socket.announce(self.connection.key);
        (news.readable, news.read_closed) = (true, true);
    }
}

#[test]
fn a_burst_of_many_inboxes_is_read_to_its_end_upon_one_announcement() {
    for version in [0, 1] {
        let mut scene = Scene::new(version, Limits::default());
        scene.run();
        let answer = vec![b'x'; 300 * KIB];
        scene.server.send(&answer);
        scene.run();
        assert!(scene.heard == answer, "{} of {} bytes", scene.heard.len(), answer.len());
        assert_eq!(scene.last, Fill::Nothing);
    }
}

#[test]
fn a_record_larger_than_the_inbox_comes_out_piece_by_piece_and_without_a_further_read() {
    let limits = Limits { buffer_bytes: 4 * KIB, ..Limits::default() };
    let mut scene = Scene::new(1, limits);
    scene.run();
    // One record of the largest size (RFC 8446 §5.1).
    let answer = vec![b'x'; 16 * KIB];
    scene.server.send(&answer);
    scene.pass_to_client();
    let ready = scene.socket.news.take().unwrap();
    scene.connection.note(ready);
    let mut allowance = usize::MAX;
    let fill = |scene: &mut Scene, allowance: &mut usize| {
        scene.connection.fill(&mut scene.socket, &mut scene.pool, allowance)
    };
    assert_eq!(fill(&mut scene, &mut allowance), Fill::Received);
    let reads = scene.socket.counters.reads;
    assert_eq!(scene.connection.inbox.unread().len(), 4 * KIB, "a whole inbox");
    assert_eq!(fill(&mut scene, &mut allowance), Fill::Full, "the rest has to wait");
    for _ in 0..3 {
        scene.connection.inbox.consume(4 * KIB);
        assert_eq!(fill(&mut scene, &mut allowance), Fill::Received);
        assert_eq!(scene.connection.inbox.unread().len(), 4 * KIB);
    }
    scene.connection.inbox.consume(4 * KIB);
    assert_eq!(fill(&mut scene, &mut allowance), Fill::Nothing);
    assert_eq!(scene.socket.counters.reads, reads, "all of it was inside");
}

#[test]
fn a_handshake_needs_a_flush_and_asks_for_one() {
    let mut scene = Scene::new(1, Limits::default());
    assert!(scene.connection.may_write() && scene.connection.is_handshaking(), "the hello waits");
    scene.connection.outbox.push(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let taken = scene.connection.flush(&mut scene.socket);
    assert!(taken > 100, "{taken} bytes are no hello");
    // A connection that asked for another go now would do so for ever.
    assert!(!scene.connection.may_write(), "it is the server's turn");
    assert_eq!(scene.connection.flush(&mut scene.socket), 0);
    assert_eq!(scene.connection.outbox.len(), 18, "nothing of the request has left");
    scene.pass_to_server();
    scene.pass_to_client();
    let ready = scene.socket.news.take().unwrap();
    scene.connection.note(ready);
    let fill = scene.connection.fill(&mut scene.socket, &mut scene.pool, &mut 100_000);
    assert_eq!(fill, Fill::Nothing, "no plaintext is in it");
    assert!(scene.connection.may_write() && !scene.connection.is_handshaking());
    let writes = scene.socket.counters.writes;
    scene.connection.flush(&mut scene.socket);
    assert_eq!(scene.socket.counters.writes - writes, 1, "our end of the handshake and the request together");
    scene.pass_to_server();
    assert_eq!(scene.server.heard, b"GET / HTTP/1.1\r\n\r\n");
    assert!(scene.connection.outbox.is_empty() && !scene.connection.may_write());
}

#[test]
fn a_byte_leaves_the_outbox_when_its_record_has_left() {
    let mut scene = Scene::new(1, Limits::default());
    scene.run();
    scene.make_room(100);
    scene.connection.outbox.push(&[b'x'; 5000]).unwrap();
    assert_eq!(scene.connection.flush(&mut scene.socket), 100);
    assert_eq!(scene.connection.outbox.len(), 5000);
    assert!(!scene.connection.may_write(), "the socket is full");
    scene.make_room(usize::MAX);
    scene.run();
    assert!(scene.connection.outbox.is_empty());
    assert_eq!(scene.server.heard.len(), 5000);
}

#[test]
fn an_end_without_a_word_is_told_from_one_with() {
    for says_so in [true, false] {
        let mut scene = Scene::new(1, Limits::default());
        scene.run();
        scene.server.send(b"all of it, or not");
        if says_so {
            scene.server.session.send_close_notify();
        }
        scene.pass_to_client();
        scene.end();
        scene.run();
        assert_eq!((scene.last, &scene.heard[..]), (Fill::Ended, &b"all of it, or not"[..]));
        assert!(scene.connection.ended() && !scene.connection.broken());
        let expected = if says_so { None } else { Some(&TlsError::CutShort) };
        assert_eq!(scene.connection.tls_error(), expected);
    }
}

#[test]
fn an_end_amid_the_handshake_breaks_the_connection() {
    let mut scene = Scene::new(1, Limits::default());
    scene.end();
    let ready = scene.socket.news.take().unwrap();
    scene.serve(ready);
    assert_eq!((scene.last, scene.connection.tls_error()), (Fill::Broken, Some(&TlsError::ClosedEarly)));
    assert!(scene.connection.broken() && !scene.connection.may_write());
}

#[test]
fn a_certificate_that_is_refused_breaks_the_connection_and_the_server_is_told() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let config = Arc::new(settings(theirs.issue(&["model.test"]), VERSIONS[1]));
    let tls = Tls::new(&ours.trust(), "other.test").unwrap();
    let mut scene = Scene::between(tls, Server::new(&config), Limits::default());
    scene.run();
    assert_eq!(scene.last, Fill::Broken);
    assert_eq!(scene.connection.tls_error(), Some(&TlsError::BadSignature));
    scene.pass_to_server();
    assert_eq!(scene.server.error, Some(Error::AlertReceived(AlertDescription::DecryptError)));
}

#[test]
fn what_came_before_the_damage_is_read_first() {
    let mut scene = Scene::new(1, Limits::default());
    scene.run();
    scene.server.send(b"good");
    scene.pass_to_client();
    scene.socket.arrived.extend([0x55; 64]);
    scene.run();
    assert_eq!((scene.last, &scene.heard[..]), (Fill::Broken, &b"good"[..]));
    scene.pass_to_server();
    assert_eq!(scene.server.error, Some(Error::AlertReceived(AlertDescription::DecodeError)));
}

#[test]
fn a_goodbye_goes_behind_all_that_waits() {
    let mut scene = Scene::new(1, Limits::default());
    scene.connection.outbox.push(&[b'x'; 50 * KIB]).unwrap();
    scene.connection.close_output();
    scene.run();
    assert_eq!(scene.server.heard.len(), 50 * KIB);
    assert!(scene.server.was_told_the_end && !scene.connection.may_write());

    let mut scene = Scene::new(1, Limits::default());
    scene.run();
    scene.connection.close_output();
    assert!(scene.connection.may_write());
    scene.run();
    assert!(scene.server.was_told_the_end && !scene.connection.may_write());
}

#[test]
fn a_tunnel_becomes_secure_once_it_stands() {
    let authority = Authority::new();
    let config = Arc::new(settings(authority.issue(&["model.test"]), VERSIONS[1]));
    let tls = Tls::new(&authority.trust(), "model.test").unwrap();
    let mut scene = Scene::between(tls, Server::new(&config), Limits::default());
    scene.connection = Connection::new(scene.connection.key, &scene.limits);
    assert!(!scene.connection.is_handshaking() && scene.connection.tls_error().is_none());
    scene.connection.outbox.push(b"CONNECT model.test:443 HTTP/1.1\r\n\r\n").unwrap();
    scene.connection.flush(&mut scene.socket);
    assert_eq!(std::mem::take(&mut scene.socket.left), b"CONNECT model.test:443 HTTP/1.1\r\n\r\n");
    scene.socket.arrived.extend(b"HTTP/1.1 200 OK\r\n\r\n");
    scene.socket.announce(scene.connection.key).readable = true;
    let ready = scene.socket.news.take().unwrap();
    scene.serve(ready);
    assert_eq!(std::mem::take(&mut scene.heard), b"HTTP/1.1 200 OK\r\n\r\n");

    scene.connection.secure(Tls::new(&authority.trust(), "model.test").unwrap());
    scene.connection.outbox.push(b"hello").unwrap();
    scene.run();
    scene.server.send(b"welcome");
    scene.run();
    assert_eq!((&scene.server.heard[..], &scene.heard[..]), (&b"hello"[..], &b"welcome"[..]));
}

#[test]
fn an_idle_connection_owns_no_buffer_and_a_released_one_forgets_what_it_had() {
    let mut scene = Scene::new(1, Limits::default());
    scene.run();
    scene.server.send(&vec![b'x'; 40 * KIB]);
    scene.connection.outbox.push(&[b'x'; 40 * KIB]).unwrap();
    scene.run();
    assert_eq!((scene.connection.inbox.capacity(), scene.connection.outbox.capacity()), (0, 0));

    scene.make_room(100);
    scene.connection.outbox.push(&[b'x'; 40 * KIB]).unwrap();
    scene.connection.flush(&mut scene.socket);
    scene.connection.release(&mut scene.pool);
    assert_eq!((scene.connection.inbox.capacity(), scene.connection.outbox.capacity()), (0, 0));
    scene.make_room(usize::MAX);
    scene.connection.note(scene.socket.news.take().unwrap());
    assert_eq!(scene.connection.flush(&mut scene.socket), 0);
}

/// Both send much; the socket is short of room, calls are interrupted, the budget of a turn is small, and buffers are of
/// any size. When nobody has anything to announce or to ask for, everything must have come over.
#[test]
fn nothing_is_left_behind_whatever_happens_in_between() {
    for seed in 1..=60 {
        println!("seed {seed}");
        let mut random = Random::new(seed * 0x9e37);
        let limits = Limits {
            buffer_bytes: *random.pick(&[64, 1000, 16 * KIB]),
            read_bytes_per_turn: *random.pick(&[1, 500, 64 * KIB]),
            ..Limits::default()
        };
        let mut scene = Scene::new(random.below(2), limits);
        scene.socket.interrupts = *random.pick(&[0, 5, 50]);
        scene.socket.random = Some(Random::new(seed));
        scene.make_room(0);
        let (up, down) = (noise(&mut random, 200 * KIB), noise(&mut random, 200 * KIB));
        let (mut pushed, mut answered) = (0, 0);
        scene.serve_quietly();
        for step in 0.. {
            assert!(step < 1_000_000, "it does not come to an end");
            match random.below(6) {
                0 if scene.connection.outbox.pressure() == Pressure::Low && pushed < up.len() => {
                    let piece = &up[pushed..][..(1 + random.below(9000)).min(up.len() - pushed)];
                    scene.connection.outbox.push(piece).unwrap();
                    pushed += piece.len();
                    scene.serve_quietly();
                }
                1 if answered < down.len() => {
                    let piece = &down[answered..][..(1 + random.below(40_000)).min(down.len() - answered)];
                    scene.server.send(piece);
                    answered += piece.len();
                }
                2 => scene.pass_to_server(),
                3 => scene.pass_to_client(),
                4 => {
                    let room = random.below(20_000);
                    scene.make_room(room);
                }
                _ => {
                    if let Some(ready) = scene.socket.news.take().or_else(|| scene.again.take()) {
                        scene.serve(ready);
                    } else if pushed == up.len() && answered == down.len() {
                        scene.pass_to_server();
                        scene.pass_to_client();
                        scene.make_room(usize::MAX);
                        if scene.socket.news.is_none() && scene.again.is_none() {
                            break;
                        }
                    }
                }
            }
        }
        assert!(scene.connection.outbox.is_empty(), "{} bytes wait", scene.connection.outbox.len());
        assert!(scene.server.heard == up, "the server heard {} of {}", scene.server.heard.len(), up.len());
        assert!(scene.heard == down, "the client heard {} of {}", scene.heard.len(), down.len());
    }
}
