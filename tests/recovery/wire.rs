//! A client whose server may be killed at any byte. What arrives must be HTTP as it is written by us; that it stops
//! arriving is no fault of anybody's, and every read says so with [`Broken`].

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::common::PATIENCE;

/// The connection is gone, and what it was about to say with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The body, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// An event of a stream.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its run and its number, if it has one.
    pub id: Option<(String, u64)>,
    /// Its JSON, as it came.
    pub text: String,
    /// The same, read.
    pub json: Value,
}

impl Told {
    /// What kind of event it says it is.
    pub fn kind(&self) -> &str {
        self.json["type"].as_str().unwrap_or_else(|| panic!("without a type: {}", self.text))
    }
}

/// How the body of an answer is delimited.
enum Framing {
    Length(usize),
    Chunked,
}

/// One connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
    /// Of an event stream: received, and no whole event yet.
    text: Vec<u8>,
    ended: bool,
}

impl Wire {
    /// A new connection.
    pub fn connect(address: SocketAddr) -> Result<Wire, Broken> {
        let stream = sort(TcpStream::connect_timeout(&address, PATIENCE))?;
        sort(stream.set_read_timeout(Some(PATIENCE)))?;
        sort(stream.set_nodelay(true))?;
        Ok(Wire { stream: BufReader::new(stream), text: Vec::new(), ended: false })
    }

    /// Sends a request. `fields` are further lines of its head, each with its CR LF.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &str,
        body: Option<&Value>,
    ) -> Result<(), Broken> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}");
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len()));
        }
        request.push_str("\r\n");
        request.push_str(&text);
        sort(self.stream.get_mut().write_all(request.as_bytes()))
    }

    /// The next answer, all of it.
    pub fn answer(&mut self) -> Result<Answer, Broken> {
        let (status, framing) = self.head()?;
        let Framing::Length(length) = framing else { panic!("a stream is no answer to this") };
        let mut body = vec![0; length];
        sort(self.stream.read_exact(&mut body))?;
        Ok(Answer { status, body })
    }

    /// The head of an answer that is an event stream if it is 200, and else has no body.
    pub fn stream_head(&mut self) -> Result<u16, Broken> {
        let (status, framing) = self.head()?;
        match framing {
            Framing::Chunked => assert_eq!(status, 200, "a stream under another status"),
            Framing::Length(0) => {}
            Framing::Length(_) => panic!("refused with {status} instead of a stream"),
        }
        Ok(status)
    }

    /// The next event of a stream; `None` at its end, in good order.
    pub fn event(&mut self) -> Result<Option<Told>, Broken> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("a stream is UTF-8");
                if let Some(told) = event(&block[..end]) {
                    return Ok(Some(told));
                }
                continue;
            }
            if self.ended {
                assert!(self.text.is_empty(), "a stream ended within an event");
                return Ok(None);
            }
            self.chunk()?;
        }
    }

    fn chunk(&mut self) -> Result<(), Broken> {
        let line = self.line()?;
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        let start = self.text.len();
        self.text.resize(start + size, 0);
        sort(self.stream.read_exact(&mut self.text[start..]))?;
        assert_eq!(self.line()?, "", "a chunk ends with CR LF");
        self.ended = size == 0;
        Ok(())
    }

    fn head(&mut self) -> Result<(u16, Framing), Broken> {
        let line = self.line()?;
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut framing = Framing::Length(0);
        loop {
            let field = self.line()?;
            if field.is_empty() {
                return Ok((status, framing));
            }
            let (name, value) =
                field.split_once(": ").unwrap_or_else(|| panic!("no header field: {field:?}"));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => framing = Framing::Length(value.parse().expect("a length is a number")),
                "transfer-encoding" => framing = Framing::Chunked,
                _ => {}
            }
        }
    }

    /// A line, without its CR LF.
    fn line(&mut self) -> Result<String, Broken> {
        let mut line = Vec::new();
        sort(self.stream.read_until(b'\n', &mut line))?;
        // The end of the connection, be it within the line.
        let Some(text) = line.strip_suffix(b"\n") else { return Err(Broken) };
        let text = text.strip_suffix(b"\r").expect("a CR stands before the LF");
        Ok(String::from_utf8(text.to_vec()).expect("heads and chunk sizes are ASCII"))
    }
}

/// An event out of its lines; `None` for a comment or a wish for the next connection.
fn event(block: &str) -> Option<Told> {
    let (mut id, mut data) = (None, None);
    for line in block.split('\n') {
        if let Some(value) = line.strip_prefix("data: ") {
            assert!(data.replace(value).is_none(), "our events have one line: {block:?}");
        } else if let Some(value) = line.strip_prefix("id: ") {
            let (run, number) = value.rsplit_once('-').unwrap_or_else(|| panic!("no place: {value:?}"));
            let number = number.parse().unwrap_or_else(|_| panic!("no number: {value:?}"));
            id = Some((run.to_owned(), number));
        } else {
            assert!(line.starts_with(':') || line.starts_with("retry: "), "no line of a stream: {line:?}");
        }
    }
    let text = data?;
    let json = serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text:?}"));
    Some(Told { id, text: text.to_owned(), json })
}

/// What a killed server does to a connection is [`Broken`]; that nothing comes for so long is a fault of the server's.
fn sort<T>(outcome: io::Result<T>) -> Result<T, Broken> {
    outcome.map_err(|error| match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => Broken,
        _ => panic!("the server is there, and does not answer: {error}"),
    })
}
