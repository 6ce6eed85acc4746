//! What outlives a process: the real binary is killed, stopped or refused, and another one takes over its folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{self, Answer, Client, Events, Folder, PATIENCE, Server, StreamEvent, request, until};
use crate::end_to_end::failed;
use crate::runs::{begin, joined, large_folder, question, resume, task};

/// Has much to look at in [`large_folder`].
const HEAVY: &str = "Which notes mention word1, word2, word3, word4, word5 and word6?";

const SMALL: &[(&str, &str)] = &[("kettle.md", "# Kettle\n\nThe kettle was bought in May 2019 by Ada.\n")];

const BOUGHT: &str = "When was the kettle bought?";

/// A little more than a stopping server lets its runs go on, which is 10 s.
const OVER_TIME: Duration = Duration::from_millis(10_500);

/// Times that something is looked at with a [`PAUSE`] in between.
const LOOKS_MAX: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for so many runs in one write; answers the answers.
fn begin_many(client: &mut Client, message: &str, count: usize) -> Vec<Answer> {
    client.send(request("POST", "/chat/async", Some(&question(message))).repeat(count));
    (0..count).map(|_| client.answer()).collect()
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status(), 202, "{answer}");
    answer.json()["task_id"].as_str().expect("a task has an id").to_owned()
}

fn await_completed(client: &mut Client, id: &str) -> Value {
    let target = format!("/chat/task/{id}?wait=10");
    let mut seen = Value::Null;
    until("the task is completed", || {
        let answer = client.call("GET", &target, None);
        assert_eq!(answer.status(), 200, "{answer}");
        seen = answer.json();
        seen["status"] == "completed"
    });
    seen
}

/// Lets so much time go by on a connection over which nothing may come.
fn is_silent(socket: &TcpStream, time: Duration) {
    socket.set_read_timeout(Some(time)).unwrap();
    // A signal for this process, such as the end of another test's server, ends a wait early.
    let heard = loop {
        match socket.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            heard => break heard,
        }
    };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = heard.expect_err("nothing may come over this connection");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

/// The answer as a reader puts it together, who forgets what a `restart` says is void, and then what a `revision` does.
pub fn put_together(events: &[StreamEvent]) -> String {
    let mut standing: Vec<(u64, Option<String>)> = Vec::new();
    for event in events {
        match event.kind().as_str() {
            "restart" => {
                let keep = event.json()["keep"].as_u64().expect("it says up to where they stand");
                standing.retain(|(number, _)| *number <= keep);
            }
            "token" => {
                let text = event.json()["text"].as_str().expect("a token is text").to_owned();
                standing.push((event.place().1, Some(text)));
            }
            "revision" => standing.push((event.place().1, None)),
            _ => {}
        }
    }
    let revised = standing.iter().rposition(|(_, text)| text.is_none()).map_or(0, |place| place + 1);
    standing.into_iter().skip(revised).filter_map(|(_, text)| text).collect()
}

/// What the run has answered in the end, and that the reader has it.
pub fn assert_whole(events: &[StreamEvent]) {
    let numbers: Vec<u64> = events.iter().map(|event| event.place().1).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert_eq!(events.last().map(StreamEvent::kind).as_deref(), Some("done"), "{events:?}");
    let complete = events[events.len() - 2].json();
    assert_eq!(complete["response"]["response"], put_together(events).as_str());
}

// --- Tasks --------------------------------------------------------------------------------------------------------

#[test]
fn tasks_that_were_accepted_are_completed_after_a_kill() {
    let server = Server::over(large_folder(), &["--runs-max", "1"]);
    server.await_index();
    let ids: Vec<String> = begin_many(&mut server.client(), HEAVY, 100).iter().map(id_of).collect();
    let server = Server::over(server.kill(), &[]);
    server.await_log("that had not ended are taken up again");
    let mut client = server.client();
    for id in &ids {
        let done = await_completed(&mut client, id);
        assert_eq!(done["result"]["run_id"], id.as_str(), "{done}");
    }
    let listed = client.call("GET", "/tasks?limit=1000", None).json();
    let listed: Vec<&str> =
        listed["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap()).collect();
    assert!(listed.iter().eq(ids.iter().rev()), "each once, the newest first: {listed:?}");
}

#[test]
fn a_task_that_was_accepted_is_completed_after_the_server_was_stopped() {
    let server = Server::start(SMALL, &[]);
    let id = begin(&mut server.client(), BOUGHT);
    let folder = Arc::clone(server.folder());
    server.signal(Signal::TERM);
    let (status, _) = server.await_end();
    assert_eq!(status.code(), Some(0));
    let server = Server::over(folder, &[]);
    let done = await_completed(&mut server.client(), &id);
    assert!(done["result"]["response"].as_str().unwrap().contains("May 2019"), "{done}");
    let (_, events) = joined(server.client().stream("GET", &format!("/chat/task/{id}/stream"), None));
    assert_whole(&events);
}

#[test]
fn who_waits_for_a_task_is_answered_as_soon_as_it_ends() {
    let server = Server::over(large_folder(), &["--runs-max", "1"]);
    let mut client = server.client();
    let accepted = begin_many(&mut client, HEAVY, 20);
    let last = id_of(&accepted[19]);
    for target in [format!("/chat/task/{last}"), format!("/chat/task/{last}?wait=0")] {
        let now = client.call("GET", &target, None).json();
        assert_eq!((&now["status"], &now["completed_at"]), (&json!("pending"), &Value::Null), "{now}");
    }
    // It may wait for a minute, and we have less patience than that.
    let done = client.call("GET", &format!("/chat/task/{last}?wait=60"), None).json();
    assert_eq!(done["status"], "completed", "{done}");
    let again = client.call("GET", &format!("/chat/task/{last}?wait=60"), None).json();
    assert_eq!(again, done);
}

// --- Streams ------------------------------------------------------------------------------------------------------

/// A server with so much to do that a run which has begun does not end soon.
struct Busy {
    server: Server,
    /// The stream of such a run, and what it has told so far.
    events: Events,
    told: Vec<StreamEvent>,
    /// Who has asked for the others.
    _crowd: Vec<Client>,
}

impl Busy {
    const RUNS: usize = 200;

    fn start() -> Busy {
        let server = Server::over(large_folder(), &["--runs-max", "400"]);
        server.await_index();
        let mut crowd: Vec<Client> = (0..Busy::RUNS).map(|_| server.client()).collect();
        let mut reader = server.client();
        // They come in one turn, so that none has a start over the others.
        server.signal(Signal::STOP);
        reader.send(request("POST", "/chat/stream", Some(&question(HEAVY))));
        for client in &mut crowd {
            client.send(request("POST", "/chat/async", Some(&question(HEAVY))));
        }
        server.signal(Signal::CONT);
        let head = reader.head();
        let mut events = reader.events(&head);
        let first = events.next_event().expect("it has begun");
        Busy { server, events, told: vec![first], _crowd: crowd }
    }
}

/// A request that is not finished: the first signal does not cut it off, and nothing comes for it.
fn unfinished(server: &Server) -> Client {
    let mut client = server.client();
    client.send(
        "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 100, "the server has seen its head");
    client
}

#[test]
fn a_stream_that_a_stop_breaks_off_says_so_and_goes_on_in_the_next_process() {
    let Busy { server, mut events, mut told, _crowd } = Busy::start();
    let id = told[0].place().0;
    let unfinished = unfinished(&server);
    server.signal(Signal::TERM);
    until("the listener is shut", || TcpStream::connect(server.address()).is_err());
    // Its runs may go on for 10 s; it is held still meanwhile, so that they do not come to an end.
    server.signal(Signal::STOP);
    is_silent(unfinished.socket(), OVER_TIME);
    server.signal(Signal::CONT);

    let mut rest = events.rest();
    let last = rest.pop().expect("it says why it ends");
    let restarting = format!(r#"{{"type":"restarting","run_id":"{id}"}}"#);
    assert_eq!((last.id.as_deref(), last.data.as_str()), (None, restarting.as_str()), "{rest:?}");
    assert!(events.retry_ms.is_some_and(|pause| pause > 0), "{:?}", events.retry_ms);
    told.extend(rest);
    let folder = Arc::clone(server.folder());
    let (status, _) = server.await_end();
    assert_eq!(status.code(), Some(0));

    let server = Server::over(folder, &["--runs-max", "1"]);
    let seen = told.last().expect("there was a first").place().1;
    let (state, rest) = joined(resume(&server, &id, seen));
    assert_eq!(state["run_id"], id.as_str(), "{state}");
    told.extend(rest);
    assert!(told.iter().all(|event| event.kind() != "restart"), "it was left in good order: {told:?}");
    let numbers: Vec<u64> = told.iter().map(|event| event.place().1).collect();
    assert_eq!(numbers, (1..=told.len() as u64).collect::<Vec<_>>());
    assert_whole(&told);
}

#[test]
fn a_reader_of_a_run_that_a_kill_broke_off_is_told_which_of_its_events_stand() {
    let Busy { server, events: _events, mut told, _crowd } = Busy::start();
    let (id, seen) = told[0].place();
    let server = Server::over(server.kill(), &["--runs-max", "1"]);
    let (_, rest) = joined(resume(&server, &id, seen));
    let restart = rest.iter().find(|event| event.kind() == "restart").expect("it can't know what was told");
    assert!(restart.place().1 > seen && restart.json()["keep"].as_u64() <= Some(seen), "{restart:?}");
    told.extend(rest);
    assert_whole(&told);
}

// --- Idempotency --------------------------------------------------------------------------------------------------

fn post_once(client: &mut Client, key: &str, message: &str) -> Answer {
    let body = question(message).to_string();
    client.send(format!(
        "POST /chat/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.answer()
}

#[test]
fn what_is_asked_again_under_its_key_is_asked_once_also_of_the_next_process() {
    let mut server = Server::start(SMALL, &[]);
    let mut client = server.client();
    let id = id_of(&post_once(&mut client, "tea-1", BOUGHT));
    for is_restarted in [false, true] {
        if is_restarted {
            await_completed(&mut client, &id);
            server = Server::over(server.kill(), &[]);
            client = server.client();
        }
        // Bare or quoted, it is the same key.
        for key in ["tea-1", "\"tea-1\""] {
            let again = post_once(&mut client, key, BOUGHT);
            assert_eq!(id_of(&again), id);
            assert_eq!(again.head.field("location"), Some(format!("/chat/task/{id}").as_str()));
        }
        let other = post_once(&mut client, "tea-1", "How hot is the kettle?");
        assert_eq!(other.status(), 422, "{other}");
        assert!(other.detail().contains("Idempotency-Key"), "{other}");
        let tasks = client.call("GET", "/tasks", None).json();
        assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(1), "{tasks}");
    }
    assert_ne!(id_of(&post_once(&mut client, "tea-2", BOUGHT)), id);
}

// --- Where runs are kept ------------------------------------------------------------------------------------------

#[test]
fn without_a_state_runs_are_lost_and_that_is_said() {
    let server = Server::start(SMALL, &["--state", "none"]);
    server.await_log("--state none");
    server.await_log("lost");
    assert_eq!(server.ask("/health").json()["store"], "memory");
    let id = begin(&mut server.client(), BOUGHT);
    await_completed(&mut server.client(), &id);
    assert!(!server.folder().path().join(".oneloop").exists(), "nothing is written");
    let server = Server::over(server.kill(), &["--state", "none"]);
    assert_eq!(server.ask(&format!("/chat/task/{id}")).status(), 404);
}

#[test]
fn the_state_is_in_the_folder_that_is_named_and_the_notes_are_left_alone() {
    let (notes, state) = (Folder::with(SMALL), Folder::new());
    let state_dir = state.path().join("runs");
    let arguments = ["--state-dir", state_dir.to_str().unwrap()];
    let server = Server::over(notes, &arguments);
    let id = begin(&mut server.client(), BOUGHT);
    await_completed(&mut server.client(), &id);
    assert!(!server.folder().path().join(".oneloop").exists());
    assert!(state_dir.join("state.db").exists());
    let server = Server::over(server.kill(), &arguments);
    assert_eq!(task(&mut server.client(), &id)["status"], "completed");
}

#[test]
fn a_second_process_on_the_same_state_is_refused_and_told_whose_it_is() {
    let server = Server::start(SMALL, &[]);
    let notes = server.folder().path().to_str().unwrap().to_owned();
    let (code, said) = failed(&["serve", &notes, "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && said.contains(&format!("process {}", server.id())), "{code}: {said}");
    let id = begin(&mut server.client(), BOUGHT);
    await_completed(&mut server.client(), &id);
}

#[test]
fn a_state_folder_that_nothing_can_be_written_in_is_refused_with_the_ways_out() {
    let folder = Folder::with(SMALL);
    folder.write("state", b"a file, as tests may run as root");
    let notes = folder.path().to_str().unwrap();
    let in_place = folder.path().join("state");
    let nowhere = folder.path().join("no/such/folder");
    for path in [&in_place, &nowhere] {
        let path = path.to_str().unwrap();
        let (code, said) = failed(&["serve", notes, "--listen", "127.0.0.1:0", "--state-dir", path]);
        assert!(code == 1 && said.contains(path), "{code}: {said}");
        assert!(said.contains("--state-dir") && said.contains("--state none"), "{said}");
    }
    assert_eq!(common::text_of(in_place), "a file, as tests may run as root");
}

/// Notes may come from anyone, and with them a hidden folder that leads somewhere else.
#[test]
fn a_state_folder_with_links_in_it_is_refused_and_nothing_is_written_through_them() {
    for name in ["lock", "state.db", "state.db-wal"] {
        let folder = Folder::with(SMALL);
        folder.write("precious.txt", b"mine");
        folder.write(".oneloop/other", b"");
        let precious = folder.path().join("precious.txt");
        std::os::unix::fs::symlink(&precious, folder.path().join(".oneloop").join(name)).unwrap();
        let notes = folder.path().to_str().unwrap();
        let (code, said) = failed(&["serve", notes, "--listen", "127.0.0.1:0"]);
        assert!(code == 1 && said.contains(name) && said.contains("symbolic link"), "{code}: {said}");
        assert_eq!(common::text_of(precious), "mine");
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).open(path);
    file.and_then(|mut file| file.read_to_end(&mut bytes)).expect("it is there");
    bytes
}

/// That a server over this folder is refused, for this reason, and leaves its database as it is.
fn is_refused(folder: &Folder, reason: &str) {
    let database = folder.path().join(".oneloop/state.db");
    let before = bytes_of(&database);
    let (code, said) = failed(&["serve", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && said.contains(reason) && said.contains("--state-dir"), "{code}: {said}");
    assert!(bytes_of(&database) == before, "{reason}: its bytes have changed");
}

#[test]
fn a_database_that_is_none_is_refused_and_left_as_it_is() {
    let folder = Folder::with(SMALL);
    folder.write(".oneloop/state.db", b"Dear diary, this is no database. ".repeat(200).as_slice());
    is_refused(&folder, "not a database");
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let server = Server::start(SMALL, &[]);
    let id = begin(&mut server.client(), BOUGHT);
    await_completed(&mut server.client(), &id);
    let folder = Arc::clone(server.folder());
    server.signal(Signal::TERM);
    server.await_end();
    // The schema's version stands in the file's head (SQLite, "Database File Format", 1.3.20).
    let database = OpenOptions::new().read(true).write(true).open(folder.path().join(".oneloop/state.db"));
    let database = database.unwrap();
    let mut version = [0; 4];
    database.read_exact_at(&mut version, 60).unwrap();
    database.write_all_at(&99_u32.to_be_bytes(), 60).unwrap();
    is_refused(&folder, "newer version");
    database.write_all_at(&version, 60).unwrap();
    let server = Server::over(folder, &[]);
    assert_eq!(task(&mut server.client(), &id)["status"], "completed");
}

// --- A store without room -----------------------------------------------------------------------------------------

/// Asks for runs until one is refused for want of room; answers those that were accepted.
fn fill(server: &Server) -> Vec<String> {
    let mut client = server.client();
    let mut accepted = Vec::new();
    for _ in 0..200 {
        for answer in begin_many(&mut client, BOUGHT, 20) {
            match answer.status() {
                202 => accepted.push(id_of(&answer)),
                507 => {
                    assert_eq!(answer.head.field("retry-after"), Some("1"), "{answer}");
                    assert!(answer.detail().contains("no room"), "{answer}");
                }
                _ => panic!("neither accepted nor without room: {answer}"),
            }
        }
        let health = client.call("GET", "/health", None).json();
        if health["store"] == "failing" {
            return accepted;
        }
        assert_eq!(health["store"], "disk", "{health}");
    }
    panic!("{} runs fit into a mebibyte", accepted.len());
}

#[test]
fn a_full_store_takes_no_new_work_and_loses_nothing() {
    let server = Server::start(SMALL, &["--state-size", "1"]);
    let accepted = fill(&server);
    let mut client = server.client();
    for id in &accepted {
        task(&mut client, id);
    }
    let bytes = bytes_of(&server.folder().path().join(".oneloop/state.db")).len();
    assert!(bytes <= 1024 * 1024, "{bytes} bytes");

    let server = Server::over(server.kill(), &["--state-size", "2"]);
    let mut client = server.client();
    for id in &accepted {
        await_completed(&mut client, id);
    }
    assert_eq!(client.call("GET", "/health", None).json()["store"], "disk");
    begin(&mut client, BOUGHT);
}

#[test]
fn a_full_store_takes_work_again_once_ended_tasks_were_swept() {
    let server = Server::start(SMALL, &["--state-size", "1", "--task-ttl", "3"]);
    let mut accepted = fill(&server);
    let mut client = server.client();
    for _ in 0..LOOKS_MAX {
        let answer = client.post("/chat/async", &question(BOUGHT));
        if answer.status() == 202 {
            let last = id_of(&answer);
            await_completed(&mut client, &last);
            // Every one that was accepted has come to its end: it is told, or it was swept.
            accepted.push(last);
            for id in &accepted {
                let answer = client.call("GET", &format!("/chat/task/{id}?wait=10"), None);
                let is_told = answer.status() == 200 && answer.json()["status"] == "completed";
                assert!(is_told || answer.status() == 410, "{answer}");
            }
            return;
        }
        assert_eq!(answer.status(), 507, "{answer}");
        is_silent(client.socket(), PAUSE);
    }
    panic!("nothing was accepted again: {}", client.call("GET", "/info", None));
}
