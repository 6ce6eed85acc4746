//! A client that does exactly what it is told, step by step: for worlds in which one thing is to happen.

use std::collections::VecDeque;
use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Actor, Line, Outside, Received, State};

use super::parser::{Parser, Piece};

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Connects, and waits until that is done.
    Connect,
    /// Sends all of these bytes, however long it takes.
    Send(Vec<u8>),
    /// Sends no more.
    Finish,
    /// Lets time pass, and reads nothing meanwhile.
    Pause(Duration),
    /// Reads whole answers with these statuses, in this order.
    Answers(Vec<u16>),
    /// Reads a head with 101, behind which there is no more HTTP.
    Switched,
    /// Reads exactly these bytes, some of which may have come with the head.
    Receives(Vec<u8>),
    /// Waits to be reset.
    Lost,
    /// By now so much time has passed since it began to connect, or up to a quarter of a second more.
    By(Duration),
    /// Reads the end of the connection, with nothing before it.
    End,
    /// Closes the connection.
    Close,
    /// Resets it.
    Reset,
}

/// A client with a script.
#[derive(Debug)]
pub struct Script {
    steps: VecDeque<Step>,
    line: Option<Line>,
    parser: Parser,
    connected_at: Time,
    sent: usize,
    /// What came behind the HTTP.
    raw: Vec<u8>,
    /// The answer that is being read.
    open: Option<u16>,
    statuses: Vec<u16>,
    has_ended: bool,
    until: Option<Time>,
    complaint: Option<String>,
}

impl Script {
    /// A client that takes these steps.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Script {
        Script {
            steps: steps.into_iter().collect(),
            line: None,
            parser: Parser::new(),
            connected_at: Time::ZERO,
            sent: 0,
            raw: Vec::new(),
            open: None,
            statuses: Vec::new(),
            has_ended: false,
            until: None,
            complaint: None,
        }
    }

    /// Takes a step, or a part of it; `false` if it has to wait.
    fn step(&mut self, outside: &mut Outside<'_>) -> Result<bool, String> {
        let Some(step) = self.steps.front().cloned() else { return Ok(false) };
        let line = match (self.line, &step) {
            (Some(line), _) => line,
            (None, Step::Pause(pause)) => return Ok(self.pause(*pause, outside)),
            (None, Step::Connect) => {
                self.line = Some(outside.connect());
                self.connected_at = outside.now();
                return Ok(false);
            }
            (None, _) => return Err("is not connected".to_owned()),
        };
        let is_done = match step {
            Step::Connect => outside.state(line) != State::Connecting,
            Step::Send(bytes) => {
                self.sent += outside.send(line, &bytes[self.sent..]);
                let is_done = self.sent == bytes.len();
                if is_done {
                    self.sent = 0;
                    // More than enough are owed from here on: how many requests these bytes are is not our affair.
                    (0..bytes.len() / 16).for_each(|_| self.parser.sent(false));
                }
                is_done
            }
            Step::Finish => {
                outside.finish(line);
                true
            }
            Step::Pause(pause) => return Ok(self.pause(pause, outside)),
            Step::Answers(wanted) => {
                self.read(line, wanted.len(), outside)?;
                if self.has_ended && self.statuses.len() < wanted.len() {
                    return Err(format!(
                        "was answered {:?} in place of {wanted:?}, and no more",
                        self.statuses
                    ));
                }
                let is_done = self.statuses.len() == wanted.len();
                if is_done && self.statuses != wanted {
                    return Err(format!("was answered {:?} in place of {wanted:?}", self.statuses));
                }
                if is_done {
                    self.statuses.clear();
                }
                is_done
            }
            Step::Switched => {
                self.read_raw(line, outside);
                let end = self.raw.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(end) = end {
                    let head: Vec<u8> = self.raw.drain(..end + 4).collect();
                    if !head.starts_with(b"HTTP/1.1 101 ") {
                        return Err(format!("was answered {}", head.escape_ascii()));
                    }
                }
                end.is_some()
            }
            Step::Receives(wanted) => {
                self.read_raw(line, outside);
                let count = self.raw.len().min(wanted.len());
                if self.raw[..count] != wanted[..count] {
                    let (raw, wanted) = (self.raw.escape_ascii(), wanted.escape_ascii());
                    return Err(format!("was sent {raw} in place of {wanted}"));
                }
                let is_done = count == wanted.len();
                if is_done {
                    self.raw.drain(..count);
                }
                is_done
            }
            Step::Lost => {
                self.read_raw(line, outside);
                if !self.raw.is_empty() {
                    return Err(format!("was sent {} in place of a reset", self.raw.escape_ascii()));
                }
                outside.state(line) == State::Reset
            }
            Step::By(time) => {
                let took = outside.now().since(self.connected_at);
                if took < time || took > time + Duration::from_millis(250) {
                    return Err(format!("is there after {took:?} in place of {time:?}"));
                }
                true
            }
            Step::End => {
                self.read(line, 1, outside)?;
                if !self.statuses.is_empty() {
                    return Err(format!("was answered {:?} in place of the end", self.statuses));
                }
                self.has_ended
            }
            Step::Close => {
                outside.close(line);
                true
            }
            Step::Reset => {
                outside.reset(line);
                true
            }
        };
        if is_done {
            self.steps.pop_front();
        }
        Ok(is_done)
    }

    /// Reads what is there, whatever it is.
    fn read_raw(&mut self, line: Line, outside: &mut Outside<'_>) {
        while outside.receive(line, usize::MAX, &mut self.raw) == Received::Bytes {}
    }

    fn pause(&mut self, pause: Duration, outside: &Outside<'_>) -> bool {
        let until = *self.until.get_or_insert(outside.now().after(pause));
        let is_over = outside.now() >= until;
        if is_over {
            self.until = None;
            self.steps.pop_front();
        }
        is_over
    }

    /// Reads until there are so many whole answers, or the end.
    fn read(&mut self, line: Line, answers: usize, outside: &mut Outside<'_>) -> Result<(), String> {
        while self.statuses.len() < answers && !self.has_ended {
            match self.parser.next().map_err(|wrong| format!("was sent {wrong}"))? {
                Some(Piece::Head(head)) => self.open = Some(head.status),
                Some(Piece::End) => self.statuses.extend(self.open.take()),
                Some(Piece::Interim | Piece::Body(_)) => {}
                None => {
                    let mut bytes = Vec::new();
                    match outside.receive(line, usize::MAX, &mut bytes) {
                        Received::Bytes => self.parser.feed(&bytes),
                        Received::Nothing => return Ok(()),
                        Received::End if self.parser.is_within_answer() => {
                            return Err("was sent the end in the middle of an answer".to_owned());
                        }
                        Received::End => self.has_ended = true,
                        Received::Reset => return Err("was reset".to_owned()),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Actor for Script {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        loop {
            match self.step(outside) {
                Ok(true) => {}
                Ok(false) => break,
                Err(complaint) => {
                    self.complaint = Some(complaint);
                    return None;
                }
            }
        }
        self.until.map(|until| until.since(outside.now()))
    }

    fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn seen(&self) -> &[&'static str] {
        if self.steps.is_empty() { &["a script was played to its end"] } else { &[] }
    }

    fn describe(&self) -> String {
        format!("a client with {} more steps to take", self.steps.len())
    }
}
