//! What the operator has decided: the values behind the flags, with their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set from outside. `cli` fills it in, `app` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder of notes.
    pub notes: PathBuf,
    /// Where to listen; port 0 lets the system pick one.
    pub listen: SocketAddr,
    /// Names that the `Host` field may carry beside loopback names and the bound address.
    pub allow_hosts: Vec<String>,
    /// One line on standard error for each request.
    pub access_log: bool,
    /// How long a run goes on without the client that asked for it.
    pub disconnect_grace: Duration,
    /// How long an ended run can still be asked for.
    pub task_ttl: Duration,
    /// How many ended runs are kept, the newest.
    pub task_keep: usize,
    /// Runs are kept beyond the end of the process.
    pub is_durable: bool,
    /// Runs at work at once.
    pub runs_max: usize,
    /// Runs that wait for a place.
    pub waiting_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            notes: PathBuf::from("notes"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            allow_hosts: Vec::new(),
            access_log: true,
            disconnect_grace: Duration::from_secs(15),
            task_ttl: Duration::from_secs(86_400),
            task_keep: 10_000,
            is_durable: false,
            runs_max: 64,
            waiting_max: 1024,
        }
    }
}
