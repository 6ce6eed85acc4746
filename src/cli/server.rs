//! Another server that we ask: its address, the key for it, whom to trust and through whom to go.

use std::path::Path;

use crate::config::Secret;
use crate::limits::Limits;
use crate::os::real::trust_anchors;
use crate::wire::proxy::{Proxy, ProxyRules};
use crate::wire::tls::Trust;
use crate::wire::url::Url;

/// The variable that the key stands in unless another is named.
const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// Whose key that variable is made for.
const KEY_HOST: &str = "api.openai.com";

/// What the flags of this server are called, and what is behind it.
pub(super) struct Flags {
    pub(super) url: &'static str,
    pub(super) ca: &'static str,
    pub(super) key_env: &'static str,
    pub(super) what: &'static str,
}

/// A server, made out from its flags and the environment.
pub(super) struct Server {
    pub(super) url: Url,
    pub(super) key: Option<Secret>,
    pub(super) trust: Option<Trust>,
    pub(super) proxy: Option<Proxy>,
}

impl Server {
    /// Makes it out, and tells the log what its operator may not expect.
    ///
    /// # Errors
    /// In words: what is wrong with a flag, or with what it names.
    pub(super) fn make_out(
        text: &str,
        key_env: Option<&str>,
        ca: Option<&Path>,
        flags: &Flags,
        limits: &Limits,
    ) -> Result<Server, String> {
        let url = Url::parse(text).map_err(|error| format!("{} can't be used: {error}", flags.url))?;
        let trust = trust(&url, ca, flags, limits)?;
        let key = key(key_env, flags)?;
        if key.is_some() && !url.is_tls && !is_local(&url) {
            log::warn!(
                "the key for {} is sent without encryption: its address begins with http",
                url.authority()
            );
        }
        if key.is_some() && key_env.is_none() && url.host != KEY_HOST {
            log::info!("the key in {KEY_VARIABLE} is sent to {}", url.authority());
        }
        let proxy = proxy_for(&url)?;
        if let Some(proxy) = &proxy {
            log::info!("the {} is reached through the proxy {}:{}", flags.what, proxy.host, proxy.port);
        }
        Ok(Server { url, key, trust, proxy })
    }
}

fn trust(url: &Url, ca: Option<&Path>, flags: &Flags, limits: &Limits) -> Result<Option<Trust>, String> {
    if !url.is_tls {
        return match ca {
            Some(_) => Err(format!("{} is of no use: {} does not begin with https", flags.ca, flags.url)),
            None => Ok(None),
        };
    }
    let anchors = trust_anchors(ca).map_err(|why| match ca {
        Some(_) => format!("{}: {why}", flags.ca),
        None => why,
    })?;
    Trust::new(anchors, limits).map(Some).map_err(|error| error.to_string())
}

/// The server's key: from the variable that was named, which must be there, or from the usual one.
fn key(named: Option<&str>, flags: &Flags) -> Result<Option<Secret>, String> {
    let variable = named.unwrap_or(KEY_VARIABLE);
    let key = match std::env::var(variable) {
        Ok(key) => key.trim().to_owned(),
        Err(_) if named.is_none() => return Ok(None),
        Err(_) => {
            return Err(format!("{}: the variable {variable} is not set, or is no text", flags.key_env));
        }
    };
    if key.is_empty() && named.is_none() {
        return Ok(None);
    }
    // Anything else can't stand in a header field (RFC 9110 §5.5).
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("the key in {variable} is empty, or holds a space or what is no ASCII"));
    }
    Ok(Some(Secret::new(key)))
}

fn is_local(url: &Url) -> bool {
    let address = url.host.parse::<std::net::IpAddr>();
    url.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The proxy that the environment names for this address. The names in small letters come first, as with curl; what names
/// no proxy for this address is not read.
fn proxy_for(url: &Url) -> Result<Option<Proxy>, String> {
    if is_local(url) {
        return Ok(None);
    }
    let (http, https) =
        if url.is_tls { (None, variable("HTTPS_PROXY")) } else { (variable("HTTP_PROXY"), None) };
    let no_proxy = variable("NO_PROXY");
    let rules = ProxyRules::new(http.as_deref(), https.as_deref(), no_proxy.as_deref());
    rules.map(|rules| rules.proxy_for(url).cloned()).map_err(|error| error.to_string())
}

/// The proxies that the environment names, for whatever address.
///
/// # Errors
/// In words: a proxy's address can't be read.
pub(super) fn proxy_rules() -> Result<ProxyRules, String> {
    let (http, https, no_proxy) = (variable("HTTP_PROXY"), variable("HTTPS_PROXY"), variable("NO_PROXY"));
    let rules = ProxyRules::new(http.as_deref(), https.as_deref(), no_proxy.as_deref());
    rules.map_err(|error| error.to_string())
}

/// A variable by its name in small letters, else by that in large ones.
fn variable(name: &str) -> Option<String> {
    std::env::var(name.to_ascii_lowercase()).or_else(|_| std::env::var(name)).ok()
}
