//! The server as it ships, in a thread of this process, with a meter on what a commit costs its loop; and the control,
//! whose commits are carried out by the loop itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use oneloop::app::App;
use oneloop::base::HashSeed;
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::os::real::{RealWorld, Sqlite, SystemClock};
use oneloop::os::{Clock, Completion, Os, Store, Wait, Woken};
use oneloop::reactor::{Cx, Event, Host, Reactor};
use oneloop::store::{
    Batch, Done, Idempotency, Job, KeptRun, KeptSession, KeptVector, Loaded, Memory, Record, Row,
    SessionPlace, SessionRow, Storage, Sweep, Swept, Trouble, carry_out,
};
use uuid::Uuid;

use crate::Failed;
use crate::clients::Probe;

/// Where commits are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// By the store's helper, as shipped.
    Helper,
    /// By the loop's own thread.
    Loop,
    /// By the helper, which only sleeps as long as a disk takes and keeps them in memory.
    Pretended,
}

/// What batches have cost the loop's thread, in CPU time.
#[derive(Debug, Default)]
pub struct Meter {
    /// Handing one over, each in µs.
    pub submits: Vec<f64>,
    /// Dealing with the news that it is kept, each in µs.
    pub news: Vec<f64>,
    /// Runs whose acceptance or end was in a batch, each.
    pub steps: Vec<f64>,
}

/// A server in a thread of its own.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Meter, Failed>>,
}

impl Server {
    /// Serves `notes`, keeps runs in `file`, and has indexed the notes.
    pub fn start(notes: &Path, file: &Path, commits: Commits) -> Result<Server, Failed> {
        let (told, bound) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, notes, file) = (Arc::clone(&stop), notes.to_owned(), file.to_owned());
        let thread = thread::spawn(move || serve(notes, &file, commits, &told, &stopped));
        let address = match bound.recv_timeout(Duration::from_secs(20)) {
            Ok(address) => address,
            Err(_) => {
                let ended = thread.join().map_err(|_| "the server panicked")?;
                return Err(ended.err().unwrap_or_else(|| "the server does not start".into()));
            }
        };
        let mut probe = Probe::connect(address)?;
        while !probe.get("/health")?.contains("\"ready\"") {}
        Ok(Server { address, stop, thread })
    }

    /// Ends it; answers what its batches have cost.
    pub fn stop(self) -> Result<Meter, Failed> {
        self.stop.store(true, Relaxed);
        // One more turn, so that it sees that.
        Probe::connect(self.address)?;
        self.thread.join().map_err(|_| "the server panicked")?
    }
}

fn serve(
    notes: PathBuf,
    file: &Path,
    commits: Commits,
    told: &Sender<SocketAddr>,
    stop: &AtomicBool,
) -> Result<Meter, Failed> {
    let limits = Limits::default();
    let mut storage: Box<dyn Storage> = match commits {
        Commits::Helper | Commits::Loop => Box::new(Sqlite::open(file, limits.state_bytes_max)?),
        Commits::Pretended => Box::new(Pretended::default()),
    };
    let loaded = storage.load().map_err(|trouble| trouble.to_string())?;
    let (done, inline_done) = channel();
    let (of_world, of_loop): (Box<dyn Storage>, Box<dyn Storage>) = match commits {
        Commits::Helper | Commits::Pretended => (storage, Box::new(Memory::default())),
        Commits::Loop => (Box::new(Memory::default()), storage),
    };
    let mut inline = Inline { storage: of_loop, done };
    let config = Config {
        notes,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        access_log: false,
        is_durable: true,
        ..Config::default()
    };
    let mut world = RealWorld::new(&config.notes, of_world, &limits)?;
    let mut host = Metered { app: App::new(&config, &limits, HashSeed(7)), news: Vec::new() };
    let mut reactor = Reactor::new(&limits);
    let address = reactor.enter(&mut world.os(), |cx| {
        let address = host.app.listen(config.listen, cx)?;
        host.app.take_over(loaded, cx);
        host.app.read_folder(cx);
        Ok::<_, std::io::Error>(address)
    })?;
    told.send(address)?;
    let mut meter = Meter::default();
    while !stop.load(Relaxed) {
        let os = world.os();
        let store: &mut dyn Store = match commits {
            Commits::Helper | Commits::Pretended => os.store,
            Commits::Loop => &mut inline,
        };
        let mut front = Front { store, meter: &mut meter };
        let mut sleeper = Sleeper { waiter: os.waiter, done: &inline_done };
        let mut os = Os { store: &mut front, waiter: &mut sleeper, ..os };
        reactor.turn(&mut os, &mut host)?;
    }
    meter.news = host.news;
    Ok(meter)
}

/// Measures what it costs to hand a batch over.
struct Front<'s> {
    store: &'s mut dyn Store,
    meter: &'s mut Meter,
}

impl Store for Front<'_> {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        let Job::Commit(batch) = &job else { return self.store.submit(job) };
        let is_step = |record: &&Record| matches!(record, Record::Admitted(_) | Record::Ended { .. });
        self.meter.steps.push(batch.records.iter().filter(is_step).count() as f64);
        let began = cpu();
        let handed_over = self.store.submit(job);
        self.meter.submits.push(micros_since(began));
        handed_over
    }
}

/// Measures what it costs to deal with the news of a batch.
struct Metered {
    app: App,
    news: Vec<f64>,
}

impl Host for Metered {
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>) {
        if !matches!(event, Event::Done(Completion::Store(Done::Committed(_)))) {
            return self.app.handle(event, cx);
        }
        let began = cpu();
        self.app.handle(event, cx);
        self.news.push(micros_since(began));
    }

    fn is_runnable(&self) -> bool {
        self.app.is_runnable()
    }
}

/// The naive way: whoever hands a job over waits until it is done.
struct Inline {
    storage: Box<dyn Storage>,
    done: Sender<Done>,
}

impl Store for Inline {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        // The receiver lives as long as the loop.
        let _ = self.done.send(carry_out(job, &mut *self.storage));
        Ok(())
    }
}

/// Takes the time of a commit, and neither a processor nor the disk.
#[derive(Default)]
struct Pretended(Memory);

/// About what a commit takes beside the hog.
const COMMIT_TIME: Duration = Duration::from_millis(8);

impl Storage for Pretended {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        self.0.load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        thread::sleep(COMMIT_TIME);
        self.0.commit(batch)
    }

    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        self.0.find(run)
    }

    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        self.0.list(before, rows_max)
    }

    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        self.0.find_key(key)
    }

    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        self.0.list_sessions(after, rows_max)
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        self.0.find_session(name)
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        self.0.drop_session(name)
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        self.0.sweep(sweep)
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        self.0.find_vectors(names)
    }

    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        self.0.keep_vectors(vectors, vectors_max)
    }
}

/// Sleeps only while there is no news from [`Inline`].
struct Sleeper<'s> {
    waiter: &'s mut dyn Wait,
    done: &'s Receiver<Done>,
}

impl Wait for Sleeper<'_> {
    fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> std::io::Result<()> {
        woken.done.extend(self.done.try_iter().map(Completion::Store));
        let timeout = if woken.done.is_empty() { timeout } else { Some(Duration::ZERO) };
        self.waiter.wait(timeout, woken)
    }
}

/// What it costs to send something to a thread that sleeps until it comes, each in µs.
pub fn wakings() -> Result<Vec<f64>, Failed> {
    let (sender, receiver) = sync_channel::<()>(8);
    let sleeper = thread::spawn(move || for () in receiver {});
    let mut took = Vec::new();
    for _ in 0..500 {
        // Long enough that it sleeps again.
        thread::sleep(Duration::from_millis(2));
        let began = cpu();
        sender.try_send(())?;
        took.push(micros_since(began));
    }
    drop(sender);
    sleeper.join().map_err(|_| "the sleeper panicked")?;
    Ok(took)
}

/// CPU time of the calling thread.
pub fn cpu() -> Duration {
    SystemClock::new().cpu()
}

/// CPU time that the calling thread has used since, in µs.
pub fn micros_since(began: Duration) -> f64 {
    (cpu() - began).as_secs_f64() * 1e6
}
