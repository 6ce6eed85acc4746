//! The address of a server that we are a client of, as someone wrote it into a configuration.
//!
//! It is less than a URL may be: what could not be used is refused with its reason instead of being dropped. A user and
//! a password would end in logs; a query and a fragment make no sense before paths are put behind it.
//!
//! ```
//! use oneloop::wire::url::{Url, UrlError};
//!
//! let url = Url::parse("HTTP://LocalHost:11434/v1/").unwrap();
//! assert_eq!((url.is_tls, &*url.host, url.port, &*url.path), (false, "localhost", 11434, "/v1"));
//! assert_eq!(url.authority(), "localhost:11434");
//! assert_eq!(Url::parse("https://[::1]").unwrap().authority(), "[::1]");
//! assert_eq!(Url::parse("localhost:11434"), Err(UrlError::SchemeMissing));
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::http1::host_and_port;

/// A scheme, a host, a port and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The scheme is `https`.
    pub is_tls: bool,
    /// A name in small letters, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The port, told or that of the scheme; never 0.
    pub port: u16,
    /// Empty, or begins with `/` and does not end with it. Escapes are left as they are.
    pub path: String,
}

/// Why a text is no address that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// A space or a control character, be it at the end.
    Blank,
    /// A character beyond ASCII, in the host or elsewhere.
    NotAscii,
    /// There is no `://`.
    SchemeMissing,
    /// A scheme other than `http` and `https`.
    SchemeUnknown,
    /// A user, and perhaps a password, before the host.
    UserInfo,
    /// A query.
    Query,
    /// A fragment.
    Fragment,
    /// There is no host.
    HostMissing,
    /// The host is neither a name nor an address.
    HostInvalid,
    /// The port is no number from 1 to 65535.
    PortInvalid,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Blank => "it holds a space or a control character",
            UrlError::NotAscii => {
                "it holds characters beyond ASCII: write a host as `xn--...` and a path with escapes"
            }
            UrlError::SchemeMissing => "it does not begin with http:// or https://",
            UrlError::SchemeUnknown => "its scheme is neither http nor https",
            UrlError::UserInfo => "it holds a user or a password, which can't be given here",
            UrlError::Query => "it holds a query, which can't be given here",
            UrlError::Fragment => "it holds a fragment, which is never sent",
            UrlError::HostMissing => "it has no host",
            UrlError::HostInvalid => {
                "its host is no name and no IP address (an IPv6 address stands in brackets)"
            }
            UrlError::PortInvalid => "its port is not a number from 1 to 65535",
        })
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// [`UrlError`] by cause. It holds nothing of the text, in which there may be a password.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let (is_tls, authority, path) = take_apart(text)?;
        match path.find(['?', '#']).and_then(|at| path.as_bytes().get(at)) {
            Some(b'?') => return Err(UrlError::Query),
            Some(_) => return Err(UrlError::Fragment),
            None => {}
        }
        let (host, port) = split_authority(authority)?;
        Ok(Url {
            is_tls,
            host,
            port: port.unwrap_or(default_port(is_tls)),
            path: path.trim_end_matches('/').to_string(),
        })
    }

    /// Reads the address of one thing on a server, and what is to be asked for there. Unlike with [`parse`](Url::parse) what
    /// stands behind the host is left as it is written, a query and a slash at its end included; the path is empty.
    ///
    /// # Errors
    /// As with [`parse`](Url::parse).
    pub fn parse_with_target(text: &str) -> Result<(Url, String), UrlError> {
        let (is_tls, authority, target) = take_apart(text)?;
        if target.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(default_port(is_tls));
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok((Url { is_tls, host, port, path: String::new() }, target))
    }

    /// Host and port as they stand in `Host`: the port of the scheme is left out, an IPv6 address stands in brackets.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.is_tls) {
            return bracketed(&self.host);
        }
        self.authority_with_port()
    }

    /// Host and port as a CONNECT asks for them: the port is always there (RFC 9112 §3.2.3).
    pub fn authority_with_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

impl fmt::Display for Url {
    /// As it could be parsed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Whether it is `https`, the host with its port, and what stands behind them.
fn take_apart(text: &str) -> Result<(bool, &str, &str), UrlError> {
    if !text.is_ascii() {
        return Err(UrlError::NotAscii);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::Blank);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::SchemeMissing)?;
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(UrlError::SchemeUnknown),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    Ok((is_tls, authority, behind))
}

fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_string() }
}

/// The host in its one form, as in [`Url`], and the port, if one is told.
///
/// # Errors
/// [`UrlError`] by cause.
pub fn split_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    if authority.is_empty() || authority.starts_with(':') {
        return Err(UrlError::HostMissing);
    }
    let (host, port) = host_and_port(authority).ok_or_else(|| match authority.rsplit_once(':') {
        // The host alone would do, so it is the port that does not.
        Some((host, _)) if matches!(host_and_port(host), Some((_, None))) => UrlError::PortInvalid,
        Some(_) | None => UrlError::HostInvalid,
    })?;
    if port == Some(0) {
        return Err(UrlError::PortInvalid);
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| UrlError::HostInvalid)?;
        return Ok((address.to_string(), port));
    }
    // `127.1` and `0300.1.1.1` are addresses to some resolvers and names to others.
    let last_label = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last_label.bytes().all(|byte| byte.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return Err(UrlError::HostInvalid);
    }
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (bool, String, u16, String) {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        (url.is_tls, url.host, url.port, url.path)
    }

    #[test]
    fn an_address_is_taken_apart() {
        for (text, is_tls, host, port, path) in [
            ("http://a", false, "a", 80, ""),
            ("https://a", true, "a", 443, ""),
            ("HTTPS://A.Example.:8443/V1", true, "a.example.", 8443, "/V1"),
            ("http://a/", false, "a", 80, ""),
            ("http://a//", false, "a", 80, ""),
            ("http://a/b/c/", false, "a", 80, "/b/c"),
            ("http://a/b%20c@d:e", false, "a", 80, "/b%20c@d:e"),
            ("http://a:/", false, "a", 80, ""),
            ("http://127.0.0.1:1", false, "127.0.0.1", 1, ""),
            ("http://[0:0:0:0:0:0:0:1]:65535/v1", false, "::1", 65535, "/v1"),
            ("http://[::FFFF:10.0.0.1]", false, "::ffff:10.0.0.1", 80, ""),
            ("http://model_server-1", false, "model_server-1", 80, ""),
            ("http://1a", false, "1a", 80, ""),
        ] {
            assert_eq!(parts(text), (is_tls, host.into(), port, path.into()), "{text:?}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused_by_its_cause() {
        for (text, error) in [
            ("", UrlError::SchemeMissing),
            ("a:80", UrlError::SchemeMissing),
            ("http:/a", UrlError::SchemeMissing),
            ("ftp://a", UrlError::SchemeUnknown),
            ("://a", UrlError::SchemeUnknown),
            ("unix:///run/model", UrlError::SchemeUnknown),
            (" http://a", UrlError::Blank),
            ("http://a\n", UrlError::Blank),
            ("http://a/b c", UrlError::Blank),
            ("http://a\0", UrlError::Blank),
            ("http://é", UrlError::NotAscii),
            ("http://a/é", UrlError::NotAscii),
            ("http://u@a", UrlError::UserInfo),
            ("http://u:p@a:1/b", UrlError::UserInfo),
            ("http://a?b", UrlError::Query),
            ("http://a/b?", UrlError::Query),
            ("http://a#b", UrlError::Fragment),
            ("http://a/b#c?d", UrlError::Fragment),
            ("http://", UrlError::HostMissing),
            ("http:///v1", UrlError::HostMissing),
            ("http://:80", UrlError::HostMissing),
            ("http://::1", UrlError::HostMissing),
            ("http://a:b:1", UrlError::HostInvalid),
            ("http://[::1", UrlError::HostInvalid),
            ("http://[::1]a", UrlError::HostInvalid),
            ("http://[fe80::1%25lo]", UrlError::HostInvalid),
            ("http://a,b", UrlError::HostInvalid),
            ("http://a%41", UrlError::HostInvalid),
            ("http://a\\b", UrlError::HostInvalid),
            ("http://127.1", UrlError::HostInvalid),
            ("http://256.0.0.1", UrlError::HostInvalid),
            ("http://1.2.3.4.", UrlError::HostInvalid),
            ("http://a:0", UrlError::PortInvalid),
            ("http://a:65536", UrlError::PortInvalid),
            ("http://a:+1", UrlError::PortInvalid),
            ("http://a:x", UrlError::PortInvalid),
            ("http://[::1]:x", UrlError::PortInvalid),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_target_is_left_as_it_is_written() {
        for (text, host, port, target) in [
            ("http://A", "a", 80, "/"),
            ("http://a/", "a", 80, "/"),
            ("https://a:8443/hooks//b/", "a", 8443, "/hooks//b/"),
            ("http://a?b=c/d", "a", 80, "/?b=c/d"),
            ("http://[::1]:1/b?c=%20&d@e", "::1", 1, "/b?c=%20&d@e"),
        ] {
            let (url, told) = Url::parse_with_target(text).unwrap();
            assert_eq!((&*url.host, url.port, &*url.path, &*told), (host, port, "", target), "{text:?}");
        }
        for (text, error) in [
            ("http://a/b#c", UrlError::Fragment),
            ("http://a?b#c", UrlError::Fragment),
            ("http://a#b", UrlError::Fragment),
            ("http://a@b/c", UrlError::UserInfo),
            ("http://a\\@b/c", UrlError::UserInfo),
            ("http:///a", UrlError::HostMissing),
            ("http://a/b\r\nc", UrlError::Blank),
        ] {
            assert_eq!(Url::parse_with_target(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_authority_leaves_out_only_the_port_of_its_scheme() {
        for (text, authority, with_port) in [
            ("http://a:80", "a", "a:80"),
            ("https://a:80", "a:80", "a:80"),
            ("https://a", "a", "a:443"),
            ("http://[::1]:443", "[::1]:443", "[::1]:443"),
            ("http://[::1]", "[::1]", "[::1]:80"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.authority(), &*url.authority_with_port()), (authority, with_port), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_can_be_parsed_again() {
        for text in ["http://a", "https://[::1]:8443/v1", "http://127.0.0.1:1/a/b"] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.to_string(), text);
        }
    }
}
