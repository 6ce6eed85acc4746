//! Which requests go through a proxy: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, read as Go's `net/http` reads them.
//!
//! Nothing standardises these variables and every program differs a little. Those who run servers know Go's reading from
//! their container tools, so it is ours. Whoever calls us has read the variables; we never do.
//!
//! - Only proxies that are spoken to in plain HTTP: `http://proxy:3128`, or without the scheme; port 80 if none is told.
//! - A user and a password in the address, escaped where they have to be, become one `Proxy-Authorization` value.
//! - `localhost` and loopback addresses never go through a proxy.
//! - `NO_PROXY` is a list with commas: `*` (nothing goes through a proxy), a name (itself and all below it), a name
//!   behind a dot or behind `*.` (all below it), an address, a block like `10.0.0.0/8`; a name or an address may have a
//!   port and then stands for that one alone. An entry that is none of these matches nothing, as with Go and curl: the
//!   variable is set for all programs of a machine, and something in it for another one must not stop this one.
//! - Names are compared as they are written. None is resolved, so a block of addresses does not cover them.
//!
//! ```
//! use oneloop::wire::proxy::ProxyRules;
//! use oneloop::wire::url::Url;
//!
//! let rules = ProxyRules::new(None, Some("http://user:pa%40ss@proxy:3128"), Some(".corp,10.0.0.0/8")).unwrap();
//! let proxy_for = |url: &str| rules.proxy_for(&Url::parse(url).unwrap());
//! let proxy = proxy_for("https://api.example.com/v1").unwrap();
//! assert_eq!((&*proxy.host, proxy.port), ("proxy", 3128));
//! assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwYUBzcw=="));
//! assert_eq!(proxy_for("https://models.corp"), None);
//! assert_eq!(proxy_for("https://10.1.2.3"), None);
//! assert_eq!(proxy_for("http://api.example.com"), None);
//! assert!(!format!("{rules:?}").contains("dXNl"));
//! ```

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::http1::{decode_path, host_and_port};
use super::url::{Url, UrlError};

/// A proxy that requests are sent through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name or an address, as in [`Url`].
    pub host: String,
    /// The port.
    pub port: u16,
    /// The whole value of `Proxy-Authorization`. It is a secret and in no `Debug`.
    pub authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("authorization", &self.authorization.as_ref().map(|_| "..."))
            .finish()
    }
}

/// The variable that a proxy stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVariable {
    /// `HTTP_PROXY`, for `http` addresses.
    Http,
    /// `HTTPS_PROXY`, for `https` addresses.
    Https,
}

impl fmt::Display for ProxyVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyVariable::Http => "HTTP_PROXY",
            ProxyVariable::Https => "HTTPS_PROXY",
        })
    }
}

/// Why a proxy can't be used. It holds nothing of the variable's text, in which there may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// The proxy is to be spoken to with TLS, SOCKS or something else than plain HTTP.
    SchemeUnsupported(ProxyVariable),
    /// Something stands behind the host and its port.
    PathGiven(ProxyVariable),
    /// The user or the password is not well escaped, or the user holds a colon, which Basic can't tell (RFC 7617 §2).
    CredentialsInvalid(ProxyVariable),
    /// The rest is no address.
    AddressInvalid(ProxyVariable, UrlError),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::SchemeUnsupported(variable) => {
                write!(f, "{variable} can't be used: only http:// proxies are supported")
            }
            ProxyError::PathGiven(variable) => {
                write!(f, "{variable} can't be used: a proxy has a host and a port and no path")
            }
            ProxyError::CredentialsInvalid(variable) => {
                write!(f, "{variable} can't be used: its user or password is not well escaped")
            }
            ProxyError::AddressInvalid(variable, error) => write!(f, "{variable} can't be used: {error}"),
        }
    }
}

impl std::error::Error for ProxyError {}

/// Which proxy, if any, each address is reached through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyRules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// Addresses of which the first `prefix_bits` are these.
    Block {
        address: IpAddr,
        prefix_bits: u32,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Name {
        /// In small letters, without a dot at either end.
        name: String,
        /// Only what is below it.
        is_below: bool,
        port: Option<u16>,
    },
}

impl ProxyRules {
    /// Reads the values of the three variables. An empty one is as good as none.
    ///
    /// # Errors
    /// [`ProxyError`], which names the variable.
    pub fn new(
        http_proxy: Option<&str>,
        https_proxy: Option<&str>,
        no_proxy: Option<&str>,
    ) -> Result<ProxyRules, ProxyError> {
        let read = |text: Option<&str>, variable| match text.map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => proxy(text, variable).map(Some),
        };
        Ok(ProxyRules {
            http: read(http_proxy, ProxyVariable::Http)?,
            https: read(https_proxy, ProxyVariable::Https)?,
            exceptions: no_proxy.unwrap_or_default().split(',').filter_map(exception).collect(),
        })
    }

    /// The proxy that an address is reached through; `None` if it is reached directly.
    pub fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.is_tls { self.https.as_ref()? } else { self.http.as_ref()? };
        let name = url.host.trim_end_matches('.');
        let address = name.parse().ok().map(|address: IpAddr| address.to_canonical());
        let is_local = name == "localhost" || address.is_some_and(|address| address.is_loopback());
        let is_direct =
            is_local || self.exceptions.iter().any(|exception| exception.covers(name, address, url.port));
        (!is_direct).then_some(proxy)
    }
}

impl Exception {
    fn covers(&self, host: &str, host_address: Option<IpAddr>, host_port: u16) -> bool {
        match self {
            Exception::All => true,
            Exception::Block { address, prefix_bits } => {
                host_address.is_some_and(|host| same_prefix(host, *address, *prefix_bits))
            }
            Exception::Address { address, port } => {
                host_address == Some(*address) && port.is_none_or(|port| port == host_port)
            }
            Exception::Name { name, is_below, port } => {
                let is_below_name = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                let is_it = !is_below && host == name;
                (is_it || is_below_name) && port.is_none_or(|port| port == host_port)
            }
        }
    }
}

fn same_prefix(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            // A block of no bits is all there is; to shift by all bits is no shift at all.
            let mask = u32::MAX.checked_shl(u32::BITS - bits).unwrap_or(0);
            one.to_bits() & mask == other.to_bits() & mask
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let mask = u128::MAX.checked_shl(u128::BITS - bits).unwrap_or(0);
            one.to_bits() & mask == other.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// `None` for an empty entry and for one that is nothing we know.
fn exception(entry: &str) -> Option<Exception> {
    let entry = entry.trim().to_ascii_lowercase();
    if entry == "*" {
        return Some(Exception::All);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { u32::BITS } else { u128::BITS };
        let prefix_bits = bits.parse().ok().filter(|bits| *bits <= bits_max)?;
        return Some(Exception::Block { address, prefix_bits });
    }
    // An IPv6 address may stand without brackets, if it has no port.
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(Exception::Address { address: address.to_canonical(), port: None });
    }
    let (host, port) = host_and_port(entry.strip_prefix('*').unwrap_or(&entry))?;
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Address { address: address.to_canonical(), port });
    }
    let name = host.trim_matches('.').to_string();
    let is_below = host.starts_with('.');
    // `*name` is no way to write anything; `*.name` is.
    let is_plain = entry.starts_with('*') && !is_below;
    (!name.is_empty() && !is_plain).then_some(Exception::Name { name, is_below, port })
}

fn proxy(text: &str, variable: ProxyVariable) -> Result<Proxy, ProxyError> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(ProxyError::SchemeUnsupported(variable)),
        None => text,
    };
    // Credentials stand before the path and hold none of its bytes unless escaped.
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    let url =
        Url::parse(&format!("http://{host}")).map_err(|error| ProxyError::AddressInvalid(variable, error))?;
    if !matches!(path, "" | "/") {
        return Err(ProxyError::PathGiven(variable));
    }
    let authorization = credentials
        .map(|credentials| basic(credentials).ok_or(ProxyError::CredentialsInvalid(variable)))
        .transpose()?;
    Ok(Proxy { host: url.host, port: url.port, authorization })
}

/// The value of an authorization by user and password (RFC 7617 §2), which are escaped here and not there.
fn basic(credentials: &str) -> Option<String> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (mut user_text, mut password_text) = (String::new(), String::new());
    decode_path(user, &mut user_text).ok()?;
    decode_path(password, &mut password_text).ok()?;
    let is_telling = !user_text.contains(':');
    is_telling.then(|| format!("Basic {}", STANDARD.encode(format!("{user_text}:{password_text}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: Option<&str> = Some("http://proxy");

    /// Whether an address is reached directly with this `NO_PROXY`.
    fn is_direct(no_proxy: &str, url: &str) -> bool {
        let rules = ProxyRules::new(PROXY, PROXY, Some(no_proxy)).unwrap();
        rules.proxy_for(&Url::parse(url).unwrap()).is_none()
    }

    fn read(text: &str) -> Result<(String, u16, Option<String>), ProxyError> {
        let rules = ProxyRules::new(None, Some(text), None)?;
        let proxy = rules.https.expect("a proxy is told");
        Ok((proxy.host, proxy.port, proxy.authorization))
    }

    #[test]
    fn each_scheme_has_its_own_proxy_and_none_if_its_variable_is_empty() {
        let url = |text| Url::parse(text).unwrap();
        let rules = ProxyRules::new(Some("a:1"), Some("b:2"), None).unwrap();
        assert_eq!(rules.proxy_for(&url("http://c")).map(|proxy| proxy.port), Some(1));
        assert_eq!(rules.proxy_for(&url("https://c")).map(|proxy| proxy.port), Some(2));
        let rules = ProxyRules::new(Some(""), Some(" "), Some("")).unwrap();
        assert_eq!(rules, ProxyRules::default());
        assert_eq!(rules.proxy_for(&url("https://c")), None);
    }

    #[test]
    fn a_proxy_is_read_with_and_without_its_scheme() {
        for text in ["http://Proxy:3128", "HTTP://proxy:3128/", "proxy:3128", " proxy:3128 "] {
            assert_eq!(read(text), Ok(("proxy".into(), 3128, None)), "{text:?}");
        }
        assert_eq!(read("proxy"), Ok(("proxy".into(), 80, None)));
        assert_eq!(read("[::1]:1"), Ok(("::1".into(), 1, None)));
    }

    #[test]
    fn credentials_are_unescaped_and_sent_as_basic() {
        for (text, value) in [
            ("http://Aladdin:open%20sesame@proxy", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("user@proxy", "Basic dXNlcjo="),
            ("u:p@ss:w@proxy", "Basic dTpwQHNzOnc="),
            ("http://%C3%A9:%0A@proxy", "Basic w6k6Cg=="),
        ] {
            assert_eq!(read(text), Ok(("proxy".into(), 80, Some(value.into()))), "{text:?}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused_by_its_cause_and_tells_no_secret() {
        let variable = ProxyVariable::Https;
        for (text, error) in [
            ("https://u:secret@proxy", ProxyError::SchemeUnsupported(variable)),
            ("socks5://u:secret@proxy", ProxyError::SchemeUnsupported(variable)),
            ("http://u:secret%4@proxy", ProxyError::CredentialsInvalid(variable)),
            ("http://u%3Au:secret@proxy", ProxyError::CredentialsInvalid(variable)),
            ("http://u:secret%ff@proxy", ProxyError::CredentialsInvalid(variable)),
            ("http://u:secret@proxy/path", ProxyError::PathGiven(variable)),
            ("http://u:secret@", ProxyError::AddressInvalid(variable, UrlError::HostMissing)),
            ("http://u:secret@proxy:x", ProxyError::AddressInvalid(variable, UrlError::PortInvalid)),
            ("http://proxy?secret", ProxyError::PathGiven(variable)),
            ("http://proxy/u:secret@other", ProxyError::PathGiven(variable)),
            ("http://proxy secret", ProxyError::AddressInvalid(variable, UrlError::Blank)),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
            let told = format!("{error} {error:?}");
            assert!(told.contains("HTTPS_PROXY") && !told.contains("secret"), "{told}");
        }
        let rules = ProxyRules::new(Some("u:secret@proxy"), None, None).unwrap();
        let secret = rules.http.clone().unwrap().authorization.unwrap();
        assert!(!format!("{rules:?}").contains(secret.trim_start_matches("Basic ")), "{rules:?}");
    }

    #[test]
    fn what_is_on_this_machine_is_always_reached_directly() {
        for url in [
            "http://localhost",
            "https://LOCALHOST.:1",
            "http://127.9.9.9",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(is_direct("", url), "{url}");
        }
        for url in ["http://localhost.example", "http://128.0.0.1", "http://[::2]"] {
            assert!(!is_direct("", url), "{url}");
        }
    }

    #[test]
    fn each_kind_of_exception_covers_what_it_says() {
        for (no_proxy, direct, proxied) in [
            ("*", "http://a.b:1 https://1.2.3.4 http://[::2]", ""),
            ("a.b", "http://a.b http://x.a.b https://A.B.:1", "http://xa.b http://a.b.c http://b"),
            (".a.b", "http://x.a.b http://y.x.a.b", "http://a.b http://xa.b"),
            ("*.a.b", "http://x.a.b", "http://a.b"),
            ("a.b:8080", "http://a.b:8080 http://x.a.b:8080", "http://a.b"),
            ("A.B.", "http://a.b", ""),
            ("1.2.3.4", "http://1.2.3.4 https://1.2.3.4:1 http://[::ffff:1.2.3.4]", "http://1.2.3.5"),
            ("1.2.3.4:80", "http://1.2.3.4", "https://1.2.3.4"),
            ("2001:db8::1", "http://[2001:DB8:0::1]:9", "http://[2001:db8::2]"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", "http://[2001:db8::1]"),
            ("10.0.0.0/8", "http://10.255.0.1 http://[::ffff:10.0.0.1]", "http://11.0.0.1"),
            ("10.1.2.3/8", "http://10.9.9.9", "http://11.0.0.1"),
            ("0.0.0.0/0", "http://1.2.3.4", "http://[::2] http://a"),
            ("1.2.3.4/32", "http://1.2.3.4", "http://1.2.3.5"),
            ("2001:db8::/32", "http://[2001:db8:9::9]", "http://[2001:db9::1] http://1.2.3.4"),
            ("::/0", "http://[2001:db9::1]", "http://1.2.3.4"),
            (" a , ,b,", "http://a http://b", "http://c"),
        ] {
            for url in direct.split_whitespace() {
                assert!(is_direct(no_proxy, url), "{no_proxy:?} covers {url}");
            }
            for url in proxied.split_whitespace() {
                assert!(!is_direct(no_proxy, url), "{no_proxy:?} does not cover {url}");
            }
        }
    }

    #[test]
    fn an_exception_that_is_nothing_we_know_covers_nothing_and_harms_no_other() {
        for nothing in ["192.168.*", "10.0.0.0/33", "10.0.0.0/x", "a/8", "*a", "a:b", "é", ".", "http://c"] {
            let no_proxy = format!("{nothing},b");
            for url in ["http://a", "http://c", "http://10.0.0.1", "http://192.168.0.1"] {
                assert!(!is_direct(&no_proxy, url), "{nothing:?} covers {url}");
            }
            assert!(is_direct(&no_proxy, "http://b"), "{nothing:?}");
        }
    }
}
