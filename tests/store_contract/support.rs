//! Storages that can be opened again, records in few words, and folders that go away with their value.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use oneloop::base::WallTime;
use oneloop::os::real::Sqlite;
use oneloop::store::{
    Admitted, Batch, CallState, Called, Cause, Ending, EventText, Idempotency, KeptRun, KeptSession,
    KeptVector, Loaded, Memory, Outcome, Record, Row, Said, SessionBounds, SessionPlace, SessionRow, Storage,
    Subject, Sweep, Swept, Trouble,
};
use uuid::Uuid;

/// More than any test needs, of runs or bytes.
pub const MANY: u64 = 1 << 30;

/// A folder of a test's own.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("oneloop-store-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("state.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A storage, and what it takes to leave it as a process does and to find it again.
pub trait Kept {
    fn new() -> Self;
    fn storage(&mut self) -> &mut dyn Storage;
    fn reopen(&mut self);
}

/// Kept as long as the value is.
pub struct InMemory(Memory);

impl Kept for InMemory {
    fn new() -> InMemory {
        InMemory(Memory::default())
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut self.0
    }

    fn reopen(&mut self) {}
}

/// Kept in a file.
pub struct InFile {
    folder: Folder,
    sqlite: Option<Sqlite>,
}

impl Kept for InFile {
    fn new() -> InFile {
        let mut kept = InFile { folder: Folder::new(), sqlite: None };
        kept.reopen();
        kept
    }

    fn storage(&mut self) -> &mut dyn Storage {
        self.sqlite.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        // First closed, then opened.
        self.sqlite = None;
        self.sqlite = Some(Sqlite::open(&self.folder.file(), MANY).unwrap());
    }
}

/// Sessions, each as it is listed and as it is found.
pub type Sessions = Vec<(SessionRow, Option<KeptSession>)>;

/// What tests say to a storage, in few words.
pub trait Talk {
    fn talk(&mut self) -> &mut dyn Storage;

    fn try_commit(&mut self, records: Vec<Record>) -> Result<(), Trouble> {
        self.talk().commit(&Batch { records })
    }

    fn commit(&mut self, records: Vec<Record>) {
        self.try_commit(records).unwrap();
    }

    fn refuses(&mut self, records: Vec<Record>) {
        let trouble = self.try_commit(records).expect_err("it contradicts what is kept");
        assert_eq!(trouble.cause, Cause::Contradiction, "{trouble}");
    }

    fn find(&mut self, run: u128) -> Option<KeptRun> {
        self.talk().find(id(run)).unwrap()
    }

    fn loaded(&mut self) -> Loaded {
        self.talk().load().unwrap()
    }

    fn rows(&mut self) -> Vec<Row> {
        self.talk().list(None, usize::MAX).unwrap()
    }

    fn run_of(&mut self, key: &str) -> Option<Uuid> {
        self.talk().find_key(key).unwrap().map(|(run, _)| run)
    }

    fn sweep(&mut self, ended_before: u64, excess: u64, runs_max: usize) -> Swept {
        let ended_before = WallTime::from_millis(ended_before);
        self.talk().sweep(Sweep { ended_before, excess, runs_max }).unwrap()
    }

    /// Keeps vectors of one byte each, named by it.
    fn keep_vectors(&mut self, names: &[u8], vectors_max: u64) {
        let vector = |name: &u8| KeptVector { name: id(u128::from(*name)), bytes: Box::new([*name]) };
        let vectors: Vec<KeptVector> = names.iter().map(vector).collect();
        self.talk().keep_vectors(&vectors, vectors_max).unwrap();
    }

    /// Which of them are found.
    fn vectors(&mut self, names: &[u8]) -> Vec<Option<u8>> {
        let names: Vec<Uuid> = names.iter().map(|name| id(u128::from(*name))).collect();
        let found = self.talk().find_vectors(&names).unwrap();
        found.iter().map(|bytes| bytes.as_ref().map(|bytes| bytes[0])).collect()
    }

    /// Ids that are kept, the newest first.
    fn ids(&mut self) -> Vec<u128> {
        self.rows().iter().map(|row| row.run.as_u128()).collect()
    }

    /// Sessions in the order of their list.
    fn sessions(&mut self) -> Vec<SessionRow> {
        self.talk().list_sessions(None, usize::MAX).unwrap()
    }

    /// Their names.
    fn names(&mut self) -> Vec<String> {
        self.sessions().iter().map(|row| row.name.to_string()).collect()
    }

    /// What was said in a session: messages and answers.
    fn said_in(&mut self, name: &str) -> Vec<String> {
        let session = self.talk().find_session(name).unwrap();
        let said = session.into_iter().flat_map(|session| session.said);
        said.map(|said| format!("{} {}", said.message, said.answer)).collect()
    }

    /// All that can be asked for.
    fn all(&mut self) -> (Loaded, Vec<Row>, Vec<Option<KeptRun>>, Sessions) {
        let rows = self.rows();
        let runs = rows.iter().map(|row| self.talk().find(row.run).unwrap()).collect();
        let sessions = self.sessions().into_iter().map(|row| {
            let session = self.talk().find_session(&row.name).unwrap();
            (row, session)
        });
        let sessions = sessions.collect();
        (self.loaded(), rows, runs, sessions)
    }
}

impl<K: Kept> Talk for K {
    fn talk(&mut self) -> &mut dyn Storage {
        self.storage()
    }
}

pub fn id(run: u128) -> Uuid {
    Uuid::from_u128(run)
}

/// A run that was accepted when its number says.
pub fn admitted(run: u128) -> Record {
    admitted_as(run, &format!("question {run}"), None)
}

pub fn admitted_as(run: u128, question: &str, key: Option<&str>) -> Record {
    Record::Admitted(Admitted {
        run: id(run),
        created_at: WallTime::from_millis(u64::try_from(run).unwrap()),
        question: question.into(),
        subject: Subject { message: question.into(), session: key.map(Into::into) },
        ends_when_left: run.is_multiple_of(2),
        key: key.map(|key| Idempotency { key: key.into(), fingerprint: id(u128::MAX - run) }),
        reserved: 64,
        callback: None,
    })
}

/// A run whose end is to be told.
pub fn admitted_to_call(run: u128, url: &str) -> Record {
    match admitted(run) {
        Record::Admitted(admitted) => Record::Admitted(Admitted { callback: Some(url.into()), ..admitted }),
        other => other,
    }
}

/// A callback after so many tries, the last of which failed unless it is delivered.
pub fn called(run: u128, state: CallState, attempts: u32) -> Record {
    let error = (state != CallState::Delivered).then(|| "answered 500".into());
    let due = (state == CallState::Outstanding).then(|| WallTime::from_millis(u64::from(attempts)));
    Record::Called { run: id(run), called: Called { state, attempts, due, error } }
}

pub fn inputs(run: u128, first: u64, inputs: &[&str]) -> Record {
    Record::Inputs { run: id(run), first, inputs: inputs.iter().map(|input| (*input).into()).collect() }
}

pub fn event(run: u128, number: u64, json: &str) -> Record {
    Record::Events { run: id(run), events: vec![EventText { number, json: json.into() }] }
}

pub fn bounds(run: u128, reserved: u64, attempts: u32) -> Record {
    Record::Bounds { run: id(run), reserved, attempts }
}

pub fn ended(run: u128, at: u64) -> Record {
    ended_as(run, at, Outcome::Completed, None)
}

pub fn ended_as(run: u128, at: u64, outcome: Outcome, error: Option<&str>) -> Record {
    let ending = Ending { outcome, at: WallTime::from_millis(at), error: error.map(Into::into) };
    Record::Ended { run: id(run), ending }
}

/// More than any test needs of sessions.
pub const ALL: SessionBounds = SessionBounds { messages_max: MANY, bytes_max: MANY, sessions_max: MANY };

/// What a run has said, at the moment that its number says.
pub fn said(run: u128, session: &str, answer: &str, bounds: SessionBounds) -> Record {
    let at = u64::try_from(run).unwrap();
    Record::Said(Said {
        run: id(run),
        session: session.into(),
        asked_at: WallTime::from_millis(at),
        answered_at: WallTime::from_millis(at + 1),
        message: format!("m{run}").into(),
        answer: answer.into(),
        bounds,
    })
}

/// The same, of a message of its own.
pub fn said_as(run: u128, session: &str, message: &str, bounds: SessionBounds) -> Record {
    match said(run, session, "x", bounds) {
        Record::Said(said) => Record::Said(Said { message: message.into(), ..said }),
        other => other,
    }
}

pub fn place(row: &SessionRow) -> SessionPlace {
    SessionPlace { updated_at: row.updated_at, name: row.name.clone() }
}

pub fn forgotten(run: u128) -> Record {
    Record::Forgotten { run: id(run) }
}
