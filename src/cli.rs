//! The command line: what can be asked of the binary, and the one line that each failure is worth.

mod callbacks;
mod embed;
mod model;
mod server;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use log::LevelFilter;

use crate::agent::{AnsweredBy, Response};
use crate::app::App;
use crate::app::runs::Record;
use crate::base::HashSeed;
use crate::config::{Config, Writes};
use crate::limits::{Limits, MIB, STATE_BYTES_MAX};
use crate::os::Entropy;
use crate::os::real::{
    RealWorld, Sqlite, StateFolder, StateTrouble, SystemEntropy, check_folder, raise_descriptor_limit,
    start_logging,
};
use crate::reactor::Reactor;
use crate::store::{Loaded, Memory, Storage};

use callbacks::CallbackArgs;
use embed::EmbedArgs;
use model::ModelArgs;

/// Asks a folder of Markdown notes, over HTTP or from the command line, on one event-loop thread.
#[derive(Debug, Parser)]
#[command(
    name = "oneloop",
    version,
    after_help = "Examples:\n  \
        oneloop serve docs\n  \
        oneloop ask docs \"In which order does a turn run its phases?\"\n  \
        curl --json '{\"message\":\"What is a run?\"}' localhost:8000/chat\n\n\
        'oneloop serve --help' explains every bound that can be set."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the notes in a folder: ask over HTTP, watch answers stream in over SSE, or poll for them.
    Serve(Box<Serve>),
    /// Ask one question and print the answer with its sources; no server is started.
    Ask(Ask),
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    oneloop serve                              the notes in $NOTES_DIRECTORY, else in ./notes\n  \
    oneloop serve ~/notes --listen 127.0.0.1:0  any free port; the first line on stdout tells which\n  \
    oneloop serve ~/notes --allow-host notes.example   behind a proxy that passes that Host on\n  \
    oneloop serve ~/notes --model-url http://127.0.0.1:8080/v1 --model gemma   a model answers\n  \
    oneloop serve ~/notes --embed-url http://127.0.0.1:8081/v1 --embed-model all-minilm   found by meaning, too\n\n\
    Once connections are accepted, one line on stdout says where:\n  \
    listening on http://127.0.0.1:8000\n\n\
    Runs are kept in NOTES/.oneloop and survive the process; --state-dir names another folder, --state none keeps none.\n\n\
    SIGINT or SIGTERM: stops accepting, lets what runs finish within 10 s, leaves the rest to the next process and exits 0;\n\
    a second signal exits at once.")]
struct Serve {
    /// The folder of Markdown notes.
    #[arg(env = "NOTES_DIRECTORY", default_value = "notes", value_name = "NOTES")]
    notes: PathBuf,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDR:PORT", value_parser = address)]
    listen: SocketAddr,
    /// Debug logs, and errors with their causes.
    #[arg(long)]
    dev: bool,
    /// Listen on an address beyond loopback although there is no access control: anyone who reaches it may ask.
    #[arg(long)]
    insecure: bool,
    /// A name that requests may carry in their Host field, beside loopback names and the bound address; repeatable.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// An origin whose pages may use this server from a browser, such as https://notes.example; repeatable. Unless one is
    /// given, a server on loopback lets in http://localhost:5173 and http://localhost:3000, where front ends are developed.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    cors_origin: Vec<String>,
    /// How long a run goes on after the client that waits for it is gone.
    #[arg(long, default_value_t = 15, value_name = "SECONDS", allow_negative_numbers = true)]
    disconnect_grace: u64,
    /// How long an ended task can be asked for; then it answers 410.
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS", allow_negative_numbers = true)]
    task_ttl: u64,
    /// How many ended tasks are kept, the newest; older ones answer 410.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", allow_negative_numbers = true)]
    task_keep: usize,
    /// How many sessions (conversations that a client names by session_id) are kept; those that nobody has spoken in for
    /// longest make room.
    #[arg(long, default_value_t = 1000, value_name = "COUNT", value_parser = positive)]
    session_keep: usize,
    /// Runs at work at once; more wait.
    #[arg(long, default_value_t = 64, value_name = "COUNT", value_parser = positive)]
    runs_max: usize,
    /// Runs that may wait; beyond it requests are answered 503.
    #[arg(long, default_value_t = 1024, value_name = "COUNT", value_parser = positive)]
    waiting_max: usize,
    /// What the agent may write: nothing, new notes in the folder Inbox, or new notes in the folders of their categories.
    #[arg(long, default_value = "inbox", value_name = "WHAT")]
    writes: Writing,
    /// Where runs are kept, so that they survive the process: disk, or none for memory only.
    #[arg(long, default_value = "disk", value_name = "WHERE")]
    state: State,
    /// The folder that runs are kept in [default: $STATE_DIRECTORY, else the hidden folder .oneloop in NOTES].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Room for what is kept, in MiB; without room new work is answered 507.
    #[arg(long, default_value_t = STATE_MIB_MAX, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=16_777_216))]
    state_size: u64,
    /// Write no line for each request.
    #[arg(long)]
    no_access_log: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    callbacks: CallbackArgs,
}

/// Where runs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// In a folder, by SQLite.
    Disk,
    /// In memory only.
    None,
}

/// What the agent may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Writing {
    /// Nothing.
    Off,
    /// New notes in the folder Inbox.
    Inbox,
    /// New notes, each in the folder of its category, and additions to notes that there are.
    All,
}

impl Writing {
    fn config(self) -> Writes {
        match self {
            Writing::Off => Writes::Off,
            Writing::Inbox => Writes::Inbox,
            Writing::All => Writes::All,
        }
    }
}

const STATE_MIB_MAX: u64 = STATE_BYTES_MAX / MIB as u64;

/// Arguments of `ask`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    oneloop ask docs \"How does the loop know when to sleep?\"\n  \
    oneloop ask docs \"What is a cursor?\" --json | jq .sources\n  \
    oneloop ask docs \"What is a cursor?\" --model-url http://127.0.0.1:8080/v1 --model gemma")]
struct Ask {
    /// The folder of Markdown notes.
    #[arg(value_name = "NOTES")]
    notes: PathBuf,
    /// The question.
    #[arg(value_name = "QUESTION")]
    question: String,
    /// Print the answer as the JSON object that `POST /chat` would answer with.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "it must be an address and a port, such as 127.0.0.1:8000 or [::1]:8000".to_owned())
}

/// An origin as browsers write it (RFC 6454 §6.2): what is written in another way would never be met.
fn origin(text: &str) -> Result<String, String> {
    let wrong = "it must be a scheme, a host and perhaps a port, such as https://notes.example or http://localhost:5173";
    let lower = text.to_ascii_lowercase();
    let authority = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).ok_or(wrong)?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(is_plain) {
        return Err(wrong.to_owned());
    }
    // Browsers leave the usual port out.
    let usual = if lower.starts_with("https:") { ":443" } else { ":80" };
    Ok(lower.strip_suffix(usual).unwrap_or(&lower).to_owned())
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err("it must be a number from 1 to 1000000".to_owned()),
    }
}

/// What ends the process early.
enum Failure {
    /// The command was wrong: exit 2.
    Usage(String),
    /// The world said no: exit 1.
    World(String),
}

/// Runs the command that `arguments` ask for, to its end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return answer_parse(&error),
    };
    let outcome = match cli.command {
        Command::Serve(serve) => run_serve(&serve),
        Command::Ask(ask) => run_ask(&ask),
    };
    let (code, message) = match outcome {
        Ok(code) => return ExitCode::from(code),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::World(message)) => (1, message),
    };
    complain(&message);
    ExitCode::from(code)
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "oneloop: {message}");
}

/// Help and version go to stdout in full; a mistake is one line on stderr that says what to do.
fn answer_parse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Whoever reads it may have had enough.
            let _ = write!(io::stdout(), "{}", error.render());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            complain(
                "say what to do: 'oneloop serve NOTES' or 'oneloop ask NOTES \"question\"'; see 'oneloop --help'",
            );
            ExitCode::from(2)
        }
        _ => {
            let text = error.to_string();
            // clap parts the message, a hint and the usage by empty lines; lists within it stand on lines of their own.
            let message = text.split("\n\n").next().unwrap_or("").trim_start_matches("error: ");
            let message: Vec<&str> = message.split_whitespace().collect();
            complain(&format!("{}; see 'oneloop --help'", message.join(" ")));
            ExitCode::from(2)
        }
    }
}

// --- serve --------------------------------------------------------------------------------------------------------

fn run_serve(serve: &Serve) -> Result<u8, Failure> {
    start_logging(if serve.dev { LevelFilter::Debug } else { LevelFilter::Info });
    let mut limits = Limits::default();
    let config = Config {
        notes: serve.notes.clone(),
        listen: serve.listen,
        allow_hosts: serve.allow_host.clone(),
        cors_origins: (!serve.cors_origin.is_empty()).then(|| serve.cors_origin.clone()),
        access_log: !serve.no_access_log,
        disconnect_grace: Duration::from_secs(serve.disconnect_grace),
        task_ttl: Duration::from_secs(serve.task_ttl),
        task_keep: serve.task_keep,
        session_keep: serve.session_keep,
        runs_max: serve.runs_max,
        waiting_max: serve.waiting_max,
        writes: serve.writes.config(),
        is_durable: serve.state == State::Disk,
        model: serve.model.config(&limits).map_err(Failure::Usage)?,
        embed: serve.embed.config(&limits).map_err(Failure::Usage)?,
        callbacks: serve.callbacks.config(&limits).map_err(Failure::Usage)?,
    };
    if !config.listen.ip().is_loopback() && !serve.insecure {
        return Err(Failure::World(format!(
            "{} can be reached by others and there is no access control; listen on 127.0.0.1, or add --insecure if anyone who reaches it may ask",
            config.listen
        )));
    }
    if let Some(model) = &config.model {
        limits.outbound_sockets_max =
            limits.outbound_sockets_max.max(model.connections_max.saturating_mul(2));
    }
    if config.model.is_some() || config.embed.is_some() || config.callbacks.is_some() {
        limits.descriptors_reserved = limits.descriptors_reserved.saturating_add(limits.outbound_sockets_max);
    }
    limits.connections_max = connections_that_fit(raise_descriptor_limit(), &limits);
    check_notes(&config.notes)?;
    let (mut storage, _lock) = open_state(serve)?;
    let loaded = load(&mut *storage)?;
    let mut world = open_world(&config.notes, storage, &limits)?;
    let mut server = Server::start(&config, &limits, loaded, &mut world, |bound| {
        // Whoever started us may have closed its end; then nobody wants to know.
        let _ = writeln!(io::stdout(), "listening on http://{bound}").and_then(|()| io::stdout().flush());
    })?;
    server.run(&mut world)
}

/// Opens what runs are kept in. The folder is ours as long as the second value lives.
fn open_state(serve: &Serve) -> Result<(Box<dyn Storage>, Option<StateFolder>), Failure> {
    if serve.state == State::None {
        // Asked for, but whoever did may not be who reads this.
        log::warn!("runs are kept in memory only (--state none): they are lost when the process ends");
        return Ok((Box::new(Memory::default()), None));
    }
    let path = state_path(serve);
    let failure = |reason: String, hint: &str| {
        Failure::World(format!("can't keep runs in {}: {reason}; {hint}", path.display()))
    };
    const WAYS_OUT: &str =
        "give --state-dir a folder that can be written to, or --state none to keep runs in memory only";
    // Whoever gave us the notes may have put it there; a folder that is named may well be a link.
    if path == serve.notes.join(".oneloop") && path.is_symlink() {
        return Err(failure(
            "it is a symbolic link".to_owned(),
            "name the folder that is meant with --state-dir",
        ));
    }
    let folder = StateFolder::open(&path).map_err(|trouble| match &trouble {
        StateTrouble::InUse { .. } => {
            failure(trouble.to_string(), "one process serves a state folder at a time")
        }
        StateTrouble::Link { .. } => {
            failure(trouble.to_string(), "it is not followed, and nothing was written")
        }
        StateTrouble::NotMade(_) | StateTrouble::NotWritable(_) | StateTrouble::NoLock(_) => {
            failure(plain(&trouble.to_string()), WAYS_OUT)
        }
    })?;
    let bytes_max = serve.state_size.saturating_mul(MIB as u64);
    let storage = Sqlite::open(&folder.database(), bytes_max).map_err(|trouble| {
        failure(plain(&trouble.to_string()), "it is left as it is; --state-dir names another folder")
    })?;
    Ok((Box::new(storage), Some(folder)))
}

/// `--state-dir`, or the first of the folders that a supervisor names (systemd parts them by colons), or a hidden one.
fn state_path(serve: &Serve) -> PathBuf {
    let by_supervisor = || {
        let named = std::env::var_os("STATE_DIRECTORY")?;
        let first =
            named.to_str().map_or(Path::new(&named), |text| Path::new(text.split(':').next().unwrap_or("")));
        (!first.as_os_str().is_empty()).then(|| first.to_owned())
    };
    serve.state_dir.clone().or_else(by_supervisor).unwrap_or_else(|| serve.notes.join(".oneloop"))
}

/// What the process before this one has left.
fn load(storage: &mut dyn Storage) -> Result<Loaded, Failure> {
    storage.load().map_err(|trouble| Failure::World(format!("can't read what is kept of runs: {trouble}")))
}

/// Connections for which there are descriptors, beside those that are needed anyway.
fn connections_that_fit(descriptors: usize, limits: &Limits) -> usize {
    limits.connections_max.min(descriptors.saturating_sub(limits.descriptors_reserved)).max(1)
}

/// A server that runs until it is told to stop.
struct Server {
    reactor: Reactor,
    app: App,
}

impl Server {
    /// Listens and begins to read the folder; `told` hears the address really bound.
    ///
    /// # Errors
    /// In words: the address can't be bound.
    fn start(
        config: &Config,
        limits: &Limits,
        loaded: Loaded,
        world: &mut RealWorld,
        told: impl FnOnce(SocketAddr),
    ) -> Result<Server, Failure> {
        let mut app = App::new(config, limits, seed());
        let mut reactor = Reactor::new(limits);
        let bound = reactor.enter(&mut world.os(), |cx| {
            let bound = app.listen(config.listen, cx)?;
            let count = app.take_over(loaded, cx);
            if count > 0 {
                log::info!("{count} runs that had not ended are taken up again");
            }
            app.read_folder(cx);
            Ok(bound)
        });
        let bound = bound.map_err(|error: io::Error| {
            Failure::World(format!("can't listen on {}: {}", config.listen, reason(&error)))
        })?;
        told(bound);
        Ok(Server { reactor, app })
    }

    /// Turns until the process should end; answers its exit code.
    fn run(&mut self, world: &mut RealWorld) -> Result<u8, Failure> {
        loop {
            let turned = self.reactor.turn(&mut world.os(), &mut self.app);
            turned.map_err(|error| Failure::World(format!("the poller failed: {}", reason(&error))))?;
            if let Some(code) = self.app.exit() {
                return Ok(code);
            }
        }
    }
}

/// Serves `config` in this thread until a signal stops the process; `told` hears the address really bound.
///
/// For benches and tests, which set limits of their own.
///
/// # Errors
/// In words, what the command line would have said.
pub fn serve(
    config: &Config,
    limits: &Limits,
    mut storage: Box<dyn Storage>,
    told: impl FnOnce(SocketAddr),
) -> Result<u8, String> {
    let served = load(&mut *storage).and_then(|loaded| {
        let mut world = open_world(&config.notes, storage, limits)?;
        let mut server = Server::start(config, limits, loaded, &mut world, told)?;
        server.run(&mut world)
    });
    served.map_err(|failure| match failure {
        Failure::Usage(message) | Failure::World(message) => message,
    })
}

fn open_world(notes: &Path, storage: Box<dyn Storage>, limits: &Limits) -> Result<RealWorld, Failure> {
    check_notes(notes)?;
    RealWorld::new(notes, storage, limits)
        .map_err(|error| Failure::World(format!("can't start: {}", reason(&error))))
}

fn check_notes(notes: &Path) -> Result<(), Failure> {
    check_folder(notes).map_err(|error| {
        Failure::World(format!("can't read the notes folder {}: {}", notes.display(), reason(&error)))
    })
}

fn seed() -> HashSeed {
    HashSeed(SystemEntropy::default().number())
}

/// The system's own words, without its number.
fn reason(error: &io::Error) -> String {
    log::debug!("caused by {error:?}");
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(_) => plain(&text.to_lowercase()),
        None => text,
    }
}

/// A message without the number that the system gives an error.
fn plain(text: &str) -> String {
    text.rfind(" (os error").map_or(text, |end| &text[..end]).to_owned()
}

// --- ask ----------------------------------------------------------------------------------------------------------

fn run_ask(ask: &Ask) -> Result<u8, Failure> {
    start_logging(LevelFilter::Warn);
    if ask.question.trim().is_empty() {
        return Err(Failure::Usage(
            "the question is empty; try: oneloop ask NOTES \"What is a run?\"".to_owned(),
        ));
    }
    let limits = Limits::default();
    let model = ask.model.config(&limits).map_err(Failure::Usage)?;
    let config = Config { notes: ask.notes.clone(), model, ..Config::default() };
    let mut world = open_world(&config.notes, Box::new(Memory::default()), &limits)?;
    let mut app = App::new(&config, &limits, seed());
    let mut reactor = Reactor::new(&limits);
    reactor.enter(&mut world.os(), |cx| app.read_folder(cx));
    turn_until(&mut reactor, &mut world, &mut app, App::is_ready)?;
    let run = reactor.enter(&mut world.os(), |cx| app.ask(&ask.question, cx)).map_err(Failure::World)?;
    turn_until(&mut reactor, &mut world, &mut app, |app| {
        app.run(run).is_none_or(|record| record.shown().is_final() || record.refused.is_some())
    })?;
    let Some(answer) = app.run(run).and_then(Record::response) else {
        let why = app.run(run).and_then(|record| record.error.clone());
        return Err(Failure::World(why.unwrap_or_else(|| "interrupted".to_owned())));
    };
    let printed = if ask.json { writeln!(io::stdout(), "{answer}") } else { print_answer(answer) };
    printed.map_err(|error| Failure::World(format!("can't print the answer: {}", reason(&error))))?;
    Ok(0)
}

/// Turns the loop until `done`, or until a signal ends the process.
fn turn_until(
    reactor: &mut Reactor,
    world: &mut RealWorld,
    app: &mut App,
    done: impl Fn(&App) -> bool,
) -> Result<(), Failure> {
    while !done(app) {
        let turned = reactor.turn(&mut world.os(), app);
        turned.map_err(|error| Failure::World(format!("the poller failed: {}", reason(&error))))?;
        if app.exit().is_some() {
            return Err(Failure::World("interrupted".to_owned()));
        }
    }
    Ok(())
}

fn print_answer(answer: &str) -> io::Result<()> {
    let answer: Response = serde_json::from_str(answer).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", answer.response)?;
    // A model is given more than it cites.
    let is_cited = |mark: usize| {
        answer.answered_by == AnsweredBy::Notes || answer.response.contains(&format!("[{mark}]"))
    };
    let cited: Vec<_> = answer.sources.iter().enumerate().filter(|(index, _)| is_cited(index + 1)).collect();
    if !cited.is_empty() {
        writeln!(out, "\nSources:")?;
    }
    for (index, source) in cited {
        let heading =
            if source.heading.is_empty() { String::new() } else { format!(" > {}", source.heading) };
        writeln!(out, "  [{}] {}{heading} (bytes {}..{})", index + 1, source.path, source.start, source.end)?;
    }
    answer.degraded.iter().for_each(|why| complain(why));
    Ok(())
}
