//! Who asks: a probe, a storm of tasks, and a hog that writes to the same disk.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use serde_json::Value;

use crate::Failed;

const PROBES_PER_ROUND: usize = 4000;
/// A round ends after so long even with fewer probes: the control is slow, which is the point of it.
const ROUND_TIME_MAX: Duration = Duration::from_secs(5);
/// Fewer say nothing about a tail; the slow server is asked so often at least.
const PROBES_MIN: usize = 100;

/// The least of all priorities.
const NICENESS: i32 = 19;
/// What the hog writes between two syncs.
const HOG_BLOCKS: usize = 16;
const HOG_BLOCK_BYTES: usize = 1 << 20;
const HOG_ALIGN: usize = 4096;

/// One kept connection that asks and waits.
pub struct Probe {
    stream: BufReader<TcpStream>,
}

impl Probe {
    /// A new connection.
    pub fn connect(address: SocketAddr) -> Result<Probe, Failed> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Probe { stream: BufReader::new(stream) })
    }

    /// The body of the answer, which must be 200.
    pub fn get(&mut self, path: &str) -> Result<String, Failed> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let (mut length, mut status) = (0, String::new());
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
            if line.is_empty() {
                return Err("the server closed the probe's connection".into());
            }
            if status.is_empty() {
                status = line;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body)?;
        if status.starts_with("HTTP/1.1 200") {
            Ok(body)
        } else {
            Err(format!("{path}: {status}{body}").into())
        }
    }

    /// `/info`.
    pub fn info(&mut self) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.get("/info")?)?)
    }

    /// Of `/health`, asked again and again, in microseconds.
    pub fn percentile_99(&mut self) -> Result<f64, Failed> {
        let mut took = Vec::with_capacity(PROBES_PER_ROUND);
        let round = Instant::now();
        while took.len() < PROBES_PER_ROUND && (took.len() < PROBES_MIN || round.elapsed() < ROUND_TIME_MAX) {
            let began = Instant::now();
            self.get("/health")?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        took.sort_by(f64::total_cmp);
        Ok(took[took.len() * 99 / 100])
    }
}

/// Something that goes on in a thread until it is stopped, and counts.
pub struct Busy {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), Failed>>,
}

impl Busy {
    /// Repeats `turn`, which answers how much it has done. `make` makes it in the thread; then this returns.
    fn start<T: FnMut() -> Result<u64, Failed>>(
        make: impl FnOnce() -> Result<T, Failed> + Send + 'static,
    ) -> Result<Busy, Failed> {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let (made, is_made) = channel();
        let thread = thread::spawn(move || {
            let mut turn = make()?;
            made.send(())?;
            while !stopped.load(Relaxed) {
                counted.fetch_add(turn()?, Relaxed);
            }
            Ok(())
        });
        is_made.recv_timeout(Duration::from_secs(30))?;
        Ok(Busy { stop, count, thread })
    }

    /// Tasks, so many in flight at once: each is waited for until its end is kept, and followed by another. Counts those
    /// that have ended.
    pub fn storm(address: SocketAddr, in_flight: usize) -> Result<Busy, Failed> {
        Busy::start(move || {
            // It stands for other machines, so it takes a processor only when no one else wants it.
            setpriority_process(Some(gettid()), NICENESS)?;
            let mut clients = Clients::connect(address, in_flight)?;
            Ok(move || clients.turn())
        })
    }

    /// Writes a large file and syncs it, over and over, past the page cache: it is to take the disk and not the processor,
    /// of which the loop needs its share to answer. Counts the syncs.
    pub fn hog(folder: &Path) -> Result<Busy, Failed> {
        let path = folder.join("hog");
        Busy::start(move || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
            // O_DIRECT wants memory that begins where a page does (open(2)).
            let memory = vec![0x5a_u8; HOG_BLOCK_BYTES + HOG_ALIGN];
            let start = memory.as_ptr().align_offset(HOG_ALIGN);
            Ok(move || {
                let mut file = options.open(&path)?;
                for _ in 0..HOG_BLOCKS {
                    file.write_all(&memory[start..start + HOG_BLOCK_BYTES])?;
                }
                file.sync_all()?;
                Ok(1)
            })
        })
    }

    /// So far.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Ends it; answers the count.
    pub fn stop(self) -> Result<u64, Failed> {
        self.stop.store(true, Relaxed);
        self.thread.join().map_err(|_| "a client panicked")??;
        Ok(self.count.load(Relaxed))
    }
}

struct Client {
    stream: mio::net::TcpStream,
    question: usize,
    /// It has its 202 and asks for the end.
    is_accepted: bool,
    received: Vec<u8>,
}

struct Clients {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
}

impl Clients {
    fn connect(address: SocketAddr, count: usize) -> Result<Clients, Failed> {
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for index in 0..count {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            let mut client = Client { stream, question: index, is_accepted: false, received: Vec::new() };
            client.ask()?;
            clients.push(client);
        }
        Ok(Clients { poll, events: Events::with_capacity(1024), clients })
    }

    fn turn(&mut self) -> Result<u64, Failed> {
        self.poll.poll(&mut self.events, Some(Duration::from_millis(50)))?;
        let mut ended = 0;
        for event in &self.events {
            ended += u64::from(self.clients[event.token().0].receive()?);
        }
        Ok(ended)
    }
}

impl Client {
    fn ask(&mut self) -> Result<(), Failed> {
        self.question += 1;
        let body = format!("{{\"message\":\"When was kettle {} bought?\"}}", self.question % 10);
        let request = format!(
            "POST /chat/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(self.stream.write_all(request.as_bytes())?)
    }

    /// Asks for the end of a task that was accepted, or for the next one. Answers whether a task has ended.
    fn receive(&mut self) -> Result<bool, Failed> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection of the storm".into()),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let text = String::from_utf8_lossy(&self.received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(false) };
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field");
        if body.len() < field("Content-Length: ")?.parse()? {
            return Ok(false);
        }
        let has_ended = self.is_accepted;
        if has_ended {
            if !body.contains("\"status\":\"completed\"") {
                return Err(format!("a task was not completed: {text}").into());
            }
            self.is_accepted = false;
            self.received.clear();
            self.ask()?;
        } else {
            if !head.starts_with("HTTP/1.1 202") {
                return Err(format!("a task was refused: {text}").into());
            }
            let wait = format!("GET {}?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n", field("Location: ")?);
            self.is_accepted = true;
            self.received.clear();
            self.stream.write_all(wait.as_bytes())?;
        }
        Ok(has_ended)
    }
}
