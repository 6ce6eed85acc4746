//! The store of a simulated world, asked as a server asks it: a job is handed over, and the news comes with a wait.
//!
//! To open it again is what a process sees that follows one which was killed when nothing was under way.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use oneloop::base::{Key, Kind};
use oneloop::limits::Limits;
use oneloop::os::sim::{Plan, World};
use oneloop::os::{Completion, Woken};
use oneloop::store::{
    Batch, Done, Idempotency, Job, KeptRun, KeptSession, KeptVector, Loaded, Row, SessionPlace, SessionRow,
    Storage, Sweep, Swept, Trouble,
};
use uuid::Uuid;

use super::support::Kept;

/// Kept in a world of its own, which lives in a thread of its own: a world does not move between threads.
pub struct InWorld {
    asked: Sender<Asked>,
    answers: Receiver<Answer>,
}

enum Asked {
    /// A new process starts.
    Boot,
    Do(Job),
}

enum Answer {
    Found(Loaded),
    Did(Done),
}

impl InWorld {
    fn boot(&mut self) -> Loaded {
        self.asked.send(Asked::Boot).unwrap();
        match self.answers.recv().unwrap() {
            Answer::Found(loaded) => loaded,
            Answer::Did(done) => panic!("a start is answered with {done:?}"),
        }
    }

    fn carry_out(&mut self, job: Job) -> Done {
        self.asked.send(Asked::Do(job)).unwrap();
        match self.answers.recv().unwrap() {
            Answer::Did(done) => done,
            Answer::Found(loaded) => panic!("a job is answered with {loaded:?}"),
        }
    }
}

fn live(asked: &Receiver<Asked>, answers: &Sender<Answer>) {
    let plan = Plan { ends_after: Duration::from_secs(1_000_000), ..Plan::default() };
    let world = World::new(&plan, &Limits::default(), Vec::new());
    let mut handles = world.handles();
    for asked in asked {
        let answer = match asked {
            Asked::Boot => {
                world.end_process();
                Answer::Found(world.boot())
            }
            Asked::Do(job) => {
                let os = handles.os();
                os.store.submit(job).expect("nothing goes wrong in this world");
                let mut woken = Woken::default();
                while woken.done.is_empty() {
                    os.waiter.wait(None, &mut woken).expect("nor does this");
                }
                match woken.done.pop() {
                    Some(Completion::Store(done)) => Answer::Did(done),
                    other => panic!("the store is asked, and there is news of {other:?}"),
                }
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

impl Kept for InWorld {
    fn new() -> InWorld {
        let (asked, questions) = channel();
        let (tell, answers) = channel();
        thread::spawn(move || live(&questions, &tell));
        let mut world = InWorld { asked, answers };
        world.boot();
        world
    }

    fn storage(&mut self) -> &mut dyn Storage {
        self
    }

    fn reopen(&mut self) {
        self.boot();
    }
}

/// Who asks does not matter: there is only one.
fn asker() -> Key {
    Key::new(Kind(9), 0, 0)
}

impl Storage for InWorld {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        Ok(self.boot())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let Done::Committed(done) = self.carry_out(Job::Commit(batch.clone())) else { unreachable!() };
        done
    }

    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        let Done::Found { found, .. } = self.carry_out(Job::Find { asker: asker(), run }) else {
            unreachable!()
        };
        found
    }

    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        let job = Job::List { asker: asker(), before, rows_max };
        let Done::Listed { found, .. } = self.carry_out(job) else { unreachable!() };
        found
    }

    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        let job = Job::FindKey { asker: asker(), key: key.into() };
        let Done::FoundKey { found, .. } = self.carry_out(job) else { unreachable!() };
        found
    }

    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        let job = Job::ListSessions { asker: asker(), after: after.cloned(), rows_max };
        let Done::ListedSessions { found, .. } = self.carry_out(job) else { unreachable!() };
        found
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        let job = Job::FindSession { asker: asker(), name: name.into() };
        let Done::FoundSession { found, .. } = self.carry_out(job) else { unreachable!() };
        found
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        let job = Job::DropSession { asker: asker(), name: name.into() };
        let Done::DroppedSession { dropped, .. } = self.carry_out(job) else { unreachable!() };
        dropped
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        let Done::Swept(swept) = self.carry_out(Job::Sweep(sweep)) else { unreachable!() };
        swept
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        let job = Job::FindVectors { asker: asker(), names: names.to_vec() };
        let Done::FoundVectors { found, .. } = self.carry_out(job) else { unreachable!() };
        found
    }

    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        let job = Job::KeepVectors { asker: asker(), vectors: vectors.to_vec(), vectors_max };
        let Done::KeptVectors { kept, .. } = self.carry_out(job) else { unreachable!() };
        kept
    }
}
