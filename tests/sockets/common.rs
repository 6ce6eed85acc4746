//! The real binary over a folder of its own, and a client that believes nothing: what tests over sockets share.
//!
//! A [`Server`] is a child process on a port that the system picked; it dies with its value. A [`Client`] is one
//! connection with a bound on every wait. It takes answers only as RFC 9112 writes them and panics at anything else,
//! so each test that reads an answer also tests its form. Nothing here sleeps: who waits for something asks for it
//! again and blocks on the answer, a bounded number of times.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest wait for a byte that must come. Generous, as the machine may be busy; a test that runs into it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Times that something is asked for before we stop hoping. Each is a round trip, so this is some seconds at least.
pub const TRIES_MAX: u32 = 50_000;

// --- Folders ------------------------------------------------------------------------------------------------------

/// A folder in the system's place for such, removed with its value.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("oneloop-test-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Folder(path),
                // Left behind by a killed test of an earlier process with our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("can't make {}: {error}", path.display()),
            }
        }
    }

    /// One with these notes: paths, which may name folders within it, and texts.
    pub fn with(notes: &[(&str, &str)]) -> Folder {
        let folder = Folder::new();
        for (path, text) in notes {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and the folders on its way.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("it is within the folder")).unwrap();
        File::create(&path).and_then(|mut file| file.write_all(bytes)).unwrap();
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).unwrap();
    }
}

impl Default for Folder {
    fn default() -> Folder {
        Folder::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All of a text file; `/proc` included.
pub fn text_of(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let mut text = String::new();
    let file = fs::OpenOptions::new().read(true).open(path);
    file.and_then(|mut file| file.read_to_string(&mut text))
        .unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()));
    text
}

// --- The server ---------------------------------------------------------------------------------------------------

/// The built binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_oneloop");

/// A running server. Killed with its value; if that happens in a panic, what it logged is printed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    log: PathBuf,
    folder: Arc<Folder>,
}

impl Server {
    /// A server over these notes, once it has indexed them.
    pub fn start(notes: &[(&str, &str)], arguments: &[&str]) -> Server {
        let server = Server::over(Folder::with(notes), arguments);
        server.await_index();
        server
    }

    /// A server over this folder, once it accepts connections; it may not have indexed the notes yet.
    pub fn over(folder: impl Into<Arc<Folder>>, arguments: &[&str]) -> Server {
        let folder = folder.into();
        let mut command = Command::new(BINARY);
        command.arg("serve").arg(folder.path());
        Server::spawn(command, folder, arguments)
    }

    /// A server that can't have more than so many descriptors, over these notes, once it has indexed them.
    pub fn with_descriptors(descriptors_max: u32, notes: &[(&str, &str)], arguments: &[&str]) -> Server {
        let folder = Arc::new(Folder::with(notes));
        let mut command = Command::new("sh");
        // Without -S or -H the shell sets both limits, so the server can't raise its own again.
        command.arg("-c").arg(format!("ulimit -n {descriptors_max} && exec \"$0\" \"$@\"")).arg(BINARY);
        command.arg("serve").arg(folder.path());
        let server = Server::spawn(command, folder, arguments);
        server.await_index();
        server
    }

    /// A server that can't start any thread beside its own.
    pub fn without_threads(notes: &[(&str, &str)]) -> Server {
        let folder = Arc::new(Folder::with(notes));
        let mut command = Command::new(BINARY);
        // What std gives a new thread for a stack: more than there are addresses.
        command.env("RUST_MIN_STACK", (1_u64 << 60).to_string());
        command.arg("serve").arg(folder.path());
        Server::spawn(command, folder, &[])
    }

    fn spawn(mut command: Command, folder: Arc<Folder>, arguments: &[&str]) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Beside the folder and not in it. Several processes may serve it, one after the other.
        let log = folder.path().with_extension(format!("{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        let stderr = File::create(&log).unwrap();
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        command
            .env_remove("NOTES_DIRECTORY")
            .env_remove("STATE_DIRECTORY")
            .env_remove("OPENAI_API_KEY")
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("can't start {BINARY}: {error}"));
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('\n'));
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server did not say where it listens: {line:?}; its log:\n{}", text_of(&log));
        };
        Server { child, stdout, address, log, folder }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that was made for it.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }

    /// Waits until the log has this. What is written may be read a moment behind an answer that was given later.
    pub fn await_log(&self, text: &str) {
        until(text, || {
            self.ask("/health");
            self.log().contains(text)
        });
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::new(self.connect())
    }

    /// A new connection to it, bare, with the usual bounds on waiting.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// `GET` over a connection of its own.
    pub fn ask(&self, path: &str) -> Answer {
        self.client().call("GET", path, None)
    }

    /// Asks `/health` until all notes are indexed.
    pub fn await_index(&self) {
        let mut client = self.client();
        until("the index is ready", || {
            let health = client.call("GET", "/health", None).json();
            health["index"]["state"] == "ready"
        });
    }

    /// A number from `/info`: `info("loop", "turns")`.
    pub fn info(&self, part: &str, name: &str) -> f64 {
        let info = self.ask("/info").json();
        info[part][name].as_f64().unwrap_or_else(|| panic!("/info has no number {part}.{name}: {info}"))
    }

    /// Memory of its own that is resident, in KiB: heap, stacks and changed pages of the binary; not what is mapped
    /// from files. Counted by the kernel as we ask, unlike the sums of `/proc/PID/status`, which may lag behind.
    pub fn memory_kib(&self) -> u64 {
        let summary = text_of(format!("/proc/{}/smaps_rollup", self.id()));
        let line =
            summary.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("the kernel tells it");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number of kB")
    }

    /// Processor time that it has used, in hundredths of a second.
    pub fn processor_ticks(&self) -> u64 {
        let stat = text_of(format!("/proc/{}/stat", self.id()));
        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field behind it.
        let (_, rest) = stat.rsplit_once(") ").expect("proc(5): the name stands in parentheses");
        rest.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
        kill_process(id, signal).unwrap();
    }

    /// Ends it as a power cut would: it does nothing more. Answers the folder, with whatever it has left there.
    pub fn kill(self) -> Arc<Folder> {
        let folder = Arc::clone(&self.folder);
        self.signal(Signal::KILL);
        self.await_end();
        folder
    }

    /// Waits until it has ended; answers how, and what else it printed on stdout.
    pub fn await_end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        // Blocks until the process has closed its stdout, that is until it ends.
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the server's log, its end:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let _ = fs::remove_file(&self.log);
    }
}

/// Asks until the answer is yes; gives up after [`TRIES_MAX`] times. `asks` must block on something, such as a request.
pub fn until(what: &str, mut asks: impl FnMut() -> bool) {
    for _ in 0..TRIES_MAX {
        if asks() {
            return;
        }
    }
    panic!("asked {TRIES_MAX} times, and still not: {what}");
}

// --- The client ---------------------------------------------------------------------------------------------------

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// Names as they were sent, and values.
    pub fields: Vec<(String, String)>,
}

impl AnswerHead {
    /// The value of the only field of that name, in any case; `None` without one.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        assert!(values.next().is_none(), "{name} stands twice in {self:?}");
        Some(value)
    }

    /// The server says that it closes the connection after this answer.
    pub fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its head.
    pub head: AnswerHead,
    /// Its body, without chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as JSON, which it must say it is.
    pub fn json(&self) -> Value {
        assert_eq!(self.head.field("content-type"), Some("application/json"), "{self}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// `detail` of a refusal that is a sentence.
    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_else(|| panic!("no sentence: {self}")).to_owned()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.head, String::from_utf8_lossy(&self.body))
    }
}

/// How a body is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server sent all it had to and closed.
    Closed,
    /// It was reset: what was on its way may be lost.
    Reset,
}

/// One connection. Requests are written as they are given; answers are read strictly.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// A client over a connection that has its timeouts set.
    pub fn new(stream: TcpStream) -> Client {
        Client { stream: BufReader::new(stream) }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the server takes what is sent");
    }

    /// Sends bytes, if the server still takes them: it may have answered and gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends no more; answers can still be read.
    pub fn shut(&mut self) {
        self.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset, as a crashed peer or an impatient one does.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO)).unwrap();
    }

    /// One request and its whole answer; the connection is kept. A body is JSON.
    pub fn call(&mut self, method: &str, target: &str, body: Option<&Value>) -> Answer {
        self.send(request(method, target, body));
        self.answer_to(method)
    }

    /// A `POST` with JSON, and its whole answer.
    pub fn post(&mut self, target: &str, body: &Value) -> Answer {
        self.call("POST", target, Some(body))
    }

    /// The next answer, to any request but HEAD.
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// The next answer, to a request with this method. An interim one (1xx) is an answer without a body.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.head();
        let framing = framing(method, &head);
        let mut body = Vec::new();
        match framing {
            Framing::Length(length) => {
                body.resize(length, 0);
                self.stream
                    .read_exact(&mut body)
                    .unwrap_or_else(|error| panic!("{error} in the body of {head:?}"));
            }
            Framing::Chunked => while self.chunk(&mut body) {},
            Framing::UntilClose => {
                self.stream.read_to_end(&mut body).unwrap();
            }
        }
        Answer { head, body }
    }

    /// The head of the next answer; its body stays unread.
    pub fn head(&mut self) -> AnswerHead {
        let line = self.line();
        let mut parts = line.splitn(3, ' ');
        let (version, status) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        assert!(matches!(version, "HTTP/1.1" | "HTTP/1.0"), "no status line: {line:?}");
        assert!(status.len() == 3 && parts.next().is_some(), "no status line: {line:?}");
        let status = status.parse().unwrap_or_else(|_| panic!("no status: {line:?}"));
        let mut fields = Vec::new();
        loop {
            let field = self.line();
            if field.is_empty() {
                return AnswerHead { version: version.to_owned(), status, fields };
            }
            let (name, value) =
                field.split_once(": ").unwrap_or_else(|| panic!("no header field: {field:?}"));
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert!(!name.is_empty() && name.bytes().all(is_token), "no field name: {field:?}");
            assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "no field value: {field:?}");
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Reads what follows a head that began an event stream.
    pub fn events(self, head: &AnswerHead) -> Events {
        assert_eq!(head.field("content-type"), Some("text/event-stream"), "{head:?}");
        let framing = framing("GET", head);
        assert!(framing == Framing::Chunked || framing == Framing::UntilClose, "{head:?}");
        Events {
            client: self,
            framing,
            text: Vec::new(),
            comments: 0,
            last_id: None,
            retry_ms: None,
            ended: false,
        }
    }

    /// Sends a request for an event stream, and reads its head, which must be 200.
    pub fn stream(mut self, method: &str, target: &str, body: Option<&Value>) -> Events {
        self.send(request(method, target, body));
        let head = self.head();
        assert_eq!(head.status, 200, "{head:?}");
        self.events(&head)
    }

    /// Reads up to the end of the connection, at which nothing more may have come.
    pub fn end(&mut self) -> End {
        let mut rest = Vec::new();
        let end = self.drain(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "", "the server had more to say");
        end
    }

    /// Reads all that comes up to the end of the connection.
    pub fn drain(&mut self, rest: &mut Vec<u8>) -> End {
        match self.stream.read_to_end(rest) {
            Ok(_) => End::Closed,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("the server keeps the connection: {error}"),
        }
    }

    /// A line, without its CR LF.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) => {}
            Err(error) => panic!("{error} instead of a line; so far {:?}", String::from_utf8_lossy(&line)),
        }
        let Some(text) = line.strip_suffix(b"\r\n") else {
            panic!(
                "the connection ended, or no CR stands before the LF: {:?}",
                String::from_utf8_lossy(&line)
            );
        };
        assert!(!text.contains(&b'\r'), "a bare CR: {:?}", String::from_utf8_lossy(text));
        String::from_utf8(text.to_vec()).expect("heads and chunk sizes are ASCII")
    }

    /// Appends a chunk; answers `false` for the last one, which is empty.
    fn chunk(&mut self, body: &mut Vec<u8>) -> bool {
        let line = self.line();
        assert!(
            !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "no chunk size: {line:?}"
        );
        let size = usize::from_str_radix(&line, 16).unwrap();
        let start = body.len();
        body.resize(start + size, 0);
        self.stream.read_exact(&mut body[start..]).unwrap();
        // Behind the last chunk this is the end of a trailer section, which we expect to be empty.
        assert_eq!(self.line(), "", "a chunk ends with CR LF");
        size > 0
    }
}

/// A request with the fields that it needs. A body is JSON.
pub fn request(method: &str, target: &str, body: Option<&Value>) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    let text = body.map(Value::to_string).unwrap_or_default();
    if body.is_some() {
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len()));
    }
    request.push_str("\r\n");
    request.push_str(&text);
    request.into_bytes()
}

/// How the body of this answer to `method` is delimited, in the order of RFC 9112 §6.3.
fn framing(method: &str, head: &AnswerHead) -> Framing {
    let length = head.field("content-length").map(|text| {
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()), "{head:?}");
        text.parse().unwrap()
    });
    let coding = head.field("transfer-encoding");
    assert!(length.is_none() || coding.is_none(), "two framings in one answer: {head:?}");
    if (100..200).contains(&head.status) || head.status == 204 {
        assert!(length.is_none() && coding.is_none(), "{} with a body: {head:?}", head.status);
        return Framing::Length(0);
    }
    if method == "HEAD" || head.status == 304 {
        return Framing::Length(0);
    }
    match (length, coding) {
        (Some(length), _) => Framing::Length(length),
        (None, Some(coding)) => {
            assert_eq!(coding, "chunked", "{head:?}");
            assert_eq!(head.version, "HTTP/1.1", "{head:?}");
            Framing::Chunked
        }
        (None, None) => {
            assert!(head.closes() || head.version == "HTTP/1.0", "a body without an end: {head:?}");
            Framing::UntilClose
        }
    }
}

// --- Events -------------------------------------------------------------------------------------------------------

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its `id`.
    pub id: Option<String>,
    /// Its data, lines joined by LF.
    pub data: String,
}

impl StreamEvent {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// What kind of event the JSON says it is.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_else(|| panic!("without a type: {self:?}")).to_owned()
    }

    /// The run and the number that its id names.
    pub fn place(&self) -> (String, u64) {
        let id = self.id.as_deref().unwrap_or_else(|| panic!("without an id: {self:?}"));
        let (run, sequence) = id.rsplit_once('-').unwrap_or_else(|| panic!("no place: {id:?}"));
        (run.to_owned(), sequence.parse().unwrap_or_else(|_| panic!("no number: {id:?}")))
    }
}

/// A reader of an event stream (HTML Standard, 9.2.6), as strict as we write it: lines end with LF alone, and a
/// line is a comment, `id: …`, `data: …` or `retry: …`.
#[derive(Debug)]
pub struct Events {
    client: Client,
    framing: Framing,
    /// Received, and no whole event yet.
    text: Vec<u8>,
    /// Comments so far.
    pub comments: u32,
    /// The id of the last event that had one.
    pub last_id: Option<String>,
    /// The pause that the last `retry` line has asked for, in milliseconds.
    pub retry_ms: Option<u64>,
    ended: bool,
}

impl Events {
    /// Reads on until an event is complete; `None` at the end of the stream, which may not cut one.
    pub fn next_event(&mut self) -> Option<StreamEvent> {
        loop {
            while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = self.take(std::str::from_utf8(&block[..end]).expect("a stream is UTF-8"))
                {
                    return Some(event);
                }
            }
            if self.ended {
                assert!(
                    self.text.is_empty(),
                    "the stream was cut in {:?}",
                    String::from_utf8_lossy(&self.text)
                );
                return None;
            }
            self.fill();
        }
    }

    /// All events up to the end of the stream.
    pub fn rest(&mut self) -> Vec<StreamEvent> {
        std::iter::from_fn(|| self.next_event()).collect()
    }

    /// The connection, which is kept once a chunked stream has ended.
    pub fn into_client(self) -> Client {
        assert!(self.ended && self.framing == Framing::Chunked, "the stream has not ended");
        self.client
    }

    fn fill(&mut self) {
        match self.framing {
            Framing::Chunked => self.ended = !self.client.chunk(&mut self.text),
            Framing::UntilClose => {
                let arrived = self.client.stream.fill_buf().unwrap();
                let count = arrived.len();
                self.text.extend_from_slice(arrived);
                self.client.stream.consume(count);
                self.ended = count == 0;
            }
            Framing::Length(_) => unreachable!("refused when the stream began"),
        }
    }

    fn take(&mut self, block: &str) -> Option<StreamEvent> {
        let (mut id, mut data) = (None, Vec::new());
        for line in block.split('\n') {
            if let Some(value) = line.strip_prefix("data: ") {
                data.push(value);
            } else if let Some(value) = line.strip_prefix("id: ") {
                id = Some(value.to_owned());
            } else if line.starts_with(':') {
                self.comments += 1;
            } else {
                let wait = line.strip_prefix("retry: ").and_then(|wait| wait.parse().ok());
                assert!(wait.is_some(), "no line of an event stream: {line:?}");
                self.retry_ms = wait;
            }
        }
        if data.is_empty() {
            assert!(id.is_none(), "an id without data: {block:?}");
            return None;
        }
        self.last_id = id.clone().or(self.last_id.take());
        Some(StreamEvent { id, data: data.join("\n") })
    }
}
