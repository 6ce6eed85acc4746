//! Question: does anything wait behind an agent at work?
//!
//! A folder of 20,000 notes is served twice in this process. Once as it ships, where a search is done in slices of a
//! turn's budget; once as the control, the naive way, where one slice is a whole search. For each, `GET /health` is
//! asked over one kept connection, first of the idle server and then with 200 chats in flight, and the 99th
//! percentile under load is set against the idle one of the same server. The control must come out far worse, or this
//! bench could not tell a loop that blocks from one that doesn't.
//!
//! Rounds alternate between idle and loaded, so a machine that drifts drifts for both. Must hold: the median ratio is
//! at most 5, and no turn of the server as it ships takes more than 10 ms of CPU.
//!
//! ```text
//! cargo bench --bench isolation              # 20,000 notes, 200 chats, 5 rounds
//! cargo bench --bench isolation -- 2000 50 3 # notes, chats, rounds
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, writes its notes and starts its servers itself"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::store::Memory;

type Failed = Box<dyn Error + Send + Sync>;

const PROBES_PER_ROUND: usize = 4000;
/// A round ends after so long even with fewer probes: the control is slow, which is the point of it.
const ROUND_TIME_MAX: Duration = Duration::from_secs(8);
/// Fewer say nothing about a tail; the slow server is asked so often at least.
const PROBES_MIN: usize = 10;
const RATIO_MAX: f64 = 5.0;
const TURN_CPU_MS_MAX: f64 = 10.0;
/// The control must be at least so many times worse than the server as it ships.
const CONTROL_RATIO_MIN: f64 = 3.0;

fn main() -> Result<(), Failed> {
    // cargo passes `--bench`; what else is a number is ours.
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let notes = numbers.next().unwrap_or(20_000);
    let chats = numbers.next().unwrap_or(200);
    let rounds = numbers.next().unwrap_or(5);

    let folder = Folder::make(notes)?;
    println!("{notes} notes, {chats} chats in flight, {rounds} rounds of at most {PROBES_PER_ROUND} probes");
    // Every search is made: what was found before would be no load.
    let sliced = Limits { search_cache_bytes_max: 0, ..Limits::default() };
    let naive = Limits { units_per_turn: u32::MAX, units_per_slice: u32::MAX, ..sliced.clone() };
    let shipped = measure("as it ships", &folder.path, sliced, chats, rounds)?;
    let control = measure("control: one slice is a whole search", &folder.path, naive, chats, rounds)?;

    let mut failures = Vec::new();
    if shipped.ratio > RATIO_MAX {
        failures.push(format!("p99 under load is {:.1} x idle, more than {RATIO_MAX}", shipped.ratio));
    }
    if shipped.longest_turn_ms > TURN_CPU_MS_MAX {
        failures.push(format!("the longest turn took {} ms of CPU", shipped.longest_turn_ms));
    }
    if control.ratio < CONTROL_RATIO_MIN * shipped.ratio {
        failures.push(format!("the control's ratio is only {:.1}: this run proves nothing", control.ratio));
    }
    if failures.is_empty() {
        println!("holds");
        return Ok(());
    }
    Err(failures.join("; ").into())
}

/// What one server did.
struct Measured {
    ratio: f64,
    longest_turn_ms: f64,
}

fn measure(
    name: &str,
    notes: &Path,
    limits: Limits,
    chats: usize,
    rounds: usize,
) -> Result<Measured, Failed> {
    let address = start(notes, limits)?;
    let mut probe = Probe::connect(address)?;
    let began = Instant::now();
    while !probe.get("/health")?.contains("\"ready\"") {}
    println!("\n{name}: indexed in {:.1} s", began.elapsed().as_secs_f64());

    let (mut idle, mut loaded, mut ratios, mut answered) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut under_load = Duration::ZERO;
    for _ in 0..rounds {
        let quiet = probe.percentile_99()?;
        let load = Load::start(address, chats)?;
        let began = Instant::now();
        let busy = probe.percentile_99()?;
        answered += load.stop()?;
        under_load += began.elapsed();
        ratios.push(busy / quiet);
        idle.push(quiet);
        loaded.push(busy);
    }
    if answered == 0 {
        return Err(format!("{name}: no chat was answered, so there was no load").into());
    }
    let info: serde_json::Value = serde_json::from_str(&probe.get("/info")?)?;
    let longest_turn_ms = info["loop"]["longest_turn_ms"].as_f64().ok_or("no longest_turn_ms in /info")?;
    println!("  {:<28}{:>10}{:>10}{:>10}", "", "min", "median", "max");
    row("idle p99, µs", &mut idle);
    row("p99 under load, µs", &mut loaded);
    let ratio = row("ratio", &mut ratios);
    let each_second = answered as f64 / under_load.as_secs_f64();
    println!(
        "  chats answered: {answered}, {each_second:.0} each second; longest turn: {longest_turn_ms} ms of CPU"
    );
    Ok(Measured { ratio, longest_turn_ms })
}

/// Prints a row and answers its median.
fn row(name: &str, figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    println!("  {name:<28}{:>10.1}{median:>10.1}{:>10.1}", figures[0], figures[figures.len() - 1]);
    median
}

/// Starts a server in a thread of its own; it ends with the process.
fn start(notes: &Path, limits: Limits) -> Result<SocketAddr, Failed> {
    let config = Config {
        notes: notes.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        access_log: false,
        ..Config::default()
    };
    let (told, bound) = channel();
    thread::spawn(move || {
        let ended = oneloop::cli::serve(&config, &limits, Box::<Memory>::default(), |address| {
            let _ = told.send(address);
        });
        eprintln!("the server ended: {ended:?}");
    });
    Ok(bound.recv_timeout(Duration::from_secs(10))?)
}

/// One kept connection that asks and waits.
struct Probe {
    stream: BufReader<TcpStream>,
}

impl Probe {
    fn connect(address: SocketAddr) -> Result<Probe, Failed> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Probe { stream: BufReader::new(stream) })
    }

    fn get(&mut self, path: &str) -> Result<String, Failed> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut length = 0;
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
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }

    /// In microseconds.
    fn percentile_99(&mut self) -> Result<f64, Failed> {
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

/// So many chats in flight, always: each answer is followed by the next question, all by one thread.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: thread::JoinHandle<Result<(), Failed>>,
}

impl Load {
    fn start(address: SocketAddr, chats: usize) -> Result<Load, Failed> {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let (begun, all_asked) = channel();
        let thread = thread::spawn(move || {
            let mut clients = Clients::connect(address, chats)?;
            begun.send(())?;
            while !stopped.load(Relaxed) {
                count.fetch_add(clients.turn()?, Relaxed);
            }
            Ok(())
        });
        all_asked.recv_timeout(Duration::from_secs(30))?;
        Ok(Load { stop, answered, thread })
    }

    fn stop(self) -> Result<u64, Failed> {
        self.stop.store(true, Relaxed);
        self.thread.join().map_err(|_| "the load's thread panicked")??;
        Ok(self.answered.load(Relaxed))
    }
}

struct Client {
    stream: mio::net::TcpStream,
    question: usize,
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
            let mut client = Client { stream, question: index, received: Vec::new() };
            client.ask()?;
            clients.push(client);
        }
        Ok(Clients { poll, events: Events::with_capacity(1024), clients })
    }

    /// Answers how many chats were answered.
    fn turn(&mut self) -> Result<u64, Failed> {
        self.poll.poll(&mut self.events, Some(Duration::from_millis(50)))?;
        let mut answered = 0;
        for event in &self.events {
            answered += u64::from(self.clients[event.token().0].receive()?);
        }
        Ok(answered)
    }
}

impl Client {
    fn ask(&mut self) -> Result<(), Failed> {
        self.question += 1;
        let words = [word(self.question * 7), word(self.question * 31 + 5), word(self.question / 3)];
        let body = format!(
            "{{\"message\":\"What does the {} do with the {} of a {}?\"}}",
            words[0], words[1], words[2]
        );
        let request = format!(
            "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(self.stream.write_all(request.as_bytes())?)
    }

    /// An answer has arrived in whole, and the next question is asked.
    fn receive(&mut self) -> Result<bool, Failed> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a chat's connection".into()),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let text = String::from_utf8_lossy(&self.received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(false) };
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("a chat was refused: {head}").into());
        }
        let length =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).ok_or("no length")?;
        if body.len() < length.parse()? {
            return Ok(false);
        }
        self.received.clear();
        self.ask()?;
        Ok(true)
    }
}

/// Notes made of a small vocabulary, so that every word stands in many of them: the costly case for a search.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn make(count: usize) -> Result<Folder, Failed> {
        let path = std::env::temp_dir().join(format!("oneloop-isolation-{}", std::process::id()));
        for index in 0..count {
            let folder = path.join(format!("area-{}", index % 100));
            if index < 100 {
                std::fs::create_dir_all(&folder)?;
            }
            std::fs::write(folder.join(format!("note-{index}.md")), note(index))?;
        }
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn note(index: usize) -> String {
    let mut seed = index as u64 * 0x9e37_79b9_7f4a_7c15 + 1;
    let mut draw = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut text = format!("# The {} {index}\n\n", word(index));
    for section in 0..3 {
        let _ = writeln!(text, "## {} and {}\n", word(draw(2000)), word(draw(2000)));
        for _ in 0..6 {
            // Lower numbers are drawn more often, as in real prose.
            let picked: Vec<String> = (0..10).map(|_| word(draw(2000) * draw(2000) / 2000)).collect();
            let _ = write!(text, "The {} of the {}. ", picked.join(" "), word(draw(300)));
        }
        let _ = writeln!(text, "See [[note-{}]].\n", (index + section * 37) % 20_000);
    }
    text
}

fn word(number: usize) -> String {
    const SYLLABLES: [&str; 20] = [
        "ba", "ke", "li", "mo", "nu", "pra", "sto", "tri", "ve", "zan", "cor", "del", "fin", "gar", "hom",
        "jur", "lem", "nor", "pel", "rin",
    ];
    let number = number % 2000;
    format!("{}{}{}", SYLLABLES[number % 20], SYLLABLES[number / 20 % 20], SYLLABLES[number / 400 + 7])
}
