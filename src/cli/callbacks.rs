//! The flags of callbacks: whom the ends of tasks may be told, and what that is signed with.

use std::path::PathBuf;

use clap::Args;

use super::server::proxy_rules;
use crate::config::{AllowedServer, CallbackConfig};
use crate::limits::Limits;
use crate::os::real::{read_secret, trust_anchors};
use crate::wire::tls::Trust;
use crate::wire::url::split_authority;
use crate::wire::webhook::SigningKey;

/// Whom the ends of tasks may be told, if anybody.
#[derive(Debug, Args)]
#[command(next_help_heading = "Callbacks")]
pub(super) struct CallbackArgs {
    /// A server that may be told the end of a task whose client has named it in callback_url, such as hooks.example or
    /// 10.0.0.5:8080; without a port, at any; repeatable, or a list with commas. It needs a secret to sign with.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = server, value_delimiter = ',')]
    callback_allow: Vec<AllowedServer>,
    /// The file with the secret that callbacks are signed with: whsec_ and base64, or 24 bytes or more as they are.
    #[arg(long, value_name = "FILE", requires = "callback_allow")]
    callback_secret_file: Option<PathBuf>,
    /// The environment variable that the secret stands in instead [default: CALLBACK_SECRET, if it is set].
    #[arg(long, value_name = "NAME", requires = "callback_allow", conflicts_with = "callback_secret_file")]
    callback_secret_env: Option<String>,
    /// Certificates of authorities (PEM) to trust beside the system's, for receivers over https.
    #[arg(long, value_name = "FILE", requires = "callback_allow")]
    callback_ca: Option<PathBuf>,
}

/// The variable that the secret stands in unless another is named.
const VARIABLE: &str = "CALLBACK_SECRET";

const HOW_TO_MAKE_ONE: &str = "make one with: echo \"whsec_$(openssl rand -base64 32)\" > FILE, and name it with --callback-secret-file";

impl CallbackArgs {
    /// Whom the ends of tasks may be told, if anybody.
    ///
    /// # Errors
    /// In words: what is wrong with a flag, or with what it names.
    pub(super) fn config(&self, limits: &Limits) -> Result<Option<CallbackConfig>, String> {
        if self.callback_allow.is_empty() {
            return Ok(None);
        }
        let (secret, place) = self.secret()?;
        let key = SigningKey::new(&secret)
            .map_err(|error| format!("the secret in {place} can't be used: {error}; {HOW_TO_MAKE_ONE}"))?;
        Ok(Some(CallbackConfig {
            allow: self.callback_allow.clone(),
            key,
            trust: self.trust(limits)?,
            proxies: proxy_rules()?,
        }))
    }

    /// The secret, and where it stands.
    fn secret(&self) -> Result<(Vec<u8>, String), String> {
        if let Some(path) = &self.callback_secret_file {
            let secret = read_secret(path).map_err(|error| {
                format!("--callback-secret-file {}: {}", path.display(), super::reason(&error))
            })?;
            return Ok((secret, path.display().to_string()));
        }
        let variable = self.callback_secret_env.as_deref().unwrap_or(VARIABLE);
        match (std::env::var(variable), &self.callback_secret_env) {
            (Ok(secret), _) => Ok((secret.into_bytes(), variable.to_owned())),
            (Err(_), Some(_)) => {
                Err(format!("--callback-secret-env: the variable {variable} is not set, or is no text"))
            }
            (Err(_), None) => Err(format!(
                "--callback-allow needs a secret that callbacks are signed with; {HOW_TO_MAKE_ONE}"
            )),
        }
    }

    /// Whom to trust. Receivers over plain HTTP need none, so that nobody is found is no mistake unless a file was named.
    fn trust(&self, limits: &Limits) -> Result<Option<Trust>, String> {
        let trust = trust_anchors(self.callback_ca.as_deref())
            .and_then(|anchors| Trust::new(anchors, limits).map_err(|error| error.to_string()));
        match (trust, &self.callback_ca) {
            (Ok(trust), _) => Ok(Some(trust)),
            (Err(why), Some(_)) => Err(format!("--callback-ca: {why}")),
            (Err(why), None) => {
                log::warn!("nobody can be called back over https: {why}");
                Ok(None)
            }
        }
    }
}

/// A host and perhaps its port, compared with what clients name in one form.
fn server(text: &str) -> Result<AllowedServer, String> {
    if text.contains('*') {
        return Err("each server is named: there is no wildcard".to_owned());
    }
    let wrong = |why: &dyn std::fmt::Display| {
        format!("it must be a host and perhaps a port, such as hooks.example or [::1]:8080, but {why}")
    };
    if text.contains('/') || text.contains('@') {
        return Err(wrong(&"it holds more than that"));
    }
    let (host, port) = split_authority(text).map_err(|error| wrong(&error))?;
    Ok(AllowedServer { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        let allowed = |host: &str, port| Ok(AllowedServer { host: host.to_owned(), port });
        assert_eq!(server("Hooks.Example"), allowed("hooks.example", None));
        assert_eq!(server("10.0.0.5:8080"), allowed("10.0.0.5", Some(8080)));
        assert_eq!(server("[0:0::1]:9"), allowed("::1", Some(9)));
        for text in ["", "*", "*.example", "http://a", "a/b", "u@a", "a:0", "a:b", "::1", "a b", "127.1"] {
            assert!(server(text).is_err(), "{text:?}");
        }
    }
}
