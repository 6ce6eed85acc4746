//! The requests that we write.
//!
//! Text from outside reaches them: a host and a path from the configuration, a key from the environment. Whatever could
//! begin another line, or another request, is refused as a whole, so that nothing is sent that was not meant.
//!
//! ```
//! use oneloop::wire::http1::{BadField, Request, write_request};
//!
//! let request = Request {
//!     method: "POST",
//!     target: "/v1/chat/completions",
//!     host: "localhost:11434",
//!     fields: &[("Content-Type", "application/json")],
//!     body: Some(b"{}"),
//! };
//! let mut out = Vec::new();
//! write_request(&request, &mut out).unwrap();
//! assert_eq!(
//!     out,
//!     b"POST /v1/chat/completions HTTP/1.1\r\n\
//!       Host: localhost:11434\r\n\
//!       Content-Type: application/json\r\n\
//!       Content-Length: 2\r\n\
//!       \r\n\
//!       {}"
//! );
//!
//! let with_key = Request { fields: &[("Authorization", "Bearer key\n")], ..request };
//! assert_eq!(write_request(&with_key, &mut out), Err(BadField::Value { index: 0 }));
//! ```

use std::fmt;

use super::answer::{DIGITS_MAX, number};
use super::fields::{is_token, is_value_byte};
use super::target::host_and_port;

/// A request with all of its body.
///
/// It has no `Debug`: its fields may hold keys.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method: a token.
    pub method: &'a str,
    /// The request target in any of its forms, of visible ASCII.
    pub target: &'a str,
    /// The value of `Host`: a host and an optional port.
    pub host: &'a str,
    /// More fields. `Host` and those that say where the body ends are not given here.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body, which may be empty; `None` if the method has none.
    pub body: Option<&'a [u8]>,
}

/// A part of a request that can't be sent. It does not say what stands there, which may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadField {
    /// The method is no token.
    Method,
    /// The target is empty, or holds a byte that is no visible ASCII.
    Target,
    /// The host is not a host name or address with an optional port.
    Host,
    /// A field's name is no token.
    Name {
        /// Which of the fields, from 0 on.
        index: usize,
    },
    /// A field's value holds a control byte.
    Value {
        /// Which of the fields, from 0 on.
        index: usize,
    },
    /// A field that is written from the other parts of the request.
    Ours {
        /// Which of the fields, from 0 on.
        index: usize,
    },
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadField::Method => f.write_str("the method is not a token"),
            BadField::Target => f.write_str("the request target is not visible ASCII"),
            BadField::Host => f.write_str("the host is not a host name or address with an optional port"),
            BadField::Name { index } => write!(f, "the name of field {index} is not a token"),
            BadField::Value { index } => write!(f, "the value of field {index} holds a control byte"),
            BadField::Ours { index } => {
                write!(f, "field {index} is written from the other parts of the request")
            }
        }
    }
}

impl std::error::Error for BadField {}

/// Appends a request, head and body.
///
/// # Errors
/// [`BadField`] for the first part that can't be sent; nothing was appended then.
pub fn write_request(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), BadField> {
    check(request)?;
    let mut digits = [0; DIGITS_MAX];
    let mut take = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    take(&[request.method.as_bytes(), b" ", request.target.as_bytes(), b" HTTP/1.1\r\n"]);
    take(&[b"Host: ", request.host.as_bytes(), b"\r\n"]);
    for (name, value) in request.fields {
        take(&[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    if let Some(body) = request.body {
        take(&[b"Content-Length: ", number(body.len(), 10, &mut digits), b"\r\n"]);
    }
    take(&[b"\r\n", request.body.unwrap_or_default()]);
    Ok(())
}

fn check(request: &Request<'_>) -> Result<(), BadField> {
    if !is_token(request.method.as_bytes()) {
        return Err(BadField::Method);
    }
    if request.target.is_empty() || !request.target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadField::Target);
    }
    if host_and_port(request.host).is_none() {
        return Err(BadField::Host);
    }
    for (index, (name, value)) in request.fields.iter().enumerate() {
        if !is_token(name.as_bytes()) {
            return Err(BadField::Name { index });
        }
        if is_ours(name) {
            return Err(BadField::Ours { index });
        }
        if !value.bytes().all(is_value_byte) {
            return Err(BadField::Value { index });
        }
    }
    Ok(())
}

/// Fields of which a second one would contradict ours: this is what smuggling lives on.
fn is_ours(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Request<'static> = Request { method: "GET", target: "/", host: "a", fields: &[], body: None };

    fn written(request: &Request<'_>) -> String {
        let mut out = Vec::new();
        write_request(request, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn refused(request: &Request<'_>) -> BadField {
        let mut out = b"before".to_vec();
        let error = write_request(request, &mut out).unwrap_err();
        assert_eq!(out, b"before", "{error}");
        error
    }

    #[test]
    fn a_request_without_a_body_tells_no_length_and_one_with_an_empty_body_does() {
        assert_eq!(written(&GET), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let post = Request { method: "POST", body: Some(b""), ..GET };
        assert_eq!(written(&post), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn a_tunnel_is_asked_for_by_its_authority() {
        let connect = Request { method: "CONNECT", target: "[::1]:443", host: "[::1]:443", ..GET };
        assert_eq!(written(&connect), "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
    }

    #[test]
    fn whatever_could_begin_another_line_is_refused() {
        for text in ["", "a b", "a\r\nb", "a\n", "a\r", "a\0", "a\t", "é"] {
            assert_eq!(refused(&Request { method: text, ..GET }), BadField::Method, "{text:?}");
            assert_eq!(refused(&Request { target: text, ..GET }), BadField::Target, "{text:?}");
            assert_eq!(refused(&Request { host: text, ..GET }), BadField::Host, "{text:?}");
            let fields = [("A", "b"), (text, "x")];
            assert_eq!(refused(&Request { fields: &fields, ..GET }), BadField::Name { index: 1 }, "{text:?}");
        }
        for value in ["a\r\nb: c", "a\n", "a\r", "\0", "\x7f"] {
            let fields = [("A", value)];
            assert_eq!(
                refused(&Request { fields: &fields, ..GET }),
                BadField::Value { index: 0 },
                "{value:?}"
            );
        }
    }

    #[test]
    fn fields_that_would_contradict_ours_are_refused() {
        for name in ["Host", "CONTENT-LENGTH", "transfer-encoding"] {
            let fields = [(name, "1")];
            assert_eq!(refused(&Request { fields: &fields, ..GET }), BadField::Ours { index: 0 });
        }
    }

    #[test]
    fn values_may_be_empty_or_hold_tabs_and_text_beyond_ascii() {
        let fields = [("A", ""), ("B", "x\ty"), ("C", "é")];
        let text = written(&Request { fields: &fields, ..GET });
        assert_eq!(text, "GET / HTTP/1.1\r\nHost: a\r\nA: \r\nB: x\ty\r\nC: é\r\n\r\n");
    }
}
