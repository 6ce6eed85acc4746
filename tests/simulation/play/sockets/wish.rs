//! What a client wants of its socket, and the messages and frames that it says it with.

use std::time::Duration;

use oneloop::base::Time;
use oneloop::limits::Limits;
use oneloop::os::sim::Outside;
use serde_json::{Value, json};

use super::super::judge::Question;
use super::super::town::SUBJECTS;
use super::frames::{BINARY, CLOSE, LAST, PING, PONG, TEXT, frame, mask, message};
use super::{Asked, Pending, Phase, Socket, soonest};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Asks about a subject, and has the run cancelled once it is accepted. One that `stays` goes on without its reader.
    Chat { subject: usize, cancels: bool, stays: bool },
    /// Cancels a run.
    Cancel { run: String },
    /// Cancels a run that somebody else may have begun.
    Meddle,
    /// Reads a run of its own again, from some event on that it has seen.
    Again,
    /// A `ping` as a message.
    Say,
    /// A ping as a frame.
    Ping,
    /// Says nothing unless it is asked, for so many quarters of the time after which it is.
    Idle { quarters: u32 },
    /// Says nothing from here on.
    Die,
    /// A message that is refused.
    Nonsense { place: usize },
    /// A frame that there must not be.
    Breach { place: usize },
}

/// Messages that are refused, with what status.
pub const NONSENSE: [(&str, u16); 7] = [
    ("{\"message\": ", 422),
    ("[]", 422),
    ("{\"type\":\"shout\"", 422),
    ("{\"type\":\"resume\"", 422),
    ("{\"type\":\"resume\",\"run_id\":\"7fffffff-ffff-7000-8000-000000000001\"", 404),
    ("{\"type\":\"cancel\",\"run_id\":7", 422),
    ("{\"type\":\"chat\",\"message\":\"\"", 422),
];

/// Nonsense up to here is not even an object, so its answer can't name it.
pub const NAMELESS: usize = 2;

/// What breaks the protocol, and the code that it is closed with.
pub const BREACHES: [(&str, u16); 13] = [
    ("a frame without a mask", 1002),
    ("a reserved bit", 1002),
    ("a reserved opcode", 1002),
    ("a message that is too big", 1009),
    ("a continuation of nothing", 1002),
    ("a ping in fragments", 1002),
    ("a ping that is too long", 1002),
    ("a length in too many bytes", 1002),
    ("a text that is not UTF-8", 1007),
    ("a binary message", 1003),
    ("a code that must not be sent", 1002),
    ("a length of 2^63", 1002),
    ("a message within another", 1002),
];

impl Asked {
    /// The wish that it came from, if it is to be asked again over another connection.
    pub(super) fn again(self) -> Option<Wish> {
        match self {
            Asked::Chat { wish, .. } => Some(wish),
            Asked::Cancel { run } => Some(Wish::Cancel { run }),
            Asked::Pong => Some(Wish::Say),
            Asked::Nonsense { place } => Some(Wish::Nonsense { place }),
            // A run that is not read is gone on with in any case.
            Asked::Resume { .. } => None,
        }
    }
}

impl Socket {
    /// Says what there is to say; answers when there may be more.
    pub(super) fn ask(&mut self, calm: bool, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        let may_speak = self.phase == Phase::Open || (self.phase == Phase::Greeting && self.hurries);
        if !may_speak {
            return None;
        }
        let mut wake = self.go_on_with_runs(calm, now);
        if now < self.silent_until {
            return soonest(wake, Some(self.silent_until));
        }
        let at_once = if calm { self.manner.at_once.min(4) } else { self.manner.at_once };
        while self.pending.len() < at_once && self.breach.is_none() {
            if now < self.next_wish {
                return if self.agenda.is_empty() { wake } else { soonest(wake, Some(self.next_wish)) };
            }
            let Some(wish) = self.agenda.pop_front() else { break };
            outside.say(|| format!("({}) wants: {wish:?}", self.manner.name));
            match wish {
                Wish::Idle { quarters } => {
                    let time = self.town.limits.websocket_ping_interval * quarters / 4;
                    self.silent_until = now.after(time);
                    return soonest(wake, Some(self.silent_until));
                }
                Wish::Die => {
                    // What is asked for is waited for first.
                    let is_quiet =
                        self.pending.is_empty() && self.pings.is_empty() && self.outgoing.is_empty();
                    if self.phase == Phase::Open && is_quiet {
                        self.dead = Some(calm);
                        return wake;
                    }
                    self.agenda.push_front(Wish::Die);
                    return wake;
                }
                // Who breaks it must speak it.
                Wish::Breach { .. } if self.phase == Phase::Greeting => {
                    self.agenda.push_front(wish);
                    return wake;
                }
                wish => self.say(wish, calm, now),
            }
            if !calm {
                let think = self.random.spread(3000) as u64;
                self.next_wish =
                    now.after(Duration::from_millis(if self.random.chance(500) { think } else { 0 }));
            }
        }
        if self.pending.len() < at_once && !self.agenda.is_empty() {
            wake = soonest(wake, Some(self.next_wish));
        }
        wake
    }

    /// Whatever has not ended is read over this connection.
    fn go_on_with_runs(&mut self, calm: bool, now: Time) -> Option<Time> {
        let mut wake = None;
        let mut unread = Vec::new();
        for (run, own) in self.runs.iter().filter(|(_, own)| !own.is_done && !own.is_read) {
            let is_asked = self
                .pending
                .values()
                .any(|pending| matches!(&pending.asked, Asked::Resume { run: asked, .. } if asked == run));
            match is_asked {
                true => {}
                false if own.next_try > now => wake = soonest(wake, Some(own.next_try)),
                false => unread.push((run.clone(), own.after)),
            }
        }
        for (run, after) in unread {
            self.resume(run, after, calm, now);
        }
        wake
    }

    fn resume(&mut self, run: String, after: u64, calm: bool, now: Time) {
        let message = json!({ "type": "resume", "run_id": run, "after": after });
        self.send(message, Asked::Resume { run, after }, calm, now);
    }

    fn say(&mut self, wish: Wish, calm: bool, now: Time) {
        match wish {
            Wish::Chat { subject, cancels, stays } => {
                let (question, mut body) =
                    Question::draw(&self.town, &mut self.random, SUBJECTS[subject], false);
                body["type"] = json!("chat");
                if stays {
                    body["on_disconnect"] = json!("continue");
                }
                let is_indexed = self.town.is_indexed.get();
                let asked = Asked::Chat { wish, subject, question, is_indexed, stays, cancels };
                self.send(body, asked, calm, now);
            }
            Wish::Cancel { run } => {
                self.town.oracle.borrow_mut().want_end(&run);
                self.send(json!({ "type": "cancel", "run_id": run }), Asked::Cancel { run }, calm, now);
            }
            Wish::Meddle => {
                let run = self.town.oracle.borrow().any_run(&mut self.random);
                if let Some(run) = run {
                    self.say(Wish::Cancel { run }, calm, now);
                }
            }
            Wish::Again => {
                let known = self.runs.iter().filter(|(_, own)| own.after > 0 && (own.is_read || own.is_done));
                let known: Vec<(String, u64)> = known.map(|(run, own)| (run.clone(), own.after)).collect();
                if !known.is_empty() {
                    let (run, after) = known[self.random.below(known.len())].clone();
                    let after = self.random.below(after as usize) as u64;
                    self.resume(run, after, calm, now);
                }
            }
            Wish::Say => self.send(json!({ "type": "ping" }), Asked::Pong, calm, now),
            Wish::Ping => {
                let length = self.random.spread(125);
                let payload: Vec<u8> = (0..length).map(|_| self.random.number() as u8).collect();
                frame(LAST | PING, &payload, mask(&mut self.random), &mut self.outgoing);
                self.pings.push_back(payload);
            }
            Wish::Nonsense { place } => {
                let id = self.expect(Asked::Nonsense { place }, calm, now);
                let (text, _) = NONSENSE[place];
                let text = if place < NAMELESS { text.to_owned() } else { format!("{text},\"id\":{id}}}") };
                message(&text, &mut self.random, &mut self.outgoing);
            }
            Wish::Breach { place } => {
                self.breach = Some(place);
                self.break_protocol(place);
                self.phase = Phase::Leaving { code: BREACHES[place].1 };
            }
            Wish::Idle { .. } | Wish::Die => {}
        }
    }

    /// Sends a message under a name of its own.
    fn send(&mut self, mut body: Value, asked: Asked, calm: bool, now: Time) {
        let id = self.expect(asked, calm, now);
        body["id"] = if self.random.chance(200) { json!(format!("n{id}")) } else { json!(id) };
        message(&body.to_string(), &mut self.random, &mut self.outgoing);
    }

    fn expect(&mut self, asked: Asked, in_calm: bool, at: Time) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, Pending { asked, at, in_calm });
        id
    }

    fn break_protocol(&mut self, place: usize) {
        let Limits { websocket_message_bytes_max, .. } = self.town.limits;
        let masks = mask(&mut self.random);
        let out = &mut self.outgoing;
        match place {
            0 => out.extend(b"\x81\x02{}"),
            1 => frame(LAST | 0x40 | TEXT, b"{}", masks, out),
            2 => frame(LAST | 3, b"", masks, out),
            3 => {
                out.extend([LAST | TEXT, 0xff]);
                out.extend((websocket_message_bytes_max as u64 + 1).to_be_bytes());
                out.extend(masks);
            }
            4 => frame(LAST, b"{}", masks, out),
            5 => frame(PING, b"", masks, out),
            6 => frame(LAST | PING, &[0; 126], masks, out),
            7 => out.extend([LAST | TEXT, 0xfe, 0, 2, 0, 0, 0, 0, b'{', b'}']),
            8 => frame(LAST | TEXT, b"{\"\xff", masks, out),
            9 => frame(LAST | BINARY, b"{}", masks, out),
            10 => frame(LAST | CLOSE, &1005_u16.to_be_bytes(), masks, out),
            11 => out.extend([LAST | PONG, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            _ => {
                frame(TEXT, b"{", masks, out);
                frame(LAST | TEXT, b"{}", masks, out);
            }
        }
    }
}
