//! The flags of the model: where it is, how it is asked, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::positive;
use super::server::{Flags, Server};
use crate::config::{AgentMode, ModelConfig};
use crate::limits::{
    CONTEXT_TOKENS, Limits, MIB, MODEL_CACHE_BYTES_MAX, MODEL_CONNECT_TIMEOUT, MODEL_CONNECTIONS_MAX,
    MODEL_FIRST_BYTE_TIMEOUT, MODEL_GAP_TIMEOUT, MODEL_TOTAL_TIMEOUT,
};

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
        let flags = Flags { url: "--model-url", ca: "--model-ca", key_env: "--model-key-env", what: "model" };
        let Server { url, key, trust, proxy } =
            Server::make_out(text, self.model_key_env.as_deref(), self.model_ca.as_deref(), &flags, limits)?;
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
}
