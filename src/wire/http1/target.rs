//! What a request is about: the four forms of a target (RFC 9112 §3.2), authorities, escapes and query pairs.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::head::Method;

/// A request target. Its text is as it was sent: escapes are decoded by [`decode_path`] and [`QueryPairs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'b> {
    /// Origin-form, or the path and query of absolute-form. The path begins with `/`.
    Path {
        /// Up to the first `?`.
        path: &'b str,
        /// After the first `?`, if there is one.
        query: Option<&'b str>,
    },
    /// `OPTIONS *`: the server as a whole.
    Asterisk,
    /// `CONNECT host:port`. Representable, so that it gets a proper 405 or 501; nothing here tunnels.
    Authority(&'b str),
}

impl<'b> Target<'b> {
    /// Reads a target and, from absolute-form, its authority. `None` for what is no target of this method.
    ///
    /// Any visible ASCII is let through in a path and a query but `#`, which begins a fragment and is never sent.
    pub(super) fn parse(method: Method<'b>, text: &'b str) -> Option<(Target<'b>, Option<&'b str>)> {
        if text.contains('#') {
            return None;
        }
        if method == Method::Connect {
            let (_, port) = host_and_port(text)?;
            port?;
            return Some((Target::Authority(text), Some(text)));
        }
        if text == "*" {
            return (method == Method::Options).then_some((Target::Asterisk, None));
        }
        if text.starts_with('/') {
            return Some((path_and_query(text), None));
        }
        let rest = strip_scheme(text)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        host_and_port(authority)?;
        let target = match path {
            // A proxy that was asked for OPTIONS * sends this (RFC 9112 §3.2.4).
            "" if method == Method::Options => Target::Asterisk,
            path => path_and_query(path),
        };
        Some((target, Some(authority)))
    }
}

fn path_and_query(text: &str) -> Target<'_> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    // Only absolute-form can have an empty path; it means the root (RFC 9110 §4.2.3).
    Target::Path { path: if path.is_empty() { "/" } else { path }, query }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

/// Splits a valid authority into its host (an IPv6 address keeps its brackets) and its port, if it has one.
///
/// Stricter than RFC 3986: a name is letters, digits, `-`, `.`, `_` and `~`; no escapes, no sub-delimiters (a comma
/// would be two hosts that someone joined), no user. An empty port is none.
pub fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        authority.get(1..end)?.parse::<Ipv6Addr>().ok()?;
        let (host, rest) = authority.split_at_checked(end + 1)?;
        (host, if rest.is_empty() { "" } else { rest.strip_prefix(':')? })
    } else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        (!host.is_empty() && is_name).then_some((host, port))?
    };
    if port.is_empty() {
        return Some((host, None));
    }
    // `u16::from_str` alone would take a leading plus.
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((host, Some(port.parse().ok()?)))
}

/// Why a path or a query can't be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEscape {
    /// A `%` without two hexadecimal digits.
    NotHex,
    /// `%00`, or the byte itself, which would end the text for whoever reads it in C.
    Nul,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadEscape::NotHex => "a percent sign is not followed by two hexadecimal digits",
            BadEscape::Nul => "the text holds an escaped NUL",
            BadEscape::NotUtf8 => "the decoded text is not UTF-8",
        })
    }
}

impl std::error::Error for BadEscape {}

/// Decodes the escapes of a path, or of one segment of it, into `out`, whose former text is dropped and whose memory
/// is used again.
///
/// `+` stays `+`. `%2F` becomes `/`: cut a path into segments first where that matters. Dots are not resolved.
///
/// ```
/// use oneloop::wire::http1::{BadEscape, decode_path};
///
/// let mut text = String::new();
/// decode_path("/notes/Caf%C3%A9%20au+lait", &mut text).unwrap();
/// assert_eq!(text, "/notes/Café au+lait");
/// assert_eq!(decode_path("/100%", &mut text), Err(BadEscape::NotHex));
/// ```
///
/// # Errors
/// [`BadEscape`] by cause; `out` is then empty.
pub fn decode_path(path: &str, out: &mut String) -> Result<(), BadEscape> {
    let mut bytes = std::mem::take(out).into_bytes();
    bytes.clear();
    decode(path, Plus::Stays, &mut bytes)?;
    *out = String::from_utf8(bytes).map_err(|_| BadEscape::NotUtf8)?;
    Ok(())
}

/// What a plus sign stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plus {
    Stays,
    IsSpace,
}

fn decode(text: &str, plus: Plus, out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let (high, low) = (hex_digit(rest.next()), hex_digit(rest.next()));
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or(BadEscape::NotHex)?
            }
            b'+' if plus == Plus::IsSpace => b' ',
            other => other,
        };
        if decoded == 0 {
            return Err(BadEscape::Nul);
        }
        out.push(decoded);
    }
    Ok(())
}

/// The value of one hexadecimal digit, in either case.
fn hex_digit(byte: Option<u8>) -> Option<u8> {
    match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The pairs of a query, decoded, in order. A pair without `=` has an empty value; empty pairs are passed over.
///
/// Text without escapes is borrowed; only an escaped one is copied.
///
/// ```
/// use oneloop::wire::http1::QueryPairs;
///
/// let pairs: Vec<_> = QueryPairs::new("after=12&q=loop+%26+timers&dev").map(Result::unwrap).collect();
/// assert_eq!(pairs[0], ("after".into(), "12".into()));
/// assert_eq!(pairs[1], ("q".into(), "loop & timers".into()));
/// assert_eq!(pairs[2], ("dev".into(), "".into()));
/// ```
#[derive(Debug, Clone)]
pub struct QueryPairs<'q> {
    rest: &'q str,
}

impl<'q> QueryPairs<'q> {
    /// The pairs of a query, which stands after the `?`.
    pub fn new(query: &'q str) -> QueryPairs<'q> {
        QueryPairs { rest: query }
    }
}

impl<'q> Iterator for QueryPairs<'q> {
    type Item = Result<(Cow<'q, str>, Cow<'q, str>), BadEscape>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches('&');
        if rest.is_empty() {
            self.rest = rest;
            return None;
        }
        let (pair, rest) = rest.split_once('&').unwrap_or((rest, ""));
        self.rest = rest;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some(decode_query(name).and_then(|name| Ok((name, decode_query(value)?))))
    }
}

fn decode_query(text: &str) -> Result<Cow<'_, str>, BadEscape> {
    if !text.contains(['%', '+', '\0']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    decode(text, Plus::IsSpace, &mut bytes)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadEscape::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path<'b>(path: &'b str, query: Option<&'b str>) -> Target<'b> {
        Target::Path { path, query }
    }

    #[test]
    fn origin_form_is_cut_at_the_first_question_mark() {
        assert_eq!(Target::parse(Method::Get, "/"), Some((path("/", None), None)));
        assert_eq!(Target::parse(Method::Get, "/a?b?c"), Some((path("/a", Some("b?c")), None)));
        assert_eq!(Target::parse(Method::Get, "//a/b?"), Some((path("//a/b", Some("")), None)));
    }

    #[test]
    fn absolute_form_gives_its_authority() {
        for (text, target, authority) in [
            ("http://a:80/b?c", path("/b", Some("c")), "a:80"),
            ("HTTPS://[::1]", path("/", None), "[::1]"),
            ("http://a?b", path("/", Some("b")), "a"),
        ] {
            assert_eq!(Target::parse(Method::Get, text), Some((target, Some(authority))));
        }
    }

    #[test]
    fn the_asterisk_is_for_options_alone() {
        assert_eq!(Target::parse(Method::Options, "*"), Some((Target::Asterisk, None)));
        assert_eq!(Target::parse(Method::Options, "http://a"), Some((Target::Asterisk, Some("a"))));
        assert_eq!(Target::parse(Method::Options, "http://a/"), Some((path("/", None), Some("a"))));
        assert_eq!(Target::parse(Method::Get, "*"), None);
    }

    #[test]
    fn authority_form_is_for_connect_alone_and_has_a_port() {
        assert_eq!(Target::parse(Method::Connect, "a:1"), Some((Target::Authority("a:1"), Some("a:1"))));
        assert_eq!(Target::parse(Method::Connect, "a"), None);
        assert_eq!(Target::parse(Method::Connect, "/"), None);
        assert_eq!(Target::parse(Method::Get, "a:1"), None);
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "a",
            "a/b",
            "/a#b",
            "ftp://a/",
            "http:/a",
            "http:///a",
            "http://a@b/",
            "http://a:x/",
            "http://a b",
        ] {
            assert_eq!(Target::parse(Method::Get, text), None, "{text:?}");
        }
    }

    #[test]
    fn a_host_and_its_port_are_told_apart() {
        assert_eq!(host_and_port("localhost"), Some(("localhost", None)));
        assert_eq!(host_and_port("LOCAL_host.:8000"), Some(("LOCAL_host.", Some(8000))));
        assert_eq!(host_and_port("127.0.0.1:0"), Some(("127.0.0.1", Some(0))));
        assert_eq!(host_and_port("a:"), Some(("a", None)));
        assert_eq!(host_and_port("[::ffff:1.2.3.4]:65535"), Some(("[::ffff:1.2.3.4]", Some(65535))));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for text in [
            "",
            ":80",
            "a:b",
            "a:+1",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]a",
            "[::1]80",
            "[]",
            "[v1.a]",
            "a,b",
            "a b",
            "a@b",
            "a/b",
            "a?b",
            "a%41",
            "é",
            "[::1%25lo]",
        ] {
            assert_eq!(host_and_port(text), None, "{text:?}");
        }
    }

    #[test]
    fn escapes_are_decoded_once() {
        let mut text = String::from("dropped");
        assert_eq!(decode_path("/%7e%7E/%2525+%2f", &mut text), Ok(()));
        assert_eq!(text, "/~~/%25+/");
    }

    #[test]
    fn bad_escapes_are_told_by_cause_and_leave_nothing() {
        for (path, error) in [
            ("/%", BadEscape::NotHex),
            ("/%4", BadEscape::NotHex),
            ("/%4g", BadEscape::NotHex),
            ("/%+1", BadEscape::NotHex),
            ("/%%41", BadEscape::NotHex),
            ("/%00", BadEscape::Nul),
            ("/%ff", BadEscape::NotUtf8),
            ("/%c0%af", BadEscape::NotUtf8),
        ] {
            let mut text = String::from("dropped");
            assert_eq!(decode_path(path, &mut text), Err(error), "{path:?}");
            assert_eq!(text, "");
        }
    }

    #[test]
    fn a_nul_is_refused_whether_it_is_escaped_or_not() {
        assert_eq!(decode_path("/a\0", &mut String::new()), Err(BadEscape::Nul));
        for query in ["a\0=b", "a\0=%20", "a=%00", "a=\0"] {
            assert_eq!(QueryPairs::new(query).collect::<Vec<_>>(), [Err(BadEscape::Nul)], "{query:?}");
        }
    }

    #[test]
    fn decoding_uses_the_memory_again() {
        let mut text = String::with_capacity(64);
        let address = text.as_ptr();
        decode_path("/notes/%41", &mut text).unwrap();
        assert_eq!(text.as_ptr(), address);
    }

    #[test]
    fn pairs_keep_their_order_and_repeats() {
        let pairs: Vec<_> = QueryPairs::new("&a=1&&a=2=3&=x&b&").map(Result::unwrap).collect();
        let expected = [("a", "1"), ("a", "2=3"), ("", "x"), ("b", "")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn a_bad_pair_is_told_and_the_next_one_still_comes() {
        let pairs: Vec<_> = QueryPairs::new("a=%&b=%00&%ff=c&d=e").collect();
        let good = Ok(("d".into(), "e".into()));
        assert_eq!(pairs, [Err(BadEscape::NotHex), Err(BadEscape::Nul), Err(BadEscape::NotUtf8), good]);
    }

    #[test]
    fn plain_text_is_borrowed() {
        let (name, value) = QueryPairs::new("after=12").next().unwrap().unwrap();
        assert!(matches!((name, value), (Cow::Borrowed("after"), Cow::Borrowed("12"))));
    }
}
