//! Turns the server in its world until the world ends, and looks after each turn whether all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use oneloop::app::App;
use oneloop::app::callbacks::CallbackCounts;
use oneloop::app::census::Census;
use oneloop::app::embed::{EmbedCounts, Embedder};
use oneloop::app::model::{Model, ModelCounts};
use oneloop::app::runs::Status;
use oneloop::base::{HashSeed, Time};
use oneloop::os::OUTBOUND;
use oneloop::os::faults::Strike;
use oneloop::os::sim::{Telling, World};
use oneloop::reactor::{Cx, Event, Host, Reactor, TimerId, TurnReport};
use oneloop::store::{CallState, Callback};

use super::scenario::Scenario;
use super::town::{Shared, Town};
use super::visitor::{TALLY, told};

/// How a world went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What went wrong with the server, if anything.
    pub failure: Option<String>,
    /// What two runs of one scenario share.
    pub hash: u64,
    /// Things that happened.
    pub happened: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Remarkable things that were seen.
    pub seen: BTreeSet<&'static str>,
    /// What went wrong with the world, and when.
    pub struck: Vec<(Time, Strike)>,
    /// The last things that happened, if they were to be told.
    pub last: Vec<String>,
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario, telling: Telling) -> Outcome {
    let (world, town) = scenario.build(telling);
    run_world(&world, &town)
}

/// Runs the server in a world to its end. A panic of the server is a failure like any other.
pub fn run_world(world: &World, town: &Shared) -> Outcome {
    let mut checker = Checker::default();
    let mut turns = 0;
    let ran = catch_unwind(AssertUnwindSafe(|| play(world, town, &mut checker, &mut turns)));
    let mut failure = match ran {
        Ok(ended) => ended.err(),
        Err(panic) => Some(format!("the server panicked: {}", panic_words(&*panic))),
    };
    let mut seen = checker.seen;
    world.with_actors(|actors| {
        for actor in actors {
            if let Some(complaint) = actor.complaint() {
                failure.get_or_insert(format!("{}: {complaint}", actor.describe()));
            }
            seen.extend(actor.seen());
        }
    });
    let (hash, happened) = world.trace_hash();
    seen.extend(world.struck().iter().map(|(_, strike)| strike.fault.words()));
    Outcome { failure, hash, happened, turns, seen, struck: world.struck(), last: world.last_sentences() }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// How a process ended.
enum End {
    /// By itself, with this exit code.
    Exited(u8),
    /// It was killed.
    Killed,
    /// All is over, and well.
    AtRest,
}

/// One process after the other, until all is done.
fn play(world: &World, town: &Shared, checker: &mut Checker, turns: &mut u64) -> Result<(), String> {
    loop {
        let end = live(world, town, checker, turns)?;
        match end {
            End::AtRest => return Ok(()),
            End::Exited(_) if !town.comes_back => return Ok(()),
            End::Exited(_) => {
                world.end_process();
                checker.seen.insert("a process took over from one that had stopped");
            }
            End::Killed => {
                checker.seen.insert("a process was killed");
                if checker.was_asking {
                    checker.seen.insert("a process was killed while a run asked the model");
                }
            }
        }
        town.is_down.set(true);
        town.ends.set(town.ends.get() + 1);
        town.oracle.borrow_mut().ends += 1;
        checker.new_process();
        world.pass(Duration::from_millis(u64::from(town.ends.get()) * 70));
        // A signal that reached the process before is of no concern to the next.
        town.is_stopping.set(false);
        town.is_indexed.set(false);
    }
}

/// The life of one process.
fn live(world: &World, town: &Shared, checker: &mut Checker, turns: &mut u64) -> Result<End, String> {
    let mut handles = world.handles();
    let mut reactor = Reactor::new(&town.limits);
    let mut app = App::new(&town.config, &town.limits, HashSeed(town.seed));
    let loaded = world.boot();
    if !loaded.unfinished.is_empty() {
        checker.seen.insert("a process took over runs that had not ended");
    }
    let attempts_max = town.limits.run_attempts_max;
    if let Some(run) = loaded.unfinished.iter().find(|run| run.attempts > attempts_max) {
        return Err(format!("run {} was tried {} times", run.admitted.run, run.attempts));
    }
    if loaded.unfinished.iter().any(|run| run.attempts == attempts_max) {
        checker.seen.insert("a run was given up after it had been at work in processes that were killed");
    }
    if !loaded.uncalled.is_empty() {
        checker.seen.insert("a process took over callbacks that were outstanding");
    }
    if loaded.unfinished.iter().any(|run| !run.inputs.is_empty()) {
        checker.seen.insert("a run was made again from its inputs");
    }
    reactor
        .enter(&mut handles.os(), |cx| {
            app.listen(town.config.listen, cx)?;
            app.take_over(loaded, cx);
            app.read_folder(cx);
            Ok(())
        })
        .map_err(|error: std::io::Error| format!("the server can't listen: {error}"))?;
    town.is_down.set(false);
    let mut stopped_at = None;
    loop {
        *turns += 1;
        let before = Progress::of(&reactor, &app, &handles.os().net.counters());
        let deadlines = reactor.timers().deadlines().collect();
        let to_close = reactor.closing().count();
        let mut watched = Watched { app: &mut app, deadlines, early: None };
        let turned = reactor.turn(&mut handles.os(), &mut watched);
        if world.is_down() {
            return Ok(End::Killed);
        }
        if let Some(early) = watched.early {
            return Err(early);
        }
        let report = turned.map_err(|error| error.to_string())?;
        if report.slept && to_close > 0 {
            return Err(format!("the loop slept, and {to_close} sockets were to be closed"));
        }
        let after = Progress::of(&reactor, &app, &handles.os().net.counters());
        // That a connection had another go is no progress: it may ask for one for ever.
        let did_nothing = before == after && report.ready + report.closed + report.timers == 0;
        checker.turn(town, world, &reactor, &app, did_nothing, &report)?;
        if town.is_stopping.get() {
            let since = *stopped_at.get_or_insert(world.now());
            if let Some(code) = app.exit() {
                return checker.exited(code, &app, town).map(|()| End::Exited(code));
            }
            // A leap of the clock, or a loop held up, may add to it.
            let took = world.now().since(since);
            if took > town.limits.shutdown_timeout * 2 + Duration::from_secs(200) {
                return Err(format!("told to stop, it still runs after {took:?}: {:?}", app.census()));
            }
        } else if let Some(code) = app.exit() {
            return Err(format!("it wants to exit with {code}, and nobody told it to stop"));
        }
        let complains = world.with_actors(|actors| actors.iter().any(|actor| actor.complaint().is_some()));
        if complains {
            return Ok(End::AtRest);
        }
        // What a helper has done and the server does not know yet, only the store counts.
        let has_news = reactor.waiting() > 0 || world.has_untold_news();
        let may_rest = world.is_calm() && !town.is_stopping.get() && !has_news;
        if may_rest && checker.is_at_rest(world, town, &app) {
            return checker.at_rest(town, world, &reactor, &app).map(|()| End::AtRest);
        }
        checker.all_leave(world, &app)?;
        if world.has_ended() {
            return Err(world.with_actors(|actors| {
                let late: Vec<String> =
                    actors.iter().filter(|actor| !actor.is_done()).map(|actor| actor.describe()).collect();
                format!("the weather has long been calm, and not all is done: {late:?}; {:?}", app.census())
            }));
        }
    }
}

/// What a turn moves if it does anything.
#[derive(PartialEq, Eq)]
struct Progress {
    calls: [u64; 5],
    slices: u64,
    waiting: usize,
    /// Readers that are still to be told of news, though it may turn out to be none to them.
    news: usize,
    timers: usize,
    /// In inboxes, bodies and outboxes.
    bytes: [usize; 3],
}

impl Progress {
    fn of(reactor: &Reactor, app: &App, counters: &oneloop::os::NetCounters) -> Progress {
        let oneloop::os::NetCounters { reads, writes, accepts, turned_away, connects, .. } = *counters;
        let calls = [reads, writes, accepts, turned_away, connects];
        let census = app.census();
        Progress {
            calls,
            slices: census.slices,
            bytes: [census.unread_bytes, census.body_bytes, census.unsent_bytes],
            waiting: reactor.waiting(),
            news: census.news,
            timers: reactor.timers().len(),
        }
    }
}

/// Stands between the loop and the application, and sees to it that no timer fires early.
struct Watched<'a> {
    app: &'a mut App,
    /// What was set before the event that is being handled.
    deadlines: Vec<(TimerId, Time)>,
    early: Option<String>,
}

impl Host for Watched<'_> {
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>) {
        if let Event::Timer(id, owner) = &event {
            let deadline = self.deadlines.iter().find(|(set, _)| set == id).map(|(_, deadline)| *deadline);
            match deadline {
                None => self.early = Some(format!("a timer of {owner:?} fires that is not set")),
                Some(deadline) if deadline > cx.now => {
                    let now = cx.now;
                    self.early = Some(format!("a timer of {owner:?} fires at {now:?}, before {deadline:?}"));
                }
                Some(_) => {}
            }
        }
        self.app.handle(event, cx);
        self.deadlines.clear();
        self.deadlines.extend(cx.timers().deadlines());
    }

    fn is_runnable(&self) -> bool {
        self.app.is_runnable()
    }
}

/// What is remembered from turn to turn.
#[derive(Debug, Default)]
struct Checker {
    idle_turns: u32,
    embedding_steps: u64,
    ended: BTreeMap<uuid::Uuid, &'static str>,
    seen: BTreeSet<&'static str>,
    finished: u64,
    records: usize,
    gone_since: Option<Time>,
    /// Runs that somebody was reading when the last turn ended.
    attended: BTreeSet<uuid::Uuid>,
    /// A run was waiting for the model then.
    was_asking: bool,
    /// A reply of the model's was made for several runs.
    has_shared: bool,
}

/// What is under way when the weather turns calm may take so long to arrive: a clog, and then a lingering close.
const LEAVING_MAX: Duration = Duration::from_secs(45);

/// All tries of all callbacks, in calm weather.
const CALLING_MAX: Duration = Duration::from_secs(300);

/// Turns in a row that may do nothing without having been allowed to sleep: an interruption, a spurious announcement.
const IDLE_TURNS_MAX: u32 = 3;

impl Checker {
    fn turn(
        &mut self,
        town: &Town,
        world: &World,
        reactor: &Reactor,
        app: &App,
        did_nothing: bool,
        report: &TurnReport,
    ) -> Result<(), String> {
        let census = app.census();
        let limits = &town.limits;
        self.has_shared |= app.model().is_some_and(|model| model.counts().shared + model.counts().cached > 0);
        // A slice of a look for passages without a vector is something, too.
        let embedding_steps = app.embedder().map_or(0, Embedder::steps);
        let did_nothing = did_nothing && embedding_steps == self.embedding_steps;
        self.embedding_steps = embedding_steps;
        self.idle_turns = if did_nothing && world.quiet_polls() > 0 { self.idle_turns + 1 } else { 0 };
        if self.idle_turns > IDLE_TURNS_MAX {
            return Err(format!("the loop turns without sleeping and does nothing: {census:?}"));
        }
        equal(
            "timers that are set, and timers that somebody knows of",
            reactor.timers().len(),
            census.timers,
        )?;
        let outbound = world.outbound_sockets();
        equal("sockets that were accepted, and connections", world.sockets() - outbound, census.connections)?;
        // What was given up while sockets were being closed, or behind that, is closed in the next turn.
        let closing = reactor.closing().filter(|key| key.kind() == OUTBOUND).count();
        let held = census.outbound_sockets + closing;
        equal("sockets to others, and connections to others", outbound, held)?;
        equal("runs that ask the model, and those that its calls know", census.asking, census.askers)?;
        equal(
            "runs that await a vector, and those that its calls know",
            census.embedding,
            census.embedding_askers,
        )?;
        // A call for which nobody waits any more has ended.
        at_most("calls of the model", app.model().map_or(0, Model::calls), census.asking)?;
        equal("readers of runs, and runs' readers", census.with_run, census.watchers)?;
        equal(
            "connections that wait for a scan, and those the folder knows",
            census.with_sync,
            census.sync_waiters,
        )?;
        equal("connections that wait for a view, and views", census.with_view, census.views)?;
        equal(
            "connections that wait for vectors, and requests for them",
            census.with_vectors,
            census.vector_requests,
        )?;
        at_most("connections that wait for a file", census.with_file, census.note_files)?;
        equal("bytes of bodies, and bytes counted", census.body_bytes, census.body_bytes_counted)?;
        at_most("runs of one session that are at work", census.talking_most, 1)?;
        equal("runs that wait, and runs in the queue", census.runs.pending, census.queued)?;
        if !census.is_parked {
            let at_work = census.tasks - census.views
                + census.writing
                + census.awaiting_attempt
                + census.asking
                + census.embedding
                + census.recalling;
            equal("tasks, and runs at work with the index", at_work, census.runs.running + 1)?;
        }
        at_most("connections", census.connections, limits.connections_max + 1)?;
        at_most("bytes of bodies", census.body_bytes, limits.body_bytes_in_flight_max)?;
        at_most("bytes of one outbox", census.outbox_bytes_most, 2 * limits.outbox_bytes_max)?;
        let buffers = census.connections * (2 * limits.buffer_bytes + 2 * limits.outbox_bytes_max);
        at_most("bytes of buffers", census.buffer_bytes, buffers)?;
        // What an answer quotes stands in it twice, once more in its tokens, and each byte may need six as JSON.
        let quoted = limits.answer_bytes_max + limits.sources_max * limits.passage_bytes_max;
        // All that a model has said stays in the log, void or not: a token may be one letter, which takes thirty bytes. A
        // reply is bounded, and so are the replies of one run.
        let replies = limits.tool_rounds_max + limits.prompt_shrinks_max as usize + 2;
        let said = if app.model().is_some() { replies * 30 * limits.model_answer_bytes_max } else { 0 };
        at_most("bytes of one log", census.log_bytes_most, 3 * 6 * quoted + said)?;
        // A connection stands there once for each run with news that it reads.
        let readers_max = (limits.connections_max + 1) * limits.websocket_runs_max;
        at_most("readers that wait to be told of news", census.news, readers_max)?;
        at_most("runs at work", census.runs.running, town.config.runs_max)?;
        let pending_max = town.config.runs_max + town.config.waiting_max;
        at_most("runs that wait or are at work", census.runs.pending + census.runs.running, pending_max)?;
        // Those that are over stay until that is kept, or while somebody reads them; a socket may read several.
        let read = census.connections.max(census.with_run);
        let records_max = pending_max + limits.unkept_runs_max + town.config.runs_max + read;
        at_most("runs that are here", census.records, records_max)?;
        if let Some(words) = world.contradiction() {
            return Err(format!("the store was told what contradicts what it was told before: {words}"));
        }
        // Each turn runs a slice at least, and whoever had one goes to the back.
        let tasks_max = (town.config.runs_max + limits.views_max) as u64 + 1;
        at_most("turns that a runnable task waited", census.longest_wait_turns as usize, tasks_max as usize)?;
        self.runs(app, census)?;
        self.cancelled(town, app, report)?;
        completions(town, app)?;
        self.notice_store(app);
        self.notice_model(app);
        self.notice_embedder(app);
        self.callbacks(town, world, app, census.callbacks)?;
        self.was_asking = census.asking > 0;
        self.notice(&census, town);
        self.notice_report(report, town);
        Ok(())
    }

    /// As long as somebody reads a run it ends by itself, or because somebody says so.
    fn cancelled(&mut self, town: &Town, app: &App, report: &TurnReport) -> Result<(), String> {
        let excused = report.closed > 0 || town.config.disconnect_grace.is_zero() || town.is_stopping.get();
        for record in app.runs().filter(|record| record.status == Status::Cancelled) {
            let was_read = self.attended.contains(&record.id);
            let session = record.spoken.as_ref().map(|spoken| &*spoken.session);
            let has_rivals = session.is_some_and(|session| town.talks.borrow_mut().has_cancels(session));
            let id = record.id.to_string();
            let oracle = town.oracle.borrow();
            let is_known = oracle.knows(&id) && !town.completions.borrow().contains_key(&id);
            let was_completion = town.ends_completions.get() && !is_known;
            if was_read && !excused && !has_rivals && !was_completion && !oracle.has_end_wanted(&id) {
                return Err(format!("run {} is cancelled although somebody reads it", record.id));
            }
        }
        self.attended.clear();
        let read = app.runs().filter(|record| !record.status.is_final() && record.is_attended());
        self.attended.extend(read.map(|record| record.id));
        Ok(())
    }

    /// A run that has ended stays as it ended, and its log has one end.
    fn runs(&mut self, app: &App, census: Census) -> Result<(), String> {
        let finished = census.runs.completed + census.runs.failed + census.runs.cancelled;
        if finished == self.finished && census.records == self.records {
            return Ok(());
        }
        (self.finished, self.records) = (finished, census.records);
        for record in app.runs().filter(|record| record.status.is_final() && record.refused.is_none()) {
            if record.shown() != record.status {
                self.seen.insert("a run had ended, and its end was not kept yet");
                continue;
            }
            let status = record.status.name();
            if let Some(before) = self.ended.insert(record.id, status) {
                if before != status {
                    return Err(format!("run {} had ended {before} and is {status} now", record.id));
                }
                continue;
            }
            let mut ends = Vec::new();
            let mut number = 0;
            while let oneloop::app::runs::Read::Event(next, json) = record.read(number) {
                if json.starts_with("{\"type\":\"done\"") {
                    ends.push(next);
                }
                number = next;
            }
            match (status, record.last_event()) {
                ("cancelled", 1) => drop(self.seen.insert("a run was cancelled while it waited")),
                ("cancelled", _) => drop(self.seen.insert("a run was cancelled at work")),
                _ => {}
            }
            if ends != [record.last_event()] {
                return Err(format!(
                    "run {} has {} events and ends at {ends:?}",
                    record.id,
                    record.last_event()
                ));
            }
        }
        Ok(())
    }

    /// No end is told before it is kept, and no more are told at once than may be.
    fn callbacks(&mut self, town: &Town, world: &World, app: &App, exchanges: usize) -> Result<(), String> {
        let (outstanding, under_way) = app.callbacks().outstanding();
        at_most("tries of callbacks that are on their way", exchanges, under_way)?;
        at_most("tries of callbacks", under_way, town.limits.callbacks_at_once_max)?;
        at_most("callbacks that are outstanding", outstanding, town.limits.callbacks_max)?;
        for id in std::mem::take(&mut town.calls.borrow_mut().fresh) {
            let is_kept = world.with_store(|store| {
                let run = store.runs().find(|run| run.run.to_string() == id);
                run.map_or(town.forgets_runs, |run| run.ending.is_some())
            });
            if !is_kept {
                return Err(format!("the end of run {id} was told, and is not kept"));
            }
        }
        let CallbackCounts { delivered, retried, given_up } = app.callbacks().counts();
        for (is_so, what) in [
            (delivered > 0, "a callback was delivered"),
            (retried > 0, "a callback was tried again"),
            (given_up > 0, "a callback was given up"),
            (outstanding == town.limits.callbacks_max, "as many callbacks were outstanding as may be"),
            (under_way == town.limits.callbacks_at_once_max, "all places for callbacks were taken"),
        ] {
            if is_so {
                self.seen.insert(what);
            }
        }
        Ok(())
    }

    fn notice_store(&mut self, app: &App) {
        let refuses = app.runs().any(|record| record.refused.is_some());
        if refuses {
            self.seen.insert("a run was refused because it could not be kept");
        }
    }

    fn notice_model(&mut self, app: &App) {
        let Some(model) = app.model() else { return };
        let ModelCounts { shared, cached, answered, retried, failed, left, .. } = model.counts();
        let (breaker, opened) = model.breaker();
        for (is_so, what) in [
            (answered > 0, "a call of the model was answered"),
            (shared > 0, "two runs shared a call of the model"),
            (cached > 0, "what the model had answered before was not asked again"),
            (retried > 0, "a call of the model was tried again"),
            (failed > 0, "a call of the model failed"),
            (left > 0, "a call of the model was ended because nobody waited for it any more"),
            (opened > 0, "the model was not asked for a while because it had failed"),
            (
                opened > 0 && breaker == "half-open",
                "one call was let through to see whether the model answers",
            ),
            (opened > 0 && breaker == "closed", "the model was asked again after it had failed for a while"),
            (app.outbound().counts().reused > 0, "a connection to the model carried another call"),
        ] {
            if is_so {
                self.seen.insert(what);
            }
        }
    }

    fn notice_embedder(&mut self, app: &App) {
        let Some(embedder) = app.embedder() else { return };
        let EmbedCounts { questions, shared, cached, without, embedded, kept, refused, given, failed } =
            embedder.counts();
        let answered = questions > without + shared + cached;
        for (is_so, what) in [
            (embedded > 0, "passages were embedded"),
            (kept > 0, "a vector was kept from before"),
            (answered, "a question was given its vector"),
            (shared > 0, "two runs shared the embedding of a question"),
            (cached > 0, "a question that had been embedded was not embedded again"),
            (without > 0, "a search went without a vector"),
            (refused > 0, "a passage was given up by its embedding server"),
            (given > 0, "a client was told the vectors of its texts"),
            (failed > 0, "an embedding request failed"),
            (embedder.breaker().1 > 0, "an embedding server was not asked for a while"),
        ] {
            if is_so {
                self.seen.insert(what);
            }
        }
    }

    /// What was seen of a process that is no more says nothing of the next.
    fn new_process(&mut self) {
        self.attended.clear();
        self.was_asking = false;
        (self.idle_turns, self.finished, self.records, self.gone_since) = (0, 0, 0, None);
    }

    fn notice_report(&mut self, report: &TurnReport, town: &Town) {
        let mut notice = |is_so: bool, what| {
            if is_so {
                self.seen.insert(what);
            }
        };
        notice(report.closed > 1, "several connections were closed in one turn");
        notice(report.timers > 1, "several timers fired in one turn");
        notice(report.closed > 0 && report.timers > 0, "a timer fired in a turn that closed a connection");
        notice(report.ready > 8, "many sockets were ready at once");
        notice(report.timers > 0 && town.is_stopping.get(), "a timer fired while stopping");
    }

    fn notice(&mut self, census: &Census, town: &Town) {
        let mut notice = |is_so: bool, what| {
            if is_so {
                self.seen.insert(what);
            }
        };
        notice(
            census.connections > town.limits.connections_max,
            "one connection more than the bound was let in",
        );
        notice(
            census.runs.pending > 0 && census.runs.running >= town.config.runs_max,
            "a run waited for a place",
        );
        notice(census.with_sync > 1, "two clients waited for one scan");
        notice(
            census.watchers > census.runs.running + census.runs.pending,
            "a run had several readers, or an ended one some",
        );
        notice(census.longest_wait_turns > 0, "a runnable task waited for a later turn");
        notice(
            census.outbox_bytes_most > town.limits.outbox_bytes_high,
            "a connection owed more than the high mark",
        );
        notice(census.backing_off > 0, "accepting paused for want of descriptors");
        let at_work = census.runs.running > 0;
        notice(census.backing_off > 0 && at_work, "accepting paused while runs were at work");
        notice(town.is_stopping.get() && at_work, "a run was at work while stopping");
        notice(town.is_stopping.get() && census.runs.pending > 0, "a run waited while stopping");
        notice(census.runs.running > 3, "several runs were at work at once");
        notice(census.body_bytes > 0, "a body was received in pieces");
    }

    /// When everyone is gone for good, so are their connections, and not only when a timeout ends them.
    fn all_leave(&mut self, world: &World, app: &App) -> Result<(), String> {
        let all_gone =
            world.is_calm() && world.with_actors(|actors| actors.iter().all(|actor| actor.is_done()));
        if !all_gone {
            self.gone_since = None;
            return Ok(());
        }
        let since = *self.gone_since.get_or_insert(world.now());
        let census = app.census();
        if census.connections > 0 && world.now().since(since) > LEAVING_MAX {
            return Err(format!("all clients have long left, and there are connections: {census:?}"));
        }
        let calls = app.callbacks().outstanding();
        if calls.0 > 0 && world.now().since(since) > CALLING_MAX {
            return Err(format!("all clients have long left, and callbacks are outstanding: {calls:?}"));
        }
        Ok(())
    }

    fn is_at_rest(&self, world: &World, town: &Town, app: &App) -> bool {
        let census = app.census();
        let quiet = census.connections == 0 && census.runs.pending + census.runs.running == 0;
        // It lets a few more be than the operator has asked for.
        let slack = (town.config.task_keep / 8).min(town.limits.runs_per_sweep);
        let kept = census.is_kept && census.ended_kept <= (town.config.task_keep + slack) as u64;
        quiet
            && kept
            && app.callbacks().outstanding() == (0, 0)
            && (app.is_embedded() || !town.is_embedded)
            && world.with_actors(|actors| actors.iter().all(|actor| actor.is_done()))
    }

    /// Everyone is gone and everything is done: nothing may be left over.
    fn at_rest(&mut self, town: &Town, world: &World, reactor: &Reactor, app: &App) -> Result<(), String> {
        let census = app.census();
        equal("tasks", census.tasks, 1)?;
        equal("readers", census.watchers, 0)?;
        equal("runs that are here", census.records, 0)?;
        equal("waiting for a scan", census.sync_waiters, 0)?;
        equal("bytes of bodies", census.body_bytes_counted, 0)?;
        equal("bytes of buffers", census.buffer_bytes, 0)?;
        equal("listeners", census.listeners, 1)?;
        // One may sweep ended runs, one wait for room for the next client, one give memory back, one try the disk
        // helper again, and one the store.
        // Connections to others are kept for a while, each with its own.
        at_most("timers", reactor.timers().len(), 5 + census.outbound_sockets)?;
        if app.embedder().is_some() {
            self.seen.insert("all passages were embedded in the end");
        }
        let oracle = town.oracle.borrow();
        let tally = world.saved(TALLY).unwrap_or_default();
        oracle.check_tally(&String::from_utf8_lossy(&tally))?;
        if !town.forgets_runs {
            oracle.check_noted(|token| world.notes_with(&format!("# {}", told(token))))?;
        }
        self.seen.extend(town.ledger.borrow().check(world, self.has_shared)?);
        equal("files that are read or changed", census.note_files, 0)?;
        world.with_store(|store| {
            let mut kept = BTreeMap::new();
            for run in store.runs() {
                let Some(ending) = &run.ending else {
                    return Err(format!("the store has run {} that nobody works on", run.run));
                };
                let status = oneloop::app::runs::Status::from(ending.outcome).name();
                check_kept_log(&run, status)?;
                check_callback(&run, town)?;
                match (status, run.events.len()) {
                    ("cancelled", 1) => drop(self.seen.insert("a run was cancelled while it waited")),
                    ("cancelled", _) => drop(self.seen.insert("a run was cancelled at work")),
                    _ => {}
                }
                kept.insert(run.run.to_string(), status);
            }
            // A commit that failed and was kept all the same may be counted twice, until the next sweep.
            if !town.store_fails {
                let counted = census.ended_kept as usize;
                equal("ended runs that are kept, and those that are counted", kept.len(), counted)?;
            }
            at_most("ended runs that are kept", kept.len(), census.ended_kept as usize)?;
            for (id, status) in oracle.ended() {
                match kept.get(id) {
                    Some(known) if *known == status => {}
                    None if town.forgets_runs => {}
                    known => {
                        return Err(format!(
                            "somebody was told that run {id} is {status}; the store knows {known:?}"
                        ));
                    }
                }
            }
            let mut accepted = oracle.all_accepted();
            match accepted.find(|id| !kept.contains_key(*id) && !town.forgets_runs) {
                Some(id) => Err(format!("run {id} was accepted and is lost")),
                None => Ok(()),
            }
        })
    }

    fn exited(&mut self, code: u8, app: &App, town: &Town) -> Result<(), String> {
        let census = app.census();
        let unfinished = census.runs.pending + census.runs.running;
        match code {
            0 if unfinished == 0 || (town.config.is_durable && census.is_kept) => {
                let what = if unfinished == 0 {
                    "the process stopped in good order"
                } else {
                    "the process left runs to the next"
                };
                self.seen.insert(what);
                Ok(())
            }
            0 => Err(format!("it exits in good order, and runs have not ended: {census:?}")),
            1 if !census.is_kept => {
                self.seen.insert("the process stopped although not all could be kept");
                Ok(())
            }
            143 => {
                self.seen.insert("the process stopped at once, on a second signal");
                Ok(())
            }
            code => Err(format!("it exits with {code}")),
        }
    }
}

/// Whoever can't come back has left nobody who wants his run: it does not go on, be it for a moment.
fn completions(town: &Town, app: &App) -> Result<(), String> {
    let completions = town.completions.borrow();
    if completions.is_empty() || town.is_stopping.get() {
        return Ok(());
    }
    for record in app.runs().filter(|record| !record.status.is_final() && !record.is_attended()) {
        if completions.get(&record.id.to_string()) == Some(&town.ends.get()) {
            return Err(format!("run {} goes on, and its client can't come back", record.id));
        }
    }
    Ok(())
}

/// A callback is over in the end: it was taken, or refused for good, or tried as often as it may be.
fn check_callback(run: &oneloop::store::KeptRun, town: &Town) -> Result<(), String> {
    let Some(Callback { called, .. }) = &run.callback else { return Ok(()) };
    let (calls, id) = (town.calls.borrow(), run.run.to_string());
    let is_well = match called.state {
        CallState::Outstanding => false,
        CallState::Delivered => calls.taken.contains(&id),
        CallState::GivenUp => {
            calls.refused.contains(&id) || called.attempts == town.limits.callback_attempts_max
        }
    };
    if is_well { Ok(()) } else { Err(format!("the callback of run {id} has come to this: {called:?}")) }
}

/// The log of a run that has ended: its numbers go up, its one end is at the end and says what the store says.
fn check_kept_log(run: &oneloop::store::KeptRun, status: &str) -> Result<(), String> {
    let goes_up = run.events.windows(2).all(|pair| pair[0].number < pair[1].number);
    let is_end = |json: &str| json.starts_with("{\"type\":\"done\"");
    let ends: Vec<&str> = run.events.iter().map(|event| &*event.json).filter(|json| is_end(json)).collect();
    let last = run.events.last().map_or("", |event| &event.json);
    if goes_up && ends.len() == 1 && is_end(last) && last.contains(status) {
        return Ok(());
    }
    Err(format!("the log of run {}, which is {status}, is kept with the ends {ends:?}, last {last}", run.run))
}

fn equal(what: &str, one: usize, other: usize) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{what}: {one} and {other}")) }
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("{what}: {count}, of at most {most}")) }
}
