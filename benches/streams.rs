//! Question: what does a token cost on its way from the model through the loop to a client, with 50 streams at once?
//!
//! A made-up model server in this process writes one token to every stream each 10 ms, and in it the time at which it was
//! written. Readers take the time at which it arrives. The control reads the model's streams directly, with nothing in
//! between: what it measures is this machine and these sockets. Rounds alternate between the two.
//!
//! Must hold: every token of every stream arrives; no turn takes more than 10 ms of CPU; and a token costs little more
//! than one read and one write (the rest are heads, ends, and what the rounds share).
//!
//! ```text
//! cargo bench --bench streams              # 50 streams, 200 tokens each, 3 rounds
//! cargo bench --bench streams -- 100 50 1  # streams, tokens, rounds
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, writes its notes and starts its servers itself"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use oneloop::config::{AgentMode, Config, ModelConfig};
use oneloop::limits::Limits;
use oneloop::store::Memory;
use oneloop::wire::url::Url;
use serde_json::Value;

type Failed = Box<dyn Error + Send + Sync>;

const TICK: Duration = Duration::from_millis(10);
const TURN_CPU_MS_MAX: f64 = 10.0;
/// Reads and writes that one token may cost, with all that is not one token's.
const CALLS_PER_TOKEN_MAX: f64 = 2.5;
const ROUND_TIME_MAX: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failed> {
    // cargo passes `--bench`; what else is a number is ours.
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let streams = numbers.next().unwrap_or(50);
    let tokens = numbers.next().unwrap_or(200);
    let rounds = numbers.next().unwrap_or(3);
    println!("{streams} streams of {tokens} tokens, one each {} ms, {rounds} rounds", TICK.as_millis());

    let began = Instant::now();
    let model = start_model(tokens, began)?;
    let server = start_server(model)?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    let before = info(server)?;
    for round in 0..rounds {
        direct.push(Readers::ask(model, "/v1/chat/completions", streams, round)?.read(began, tokens)?);
        through.push(Readers::ask(server, "/chat/stream", streams, round)?.read(began, tokens)?);
    }
    let after = info(server)?;

    println!("\n  {:<34}{:>10}{:>10}{:>10}", "from the model to the reader, µs", "min", "median", "max");
    row("control: directly, p50", direct.iter().map(|round| percentile(round, 50)));
    row("control: directly, p99", direct.iter().map(|round| percentile(round, 99)));
    row("through the loop, p50", through.iter().map(|round| percentile(round, 50)));
    row("through the loop, p99", through.iter().map(|round| percentile(round, 99)));
    let calls = |info: &Value| {
        let count = |name: &str| info["loop"][name].as_f64().unwrap_or(f64::NAN);
        count("reads") + count("writes")
    };
    let each = (calls(&after) - calls(&before)) / (streams * tokens * rounds) as f64;
    let longest_turn_ms = after["loop"]["longest_turn_ms"].as_f64().ok_or("no longest_turn_ms in /info")?;
    println!("  reads and writes for each token: {each:.2}; longest turn: {longest_turn_ms} ms of CPU");

    let mut failures = Vec::new();
    if longest_turn_ms > TURN_CPU_MS_MAX {
        failures.push(format!("the longest turn took {longest_turn_ms} ms of CPU"));
    }
    if !(1.0..=CALLS_PER_TOKEN_MAX).contains(&each) {
        failures.push(format!("a token cost {each:.2} reads and writes"));
    }
    if failures.is_empty() {
        println!("holds");
        return Ok(());
    }
    Err(failures.join("; ").into())
}

fn percentile(latencies: &[f64], percent: usize) -> f64 {
    latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)]
}

fn row(name: &str, figures: impl Iterator<Item = f64>) {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    println!("  {name:<34}{:>10.0}{median:>10.0}{:>10.0}", figures[0], figures[figures.len() - 1]);
}

// --- The model's server -------------------------------------------------------------------------------------------

/// Answers each request with a stream of `tokens` tokens, all streams at the same ticks. It ends with the process.
fn start_model(tokens: usize, began: Instant) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let (asked, questions) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            // Who only waits for a request costs nothing; the ticks below are one thread's.
            thread::spawn(move || {
                if let Ok(stream) = take_request(stream) {
                    let _ = asked.send(stream);
                }
            });
        }
    });
    thread::spawn(move || {
        let mut streams: Vec<(TcpStream, usize)> = Vec::new();
        loop {
            let next = Instant::now() + TICK;
            streams.extend(questions.try_iter().map(|stream| (stream, 0)));
            streams.retain_mut(|(stream, told)| {
                *told += 1;
                tell(stream, *told, tokens, began).is_ok() && *told <= tokens
            });
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    Ok(address)
}

fn take_request(stream: TcpStream) -> Result<TcpStream, Failed> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let mut stream = reader.into_inner();
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    Ok(stream)
}

fn tell(stream: &mut TcpStream, told: usize, tokens: usize, began: Instant) -> Result<(), Failed> {
    let event = if told <= tokens {
        let now = began.elapsed().as_nanos();
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"at {now} \"}}}}]}}\n\n")
    } else {
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
            .to_owned()
    };
    let end = if told <= tokens { "" } else { "0\r\n\r\n" };
    Ok(stream.write_all(format!("{:x}\r\n{event}\r\n{end}", event.len()).as_bytes())?)
}

// --- Ours ---------------------------------------------------------------------------------------------------------

/// Starts a server in a thread of its own; it ends with the process.
fn start_server(model: SocketAddr) -> Result<SocketAddr, Failed> {
    let folder = std::env::temp_dir().join(format!("oneloop-streams-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("kettle.md"), "# Kettle\n\nThe kettle is on the stove.\n")?;
    let mut model = ModelConfig::new(Url::parse(&format!("http://{model}/v1"))?, "made-up");
    model.agent = AgentMode::Rag;
    let config = Config {
        notes: folder.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        access_log: false,
        runs_max: 1000,
        model: Some(ModelConfig { connections_max: 1000, ..model }),
        ..Config::default()
    };
    let limits = Limits { outbound_sockets_max: 1024, ..Limits::default() };
    let (told, bound) = channel();
    thread::spawn(move || {
        let ended = oneloop::cli::serve(&config, &limits, Box::<Memory>::default(), |address| {
            let _ = told.send(address);
        });
        eprintln!("the server ended: {ended:?}");
    });
    let address = bound.recv_timeout(Duration::from_secs(10))?;
    while info(address)?["index"]["state"] != "ready" {}
    std::fs::remove_dir_all(folder)?;
    Ok(address)
}

fn info(address: SocketAddr) -> Result<Value, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(serde_json::from_str(body)?)
}

// --- Readers ------------------------------------------------------------------------------------------------------

/// So many readers of streams, all in this thread.
struct Readers {
    poll: Poll,
    readers: Vec<Reader>,
}

struct Reader {
    stream: mio::net::TcpStream,
    unread: Vec<u8>,
    tokens: usize,
    is_over: bool,
}

impl Readers {
    fn ask(address: SocketAddr, path: &str, count: usize, round: usize) -> Result<Readers, Failed> {
        let poll = Poll::new()?;
        let mut readers = Vec::new();
        for index in 0..count {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            // Each asks something else, or they would share one call.
            let body = format!("{{\"message\":\"Where is kettle {index} of round {round}?\"}}");
            write!(
                stream,
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            readers.push(Reader { stream, unread: Vec::new(), tokens: 0, is_over: false });
        }
        Ok(Readers { poll, readers })
    }

    /// Reads all streams to their end; answers how long each token took, in microseconds, sorted.
    fn read(mut self, began: Instant, tokens: usize) -> Result<Vec<f64>, Failed> {
        let (mut latencies, mut events) = (Vec::new(), Events::with_capacity(1024));
        let round = Instant::now();
        while self.readers.iter().any(|reader| !reader.is_over) {
            if round.elapsed() > ROUND_TIME_MAX {
                return Err("the streams did not end in time".into());
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                self.readers[event.token().0].receive(began, &mut latencies)?;
            }
        }
        if let Some(reader) = self.readers.iter().find(|reader| reader.tokens != tokens) {
            return Err(format!("a stream had {} tokens of {tokens}", reader.tokens).into());
        }
        latencies.sort_by(f64::total_cmp);
        Ok(latencies)
    }
}

impl Reader {
    fn receive(&mut self, began: Instant, latencies: &mut Vec<f64>) -> Result<(), Failed> {
        let mut buffer = [0; 16 * 1024];
        let mut is_closed = false;
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    is_closed = true;
                    break;
                }
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let now = began.elapsed().as_nanos() as f64;
        // Whole events only; each ends with an empty line, whoever wrote it.
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let event = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            self.unread.drain(..end + 2);
            self.is_over |= event.contains("[DONE]") || event.contains("\"type\":\"done\"");
            if event.contains("\"type\":\"complete\"") {
                continue;
            }
            for (_, rest) in event.match_indices("at ").map(|(at, _)| event.split_at(at + 3)) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(written) = digits.parse::<f64>() {
                    latencies.push((now - written) / 1e3);
                    self.tokens += 1;
                }
            }
        }
        if is_closed && !self.is_over {
            return Err("a stream was closed before its end".into());
        }
        Ok(())
    }
}
