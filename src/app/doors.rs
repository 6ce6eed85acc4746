//! The first doors: whom a request says it is for, and on whose page it was made.
//!
//! A server on a loopback address is open to every web page that its user visits: the page's script can send it
//! requests. Two checks shut that out. The `Host` door stops DNS rebinding, where a page's own name is made to point
//! at 127.0.0.1: such a request still carries that name. The `Origin` door stops a foreign page from changing
//! anything here: browsers put the page's origin on such requests, and scripts can't forge it.
//!
//! Some pages of other origins are welcome: those that the operator has named. They pass, and answers to them say so, or
//! their browser would not let them read what we answer (Fetch Standard, "CORS protocol").

use std::net::{IpAddr, SocketAddr};

use crate::wire::http1::{Head, Method};

/// Why a door stayed shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The request is for a name that is not ours: 421.
    Host,
    /// It was made by a page of another origin: 403.
    Origin,
}

impl Shut {
    /// What the client is told.
    pub fn detail(self) -> &'static str {
        match self {
            Shut::Host => {
                "this server does not answer to that Host; start it with --allow-host NAME if it should"
            }
            Shut::Origin => {
                "requests from pages of another origin are not accepted; start the server with --cors-origin ORIGIN if they should be"
            }
        }
    }
}

/// The names that are ours.
#[derive(Debug)]
pub struct Doors {
    bound: IpAddr,
    allowed: Vec<String>,
    /// Other origins whose pages are welcome, as browsers write them.
    origins: Vec<String>,
}

/// A welcome origin, by its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(usize);

/// Whose pages are welcome where the operator has not said: those of the development servers of Vite and of Create React
/// App, and only on a server that no other machine reaches.
const DEVELOPMENT: [&str; 2] = ["http://localhost:5173", "http://localhost:3000"];

impl Doors {
    /// For a server bound to `bound` that also answers to `allowed`, and to pages of `origins`.
    pub fn new(bound: SocketAddr, allowed: &[String], origins: Option<&[String]>) -> Doors {
        let origins = match origins {
            Some(origins) => origins.to_vec(),
            None if bound.ip().is_loopback() => DEVELOPMENT.map(ToOwned::to_owned).to_vec(),
            None => Vec::new(),
        };
        let allowed =
            allowed.iter().map(|name| host_of(name).trim_end_matches('.').to_ascii_lowercase()).collect();
        Doors { bound: bound.ip(), allowed, origins }
    }

    /// The origin of the page that a request was made by, if it is another than ours and welcome.
    pub fn origin(&self, head: &Head<'_>) -> Option<Origin> {
        let origin = head.field("origin")?;
        self.origins.iter().position(|welcome| welcome.as_bytes() == origin).map(Origin)
    }

    /// What an answer says to the page of a welcome origin.
    pub fn origin_text(&self, origin: Origin) -> &str {
        self.origins.get(origin.0).map_or("", String::as_str)
    }

    /// Lets a request pass, or says which door stayed shut.
    ///
    /// # Errors
    /// [`Shut`], with the reason to tell.
    pub fn pass(&self, head: &Head<'_>) -> Result<(), Shut> {
        // HTTP/1.0 may lack Host; browsers always send it, and it is browsers that this door is about.
        if let Some(authority) = head.authority
            && !self.is_ours(host_of(authority))
        {
            return Err(Shut::Host);
        }
        if matches!(head.method, Method::Get | Method::Head | Method::Options) {
            return Ok(());
        }
        self.pass_page(head)
    }

    /// Lets a request pass whatever its method, unless it was made by a page that is not welcome: one that begins with GET and
    /// then goes both ways is open to every page, as browsers ask nobody before they begin it (RFC 6455 §10.2).
    ///
    /// # Errors
    /// [`Shut::Origin`].
    pub fn pass_page(&self, head: &Head<'_>) -> Result<(), Shut> {
        let is_welcome = |origin: &[u8]| self.origins.iter().any(|welcome| welcome.as_bytes() == origin);
        let is_shut = |origin: &[u8]| !is_own_origin(origin, head.authority) && !is_welcome(origin);
        if head.fields("origin").any(is_shut) {
            return Err(Shut::Origin);
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        if host.eq_ignore_ascii_case("localhost")
            || self.allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
        {
            return true;
        }
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // A literal address can't be rebound: only a name points somewhere else tomorrow. So where we are bound to
        // every address of the machine, every literal is one that the client could really reach us by.
        literal.parse::<IpAddr>().is_ok_and(|address| {
            address.is_loopback() || address == self.bound || self.bound.is_unspecified()
        })
    }
}

/// The host of `host[:port]`, brackets of an IPv6 address included.
fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

/// `origin` is the page that this very server serves: `http://` and the authority the request was sent to.
fn is_own_origin(origin: &[u8], authority: Option<&str>) -> bool {
    let (Ok(origin), Some(authority)) = (std::str::from_utf8(origin), authority) else { return false };
    let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    page.is_some_and(|page| page.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(bound: &str) -> Doors {
        Doors::new(
            bound.parse().unwrap(),
            &["Notes.Example".to_owned(), "docs.example:8000".to_owned()],
            None,
        )
    }

    #[test]
    fn loopback_names_the_bound_address_and_allowed_names_are_ours() {
        let doors = doors("10.1.2.3:80");
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "10.1.2.3",
            "notes.example",
            "docs.example",
        ] {
            assert!(doors.is_ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "10.1.2.4",
            "localhost.evil.example",
            "",
            "127.0.0.1.nip.example",
            "0x7f000001",
            "[::2]",
        ] {
            assert!(!doors.is_ours(host), "{host}");
        }
    }

    #[test]
    fn bound_to_every_address_any_literal_is_ours_but_no_name() {
        let doors = doors("0.0.0.0:80");
        assert!(doors.is_ours("192.0.2.7"));
        assert!(!doors.is_ours("evil.example"));
    }

    #[test]
    fn a_port_is_no_part_of_the_host() {
        assert_eq!(host_of("localhost:8000"), "localhost");
        assert_eq!(host_of("[::1]:8000"), "[::1]");
        assert_eq!(host_of("[::1]"), "[::1]");
    }

    #[test]
    fn development_servers_are_welcome_on_loopback_unless_the_operator_has_named_others() {
        let origins =
            |bound: &str, named: Option<&[String]>| Doors::new(bound.parse().unwrap(), &[], named).origins;
        assert_eq!(origins("127.0.0.1:80", None), DEVELOPMENT);
        assert!(origins("10.1.2.3:80", None).is_empty());
        let named = ["https://notes.example".to_owned()];
        assert_eq!(origins("127.0.0.1:80", Some(&named)), named);
        assert!(origins("127.0.0.1:80", Some(&[])).is_empty());
    }

    #[test]
    fn only_the_page_of_this_server_is_its_own_origin() {
        let here = Some("localhost:8000");
        assert!(is_own_origin(b"http://localhost:8000", here));
        for origin in
            [&b"http://localhost:5173"[..], b"null", b"http://evil.example", b"localhost:8000", b"\xff", b""]
        {
            assert!(!is_own_origin(origin, here), "{origin:?}");
        }
        assert!(!is_own_origin(b"http://localhost:8000", None));
    }
}
