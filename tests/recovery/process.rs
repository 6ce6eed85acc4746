//! The server as a child that is started again and again, over the same folders and on the same port.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{BINARY, Folder, text_of};

/// Everything about the server that stays while its processes come and go.
pub struct Site {
    notes: Folder,
    state: Folder,
    address: SocketAddr,
    log: PathBuf,
}

impl Site {
    /// A site over these notes.
    pub fn new(notes: Folder) -> Site {
        let log = notes.path().with_extension("log");
        File::create(&log).expect("the temporary folder can be written to");
        Site { notes, state: Folder::new(), address: free_address(), log }
    }

    /// Where every process listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database that they share.
    pub fn database(&self) -> PathBuf {
        self.state.path().join("state.db")
    }

    /// Starts a process. It may not listen yet.
    pub fn start(&self) -> Process {
        let log = OpenOptions::new().append(true).open(&self.log).expect("it was made with the site");
        let mut command = Command::new(BINARY);
        command.arg("serve").arg(self.notes.path()).arg("--state-dir").arg(self.state.path());
        command.args(["--listen", &self.address.to_string(), "--no-access-log", "--task-keep", "1000000"]);
        // Only runs that are at work when the process dies count as tried.
        command.args(["--runs-max", "4"]);
        // Whoever reads a stream comes back at once, so nothing is cancelled for want of readers.
        command.args(["--disconnect-grace", "300"]);
        command.env_remove("NOTES_DIRECTORY").env_remove("STATE_DIRECTORY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Process { child: command.spawn().unwrap_or_else(|error| panic!("can't start {BINARY}: {error}")) }
    }

    /// What all processes have logged.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the log, its end:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

/// One process; killed with its value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Waits until it says that it listens.
    pub fn await_listening(&mut self, site: &Site) {
        let mut line = String::new();
        let stdout = self.child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line, format!("listening on http://{}\n", site.address), "{}", site.log());
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that is free and stays so: from below those that the system gives to clients (`ip_local_port_range`), whose
/// connections would otherwise take it while no process listens.
fn free_address() -> SocketAddr {
    let below = std::process::id() % 10_000;
    let ports = (0..10_000).map(|step| 20_000 + (below + step * 7) % 10_000);
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("one of so many ports is free")
}

/// Copies what a killed process has left, as the next one would find it.
pub fn copy_database(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let (from, to) = (name(from), name(to));
        let _ = std::fs::remove_file(&to);
        if from.exists() {
            std::fs::copy(&from, &to).expect("the temporary folder has room");
        }
    }
}
