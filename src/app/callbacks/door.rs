//! Where a client may have the end of its run told: an address of a server that the operator allows.
//!
//! Names are compared as they are written, in small letters. What a name leads to is the operator's affair: whoever allows
//! one trusts whoever decides that.

use crate::app::respond::{Invalid, Place};
use crate::config::CallbackConfig;
use crate::limits::Limits;
use crate::wire::url::Url;

/// Where a callback goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The whole address, as the client wrote it.
    pub text: Box<str>,
    /// The server; its path is empty.
    pub server: Url,
    /// What is asked for there, from `/` on.
    pub path: Box<str>,
}

/// Reads an address.
///
/// # Errors
/// 422 in FastAPI's shape: it is none, or it leads where no callback may go.
pub fn target(text: &str, config: Option<&CallbackConfig>, limits: &Limits) -> Result<Target, Invalid> {
    let Some(config) = config else { return Err(invalid("value_error", NOBODY)) };
    if text.len() > limits.callback_url_bytes_max {
        let msg = format!("URL should have at most {} characters", limits.callback_url_bytes_max);
        return Err(invalid("url_too_long", msg));
    }
    let (server, path) = Url::parse_with_target(text).map_err(|error| {
        invalid("url_parsing", format!("Input should be an http or https URL, and {error}"))
    })?;
    if !config.allow.iter().any(|allowed| allowed.is_of(&server)) {
        let whom = server.authority_with_port();
        let msg =
            format!("{whom} is not among the servers that --callback-allow names, and nobody else is called");
        return Err(invalid("value_error", msg));
    }
    if server.is_tls && config.trust.is_none() {
        let msg = "https can't be used: the server knows no certificate authority";
        return Err(invalid("value_error", msg));
    }
    Ok(Target { text: text.into(), server, path: path.into() })
}

/// There is a `callback_url`, and something is wrong with it.
pub fn invalid(kind: &'static str, msg: impl Into<std::borrow::Cow<'static, str>>) -> Invalid {
    Invalid::new(kind, &[Place::Name("body"), Place::Name("callback_url")], msg)
}

const NOBODY: &str = "no server may be called back: this one was started without --callback-allow HOST, which names those that may";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AllowedServer;
    use crate::wire::proxy::ProxyRules;
    use crate::wire::webhook::SigningKey;

    fn config() -> CallbackConfig {
        let server = |host: &str, port| AllowedServer { host: host.to_owned(), port };
        CallbackConfig {
            allow: vec![server("hooks.example", None), server("10.0.0.1", Some(8080)), server("::1", None)],
            key: SigningKey::new(&[b'k'; 32]).unwrap(),
            trust: None,
            proxies: ProxyRules::default(),
        }
    }

    fn refused(text: &str) -> Invalid {
        target(text, Some(&config()), &Limits::default()).expect_err(text)
    }

    #[test]
    fn a_server_that_is_allowed_may_be_called_at_any_port_unless_one_is_named() {
        for text in [
            "http://hooks.example",
            "http://HOOKS.example:8080/a/?b=c",
            "http://10.0.0.1:8080/",
            "http://[0:0:0:0:0:0:0:1]:9/x",
        ] {
            let target = target(text, Some(&config()), &Limits::default()).expect(text);
            assert_eq!(&*target.text, text);
        }
        for text in [
            "http://10.0.0.1/",
            "http://10.0.0.1:8081/",
            "http://evil.hooks.example/",
            "http://hooks.example.evil/",
            "http://hooks.example./",
            "http://169.254.169.254/latest",
            "http://[::ffff:10.0.0.1]:8080/",
        ] {
            assert_eq!(refused(text).kind, "value_error", "{text}");
        }
    }

    #[test]
    fn an_address_that_two_readers_could_take_for_different_servers_is_refused() {
        for text in [
            "http://hooks.example@evil/",
            "http://evil\\@hooks.example/",
            "http://hooks.example\\.evil/",
            "http://hooks.example#@evil/",
            "http://hooks.example/\r\nHost: evil",
            "//hooks.example/",
            "file://hooks.example/etc/passwd",
            "http://hooks.example:80:80/",
        ] {
            assert_eq!(refused(text).kind, "url_parsing", "{text}");
        }
    }

    #[test]
    fn https_needs_somebody_to_trust_and_all_needs_a_flag() {
        assert!(refused("https://hooks.example/").msg.contains("certificate"));
        let nobody = target("http://hooks.example/", None, &Limits::default()).unwrap_err();
        assert!(nobody.msg.contains("--callback-allow"));
        assert_eq!(nobody.loc, [Place::Name("body"), Place::Name("callback_url")]);
    }
}
