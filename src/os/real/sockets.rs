//! `mio` sockets in a table, found by key.
//!
//! Each socket is registered once, edge-triggered, for reading and writing both, and never again: what was announced
//! is remembered by whoever holds the key. So a request costs no `epoll_ctl`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_socket_oobinline};

use super::memory;
use crate::base::{Key, Slots};
use crate::limits::Limits;
use crate::os::{AcceptError, Accepted, LISTENER, Net, NetCounters, OUTBOUND, STREAM};

/// What is asked of the poller for each connection.
const WATCHED: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

/// Clients that may wait to be accepted; the system caps it at `net.core.somaxconn`. Beyond it their connects stall.
const LISTEN_BACKLOG: i32 = 4096;

const _: () = assert!(size_of::<usize>() == size_of::<u64>(), "a key must fit into a mio::Token");

/// The table of sockets.
#[derive(Debug)]
pub struct Sockets {
    registry: Registry,
    listeners: Slots<TcpListener>,
    streams: Slots<TcpStream>,
    /// Connections of our own making.
    outbound: Slots<TcpStream>,
    /// An open descriptor kept for the day when there is no other: closing it makes room to accept a client and
    /// turn it away, where it would otherwise stay in the backlog and keep the listener readable for ever.
    spare: Option<File>,
    counters: NetCounters,
}

impl Sockets {
    /// An empty table whose sockets are watched through `registry`.
    pub fn new(registry: Registry, limits: &Limits) -> Sockets {
        Sockets {
            registry,
            listeners: Slots::new(LISTENER, limits.listeners_max),
            // One more than the application keeps: it decides whom to turn away, and needs a key to do so.
            streams: Slots::new(STREAM, limits.connections_max.saturating_add(1)),
            outbound: Slots::new(OUTBOUND, limits.outbound_sockets_max),
            spare: open_spare(),
            counters: NetCounters::default(),
        }
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut TcpStream> {
        let table = if key.kind() == OUTBOUND { &mut self.outbound } else { &mut self.streams };
        table.at_mut(key).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn open_spare() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Net for Sockets {
    fn listen(&mut self, address: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        // A second call only changes the length of the backlog (listen(2)); the standard one has room for 128.
        rustix::net::listen(&listener, LISTEN_BACKLOG)?;
        let bound = listener.local_addr()?;
        let Ok(key) = self.listeners.insert(listener) else {
            return Err(io::Error::other("no more listeners are allowed"));
        };
        let listener = self.listeners.at_mut(key).expect("it was inserted in the line above");
        self.registry.register(listener, token(key), Interest::READABLE)?;
        self.counters.registrations += 1;
        Ok((key, bound))
    }

    fn accept(&mut self, listener: Key) -> Result<Accepted, AcceptError> {
        let Some(socket) = self.listeners.at(listener) else {
            return Err(AcceptError::WouldBlock);
        };
        let (stream, peer) = match socket.accept() {
            Ok(accepted) => accepted,
            Err(error) => return Err(sort_accept_error(error)),
        };
        self.counters.accepts += 1;
        // Answers leave in whole writes of ours; waiting to join them with later ones only delays the last.
        // A peer that is already gone makes this fail, which its first read will tell.
        let _ = stream.set_nodelay(true);
        // Urgent data (RFC 9293 §3.8.5) is a byte like any other, but for one thing: `tcp_recvmsg` ends a read before
        // it, with more behind. So the poller is asked to tell of it: from then on a short read proves nothing.
        let _ = set_socket_oobinline(&stream, true);
        let Ok(key) = self.streams.insert(stream) else {
            return Err(AcceptError::Exhausted(io::Error::other("the table of sockets is full")));
        };
        let stream = self.streams.at_mut(key).expect("it was inserted in the line above");
        if let Err(error) = self.registry.register(stream, token(key), WATCHED) {
            self.streams.remove(key);
            return Err(AcceptError::Exhausted(error));
        }
        self.counters.registrations += 1;
        Ok(Accepted { key, peer })
    }

    fn turn_away(&mut self, listener: Key) -> bool {
        if self.spare.take().is_none() {
            self.spare = open_spare();
            return false;
        }
        let accepted = self.listeners.at(listener).map(TcpListener::accept);
        let turned_away = matches!(accepted, Some(Ok(_)));
        drop(accepted);
        self.spare = open_spare();
        self.counters.turned_away += u64::from(turned_away);
        turned_away
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Key> {
        self.counters.connects += 1;
        let stream = TcpStream::connect(address)?;
        let _ = stream.set_nodelay(true);
        let Ok(key) = self.outbound.insert(stream) else {
            return Err(io::Error::other("no more connections to others are allowed"));
        };
        let stream = self.outbound.at_mut(key).expect("it was inserted in the line above");
        if let Err(error) = self.registry.register(stream, token(key), WATCHED) {
            self.outbound.remove(key);
            return Err(error);
        }
        self.counters.registrations += 1;
        Ok(key)
    }

    fn connected(&mut self, key: Key) -> io::Result<()> {
        let stream = self.stream(key)?;
        // mio, `TcpStream::connect`: first the error, then whether there is a peer.
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, key: Key, space: &mut [u8]) -> io::Result<usize> {
        self.counters.reads += 1;
        self.stream(key)?.read(space)
    }

    fn write(&mut self, key: Key, bytes: &[u8]) -> io::Result<usize> {
        self.counters.writes += 1;
        self.stream(key)?.write(bytes)
    }

    fn shutdown_write(&mut self, key: Key) {
        if let Ok(stream) = self.stream(key) {
            // It fails only when the connection is gone already, which is no worse than what was wanted.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    fn reset_on_close(&mut self, key: Key) {
        if let Ok(stream) = self.stream(key) {
            let _ = set_socket_linger(&*stream, Some(std::time::Duration::ZERO));
        }
    }

    fn close(&mut self, key: Key) {
        // Closing the descriptor also takes it out of epoll: nobody else holds a copy of it.
        match key.kind() {
            LISTENER => drop(self.listeners.remove(key)),
            OUTBOUND => drop(self.outbound.remove(key)),
            _ => drop(self.streams.remove(key)),
        }
    }

    fn tidy(&mut self) {
        self.streams.tidy();
        // Last, when all else has been let go.
        memory::give_back();
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}

fn sort_accept_error(error: io::Error) -> AcceptError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN) => AcceptError::WouldBlock,
        // accept(2): errors already pending on the new socket come out here and are to be treated like EAGAIN "by
        // retrying"; EINTR likewise.
        Some(
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::PERM,
        ) => AcceptError::ClientGone,
        _ => AcceptError::Exhausted(error),
    }
}

fn token(key: Key) -> Token {
    Token(key.to_bits() as usize)
}
