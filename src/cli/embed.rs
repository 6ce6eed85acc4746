//! The flags of the embedding model: where it is, and how long a search waits for it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::server::{Flags, Server};
use crate::config::EmbedConfig;
use crate::limits::{EMBED_TIMEOUT, Limits};

/// Which model embeds, if one does.
#[derive(Debug, Args)]
#[command(next_help_heading = "The embedding model")]
pub(super) struct EmbedArgs {
    /// An OpenAI-compatible server that embeds texts, up to and with /v1, such as http://127.0.0.1:8081/v1. With it, a question
    /// finds notes that share no word with it.
    #[arg(long, value_name = "URL", requires = "embed_model")]
    embed_url: Option<String>,
    /// The model's name, as that server knows it.
    #[arg(long, value_name = "NAME", requires = "embed_url")]
    embed_model: Option<String>,
    /// The environment variable that the server's key stands in [default: OPENAI_API_KEY, if it is set].
    #[arg(long, value_name = "NAME", requires = "embed_url")]
    embed_key_env: Option<String>,
    /// Certificates of authorities (PEM) to trust beside the system's, for https.
    #[arg(long, value_name = "FILE", requires = "embed_url")]
    embed_ca: Option<PathBuf>,
    /// Longest wait of a search for its question's vector; then it goes on by words alone.
    #[arg(long, default_value_t = EMBED_TIMEOUT.as_millis() as u64, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    embed_timeout: u64,
}

impl EmbedArgs {
    /// The model that is meant, if one is.
    ///
    /// # Errors
    /// In words: what is wrong with a flag, or with what it names.
    pub(super) fn config(&self, limits: &Limits) -> Result<Option<EmbedConfig>, String> {
        let (Some(text), Some(name)) = (&self.embed_url, &self.embed_model) else { return Ok(None) };
        let flags = Flags {
            url: "--embed-url",
            ca: "--embed-ca",
            key_env: "--embed-key-env",
            what: "embedding model",
        };
        let Server { url, key, trust, proxy } =
            Server::make_out(text, self.embed_key_env.as_deref(), self.embed_ca.as_deref(), &flags, limits)?;
        let timeout = Duration::from_millis(self.embed_timeout);
        Ok(Some(EmbedConfig { key, trust, proxy, timeout, ..EmbedConfig::new(url, name) }))
    }
}
