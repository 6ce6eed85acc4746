//! The order of a turn, told by exact traces: a scripted world says what happens, a scripted host what is done about it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use oneloop::base::{Key, Kind, Time, WallTime};
use oneloop::limits::Limits;
use oneloop::os::disk::DiskDone;
use oneloop::os::{
    AcceptError, Accepted, Clock, Completion, Disk, Entropy, Job, LogSink, Lookup, Names, Net, NetCounters,
    Os, Ready, STREAM, Store, Wait, Woken,
};
use oneloop::reactor::{Cx, Event, Host, Reactor, TimerId};
use oneloop::store;

/// A clock that stands still unless a wait moves it.
#[derive(Default)]
struct StillClock {
    now: std::sync::atomic::AtomicU64,
}

impl StillClock {
    fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_nanos() as u64, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.now.load(std::sync::atomic::Ordering::Relaxed))
    }
    fn wall(&self) -> WallTime {
        WallTime::from_millis(0)
    }
    fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// What one wait brings.
enum Brings {
    Ready(Vec<Ready>),
    Done(Completion),
    Interrupted,
    /// The whole timeout passes.
    Nothing,
}

struct ScriptedWait<'c> {
    clock: &'c StillClock,
    script: VecDeque<Brings>,
    timeouts: Vec<Option<Duration>>,
}

impl Wait for ScriptedWait<'_> {
    fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> io::Result<()> {
        self.timeouts.push(timeout);
        match self.script.pop_front().expect("the script has an entry for every wait") {
            Brings::Ready(ready) => woken.ready.extend(ready),
            Brings::Done(done) => woken.done.push(done),
            Brings::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
            Brings::Nothing => {
                self.clock.advance(timeout.expect("nothing ever comes, so the wait must have an end"))
            }
        }
        Ok(())
    }
}

/// Sockets that only remember being closed.
#[derive(Default)]
struct NoNet {
    closed: Vec<Key>,
}

impl Net for NoNet {
    fn listen(&mut self, _: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn accept(&mut self, _: Key) -> Result<Accepted, AcceptError> {
        Err(AcceptError::WouldBlock)
    }
    fn turn_away(&mut self, _: Key) -> bool {
        false
    }
    fn connect(&mut self, _: SocketAddr) -> io::Result<Key> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn connected(&mut self, _: Key) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn read(&mut self, _: Key, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    fn write(&mut self, _: Key, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    fn shutdown_write(&mut self, _: Key) {}
    fn reset_on_close(&mut self, _: Key) {}
    fn close(&mut self, key: Key) {
        self.closed.push(key);
    }
    fn counters(&self) -> NetCounters {
        NetCounters::default()
    }
}

struct Nowhere;

impl Disk for Nowhere {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        Err(job)
    }
}

impl Names for Nowhere {
    fn resolve(&mut self, lookup: Lookup) -> Result<(), Lookup> {
        Err(lookup)
    }
}

impl Store for Nowhere {
    fn submit(&mut self, job: store::Job) -> Result<(), store::Job> {
        Err(job)
    }
}

impl Entropy for Nowhere {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
}

impl LogSink for Nowhere {
    fn write(&mut self, lines: &[u8]) -> usize {
        lines.len()
    }
}

/// Writes down what it is told, and does what its rule says.
struct Tracer<'r, R> {
    trace: Vec<String>,
    rule: R,
    runnable: &'r Cell<bool>,
}

impl<R: FnMut(&str, &mut Cx<'_, '_>)> Host for Tracer<'_, R> {
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>) {
        let told = match event {
            Event::Timer(_, owner) => format!("timer {}", owner.index()),
            Event::Ready(ready) => format!("ready {}", ready.key.index()),
            Event::Done(_) => "done".to_owned(),
            Event::Check => "check".to_owned(),
            Event::Closed(key) => format!("closed {}", key.index()),
        };
        (self.rule)(&told, cx);
        self.trace.push(told);
    }

    fn is_runnable(&self) -> bool {
        self.runnable.get()
    }
}

fn key(index: u32) -> Key {
    Key::new(STREAM, index, 0)
}

fn owner(index: u32) -> Key {
    Key::new(Kind(9), index, 0)
}

fn readable(index: u32) -> Ready {
    Ready { readable: true, ..Ready::quiet(key(index)) }
}

fn done() -> Brings {
    Brings::Done(Completion::Disk(DiskDone::ListEnded { complete: true }))
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn play(
    script: Vec<Brings>,
    begin: impl FnOnce(&mut Cx<'_, '_>),
    rule: impl FnMut(&str, &mut Cx<'_, '_>),
) -> (Vec<String>, Vec<Option<Duration>>) {
    play_with(script, &Cell::new(false), begin, rule)
}

/// Enters with `begin`, turns once for each entry of the script, and answers the trace and the timeouts.
fn play_with(
    script: Vec<Brings>,
    runnable: &Cell<bool>,
    begin: impl FnOnce(&mut Cx<'_, '_>),
    rule: impl FnMut(&str, &mut Cx<'_, '_>),
) -> (Vec<String>, Vec<Option<Duration>>) {
    let clock = StillClock::default();
    let turns = script.len();
    let mut waiter = ScriptedWait { clock: &clock, script: script.into(), timeouts: Vec::new() };
    let (mut disk, mut names, mut store) = (Nowhere, Nowhere, Nowhere);
    let (mut entropy, mut log) = (Nowhere, Nowhere);
    let mut net = NoNet::default();
    let mut os = Os {
        net: &mut net,
        clock: &clock,
        disk: &mut disk,
        names: &mut names,
        store: &mut store,
        entropy: &mut entropy,
        log: &mut log,
        waiter: &mut waiter,
    };
    let mut reactor = Reactor::new(&Limits::default());
    let mut host = Tracer { trace: Vec::new(), rule, runnable };
    reactor.enter(&mut os, begin);
    for _ in 0..turns {
        reactor.turn(&mut os, &mut host).expect("a scripted wait does not fail");
    }
    (host.trace, waiter.timeouts)
}

#[test]
fn a_turn_runs_pending_poll_check_close_timers_in_this_order() {
    let script = vec![Brings::Ready(vec![readable(1)]), Brings::Ready(vec![readable(2)])];
    let (trace, timeouts) = play(
        script,
        |_| {},
        |told, cx| {
            if told == "ready 1" {
                cx.again(Ready::quiet(key(7)));
                cx.close(key(1));
                cx.set_timer(cx.now, owner(5));
            }
        },
    );
    assert_eq!(
        trace,
        ["ready 1", "check", "closed 1", "timer 5", "ready 7", "ready 2", "check"],
        "the second turn begins with what was carried over"
    );
    assert_eq!(
        timeouts,
        [None, None],
        "what was carried over is done before the poll, which may sleep again"
    );
}

#[test]
fn what_asks_for_another_go_in_the_pending_phase_keeps_the_poll_from_sleeping() {
    let mut goes = 0;
    let (trace, timeouts) = play(
        vec![Brings::Ready(vec![readable(1)]), Brings::Ready(vec![]), Brings::Ready(vec![])],
        |_| {},
        move |told, cx| {
            goes += u32::from(told == "ready 1");
            if told == "ready 1" && goes < 3 {
                cx.again(Ready::quiet(key(1)));
            }
        },
    );
    assert_eq!(trace, ["ready 1", "check", "ready 1", "check", "ready 1", "check"]);
    assert_eq!(timeouts, [None, Some(Duration::ZERO), None]);
}

#[test]
fn due_timers_run_once_before_the_first_turn() {
    let (trace, _) = play(
        vec![Brings::Ready(vec![])],
        |cx| {
            cx.set_timer(cx.now, owner(1));
            cx.set_timer(cx.now.after(millis(1)), owner(2));
        },
        |_, _| {},
    );
    assert_eq!(trace, ["timer 1", "check"]);
}

#[test]
fn with_nothing_to_do_the_loop_sleeps_without_end() {
    let (trace, timeouts) = play(vec![Brings::Ready(vec![])], |_| {}, |_, _| {});
    assert_eq!((trace, timeouts), (vec!["check".to_owned()], vec![None]));
}

#[test]
fn the_loop_sleeps_until_the_soonest_deadline_and_no_longer() {
    let (trace, timeouts) = play(
        vec![Brings::Nothing, Brings::Nothing],
        |cx| {
            cx.set_timer(cx.now.after(millis(30)), owner(2));
            cx.set_timer(cx.now.after(millis(10)), owner(1));
        },
        |_, _| {},
    );
    assert_eq!(trace, ["check", "timer 1", "check", "timer 2"]);
    assert_eq!(timeouts, [Some(millis(10)), Some(millis(20))]);
}

#[test]
fn a_job_that_ends_is_told_in_the_next_pending_phase_before_the_poll() {
    let (trace, _) = play(vec![done(), Brings::Ready(vec![readable(1)])], |_| {}, |_, _| {});
    assert_eq!(trace, ["check", "done", "ready 1", "check"]);
}

#[test]
fn an_interrupted_wait_is_no_error_and_the_turn_goes_on() {
    let (trace, _) = play(vec![Brings::Interrupted, Brings::Ready(vec![readable(3)])], |_| {}, |_, _| {});
    assert_eq!(trace, ["check", "ready 3", "check"]);
}

#[test]
fn a_runnable_task_keeps_the_next_poll_from_sleeping_whichever_phase_made_it_runnable() {
    for (event, first_sleepless_poll) in
        [("timer 1", 0), ("check", 1), ("done", 1), ("ready 1", 2), ("closed 1", 2)]
    {
        let runnable = Cell::new(false);
        let (trace, timeouts) = play_with(
            vec![done(), Brings::Ready(vec![readable(1)]), Brings::Ready(vec![])],
            &runnable,
            |cx| {
                cx.set_timer(cx.now, owner(1));
            },
            |told, cx| {
                if told == "ready 1" {
                    cx.close(key(1));
                }
                runnable.set(runnable.get() || told == event);
            },
        );
        assert_eq!(trace, ["timer 1", "check", "done", "ready 1", "check", "closed 1", "check"]);
        let expected: Vec<_> =
            (0..3).map(|poll| (poll >= first_sleepless_poll).then_some(Duration::ZERO)).collect();
        assert_eq!(timeouts, expected, "{event}");
    }
}

#[test]
fn the_pending_queue_serves_a_flood_and_a_trickle_in_turn() {
    let script =
        vec![Brings::Ready(vec![readable(1), readable(2)]), Brings::Ready(vec![]), Brings::Ready(vec![])];
    let (trace, _) = play(
        script,
        |_| {},
        |told, cx| {
            // Socket 1 never has enough. It gets one go a turn, like everyone.
            if told == "ready 1" {
                cx.again(Ready::quiet(key(1)));
            }
        },
    );
    assert_eq!(trace, ["ready 1", "ready 2", "check", "ready 1", "check", "ready 1", "check"]);
}

#[test]
fn a_timer_that_sets_itself_with_no_wait_does_not_hold_the_turn() {
    let (trace, timeouts) = play(
        vec![Brings::Ready(vec![]), Brings::Ready(vec![])],
        |cx| {
            cx.set_timer(cx.now, owner(1));
        },
        |told, cx| {
            if told == "timer 1" {
                cx.set_timer(cx.now, owner(1));
            }
        },
    );
    assert_eq!(trace, ["timer 1", "check", "timer 1", "check", "timer 1"]);
    assert_eq!(timeouts, [Some(Duration::ZERO), Some(Duration::ZERO)]);
}

#[test]
fn a_timer_cancelled_in_the_same_phase_does_not_fire() {
    let mut victim: Option<TimerId> = None;
    let mut victims = Vec::new();
    let (trace, _) = play(
        vec![Brings::Ready(vec![])],
        |cx| {
            cx.set_timer(cx.now, owner(1));
            victim = Some(cx.set_timer(cx.now, owner(2)));
            victims.extend(victim);
        },
        |_, _| {},
    );
    assert_eq!(trace, ["timer 1", "timer 2", "check"], "the control: both are due");

    let clock_rule = |told: &str, cx: &mut Cx<'_, '_>| {
        if told == "timer 1" {
            // Ids are handed out alike in both plays, so the first play's victim names this one's.
            cx.cancel_timer(&mut victims.pop());
        }
    };
    let (trace, _) = play(
        vec![Brings::Ready(vec![])],
        |cx| {
            cx.set_timer(cx.now, owner(1));
            cx.set_timer(cx.now, owner(2));
        },
        clock_rule,
    );
    assert_eq!(trace, ["timer 1", "check"]);
}

#[test]
fn sockets_closed_by_the_close_phase_are_told_in_it_and_those_closed_by_timers_in_the_next() {
    let script = vec![Brings::Ready(vec![readable(1)]), Brings::Ready(vec![])];
    let (trace, _) = play(
        script,
        |_| {},
        |told, cx| match told {
            "ready 1" => {
                cx.close(key(1));
                cx.set_timer(cx.now, owner(4));
            }
            "timer 4" => cx.close(key(2)),
            _ => {}
        },
    );
    assert_eq!(trace, ["ready 1", "check", "closed 1", "timer 4", "check", "closed 2"]);
}
