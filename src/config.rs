//! What the operator has decided: the values behind the flags, with their defaults.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::wire::proxy::{Proxy, ProxyRules};
use crate::wire::tls::Trust;
use crate::wire::url::Url;
use crate::wire::webhook::SigningKey;

/// Everything that can be set from outside. `cli` fills it in, `app` reads it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of notes.
    pub notes: PathBuf,
    /// Where to listen; port 0 lets the system pick one.
    pub listen: SocketAddr,
    /// Names that the `Host` field may carry beside loopback names and the bound address.
    pub allow_hosts: Vec<String>,
    /// Origins whose pages may use this server from a browser; `None` for the usual ones.
    pub cors_origins: Option<Vec<String>>,
    /// One line on standard error for each request.
    pub access_log: bool,
    /// How long a run goes on without the client that asked for it.
    pub disconnect_grace: Duration,
    /// How long an ended run can still be asked for.
    pub task_ttl: Duration,
    /// How many ended runs are kept, the newest.
    pub task_keep: usize,
    /// How many sessions are kept, those that were spoken in last.
    pub session_keep: usize,
    /// Runs are kept beyond the end of the process.
    pub is_durable: bool,
    /// Runs at work at once.
    pub runs_max: usize,
    /// Runs that wait for a place.
    pub waiting_max: usize,
    /// What the agent may write into the notes.
    pub writes: Writes,
    /// The model that answers; without one the notes do.
    pub model: Option<ModelConfig>,
    /// The model that embeds; without one searches go by words alone.
    pub embed: Option<EmbedConfig>,
    /// Whom ends of runs may be told; without it nobody.
    pub callbacks: Option<CallbackConfig>,
}

/// Callbacks: whom the ends of runs may be told, and how.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// The servers that a client may name.
    pub allow: Vec<AllowedServer>,
    /// What callbacks are signed with.
    pub key: SigningKey,
    /// Whom to trust, for `https`; without it no such address may be named.
    pub trust: Option<Trust>,
    /// Through whom others are reached.
    pub proxies: ProxyRules,
}

/// A server that a client may have called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedServer {
    /// A name in small letters, or an address, as in [`Url`].
    pub host: String,
    /// The port; `None` for any.
    pub port: Option<u16>,
}

impl AllowedServer {
    /// It is the server of this address.
    pub fn is_of(&self, url: &Url) -> bool {
        self.host == url.host && self.port.is_none_or(|port| port == url.port)
    }
}

/// What the agent may write into the notes. A client's own writes are its own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Nothing.
    Off,
    /// New notes, in the folder `Inbox` alone.
    Inbox,
    /// New notes, each in the folder of its category, and additions to notes that there are.
    All,
}

/// An embedding model behind an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct EmbedConfig {
    /// The server's address, up to and with `/v1`.
    pub url: Url,
    /// The model's name, as the server knows it.
    pub name: String,
    /// What the server wants to see, if anything.
    pub key: Option<Secret>,
    /// Whom to trust, for `https`.
    pub trust: Option<Trust>,
    /// Through whom it is reached, if not directly.
    pub proxy: Option<Proxy>,
    /// How long a search waits for its question's vector.
    pub timeout: Duration,
}

impl EmbedConfig {
    /// The usual bounds for a model at this address.
    pub fn new(url: Url, name: &str) -> EmbedConfig {
        let timeout = limits::EMBED_TIMEOUT;
        EmbedConfig { url, name: name.to_owned(), key: None, trust: None, proxy: None, timeout }
    }
}

/// A model behind an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The server's address, up to and with `/v1`.
    pub url: Url,
    /// The model's name, as the server knows it.
    pub name: String,
    /// What the server wants to see, if anything.
    pub key: Option<Secret>,
    /// Whom to trust, for `https`.
    pub trust: Option<Trust>,
    /// Through whom it is reached, if not directly.
    pub proxy: Option<Proxy>,
    /// How it is asked.
    pub agent: AgentMode,
    /// Tokens that a prompt and its answer may have together.
    pub context_tokens: u32,
    /// When it fails, the built-in answerer answers.
    pub falls_back: bool,
    /// From the first look for its address until a request can be sent.
    pub connect_timeout: Duration,
    /// From then on to the first byte of an answer.
    pub first_byte_timeout: Duration,
    /// Longest silence within an answer.
    pub gap_timeout: Duration,
    /// Longest time for one answer, all tries together.
    pub total_timeout: Duration,
    /// Connections to its server at once.
    pub connections_max: usize,
    /// Bytes of answers that are kept for the next who asks the same.
    pub cache_bytes_max: usize,
}

impl ModelConfig {
    /// The usual bounds for a model at this address.
    pub fn new(url: Url, name: &str) -> ModelConfig {
        ModelConfig {
            url,
            name: name.to_owned(),
            key: None,
            trust: None,
            proxy: None,
            agent: AgentMode::Auto,
            context_tokens: limits::CONTEXT_TOKENS,
            falls_back: true,
            connect_timeout: limits::MODEL_CONNECT_TIMEOUT,
            first_byte_timeout: limits::MODEL_FIRST_BYTE_TIMEOUT,
            gap_timeout: limits::MODEL_GAP_TIMEOUT,
            total_timeout: limits::MODEL_TOTAL_TIMEOUT,
            connections_max: limits::MODEL_CONNECTIONS_MAX,
            cache_bytes_max: limits::MODEL_CACHE_BYTES_MAX,
        }
    }
}

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentMode {
    /// Tools are offered until its server refuses them for the first time.
    Auto,
    /// Tools are offered.
    Tools,
    /// It is given passages and no tools (retrieval-augmented generation).
    Rag,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            notes: PathBuf::from("notes"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            allow_hosts: Vec::new(),
            cors_origins: None,
            access_log: true,
            disconnect_grace: Duration::from_secs(15),
            task_ttl: Duration::from_secs(86_400),
            task_keep: 10_000,
            session_keep: limits::SESSIONS_MAX,
            is_durable: false,
            runs_max: 64,
            waiting_max: 1024,
            writes: Writes::Inbox,
            model: None,
            embed: None,
            callbacks: None,
        }
    }
}
