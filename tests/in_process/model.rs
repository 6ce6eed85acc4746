//! A model behind the server: what a token costs, what is held while it is awaited, and what becomes of a run when it
//! fails. The model's server is the test's own, in this thread.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use oneloop::config::{AgentMode, Config, ModelConfig, Secret};
use oneloop::limits::Limits;
use oneloop::store::{
    Batch, Cause, Idempotency, KeptRun, KeptSession, KeptVector, Loaded, Row, SessionPlace, SessionRow,
    Storage, Sweep, Swept, Trouble,
};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cost::LIVE_BYTES;
use crate::harness::Server;
use crate::model_server::{Call, Chat, ModelServer, chunk, config_of, delta};

/// Long enough that nothing else happens in the meantime, short enough to wait for.
const SOON: Duration = Duration::from_millis(30);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

const QUESTION: &str = "How hot is the kettle?";

/// What the built-in answerer says about it.
const NOTES_SAY: &str = "The kettle boils at 96 degrees.";

/// Nothing is tried again, unless a test is about that.
fn limits() -> Limits {
    Limits { model_retries_max: 0, ..Limits::default() }
}

fn server_of(model: ModelConfig, limits: Limits) -> Server {
    Server::start(Config { model: Some(model), ..Config::default() }, limits)
}

fn both(limits: Limits) -> (ModelServer, Server) {
    let model = ModelServer::new();
    let server = server_of(model.config(), limits);
    (model, server)
}

fn delete(server: &mut Server, id: &str) -> TcpStream {
    let mut client = server.connect();
    let request = format!("DELETE /tasks/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.write_all(request.as_bytes()).expect("the server reads");
    client
}

fn degraded(response: &Value) -> Vec<&str> {
    response["degraded"].as_array().expect("it is a list").iter().filter_map(Value::as_str).collect()
}

/// The notes have answered, and this is said of the model.
fn assert_fell_back(response: &Value, why: &str) {
    assert_eq!(response["answered_by"], "notes", "{response}");
    assert_eq!(degraded(response), [format!("The notes answer, because {why}.")]);
}

/// No run waits for the model, and of its connections no more than those that are kept are left.
fn assert_holds_nothing(server: &Server) {
    let (askers, timers, sockets) = server.holds();
    let kept = server.outbound().kept;
    assert_eq!((askers, timers, sockets), (0, kept, kept));
    assert_eq!((server.model().calls(), server.outbound().exchanges), (0, 0));
}

/// A question on its way, of which the first word was told.
fn speaking(model: &ModelServer, server: &mut Server, question: &str) -> (Chat, Call) {
    let mut chat = Chat::ask(server, question);
    let (mut call, _) = model.asked(server);
    call.begin();
    call.say("One");
    chat.until(server, "token");
    (chat, call)
}

fn until_kept(server: &mut Server) {
    server.until("all is kept", |server| server.census().is_kept.then_some(()));
}

// --- Tokens -------------------------------------------------------------------------------------------------------

#[test]
fn a_token_costs_one_read_and_one_write_and_reaches_the_client_in_its_turn() {
    let (model, mut server) = both(limits());
    let (mut chat, mut call) = speaking(&model, &mut server, QUESTION);
    until_kept(&mut server);
    chat.read();
    for number in 0..200 {
        let (before, _) = server.counters();
        call.say(&format!(" {number}"));
        server.turn();
        let heard = chat.read();
        assert_eq!(heard, [json!({"type": "token", "text": format!(" {number}")})], "within the turn");
        let (after, _) = server.counters();
        assert_eq!((after.reads - before.reads, after.writes - before.writes), (1, 1), "token {number}");
        assert_eq!(after.registrations, before.registrations);
    }
    call.end();
    let response = chat.answer(&mut server);
    assert_eq!((&response["answered_by"], &response["model"]), (&json!("model"), &json!("smol")));
    assert_holds_nothing(&server);
}

#[test]
fn words_that_come_together_are_told_together() {
    let (model, mut server) = both(limits());
    let (mut chat, mut call) = speaking(&model, &mut server, QUESTION);
    chat.read();
    ["a", "b", "c"].iter().for_each(|word| call.say(word));
    server.turn();
    assert_eq!(chat.read(), [json!({"type": "token", "text": "abc"})]);
}

/// Keeps nothing, and tells what the store's helper has freed of what the loop has made.
struct Forgetful(Arc<AtomicIsize>);

impl Storage for Forgetful {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: &Batch) -> Result<(), Trouble> {
        self.0.store(LIVE_BYTES.get(), Ordering::Relaxed);
        Ok(())
    }

    fn find(&mut self, _: Uuid) -> Result<Option<KeptRun>, Trouble> {
        Ok(None)
    }

    fn list(&mut self, _: Option<Uuid>, _: usize) -> Result<Vec<Row>, Trouble> {
        Ok(Vec::new())
    }

    fn find_key(&mut self, _: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        Ok(None)
    }

    fn list_sessions(&mut self, _: Option<&SessionPlace>, _: usize) -> Result<Vec<SessionRow>, Trouble> {
        Ok(Vec::new())
    }

    fn find_session(&mut self, _: &str) -> Result<Option<KeptSession>, Trouble> {
        Ok(None)
    }

    fn drop_session(&mut self, _: &str) -> Result<bool, Trouble> {
        Ok(false)
    }

    fn sweep(&mut self, _: Sweep) -> Result<Swept, Trouble> {
        Ok(Swept::default())
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        Ok(vec![None; names.len()])
    }

    fn keep_vectors(&mut self, _: &[KeptVector], _: u64) -> Result<(), Trouble> {
        Ok(())
    }
}

#[test]
fn ten_thousand_words_for_a_client_that_does_not_read_take_no_memory_beyond_the_log() {
    const WORD: &str = " word";
    let freed = Arc::new(AtomicIsize::new(0));
    let model = ModelServer::new();
    let config = Config { model: Some(model.config()), ..Config::default() };
    let mut server = Server::with_storage(Box::new(Forgetful(Arc::clone(&freed))), config, limits());
    let (mut chat, mut call) = speaking(&model, &mut server, QUESTION);
    // What its socket takes does not count, so that is filled first.
    chat.set_backlog(4 * 1024);
    let mut weigh_at = |words: usize, server: &mut Server| {
        for _ in 0..words {
            call.say(WORD);
            server.turn();
        }
        until_kept(server);
        let census = server.census();
        let live = LIVE_BYTES.get() + freed.load(Ordering::Relaxed);
        (live, census.log_bytes_most.cast_signed(), census.buffer_bytes, census.unsent_bytes)
    };
    let mut words = 1000;
    weigh_at(words, &mut server);
    while server.census().unsent_bytes == 0 {
        weigh_at(1000, &mut server);
        words += 1000;
        assert!(words < 30_000, "the client's socket takes everything");
    }
    let (live, log, buffers, unsent) = weigh_at(1000, &mut server);
    let (live_after, log_after, buffers_after, unsent_after) = weigh_at(9000, &mut server);
    words += 10_000;

    // The reply is gathered twice: as the model's, and as it was told. Both grow by doubling.
    let text = (2 * 2 * 9000 * WORD.len()).cast_signed();
    let beyond = (live_after - live) - (log_after - log);
    assert!(log_after > log, "the log grows: {log} to {log_after}");
    assert!(beyond < text + 64 * 1024, "{beyond} bytes beyond the log, for {text} of text");
    assert!(buffers_after <= buffers.max(64 * 1024), "buffers: {buffers} to {buffers_after}");
    assert!(unsent_after <= unsent.max(64 * 1024), "unsent: {unsent} to {unsent_after}");

    call.end();
    chat.set_backlog(1024 * 1024);
    let response = chat.answer(&mut server);
    assert_eq!(response["response"], format!("One{}", WORD.repeat(words)));
}

#[test]
fn fifty_streams_at_once_are_all_told_and_nobody_waits_for_another() {
    const STREAMS: usize = 50;
    let (model, mut server) = both(limits());
    let mut chats: Vec<Chat> =
        (0..STREAMS).map(|number| Chat::ask(&mut server, &format!("{QUESTION} {number}"))).collect();
    let mut calls: Vec<Call> = (0..STREAMS).map(|_| model.asked(&mut server).0).collect();
    // A stream begins once its run is kept; from then on each has its word in the same turn.
    chats.iter_mut().for_each(|chat| drop(chat.until(&mut server, "status")));
    calls.iter_mut().for_each(Call::begin);
    server.turn();
    for round in 0..20 {
        calls.iter_mut().for_each(|call| call.say(&format!("{round} ")));
        server.turn();
        for chat in &mut chats {
            let tokens = chat.read().iter().filter(|event| event["type"] == "token").count();
            assert_eq!(tokens, 1, "{round}: {:?}", chat.events);
        }
    }
    calls.iter_mut().for_each(Call::end);
    for chat in &mut chats {
        let response = chat.answer(&mut server);
        assert_eq!(response["answered_by"], "model");
        assert!(response["response"].as_str().is_some_and(|text| text.starts_with("0 1 2 ")), "{response}");
    }
    let mut client = server.connect();
    let info = server.ask_store(&mut client, b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n");
    println!("{info}");
    assert_holds_nothing(&server);
}

// --- Leaving ------------------------------------------------------------------------------------------------------

#[test]
fn a_cancelled_run_closes_its_connection_in_the_same_turn() {
    for is_answering in [false, true] {
        let (model, mut server) = both(limits());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let (mut call, _) = model.asked(&mut server);
        if is_answering {
            call.begin();
            call.say("One");
            chat.until(&mut server, "token");
        }
        chat.until(&mut server, "status");
        let _client = delete(&mut server, &chat.id);
        assert!(!call.is_closed());
        server.turn();
        assert!(call.is_closed(), "in the turn in which it was cancelled");
        assert_holds_nothing(&server);
        chat.until(&mut server, "done");
        assert_eq!(server.model().counts().left, 1);
        assert_eq!(server.model().breaker(), ("closed", 0));
    }
}

#[test]
fn a_cancelled_run_that_waits_for_another_try_has_no_timer_left() {
    let (model, mut server) =
        both(Limits { model_retries_max: 2, retry_pause: Duration::from_secs(300), ..Limits::default() });
    let mut chat = Chat::ask(&mut server, QUESTION);
    model.asked(&mut server).0.refuse(503, "", "busy");
    server.until("it pauses", |server| (server.model().counts().retried == 1).then_some(()));
    // The rest of the refused exchange is over, and its connection is kept.
    let (askers, timers, sockets) = server.holds();
    assert_eq!((askers, timers), (1, 1 + sockets));
    chat.until(&mut server, "status");
    let _client = delete(&mut server, &chat.id);
    server.turn();
    assert_holds_nothing(&server);
    chat.until(&mut server, "done");
}

#[test]
fn a_client_that_is_gone_ends_the_call_it_waited_for() {
    let model = ModelServer::new();
    let config =
        Config { model: Some(model.config()), disconnect_grace: Duration::ZERO, ..Config::default() };
    let mut server = Server::start(config, limits());
    let (chat, mut call) = speaking(&model, &mut server, QUESTION);
    drop(chat);
    server.until("the connection is closed", |_| call.is_closed().then_some(()));
    server.until("the run is cancelled", |server| (server.census().runs.cancelled == 1).then_some(()));
    assert_holds_nothing(&server);
}

/// Refuses what it is to keep, but not before it is told to.
struct Failing(Arc<AtomicIsize>);

impl Storage for Failing {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: &Batch) -> Result<(), Trouble> {
        while self.0.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        Err(Trouble::new(Cause::Failed, "the disk is gone"))
    }

    fn find(&mut self, _: Uuid) -> Result<Option<KeptRun>, Trouble> {
        Ok(None)
    }

    fn list(&mut self, _: Option<Uuid>, _: usize) -> Result<Vec<Row>, Trouble> {
        Ok(Vec::new())
    }

    fn find_key(&mut self, _: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        Ok(None)
    }

    fn list_sessions(&mut self, _: Option<&SessionPlace>, _: usize) -> Result<Vec<SessionRow>, Trouble> {
        Ok(Vec::new())
    }

    fn find_session(&mut self, _: &str) -> Result<Option<KeptSession>, Trouble> {
        Ok(None)
    }

    fn drop_session(&mut self, _: &str) -> Result<bool, Trouble> {
        Ok(false)
    }

    fn sweep(&mut self, _: Sweep) -> Result<Swept, Trouble> {
        Ok(Swept::default())
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        Ok(vec![None; names.len()])
    }

    fn keep_vectors(&mut self, _: &[KeptVector], _: u64) -> Result<(), Trouble> {
        Ok(())
    }
}

#[test]
fn a_run_that_could_not_be_kept_ends_its_call() {
    let fails = Arc::new(AtomicIsize::new(0));
    let model = ModelServer::new();
    let config = Config { model: Some(model.config()), ..Config::default() };
    let mut server = Server::with_storage(Box::new(Failing(Arc::clone(&fails))), config, limits());
    let _chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    fails.store(1, Ordering::Release);
    server.until("the connection is closed", |_| call.is_closed().then_some(()));
    assert_holds_nothing(&server);
}

// --- Deadlines ----------------------------------------------------------------------------------------------------

/// Listens, and takes no connection: its backlog is full.
fn nobody() -> (std::os::fd::OwnedFd, SocketAddr, Vec<TcpStream>) {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("there are sockets");
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port can be bound");
    listen(&listener, 0).expect("it can listen");
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().expect("it is bound");
    let mut crowd = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SOON) {
        crowd.push(stream);
        assert!(crowd.len() < 100, "a backlog of none takes everybody");
    }
    (listener.into(), address, crowd)
}

#[test]
fn a_server_that_can_not_be_reached_in_time_is_answered_for_by_the_notes() {
    let (_listener, address, _crowd) = nobody();
    let model = ModelConfig { connect_timeout: SOON, ..config_of(address) };
    let mut server = server_of(model, limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let response = chat.answer(&mut server);
    assert_fell_back(&response, "the model's server could not be reached within 0.03 s");
    assert_holds_nothing(&server);
}

#[test]
fn a_model_that_does_not_answer_in_time_is_answered_for_by_the_notes() {
    let patient = |model: &ModelServer| ModelConfig {
        first_byte_timeout: NEVER,
        gap_timeout: NEVER,
        total_timeout: NEVER,
        ..model.config()
    };
    type Set = fn(&mut ModelConfig);
    let cases: [(Set, u32, &str); 5] = [
        (
            |model| model.first_byte_timeout = SOON,
            0,
            "the model's server did not begin to answer within 0.03 s",
        ),
        // A head is no answer yet.
        (
            |model| model.first_byte_timeout = SOON,
            1,
            "the model's server did not begin to answer within 0.03 s",
        ),
        (|model| model.gap_timeout = SOON, 2, "the model's server fell silent for 0.03 s within its answer"),
        (|model| model.total_timeout = SOON, 0, "the model's server was not done answering within 0.03 s"),
        (
            |model| model.total_timeout = 20 * SOON,
            2,
            "the model's server was not done answering within 0.6 s",
        ),
    ];
    for (set, stage, why) in cases {
        let model = ModelServer::new();
        let mut config = patient(&model);
        set(&mut config);
        let mut server = server_of(config, limits());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let (mut call, _) = model.asked(&mut server);
        if stage > 0 {
            call.begin();
        }
        if stage > 1 {
            call.say("One");
        }
        let response = chat.answer(&mut server);
        assert_fell_back(&response, why);
        assert_eq!(chat.heard("revision").is_some(), stage > 1, "{:?}", chat.events);
        assert!(call.is_closed());
        assert_holds_nothing(&server);
        assert_eq!(server.model().counts().retried, 0, "it has been waited for long enough");
    }
}

#[test]
fn what_is_said_as_soon_as_the_connection_stands_is_heard() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    // All that this server ever does, and before the poller has told of the connection.
    let mut call = model.accept(&mut server);
    call.refuse(503, "", "");
    assert_fell_back(&chat.answer(&mut server), "the model's server answered 503");
    assert_holds_nothing(&server);
}

#[test]
fn a_silence_counts_from_the_last_byte() {
    let model = ModelServer::new();
    let config = ModelConfig { gap_timeout: 30 * SOON, ..model.config() };
    let mut server = server_of(config, limits());
    let (mut chat, mut call) = speaking(&model, &mut server, QUESTION);
    let begun = Instant::now();
    let mut said = begun;
    while begun.elapsed() < 45 * SOON {
        if said.elapsed() > SOON {
            call.say(".");
            said = Instant::now();
        }
        server.turn_soon();
    }
    call.end();
    assert_eq!(chat.answer(&mut server)["answered_by"], "model");
}

// --- Another try --------------------------------------------------------------------------------------------------

fn retrying() -> Limits {
    Limits { model_retries_max: 2, retry_pause: SOON, ..Limits::default() }
}

#[test]
fn a_server_that_is_not_there_yet_is_tried_again() {
    let model = ModelServer::new();
    let address = model.address();
    let mut server = server_of(model.config(), retrying());
    drop(model);
    let mut chat = Chat::ask(&mut server, QUESTION);
    server.until("it was refused twice", |server| (server.model().counts().retried == 2).then_some(()));
    let (askers, _, sockets) = server.holds();
    assert_eq!((askers, sockets), (1, 0));
    let model = ModelServer::at(address);
    model.asked(&mut server).0.answer("Hot.");
    let response = chat.answer(&mut server);
    assert_eq!((&response["response"], degraded(&response).len()), (&json!("Hot."), 0));
    assert_holds_nothing(&server);
}

#[test]
fn a_server_that_is_never_there_is_given_up_after_two_tries_more() {
    let model = ModelServer::new();
    let mut server = server_of(model.config(), retrying());
    drop(model);
    let response = Chat::ask(&mut server, QUESTION).answer(&mut server);
    assert_fell_back(&response, "the model's server can't be reached: connection refused");
    let counts = server.model().counts();
    assert_eq!((counts.retried, counts.failed, server.counters().0.connects), (2, 1, 3));
    assert_holds_nothing(&server);
}

#[test]
fn a_server_that_has_trouble_is_asked_again_and_one_that_goes_on_is_given_up() {
    for (statuses, is_answered) in [(vec![500, 503], true), (vec![503, 429, 500], false)] {
        let (model, mut server) = both(retrying());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let (mut call, first) = model.asked(&mut server);
        for (try_, status) in statuses.iter().enumerate() {
            if try_ > 0 {
                assert_eq!(call.request(&mut server), first, "the same is asked, on the same connection");
            }
            call.refuse(*status, "", r#"{"error":{"message":"Loading."}}"#);
        }
        if is_answered {
            assert_eq!(call.request(&mut server), first);
            call.answer("Hot.");
        }
        let response = chat.answer(&mut server);
        if is_answered {
            assert_eq!((&response["response"], degraded(&response).len()), (&json!("Hot."), 0));
        } else {
            assert_fell_back(&response, "the model's server answered 500: Loading");
        }
        assert_eq!(server.model().counts().retried, 2);
        assert_holds_nothing(&server);
    }
}

#[test]
fn a_server_that_names_a_time_is_given_it_and_one_that_wants_too_much_is_given_up() {
    let (model, mut server) = both(Limits { retry_after_max: Duration::from_secs(2), ..retrying() });
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.refuse(429, "Retry-After: 1\r\n", "slow down");
    let refused = Instant::now();
    call.request(&mut server);
    assert!(refused.elapsed() >= Duration::from_millis(990), "{:?}", refused.elapsed());
    call.refuse(429, "Retry-After: 3\r\n", "slow down");
    let response = chat.answer(&mut server);
    assert_fell_back(&response, "the model's server answered 429: slow down");
}

#[test]
fn all_tries_together_have_the_time_of_one_answer() {
    let model = ModelServer::new();
    let config = ModelConfig { total_timeout: 10 * SOON, first_byte_timeout: NEVER, ..model.config() };
    let mut server = server_of(config, retrying());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.refuse(503, "", "busy");
    call.request(&mut server);
    let response = chat.answer(&mut server);
    assert_fell_back(&response, "the model's server was not done answering within 0.3 s");
}

#[test]
fn what_can_not_help_is_not_tried_again() {
    for (status, body, why) in [
        (401, r#"{"error":"no"}"#, "the model's server refuses the key (401): no"),
        (404, r#"{"error":"no such model"}"#, "the model's server answered 404: no such model"),
        (307, "", "the model's server redirects (307), which is not followed"),
    ] {
        let (model, mut server) = both(retrying());
        let mut chat = Chat::ask(&mut server, QUESTION);
        model.asked(&mut server).0.refuse(status, "Location: http://127.0.0.1:1/\r\n", body);
        assert_fell_back(&chat.answer(&mut server), why);
        assert_eq!(server.model().counts().retried, 0);
        assert_holds_nothing(&server);
    }
}

#[test]
fn nothing_is_tried_again_once_a_word_was_told() {
    let (model, mut server) = both(retrying());
    let (mut chat, call) = speaking(&model, &mut server, QUESTION);
    drop(call);
    let response = chat.answer(&mut server);
    assert_fell_back(&response, "the model's server closed the connection within its answer");
    assert!(chat.heard("revision").is_some());
    assert_eq!(server.model().counts().retried, 0);
}

#[test]
fn without_a_fallback_the_run_fails_with_the_reason() {
    let model = ModelServer::new();
    let mut server = server_of(ModelConfig { falls_back: false, ..model.config() }, limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    model.asked(&mut server).0.refuse(500, "", "broken");
    chat.until(&mut server, "done");
    assert_eq!(
        chat.heard("error"),
        Some(&json!({"type": "error", "detail": "the model's server answered 500: broken"}))
    );
}

// --- The breaker --------------------------------------------------------------------------------------------------

/// Has the model fail so often that it is left alone; answers the connection on which it did.
fn open(model: &ModelServer, server: &mut Server) -> Call {
    let mut call: Option<Call> = None;
    for number in 0..5 {
        assert_eq!(server.model().breaker(), ("closed", 0));
        let mut chat = Chat::ask(server, &format!("{QUESTION} {number}"));
        let call = call.get_or_insert_with(|| model.accept(server));
        call.request(server);
        call.refuse(500, "", "broken");
        assert_fell_back(&chat.answer(server), "the model's server answered 500: broken");
    }
    assert_eq!(server.model().breaker(), ("open", 1));
    call.expect("it was asked")
}

#[test]
fn a_model_that_has_failed_five_times_is_not_asked_for_a_while() {
    let (model, mut server) = both(Limits { breaker_pause_min: NEVER, ..limits() });
    let _call = open(&model, &mut server);
    let connects = server.counters().0.connects;
    let response = Chat::ask(&mut server, QUESTION).answer(&mut server);
    let [sentence] = degraded(&response)[..] else { panic!("{response}") };
    assert!(
        sentence.starts_with(
            "The notes answer, because the model has failed 5 times in a row and is not asked for another "
        ),
        "{sentence}"
    );
    assert_eq!(server.counters().0.connects, connects);
    assert_holds_nothing(&server);
}

#[test]
fn after_a_while_one_question_tries_the_model_and_decides_for_all() {
    for (is_well, left) in [(true, false), (false, false), (true, true)] {
        let (model, mut server) = both(Limits { breaker_pause_min: Duration::ZERO, ..limits() });
        let mut call = open(&model, &mut server);
        let mut probe = Chat::ask(&mut server, "Is the kettle hot?");
        call.request(&mut server);
        assert_eq!(server.model().breaker(), ("half-open", 1));
        let other = Chat::ask(&mut server, QUESTION).answer(&mut server);
        assert!(degraded(&other)[0].contains("failed 5 times in a row"), "{other}");
        if left {
            // Nobody waits for what becomes of it: the next tries.
            probe.until(&mut server, "status");
            let _client = delete(&mut server, &probe.id);
            probe.until(&mut server, "done");
            assert_eq!(server.model().breaker(), ("open", 1));
            probe = Chat::ask(&mut server, "Is the kettle hot?");
            (call, _) = model.asked(&mut server);
            assert_eq!(server.model().breaker(), ("half-open", 1));
        }
        if is_well {
            call.answer("It is.");
            assert_eq!(probe.answer(&mut server)["answered_by"], "model");
            assert_eq!(server.model().breaker(), ("closed", 1));
        } else {
            call.refuse(503, "", "still broken");
            assert_fell_back(&probe.answer(&mut server), "the model's server answered 503: still broken");
            assert_eq!(server.model().breaker(), ("open", 2));
        }
    }
}

// --- Sharing ------------------------------------------------------------------------------------------------------

#[test]
fn who_asks_the_same_shares_a_call_and_it_ends_with_the_last_of_them() {
    let (model, mut server) = both(limits());
    let (mut first, mut call) = speaking(&model, &mut server, QUESTION);
    let mut second = Chat::ask(&mut server, "  how hot is   the kettle");
    second.until(&mut server, "token");
    assert_eq!(second.joined(), "One", "it is told what was said before it came");
    assert_eq!(server.model().counts().shared, 1);
    call.say(" two");
    server.turn();
    assert!(first.read().len() == 1 && second.read().len() == 1);

    let _client = delete(&mut server, &first.id);
    first.until(&mut server, "done");
    assert!(!call.is_closed(), "somebody waits for it");
    call.say(" three");
    server.turn();
    second.read();
    assert_eq!(second.joined(), "One two three");
    let _client = delete(&mut server, &second.id);
    server.turn();
    assert!(call.is_closed());
    assert_holds_nothing(&server);
    second.until(&mut server, "done");
}

#[test]
fn all_who_share_a_call_have_its_answer_each_under_its_own_id() {
    let (model, mut server) = both(limits());
    let mut chats: Vec<Chat> = (0..3).map(|_| Chat::ask(&mut server, QUESTION)).collect();
    let (mut call, _) = model.asked(&mut server);
    server.until("all have asked", |server| (server.census().askers == 3).then_some(()));
    call.answer("Hot.");
    for chat in &mut chats {
        let response = chat.answer(&mut server);
        assert_eq!((&response["response"], &response["cached"]), (&json!("Hot."), &json!(false)));
        assert_eq!(response["run_id"], chat.id.as_str());
    }
    assert!(model.accept_now().is_none());
    let counts = server.model().counts();
    assert_eq!((counts.asked, counts.shared, counts.answered), (3, 2, 1));
    assert_holds_nothing(&server);
}

#[test]
fn what_was_answered_is_told_again_until_a_note_changes() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.answer("Hot.");
    chat.answer(&mut server);
    let response = Chat::ask(&mut server, "how hot is the kettle").answer(&mut server);
    assert_eq!((&response["response"], &response["cached"]), (&json!("Hot."), &json!(true)));
    assert_eq!(server.model().counts().cached, 1);

    server.write_note("pan.md", "# Pan\n\nThe pan is black.\n");
    let mut client = server.connect();
    let synced = server.ask_store(&mut client, &crate::harness::post("/sync", ""));
    assert!(synced.starts_with("HTTP/1.1 200 "), "{synced}");
    let mut chat = Chat::ask(&mut server, QUESTION);
    call.request(&mut server);
    call.answer("Warm.");
    assert_eq!(chat.answer(&mut server)["response"], "Warm.");
}

#[test]
fn without_room_for_answers_none_is_kept_and_neither_is_one_that_was_cut_or_is_none() {
    let model = ModelServer::new();
    let mut server = server_of(ModelConfig { cache_bytes_max: 0, ..model.config() }, limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.answer("Hot.");
    chat.answer(&mut server);
    assert_eq!(server.model().answers_stats().entries, 0);

    let (model, mut server) = both(limits());
    let mut call = None;
    for (piece, finish) in [("Hot", "length"), ("", "stop"), (" \n", "stop")] {
        let mut chat = Chat::ask(&mut server, QUESTION);
        let call: &mut Call = call.get_or_insert_with(|| model.accept(&mut server));
        call.request(&mut server);
        let delta = json!({"choices": [{"delta": {"content": piece}, "finish_reason": finish}]}).to_string();
        call.refuse(200, "Content-Type: text/event-stream\r\n", &format!("data: {delta}\n\n"));
        chat.answer(&mut server);
        assert_eq!(server.model().answers_stats().entries, 0, "{piece:?} {finish}");
    }
}

// --- Connections --------------------------------------------------------------------------------------------------

#[test]
fn a_connection_carries_one_question_after_the_other_and_is_closed_when_it_is_idle() {
    let (model, mut server) = both(Limits { outbound_idle_timeout: 10 * SOON, ..limits() });
    let mut call: Option<Call> = None;
    for number in 0..3 {
        let mut chat = Chat::ask(&mut server, &format!("{QUESTION} {number}"));
        let call = call.get_or_insert_with(|| model.accept(&mut server));
        call.request(&mut server);
        call.answer("Hot.");
        chat.answer(&mut server);
    }
    let outbound = server.outbound();
    assert_eq!((outbound.kept, outbound.reused, server.counters().0.connects), (1, 2, 1));
    let mut call = call.expect("it was asked");
    server.until("it is closed", |_| call.is_closed().then_some(()));
    assert_holds_nothing(&server);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_replaced_without_a_word() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.answer("Hot.");
    chat.answer(&mut server);
    let mut chat = Chat::ask(&mut server, "Is the kettle hot?");
    let request = call.request(&mut server);
    // As a server does whose patience ends just now.
    drop(call);
    let (mut call, again) = model.asked(&mut server);
    assert_eq!(again, request);
    call.answer("It is.");
    let response = chat.answer(&mut server);
    assert_eq!((&response["response"], degraded(&response).len()), (&json!("It is."), 0));
    assert_eq!((server.model().counts().retried, server.outbound().reused), (0, 1));
    assert_holds_nothing(&server);
}

#[test]
fn a_kept_connection_on_which_something_is_said_unasked_carries_nothing_more() {
    for says in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (model, mut server) = both(limits());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let (mut call, _) = model.asked(&mut server);
        call.answer("Hot.");
        chat.answer(&mut server);
        server.until("it is kept", |server| (server.outbound().kept == 1).then_some(()));
        if says.is_empty() {
            drop(call);
        } else {
            call.send(says);
        }
        server.turn();
        assert_eq!(server.holds(), (0, 0, 0), "{says:?}");
    }
}

#[test]
fn more_questions_than_connections_wait_for_their_turn() {
    let model = ModelServer::new();
    let mut server = server_of(ModelConfig { connections_max: 1, ..model.config() }, limits());
    let mut chats: Vec<Chat> =
        (0..3).map(|number| Chat::ask(&mut server, &format!("{QUESTION} {number}"))).collect();
    let (mut call, _) = model.asked(&mut server);
    server.until("all have asked", |server| (server.census().askers == 3).then_some(()));
    assert_eq!(server.counters().0.connects, 1);
    // One that leaves while it waits gives no place away.
    chats[1].until(&mut server, "status");
    let _client = delete(&mut server, &chats[1].id);
    chats[1].until(&mut server, "done");
    call.answer("Hot.");
    assert_eq!(chats[0].answer(&mut server)["answered_by"], "model");
    call.request(&mut server);
    call.answer("Hot.");
    assert_eq!(chats[2].answer(&mut server)["answered_by"], "model");
    assert_eq!(server.counters().0.connects, 1);
    assert_holds_nothing(&server);
}

#[test]
fn a_question_for_which_there_is_no_room_is_answered_by_the_notes_and_not_forgotten() {
    let (model, mut server) = both(Limits { exchanges_max: 1, ..limits() });
    let (mut first, mut call) = speaking(&model, &mut server, QUESTION);
    // Together, so that they come in one turn.
    let mut others: Vec<Chat> =
        (0..3).map(|number| Chat::ask(&mut server, &format!("{QUESTION} {number}"))).collect();
    for other in &mut others {
        let why = "the model's server was not asked: too many requests are under way already";
        assert_fell_back(&other.answer(&mut server), why);
    }
    assert_eq!(server.model().breaker(), ("closed", 0));
    call.end();
    assert_eq!(first.answer(&mut server)["answered_by"], "model");
    assert_holds_nothing(&server);
}

// --- The agent ----------------------------------------------------------------------------------------------------

#[test]
fn a_tool_is_used_and_its_result_goes_into_the_next_question() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.call_tool("Let me look.", "read_note", r#"{"path":"kettle"}"#);
    let request = call.request(&mut server);
    let last =
        request["messages"].as_array().and_then(|messages| messages.last()).expect("there are messages");
    assert_eq!((&last["role"], &last["tool_call_id"]), (&json!("tool"), &json!("one")));
    assert!(last["content"].as_str().is_some_and(|text| text.contains(NOTES_SAY)), "{last}");
    call.answer("At 96 degrees [1].");
    let response = chat.answer(&mut server);
    assert_eq!(response["response"], "At 96 degrees [1].");
    assert!(chat.heard("revision").is_some(), "what was said before is void");
    assert_holds_nothing(&server);
}

#[test]
fn a_server_that_refuses_tools_is_asked_without_them_from_then_on() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, request) = model.asked(&mut server);
    assert!(request["tools"].is_array());
    call.refuse(400, "", r#"{"error":{"message":"This model does not support tools"}}"#);
    assert!(call.request(&mut server)["tools"].is_null());
    call.answer("Hot.");
    assert_eq!(degraded(&chat.answer(&mut server)).len(), 0);
    assert!(!server.model().offers_tools());
    let mut chat = Chat::ask(&mut server, "Is the kettle hot?");
    assert!(call.request(&mut server)["tools"].is_null());
    call.answer("It is.");
    chat.answer(&mut server);

    let model = ModelServer::new();
    let mut server = server_of(ModelConfig { agent: AgentMode::Tools, ..model.config() }, limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.refuse(400, "", r#"{"error":{"message":"This model does not support tools"}}"#);
    assert_fell_back(
        &chat.answer(&mut server),
        "the model's server answered 400: This model does not support tools",
    );
}

#[test]
fn the_first_answer_is_there_before_the_model_has_said_anything() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask_for(&mut server, &json!({"message": QUESTION, "strategy": "fast-first"}));
    let (mut call, _) = model.asked(&mut server);
    chat.until(&mut server, "token");
    assert!(chat.joined().contains(NOTES_SAY), "{:?}", chat.events);
    call.begin();
    call.say("Hot");
    chat.until(&mut server, "revision");
    call.end();
    assert_eq!(chat.answer(&mut server)["response"], "Hot");
}

#[test]
fn what_the_model_thinks_is_told_beside_its_answer() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    call.begin();
    call.send(&chunk(&delta(&json!({"reasoning_content": "Hm."}), None)));
    assert_eq!(chat.until(&mut server, "reasoning"), json!({"type": "reasoning", "text": "Hm."}));
    call.say("Hot.");
    call.end();
    assert_eq!(chat.answer(&mut server)["response"], "Hot.");
}

// --- Other servers ------------------------------------------------------------------------------------------------

#[test]
fn an_answer_that_comes_all_at_once_is_told_whole_though_it_takes_many_turns() {
    const WORDS: usize = 3000;
    let small = Limits { outbound_bytes_per_turn: 1000, outbound_bytes_per_turn_all: 1500, ..limits() };
    for limits in [limits(), small] {
        let (model, mut server) = both(limits);
        let mut chats: Vec<Chat> =
            (0..3).map(|number| Chat::ask(&mut server, &format!("{QUESTION} {number}"))).collect();
        let mut calls: Vec<Call> = (0..3).map(|_| model.asked(&mut server).0).collect();
        let all = chunk(&delta(&json!({"content": "word "}), None)).repeat(WORDS);
        for call in &mut calls {
            call.begin();
            call.send(&all);
            call.end();
        }
        for chat in &mut chats {
            assert_eq!(chat.answer(&mut server)["response"], "word ".repeat(WORDS));
        }
        assert_holds_nothing(&server);
    }
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, _) = model.asked(&mut server);
    let message = json!({"role": "assistant", "content": "Hot [1]."});
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2});
    let body = json!({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage});
    call.refuse(200, "Content-Type: application/json\r\n", &body.to_string());
    let response = chat.answer(&mut server);
    assert_eq!((&response["response"], &response["usage"]), (&json!("Hot [1]."), &usage));
    assert_eq!(response["degraded"], json!([]));
    assert_holds_nothing(&server);
}

#[test]
fn an_answer_is_over_when_its_server_says_so_however_long_the_connection_stays() {
    let (model, mut server) = both(Limits { outbound_rest_timeout: 3 * SOON, ..limits() });
    let (mut chat, mut call) = speaking(&model, &mut server, QUESTION);
    call.send(&chunk(&delta(&json!({}), Some("stop"))));
    call.send(&chunk("data: [DONE]\n\n"));
    assert_eq!(chat.answer(&mut server)["response"], "One");
    server.until("it is closed", |_| call.is_closed().then_some(()));
    assert_holds_nothing(&server);

    // Nor does it help to go on talking.
    let (mut chat, mut call) = speaking(&model, &mut server, "Is the kettle hot?");
    call.send(&chunk(&delta(&json!({}), Some("stop"))));
    call.send(&chunk("data: [DONE]\n\n"));
    call.send(&chunk(&"x".repeat(100_000)));
    assert_eq!(chat.answer(&mut server)["response"], "One");
    server.until("it is closed", |_| call.is_closed().then_some(()));
    assert_holds_nothing(&server);

    // Or to say a little now and then.
    let (mut chat, mut call) = speaking(&model, &mut server, "Is the pan hot?");
    call.send(&chunk(&delta(&json!({}), Some("stop"))));
    call.send(&chunk("data: [DONE]\n\n"));
    assert_eq!(chat.answer(&mut server)["response"], "One");
    let mut says_more = false;
    server.until("it is closed", |_| {
        // In every other turn, so that the one between sleeps.
        says_more = !says_more;
        if says_more {
            call.try_send(chunk(":\n").as_bytes());
        }
        call.is_closed().then_some(())
    });
    assert_holds_nothing(&server);
}

#[test]
fn what_is_no_answer_is_answered_for_by_the_notes() {
    let long = "x".repeat(Limits::default().sse_message_bytes_max + 100);
    for (says, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "the model's server does not answer in HTTP: "),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the model's server does not answer in HTTP: "),
        (
            "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
            "the model server ended its answer with an error: out of memory",
        ),
        ("data: <html>\n\n", "the model server sent what is no chat completion"),
        ("<html></html>\n\n", "the model server's answer broke off"),
        (long.as_str(), "the model's answer is longer than an answer may be"),
    ] {
        let (model, mut server) = both(limits());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let (mut call, _) = model.asked(&mut server);
        if says.contains("\r\n") {
            call.send(says);
        } else {
            call.begin();
            // More than the socket takes at a time.
            let text = [&chunk(says), "0\r\n\r\n"].concat();
            for piece in text.as_bytes().chunks(10_000) {
                call.try_send(piece);
                server.turn_soon();
            }
        }
        let response = chat.answer(&mut server);
        let [sentence] = degraded(&response)[..] else { panic!("{response}") };
        assert!(sentence.contains(why), "{sentence} for {}", says.get(..60).unwrap_or(says));
        assert_holds_nothing(&server);
    }
}

#[test]
fn the_key_is_shown_to_the_models_server_and_to_nobody_else() {
    const KEY: &str = "sk-very-secret";
    let repeats = json!({"error": {"message": format!("Incorrect API key provided: {KEY}.")}}).to_string();
    for is_mid_stream in [false, true] {
        let model = ModelServer::new();
        let key = Some(Secret::new(KEY.to_owned()));
        let mut server = server_of(ModelConfig { key, ..model.config() }, limits());
        let mut chat = Chat::ask(&mut server, QUESTION);
        let mut call = model.accept(&mut server);
        let (body, head) = call.request_and_head(&mut server);
        assert!(head.contains(&format!("\r\nAuthorization: Bearer {KEY}\r\n")), "{head}");
        assert!(!body.to_string().contains(KEY));
        if is_mid_stream {
            call.begin();
            call.send(&chunk(&format!("data: {repeats}\n\n")));
        } else {
            call.refuse(401, "", &repeats);
        }
        let response = chat.answer(&mut server).to_string();
        assert!(response.contains("Incorrect API key provided: (the key)"), "{response}");
        assert!(!json!(chat.events).to_string().contains(KEY));
    }
}

#[test]
fn a_server_that_wants_the_length_under_another_name_has_it_from_then_on() {
    let (model, mut server) = both(limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, request) = model.asked(&mut server);
    assert!(request["max_tokens"].is_u64() && request["max_completion_tokens"].is_null());
    let mut chat_beside = Chat::ask(&mut server, "Is the pan hot?");
    let (mut call_beside, _) = model.asked(&mut server);
    let words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
    for (chat, call) in [(&mut chat, &mut call), (&mut chat_beside, &mut call_beside)] {
        call.refuse(400, "", &json!({"error": {"message": words}}).to_string());
        let request = call.request(&mut server);
        assert!(request["max_tokens"].is_null() && request["max_completion_tokens"].is_u64());
        call.answer("Hot.");
        assert_eq!(chat.answer(&mut server)["response"], "Hot.");
    }
    let mut chat = Chat::ask(&mut server, "Is the kettle hot?");
    assert!(call_beside.request(&mut server)["max_tokens"].is_null());
    call_beside.answer("It is.");
    chat.answer(&mut server);
}

#[test]
fn a_prompt_that_is_too_long_is_asked_shorter() {
    let (model, mut server) = both(retrying());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let (mut call, request) = model.asked(&mut server);
    let words = "the request exceeds the available context size, try increasing it";
    call.refuse(400, "", &json!({"error": {"message": words}}).to_string());
    let shorter = call.request(&mut server);
    assert!(shorter["max_tokens"].as_u64() < request["max_tokens"].as_u64());
    call.answer("Hot.");
    assert_eq!(degraded(&chat.answer(&mut server)).len(), 0);
    assert_eq!(server.model().counts().retried, 0);
    assert_eq!(server.model().breaker(), ("closed", 0));
}

#[test]
fn a_name_is_looked_up_and_all_of_its_addresses_are_tried() {
    let model = ModelServer::new();
    // It may stand for `[::1]` too, where nobody listens.
    let url = format!("http://localhost:{}/v1", model.address().port());
    let url = oneloop::wire::url::Url::parse(&url).expect("it is one");
    let mut server = server_of(ModelConfig { url, ..model.config() }, limits());
    let mut chat = Chat::ask(&mut server, QUESTION);
    let mut call = model.accept(&mut server);
    let (_, head) = call.request_and_head(&mut server);
    assert!(head.contains(&format!("\r\nHost: localhost:{}\r\n", model.address().port())), "{head}");
    call.answer("Hot.");
    assert_eq!(chat.answer(&mut server)["response"], "Hot.");
    assert_holds_nothing(&server);
}
