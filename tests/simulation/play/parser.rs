//! A strict reader of what the server sends, written without a look at how the server writes it.
//!
//! Clients are lenient and so hide mistakes. This one takes nothing but what RFC 9112 asks of a sender, and says what
//! it did not like.

use std::collections::VecDeque;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The value of the one field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// One piece of an answer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// `100 Continue`.
    Interim,
    /// The head.
    Head(Head),
    /// Some of the body.
    Body(Vec<u8>),
    /// The answer is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Sized(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    LastEnd,
}

/// Reads the answers of one connection.
#[derive(Debug)]
pub struct Parser {
    state: State,
    bytes: Vec<u8>,
    /// For each answer that is owed, whether its request was a HEAD.
    owed: VecDeque<bool>,
    /// The answer that is being read said that it is the last.
    closes: bool,
}

/// No head that we know of is longer.
const HEAD_BYTES_MAX: usize = 2048;

impl Parser {
    /// For a connection that has just opened.
    pub fn new() -> Parser {
        Parser { state: State::Head, bytes: Vec::new(), owed: VecDeque::new(), closes: false }
    }

    /// A request was sent.
    pub fn sent(&mut self, is_head: bool) {
        self.owed.push_back(is_head);
    }

    /// Takes received bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of an unfinished answer have been read.
    pub fn is_within_answer(&self) -> bool {
        self.state != State::Head || !self.bytes.is_empty()
    }

    /// The last answer said that it is the last.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The next piece, if it is there.
    ///
    /// # Errors
    /// In words, what is wrong with the bytes.
    pub fn next(&mut self) -> Result<Option<Piece>, String> {
        loop {
            match self.state {
                State::Head => return self.head(),
                State::Sized(0) => return Ok(Some(self.end())),
                State::Sized(left) => {
                    return Ok(self.take(left).map(|bytes| {
                        self.state = State::Sized(left - bytes.len());
                        Piece::Body(bytes)
                    }));
                }
                State::Chunk(left) => {
                    return Ok(self.take(left).map(|bytes| {
                        let left = left - bytes.len();
                        self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                        Piece::Body(bytes)
                    }));
                }
                State::LastEnd => return Ok(if self.line_end()? { Some(self.end()) } else { None }),
                // These two are no piece of their own.
                State::ChunkEnd => {
                    if !self.line_end()? {
                        return Ok(None);
                    }
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => {
                    if !self.chunk_size()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Piece {
        self.state = State::Head;
        self.owed.pop_front();
        Piece::End
    }

    fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        let count = most.min(self.bytes.len());
        (count > 0).then(|| self.bytes.drain(..count).collect())
    }

    fn line_end(&mut self) -> Result<bool, String> {
        if self.bytes.len() < 2 {
            return Ok(false);
        }
        if !self.bytes.starts_with(b"\r\n") {
            return Err(format!("a chunk does not end where its size says: {:?}", show(&self.bytes)));
        }
        self.bytes.drain(..2);
        Ok(true)
    }

    /// Reads the line that begins a chunk; `false` if it is not whole yet.
    fn chunk_size(&mut self) -> Result<bool, String> {
        let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\r\n") else {
            let is_too_long = self.bytes.len() > 16;
            return if is_too_long {
                Err(format!("no chunk size: {:?}", show(&self.bytes)))
            } else {
                Ok(false)
            };
        };
        let line: Vec<u8> = self.bytes.drain(..end + 2).take(end).collect();
        let text = std::str::from_utf8(&line).unwrap_or("?");
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.state = match usize::from_str_radix(text, 16).ok().filter(|_| is_hex) {
            Some(0) => State::LastEnd,
            Some(size) => State::Chunk(size),
            None => return Err(format!("no chunk size: {:?}", show(&line))),
        };
        Ok(true)
    }

    fn head(&mut self) -> Result<Option<Piece>, String> {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if self.bytes.len() > HEAD_BYTES_MAX {
                return Err(format!("no end of head within {HEAD_BYTES_MAX} bytes"));
            }
            return Ok(None);
        };
        let head: Vec<u8> = self.bytes.drain(..end + 4).collect();
        let text = std::str::from_utf8(&head[..end]).map_err(|_| "a head that is not ASCII".to_owned())?;
        if self.closes {
            return Err(format!("an answer after the last one: {text}"));
        }
        let mut lines = text.split("\r\n");
        let status = status(lines.next().unwrap_or(""))?;
        let fields: Vec<(String, String)> = lines.map(field).collect::<Result<_, _>>()?;
        if status == 100 {
            return if fields.is_empty() {
                Ok(Some(Piece::Interim))
            } else {
                Err("100 with fields".to_owned())
            };
        }
        // An error may be told before a request is complete; otherwise each answer has its request.
        let is_head = match self.owed.front() {
            // Timed out before its head was complete, the server can't know that it is a HEAD.
            Some(is_head) => *is_head && status != 408,
            None if (400..500).contains(&status) => false,
            None => return Err(format!("an answer that nobody asked for: {text}")),
        };
        let head = Head { status, fields };
        self.framing(&head, is_head)?;
        Ok(Some(Piece::Head(head)))
    }

    /// Where the body ends (RFC 9112 §6.3), and what every answer must carry.
    fn framing(&mut self, head: &Head, is_head: bool) -> Result<(), String> {
        let count = |name: &str| head.fields.iter().filter(|(found, _)| found == name).count();
        for name in ["date", "content-length", "transfer-encoding", "connection", "content-type"] {
            if count(name) > 1 {
                return Err(format!("two fields {name}"));
            }
        }
        let date = head.field("date").ok_or("no Date")?;
        if httpdate::parse_http_date(date).is_err() {
            return Err(format!("no date: {date}"));
        }
        self.closes = head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let length = head.field("content-length").map(|text| text.parse::<usize>());
        let chunked = head.field("transfer-encoding");
        self.state = match (head.status, length, chunked) {
            (204, None, None) => State::Sized(0),
            (204, ..) => return Err("204 with a length".to_owned()),
            (_, Some(_), Some(_)) => return Err("a length and chunks".to_owned()),
            (_, None, None) if !is_head => return Err("neither a length nor chunks".to_owned()),
            _ if is_head => State::Sized(0),
            (_, Some(Ok(length)), None) => State::Sized(length),
            (_, Some(Err(_)), None) => return Err("a length that is no number".to_owned()),
            (_, None, Some("chunked")) => State::ChunkSize,
            (_, None, _) => return Err("an unknown transfer coding".to_owned()),
        };
        if head.status != 204 && head.field("content-type").is_none() {
            return Err("no Content-Type".to_owned());
        }
        Ok(())
    }
}

fn status(line: &str) -> Result<u16, String> {
    let wrong = || format!("no status line: {line}");
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(wrong)?;
    let (digits, reason) = rest.split_once(' ').ok_or_else(wrong)?;
    if digits.len() != 3 || reason.is_empty() {
        return Err(wrong());
    }
    digits.parse().ok().filter(|status| (100..600).contains(status)).ok_or_else(wrong)
}

pub fn field(line: &str) -> Result<(String, String), String> {
    let wrong = || format!("no field line: {line}");
    let (name, value) = line.split_once(": ").ok_or_else(wrong)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_text = |byte: u8| (0x20..0x7f).contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_text) || value.trim() != value
    {
        return Err(wrong());
    }
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}

/// The first bytes, as text.
pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned()
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// The run's id and the event's number in it.
    pub id: Option<(String, u64)>,
    /// The event's text.
    pub data: String,
}

/// Reads an event stream (HTML Standard, 9.2.6), as strictly.
#[derive(Debug, Default)]
pub struct EventReader {
    text: Vec<u8>,
    id: Option<(String, u64)>,
    data: Option<String>,
    heartbeats: usize,
}

impl EventReader {
    /// Comments that were read.
    pub fn heartbeats(&self) -> usize {
        self.heartbeats
    }

    /// Takes bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Part of an event has been read.
    pub fn is_within_event(&self) -> bool {
        !self.text.is_empty() || self.data.is_some() || self.id.is_some()
    }

    /// The next event, if it is complete.
    ///
    /// # Errors
    /// In words, what is wrong with the stream.
    pub fn next(&mut self) -> Result<Option<StreamEvent>, String> {
        loop {
            let Some(end) = self.text.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
            let line: Vec<u8> = self.text.drain(..=end).take(end).collect();
            let line = String::from_utf8(line).map_err(|_| "a stream that is not UTF-8".to_owned())?;
            if line.is_empty() {
                match self.data.take() {
                    Some(data) => return Ok(Some(StreamEvent { id: self.id.take(), data })),
                    None => continue,
                }
            }
            if line.starts_with(':') {
                self.heartbeats += 1;
                continue;
            }
            match line.split_once(": ") {
                Some(("id", id)) => self.id = Some(event_id(id)?),
                Some(("retry", millis)) if millis.bytes().all(|byte| byte.is_ascii_digit()) => {}
                Some(("data", data)) if self.data.is_none() => self.data = Some(data.to_owned()),
                _ => return Err(format!("an unknown line in a stream: {line}")),
            }
        }
    }
}

fn event_id(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("an id that is none: {text}");
    let (run, number) = text.rsplit_once('-').ok_or_else(wrong)?;
    Ok((run.to_owned(), number.parse().map_err(|_| wrong())?))
}
