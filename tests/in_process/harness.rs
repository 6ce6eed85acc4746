//! The whole server in this thread: a test writes as a client, turns the loop, and reads as a client again.
//!
//! Loopback delivers at once, so what the loop answers by itself is there after one turn ([`Server::ask`]) and every
//! count is exact. What is told only once the store has kept or found something takes a few turns more
//! ([`Server::ask_store`]): the loop sleeps until the store's helper wakes it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oneloop::app::App;
use oneloop::app::callbacks::Callbacks;
use oneloop::app::census::Census;
use oneloop::app::embed::Embedder;
use oneloop::app::model::Model;
use oneloop::base::HashSeed;
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::net::outbound::OutboundCounts;
use oneloop::os::real::RealWorld;
use oneloop::os::{Disk, Job, NetCounters, Os, Wait, Woken};
use oneloop::reactor::Reactor;
use oneloop::store::{Memory, Storage};
use rustix::net::{RecvFlags, recv};

/// The cheapest request.
pub const HEALTH: &[u8] =
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";

/// Turns that are made before an answer counts as missing. Between two of them the loop sleeps if it can.
const TURNS_MAX: u32 = 1000;

/// The longest sleep of a turn that is one of many.
const MOMENT: Duration = Duration::from_millis(20);

/// A POST with JSON.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let fields = format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}");
    format!("POST {path} HTTP/1.1\r\n{fields}\r\n\r\n{body}").into_bytes()
}

/// A server and the world that it lives in.
pub struct Server {
    world: RealWorld,
    reactor: Reactor,
    app: App,
    address: SocketAddr,
    notes: PathBuf,
}

impl Server {
    /// A server over one note, which is indexed, and that keeps runs in memory.
    pub fn start(config: Config, limits: Limits) -> Server {
        Server::with_storage(Box::<Memory>::default(), config, limits)
    }

    /// The same, with a storage of the test's own.
    pub fn with_storage(mut storage: Box<dyn Storage>, config: Config, limits: Limits) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("oneloop-in-process-{}-{number}", std::process::id());
        let notes = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&notes).expect("the temporary folder can be written");
        std::fs::write(notes.join("kettle.md"), "# Kettle\n\nThe kettle boils at 96 degrees.\n")
            .expect("so can a note");
        let config = Config { notes: notes.clone(), access_log: false, ..config };
        let loaded = storage.load().expect("the test has put nothing unreadable into it");
        let mut world = RealWorld::new(&notes, storage, &limits).expect("the poller opens");
        let mut reactor = Reactor::new(&limits);
        let mut app = App::new(&config, &limits, HashSeed(7));
        let address = reactor.enter(&mut world.os(), |cx| {
            app.take_over(loaded, cx);
            app.read_folder(cx);
            app.listen(SocketAddr::from(([127, 0, 0, 1], 0)), cx).expect("a free port can be bound")
        });
        let mut server = Server { world, reactor, app, address, notes };
        while !server.app.is_ready() {
            server.turn();
        }
        server
    }

    /// One turn of the loop; it sleeps if there is nothing to do.
    pub fn turn(&mut self) {
        self.reactor.turn(&mut self.world.os(), &mut self.app).expect("the poller goes on");
    }

    /// One turn for whoever looks for an answer after each: news of a helper is told before the poll, so a turn that
    /// begins with some does not sleep.
    pub fn turn_and_look(&mut self) {
        struct Awake<'w>(&'w mut dyn Wait);
        impl Wait for Awake<'_> {
            fn wait(&mut self, _timeout: Option<Duration>, woken: &mut Woken) -> std::io::Result<()> {
                self.0.wait(Some(Duration::ZERO), woken)
            }
        }
        if self.reactor.waiting() == 0 {
            return self.turn();
        }
        let os = self.world.os();
        let mut awake = Awake(os.waiter);
        let mut os = Os { waiter: &mut awake, ..os };
        self.reactor.turn(&mut os, &mut self.app).expect("the poller goes on");
    }

    /// One turn that sleeps for a moment at most: for whoever waits for something that no socket of the test's tells.
    /// After it whatever is held must be what is known.
    pub fn turn_soon(&mut self) {
        struct Soon<'w>(&'w mut dyn Wait);
        impl Wait for Soon<'_> {
            fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> std::io::Result<()> {
                self.0.wait(Some(timeout.map_or(MOMENT, |timeout| timeout.min(MOMENT))), woken)
            }
        }
        let os = self.world.os();
        let mut soon = Soon(os.waiter);
        let mut os = Os { waiter: &mut soon, ..os };
        self.reactor.turn(&mut os, &mut self.app).expect("the poller goes on");
        let census = self.app.census();
        assert_eq!(
            self.reactor.timers().len(),
            census.timers,
            "timers that are set, and that somebody knows of"
        );
        assert_eq!(census.asking, census.askers, "runs that wait for the model, and those that it knows of");
        assert_eq!(census.embedding, census.embedding_askers, "the same of the embedding server");
        assert_eq!(census.with_vectors, census.vector_requests, "clients that wait for vectors, likewise");
    }

    /// Turns until `look` sees what it looks for.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Server) -> Option<T>) -> T {
        for _ in 0..TURNS_MAX {
            if let Some(seen) = look(self) {
                return seen;
            }
            self.turn_soon();
        }
        panic!("not within {TURNS_MAX} turns: {what}; {:?}", self.census());
    }

    /// One turn in which the disk helper takes no job, as if it could not be started.
    pub fn turn_without_disk(&mut self) {
        struct Refusing;
        impl Disk for Refusing {
            fn submit(&mut self, job: Job) -> Result<(), Job> {
                Err(job)
            }
        }
        let mut refusing = Refusing;
        let os = Os { disk: &mut refusing, ..self.world.os() };
        self.reactor.turn(&mut { os }, &mut self.app).expect("the poller goes on");
    }

    /// Puts a note into the folder.
    pub fn write_note(&self, name: &str, text: &str) {
        std::fs::write(self.notes.join(name), text).expect("the temporary folder can be written");
    }

    /// What a note says; none if there is none.
    pub fn note(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.notes.join(name)).ok()
    }

    /// Takes a note out of it.
    pub fn remove_note(&self, name: &str) {
        std::fs::remove_file(self.notes.join(name)).expect("it is there");
    }

    /// A client whose connection was accepted.
    pub fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("the listener has a backlog");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        client.set_nodelay(true).expect("so can this");
        self.turn();
        client
    }

    /// One request, one turn, one answer: how many bytes it had.
    pub fn ask(&mut self, client: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> usize {
        client.write_all(request).expect("the server reads");
        self.turn();
        client.read(answer).expect("the server has answered within the turn")
    }

    /// One request whose answer waits for the store, and as many turns as that takes: what has come of it first.
    pub fn ask_store(&mut self, client: &mut TcpStream, request: &[u8]) -> String {
        client.write_all(request).expect("the server reads");
        self.hear(client)
    }

    /// Turns until this client has been sent something: what that is.
    pub fn hear(&mut self, client: &TcpStream) -> String {
        let mut heard = [0; 4096];
        for _ in 0..TURNS_MAX {
            match recv(client, &mut heard[..], RecvFlags::DONTWAIT) {
                Ok((_, count)) => return String::from_utf8_lossy(&heard[..count]).into_owned(),
                Err(rustix::io::Errno::WOULDBLOCK) => self.turn_and_look(),
                Err(error) => panic!("the connection has failed: {error}"),
            }
        }
        panic!("nothing was heard in {TURNS_MAX} turns");
    }

    /// The model that the server was started with.
    pub fn model(&self) -> &Model {
        self.app.model().expect("the test has named one")
    }

    /// The embedding server that the server was started with.
    pub fn embedder(&self) -> &Embedder {
        self.app.embedder().expect("the test has named one")
    }

    /// Ends of runs that are still to be told.
    pub fn callbacks(&self) -> &Callbacks {
        self.app.callbacks()
    }

    /// How much is on its way to other servers.
    pub fn outbound(&self) -> OutboundCounts {
        self.app.outbound().counts()
    }

    /// Runs that wait for the model, and timers and sockets that are held for it.
    pub fn holds(&self) -> (usize, usize, usize) {
        let (askers, pauses) = self.model().holds();
        let (timers, sockets) = self.app.outbound().holds();
        (askers, timers + pauses, sockets)
    }

    /// What the application holds.
    pub fn census(&self) -> Census {
        self.app.census()
    }

    /// System calls on sockets, and waits.
    pub fn counters(&mut self) -> (NetCounters, u64) {
        let counters = self.world.os().net.counters();
        (counters, self.reactor.figures().waits)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.notes);
    }
}
