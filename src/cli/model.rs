//! The flags of the model: where it is, how it is asked, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::positive;
use crate::config::{AgentMode, ModelConfig, Secret};
use crate::limits::{
    CONTEXT_TOKENS, Limits, MIB, MODEL_CACHE_BYTES_MAX, MODEL_CONNECT_TIMEOUT, MODEL_CONNECTIONS_MAX,
    MODEL_FIRST_BYTE_TIMEOUT, MODEL_GAP_TIMEOUT, MODEL_TOTAL_TIMEOUT,
};
use crate::os::real::trust_anchors;
use crate::wire::proxy::{Proxy, ProxyRules};
use crate::wire::tls::Trust;
use crate::wire::url::Url;

/// The variable that the key stands in unless another is named.
const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// Whose key that variable is made for.
const KEY_HOST: &str = "api.openai.com";

/// How a model is asked, if one is.
#[derive(Debug, Args)]
#[command(next_help_heading = "The model")]
pub(super) struct ModelArgs {
    /// An OpenAI-compatible server whose model answers, up to and with /v1, such as http://127.0.0.1:8080/v1.
    #[arg(long, value_name = "URL", requires = "model")]
    model_url: Option<String>,
    /// The model's name, as that server knows it.
    #[arg(long, value_name = "NAME", requires = "model_url")]
    model: Option<String>,
    /// The environment variable that the server's key stands in [default: OPENAI_API_KEY, if it is set].
    #[arg(long, value_name = "NAME", requires = "model_url")]
    model_key_env: Option<String>,
    /// Certificates of authorities (PEM) to trust beside the system's, for https.
    #[arg(long, value_name = "FILE", requires = "model_url")]
    model_ca: Option<PathBuf>,
    /// How the model is asked: with tools to look further in the notes, with the passages found alone (rag), or with tools
    /// until its server refuses them (auto).
    #[arg(long, default_value = "auto", value_name = "HOW")]
    agent: Agent,
    /// Tokens that a prompt and its answer may have together: what the server gives one conversation.
    #[arg(long, default_value_t = CONTEXT_TOKENS, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(256..=2_000_000))]
    context_tokens: u32,
    /// A run fails when the model does; without it, the notes answer, and the answer says so.
    #[arg(long, requires = "model_url")]
    no_fallback: bool,
    /// Longest wait until a request can be sent to the model's server.
    #[arg(long, default_value_t = MODEL_CONNECT_TIMEOUT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    model_connect_timeout: u64,
    /// Longest wait from then on for the first byte of its answer.
    #[arg(long, default_value_t = MODEL_FIRST_BYTE_TIMEOUT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    model_first_byte_timeout: u64,
    /// Longest silence within its answer.
    #[arg(long, default_value_t = MODEL_GAP_TIMEOUT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    model_gap_timeout: u64,
    /// Longest time for one answer, all tries together.
    #[arg(long, default_value_t = MODEL_TOTAL_TIMEOUT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    model_total_timeout: u64,
    /// Connections to the model's server at once; more calls wait.
    #[arg(long, default_value_t = MODEL_CONNECTIONS_MAX, value_name = "COUNT", value_parser = positive)]
    model_connections: usize,
    /// Room for answers that are kept for the next who asks the same, in MiB; 0 keeps none.
    #[arg(long, default_value_t = MODEL_CACHE_BYTES_MAX / MIB, value_name = "MIB", value_parser = mebibytes)]
    model_cache: usize,
}

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Agent {
    /// With tools, until its server refuses them.
    Auto,
    /// With tools.
    Tools,
    /// With the passages found, and without tools.
    Rag,
}

fn mebibytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= 65_536 => Ok(count),
        _ => Err("it must be a number from 0 to 65536".to_owned()),
    }
}

impl ModelArgs {
    /// The model that is meant, if one is.
    ///
    /// # Errors
    /// In words: what is wrong with a flag, or with what it names.
    pub(super) fn config(&self, limits: &Limits) -> Result<Option<ModelConfig>, String> {
        let (Some(text), Some(name)) = (&self.model_url, &self.model) else { return Ok(None) };
        let url = Url::parse(text).map_err(|error| format!("--model-url can't be used: {error}"))?;
        let trust = self.trust(&url, limits)?;
        let key = self.key()?;
        if key.is_some() && !url.is_tls && !is_local(&url) {
            log::warn!(
                "the key for {} is sent without encryption: its address begins with http",
                url.authority()
            );
        }
        if key.is_some() && self.model_key_env.is_none() && url.host != KEY_HOST {
            log::info!("the key in {KEY_VARIABLE} is sent to {}", url.authority());
        }
        let proxy = proxy_for(&url)?;
        if let Some(proxy) = &proxy {
            log::info!("the model is reached through the proxy {}:{}", proxy.host, proxy.port);
        }
        let seconds = Duration::from_secs;
        Ok(Some(ModelConfig {
            key,
            trust,
            proxy,
            agent: match self.agent {
                Agent::Auto => AgentMode::Auto,
                Agent::Tools => AgentMode::Tools,
                Agent::Rag => AgentMode::Rag,
            },
            context_tokens: self.context_tokens,
            falls_back: !self.no_fallback,
            connect_timeout: seconds(self.model_connect_timeout),
            first_byte_timeout: seconds(self.model_first_byte_timeout),
            gap_timeout: seconds(self.model_gap_timeout),
            total_timeout: seconds(self.model_total_timeout),
            connections_max: self.model_connections,
            cache_bytes_max: self.model_cache.saturating_mul(MIB),
            ..ModelConfig::new(url, name)
        }))
    }

    fn trust(&self, url: &Url, limits: &Limits) -> Result<Option<Trust>, String> {
        if !url.is_tls {
            return match &self.model_ca {
                Some(_) => Err("--model-ca is of no use: --model-url does not begin with https".to_owned()),
                None => Ok(None),
            };
        }
        let anchors = trust_anchors(self.model_ca.as_deref()).map_err(|why| match &self.model_ca {
            Some(_) => format!("--model-ca: {why}"),
            None => why,
        })?;
        Trust::new(anchors, limits).map(Some).map_err(|error| error.to_string())
    }

    /// The server's key: from the variable that was named, which must be there, or from the usual one.
    fn key(&self) -> Result<Option<Secret>, String> {
        let variable = self.model_key_env.as_deref().unwrap_or(KEY_VARIABLE);
        let key = match std::env::var(variable) {
            Ok(key) => key.trim().to_owned(),
            Err(_) if self.model_key_env.is_none() => return Ok(None),
            Err(_) => {
                return Err(format!("--model-key-env: the variable {variable} is not set, or is no text"));
            }
        };
        if key.is_empty() && self.model_key_env.is_none() {
            return Ok(None);
        }
        // Anything else can't stand in a header field (RFC 9110 §5.5).
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("the key in {variable} is empty, or holds a space or what is no ASCII"));
        }
        Ok(Some(Secret::new(key)))
    }
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
    let variable =
        |name: &str| std::env::var(name.to_ascii_lowercase()).or_else(|_| std::env::var(name)).ok();
    let (http, https) =
        if url.is_tls { (None, variable("HTTPS_PROXY")) } else { (variable("HTTP_PROXY"), None) };
    let no_proxy = variable("NO_PROXY");
    let rules = ProxyRules::new(http.as_deref(), https.as_deref(), no_proxy.as_deref());
    rules.map(|rules| rules.proxy_for(url).cloned()).map_err(|error| error.to_string())
}
