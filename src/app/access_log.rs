//! One line for each request, gathered through a turn and written at its end in one write.
//!
//! ```text
//! 127.0.0.1:51724 "POST /chat" 200 1841B 12.4ms run=0198c0de-…
//! ```
//!
//! Lines never make the loop wait: what the sink does not take at once is dropped and counted, and the count is told
//! as soon as it takes lines again. Input can't forge a line: whatever is not printable ASCII is escaped.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use crate::os::LogSink;
use crate::wire::http1::Target;

/// Characters of a target that are shown.
const TARGET_CHARS_MAX: usize = 200;

/// One request that has been answered.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Who asked.
    pub peer: SocketAddr,
    /// The method and target, as [`shown`] made them.
    pub request: &'a str,
    /// The status that was answered.
    pub status: u16,
    /// Bytes sent, head included.
    pub bytes: u64,
    /// From the end of the request's head to the end of its answer.
    pub took: Duration,
    /// The run it began or read, if any.
    pub run: Option<Uuid>,
}

/// Lines of this turn.
#[derive(Debug)]
pub struct AccessLog {
    lines: String,
    bytes_max: usize,
    on: bool,
    dropped: u64,
}

impl AccessLog {
    /// A log that keeps at most `bytes_max` until the turn's end; with `on: false` it keeps none.
    pub fn new(on: bool, bytes_max: usize) -> AccessLog {
        AccessLog { lines: String::new(), bytes_max, on, dropped: 0 }
    }

    /// Lines are wanted.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Adds a line, or drops and counts it when this turn has too many.
    pub fn add(&mut self, line: &Line<'_>) {
        if !self.on {
            return;
        }
        let length = self.lines.len();
        let Line { peer, request, status, bytes, took, run } = line;
        let millis = took.as_secs_f64() * 1000.0;
        // Writing into a String can't fail.
        let _ = write!(self.lines, "{peer} \"{request}\" {status} {bytes}B {millis:.1}ms");
        let _ = match run {
            Some(run) => writeln!(self.lines, " run={run}"),
            None => writeln!(self.lines),
        };
        if self.lines.len() > self.bytes_max {
            self.lines.truncate(length);
            self.dropped += 1;
        }
    }

    /// Writes the turn's lines.
    pub fn flush(&mut self, sink: &mut dyn LogSink) {
        if self.lines.is_empty() {
            return;
        }
        if self.dropped > 0 {
            let _ = writeln!(self.lines, "{} lines dropped before these", self.dropped);
            self.dropped = 0;
        }
        let written = sink.write(self.lines.as_bytes());
        let lost = &self.lines.as_bytes()[written.min(self.lines.len())..];
        self.dropped += lost.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.lines.clear();
    }
}

/// A request's method and target as a line shows them: printable ASCII, bounded, with no quote of its own.
pub fn shown(method: &str, target: Target<'_>) -> Box<str> {
    let (target, query) = match target {
        Target::Path { path, query } => (path, query),
        Target::Asterisk => ("*", None),
        Target::Authority(authority) => (authority, None),
    };
    let query = query.map(|query| "?".chars().chain(query.chars()));
    let mut text = String::new();
    let characters = method.chars().chain([' ']).chain(target.chars()).chain(query.into_iter().flatten());
    for (index, character) in characters.enumerate() {
        if index == TARGET_CHARS_MAX {
            text.push('~');
            break;
        }
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            _ => text.extend(character.escape_unicode()),
        }
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sink {
        taken: Vec<u8>,
        room: usize,
        writes: u32,
    }

    impl LogSink for Sink {
        fn write(&mut self, lines: &[u8]) -> usize {
            self.writes += 1;
            let count = lines.len().min(self.room);
            self.taken.extend_from_slice(&lines[..count]);
            count
        }
    }

    fn line(request: &str) -> Line<'_> {
        let peer = "127.0.0.1:9".parse().unwrap();
        Line { peer, request, status: 200, bytes: 10, took: Duration::from_micros(1500), run: None }
    }

    #[test]
    fn a_turns_lines_leave_in_one_write() {
        let mut log = AccessLog::new(true, 1000);
        let mut sink = Sink { taken: Vec::new(), room: 1000, writes: 0 };
        log.add(&line("GET /a"));
        log.add(&line("GET /b"));
        log.flush(&mut sink);
        log.flush(&mut sink);
        assert_eq!(sink.writes, 1);
        let text = String::from_utf8(sink.taken).unwrap();
        assert_eq!(text, "127.0.0.1:9 \"GET /a\" 200 10B 1.5ms\n127.0.0.1:9 \"GET /b\" 200 10B 1.5ms\n");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_told_later() {
        let mut log = AccessLog::new(true, 1000);
        let mut sink = Sink { taken: Vec::new(), room: 0, writes: 0 };
        log.add(&line("GET /lost"));
        log.flush(&mut sink);
        sink.room = 1000;
        log.add(&line("GET /kept"));
        log.flush(&mut sink);
        let text = String::from_utf8(sink.taken).unwrap();
        assert!(text.contains("/kept") && text.ends_with("1 lines dropped before these\n"), "{text}");
    }

    #[test]
    fn input_cannot_forge_a_line() {
        let target = Target::Path { path: "/a\"\n200 \u{1b}[2J", query: Some("q=1") };
        assert_eq!(&*shown("GET", target), "GET /a\\\"\\u{a}200 \\u{1b}[2J?q=1");
        let long = "x".repeat(9000);
        assert!(shown("GET", Target::Path { path: &long, query: None }).len() < 300);
    }
}
