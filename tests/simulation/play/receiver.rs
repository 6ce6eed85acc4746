//! A receiver of callbacks, made up: it believes only what is well signed, and takes it, refuses it, hangs or is gone as its
//! world has it; in calm weather it takes everything at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};
use ring::hmac;
use serde_json::Value;

use super::model::request::{Request, RequestReader};
use super::town::{Shared, is_terminal};

/// Where it listens: servers of one operator, to which the same is told.
pub const ADDRESSES: [SocketAddr; 3] = [at(9), at(10), at(11)];

const fn at(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 9000)
}

/// What both sides know.
pub const SECRET: &[u8] = b"a secret of the simulated world";

/// What it does about a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Takes,
    /// It takes it, and its answer is lost.
    TakesInSilence,
    Refuses(u16),
    Garbles,
    Resets,
    Hangs,
}

impl Deed {
    const TROUBLES: [Deed; 11] = [
        Deed::TakesInSilence,
        Deed::Refuses(307),
        Deed::Refuses(404),
        Deed::Refuses(410),
        Deed::Refuses(429),
        Deed::Refuses(500),
        Deed::Refuses(503),
        Deed::Refuses(503),
        Deed::Garbles,
        Deed::Resets,
        Deed::Hangs,
    ];

    fn words(self) -> &'static str {
        match self {
            Deed::Takes => "a callback was received",
            Deed::TakesInSilence => "a callback was received, and the answer was lost",
            Deed::Refuses(307) => "a receiver of callbacks redirected",
            Deed::Refuses(404 | 410) => "a receiver of callbacks refused for good",
            Deed::Refuses(429) => "a receiver of callbacks wanted to be left alone for a while",
            Deed::Refuses(_) => "a receiver of callbacks failed",
            Deed::Garbles => "a receiver of callbacks answered with what is no HTTP",
            Deed::Resets => "a receiver of callbacks reset a connection",
            Deed::Hangs => "a receiver of callbacks said nothing",
        }
    }
}

/// What it is like in one world.
#[derive(Debug, Clone)]
pub struct Habits {
    pub trouble_per_mille: u16,
    /// Longest pause before an answer.
    pub think: Duration,
    /// It is gone until then.
    pub comes_at: Duration,
}

impl Habits {
    pub fn draw(random: &mut Random) -> Habits {
        Habits {
            trouble_per_mille: random.pick(&[0, 100, 300, 700, 1000]),
            think: Duration::from_millis(random.pick(&[0, 20, 400, 20_000])),
            comes_at: Duration::from_secs(random.pick(&[0, 0, 0, 20])),
        }
    }
}

/// What was received so far, over all processes.
#[derive(Debug, Default)]
pub struct Calls {
    /// What was told under each id.
    bodies: BTreeMap<String, Vec<u8>>,
    /// Those that were taken.
    pub taken: BTreeSet<String>,
    /// Those that were refused for good.
    pub refused: BTreeSet<String>,
    /// Those that came since the last look.
    pub fresh: Vec<String>,
}

/// The receiver.
#[derive(Debug)]
pub struct Receiver {
    town: Shared,
    habits: Habits,
    random: Random,
    is_listening: bool,
    served: Vec<Served>,
    complaint: Option<String>,
    seen: Vec<&'static str>,
}

#[derive(Debug)]
struct Served {
    line: Line,
    reader: RequestReader,
    /// What is done about the callback under way, and when.
    deed: Option<(Deed, Time)>,
    answer: Vec<u8>,
    is_over: bool,
}

impl Receiver {
    pub fn new(town: &Shared, habits: Habits, random: Random) -> Receiver {
        Receiver {
            town: town.clone(),
            habits,
            random,
            is_listening: false,
            served: Vec::new(),
            complaint: None,
            seen: Vec::new(),
        }
    }

    fn see(&mut self, what: &'static str) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    /// Goes on with one connection; when it wants to again.
    fn serve(&mut self, served: &mut Served, outside: &mut Outside<'_>) -> Result<Option<Time>, String> {
        let (line, now) = (served.line, outside.now());
        if outside.state(line) == State::Reset {
            served.is_over = true;
            outside.close(line);
            return Ok(None);
        }
        loop {
            let mut bytes = Vec::new();
            let received = outside.receive(line, usize::MAX, &mut bytes);
            served.reader.feed(&bytes);
            match received {
                Received::Bytes => continue,
                Received::Nothing => break,
                Received::End | Received::Reset => {
                    served.is_over = true;
                    outside.close(line);
                    return Ok(None);
                }
            }
        }
        loop {
            if !served.answer.is_empty() {
                let sent = outside.send(line, &served.answer);
                served.answer.drain(..sent);
                if !served.answer.is_empty() {
                    return Ok(None);
                }
            }
            let Some((deed, due)) = served.deed else {
                let Some(request) = served.reader.next()? else { return Ok(None) };
                let id = self.check(&request, now)?;
                let is_calm = outside.is_calm();
                let deed = match !is_calm && self.random.chance(self.habits.trouble_per_mille) {
                    true => self.random.pick(&Deed::TROUBLES),
                    false => Deed::Takes,
                };
                let think = self.random.spread(self.habits.think.as_millis() as usize + 1) as u64;
                let due = if is_calm { now } else { now.after(Duration::from_millis(think)) };
                outside.say(|| format!("(receiver) is told of run {id}: {deed:?}"));
                self.see(deed.words());
                let mut calls = self.town.calls.borrow_mut();
                match deed {
                    Deed::Takes | Deed::TakesInSilence => drop(calls.taken.insert(id)),
                    Deed::Refuses(307 | 404 | 410) => drop(calls.refused.insert(id)),
                    Deed::Refuses(_) | Deed::Garbles | Deed::Resets | Deed::Hangs => {}
                }
                served.deed = Some((deed, due));
                continue;
            };
            if matches!(deed, Deed::Hangs | Deed::TakesInSilence) {
                if outside.is_calm() {
                    served.is_over = true;
                    outside.reset(line);
                }
                return Ok(None);
            }
            if now < due && !outside.is_calm() {
                return Ok(Some(due));
            }
            served.answer = match deed {
                Deed::Resets => {
                    served.is_over = true;
                    outside.reset(line);
                    return Ok(None);
                }
                Deed::Garbles => b"HELO there\r\n\r\n".to_vec(),
                Deed::Refuses(429) => response(429, "Retry-After: 5\r\n"),
                Deed::Refuses(status) => response(status, "Location: http://10.0.0.9:9000/elsewhere\r\n"),
                Deed::Takes | Deed::TakesInSilence | Deed::Hangs => response(200, ""),
            };
            served.deed = None;
        }
    }

    /// The run that it is told of, if all of it is as it must be.
    fn check(&mut self, request: &Request, now: Time) -> Result<String, String> {
        if (request.method.as_str(), request.path.as_str()) != ("POST", PATH) {
            return Err(format!("is asked for {} {}", request.method, request.path));
        }
        let host = request.field("host").unwrap_or("");
        if !ADDRESSES.iter().any(|address| address.to_string() == host) {
            return Err(format!("is asked for the host {host:?}"));
        }
        if request.field("content-type") != Some("application/json") {
            return Err("is told no JSON".to_owned());
        }
        let named = |name: &str| request.field(name).ok_or_else(|| format!("is told without {name}"));
        let (id, timestamp) = (named("webhook-id")?, named("webhook-timestamp")?);
        let signature =
            named("webhook-signature")?.strip_prefix("v1,").ok_or("is shown another signature")?;
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend(&request.body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        if base64(hmac::sign(&key, &signed).as_ref()) != signature {
            return Err(format!("is shown a signature that is not good: {signature}"));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        let (told, status) = (body["task_id"].as_str(), body["status"].as_str().unwrap_or("?"));
        if told != Some(id) || !is_terminal(status) || body.get("callback").is_some() {
            return Err(format!("is told of {id} what can't be: {body}"));
        }
        self.town.oracle.borrow_mut().status(id, status, now, now)?;
        let mut calls = self.town.calls.borrow_mut();
        let before = calls.bodies.insert(id.to_owned(), request.body.clone());
        if before.as_ref().is_some_and(|before| *before != request.body) {
            return Err(format!("is told two different things under the id {id}"));
        }
        let is_again = before.is_some();
        calls.fresh.push(id.to_owned());
        drop(calls);
        if is_again {
            self.see("a callback was received twice");
        }
        Ok(id.to_owned())
    }
}

/// What is asked for there.
pub const PATH: &str = "/hooks/?of=tasks";

/// RFC 4648 §4, written once more: the server's own is not to check itself.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn response(status: u16, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} So\r\n{fields}Content-Length: 2\r\n\r\nok").into_bytes()
}

impl Actor for Receiver {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        let is_here = outside.is_calm() || outside.now() >= Time::ZERO.after(self.habits.comes_at);
        if !is_here {
            return Some(Time::ZERO.after(self.habits.comes_at).since(outside.now()).max(Outside::soon()));
        }
        if !std::mem::replace(&mut self.is_listening, true) {
            ADDRESSES.iter().for_each(|address| outside.listen(*address));
        }
        while let Some((line, _)) = outside.accept() {
            let (reader, answer) = (RequestReader::default(), Vec::new());
            self.served.push(Served { line, reader, deed: None, answer, is_over: false });
        }
        let mut wake: Option<Time> = None;
        let mut served = std::mem::take(&mut self.served);
        for served in &mut served {
            match self.serve(served, outside) {
                Ok(next) => wake = wake.into_iter().chain(next).min(),
                Err(wrong) => drop(self.complaint.get_or_insert(wrong)),
            }
        }
        served.retain(|served| !served.is_over);
        self.served = served;
        Some(wake?.since(outside.now()).max(Outside::soon()))
    }

    fn is_done(&self) -> bool {
        true
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        format!("a receiver of callbacks, {:?}", self.habits)
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}
