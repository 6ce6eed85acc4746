//! A receiver of callbacks behind the server: what it is sent, when again, and what becomes of others meanwhile. It is the
//! test's own, in this thread.
#![expect(clippy::disallowed_types, reason = "the store's helper is a thread of its own")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneloop::app::callbacks::CallbackCounts;
use oneloop::config::{AllowedServer, CallbackConfig, Config};
use oneloop::limits::Limits;
use oneloop::store::{
    Batch, CallState, Idempotency, KeptRun, KeptSession, KeptVector, Loaded, Memory, Row, SessionPlace,
    SessionRow, Storage, Sweep, Swept, Trouble,
};
use oneloop::wire::proxy::ProxyRules;
use oneloop::wire::webhook::SigningKey;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, post};
use crate::model_server::{Call, ModelServer};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Long enough that nothing else happens in the meantime, short enough to wait for.
const SOON: Duration = Duration::from_millis(10);

/// A storage that outlives its server.
#[derive(Debug, Clone, Default)]
struct Outliving(Arc<Mutex<Memory>>);

impl Outliving {
    fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics while it looks"))
    }

    fn call_state(&self, run: Uuid) -> Option<CallState> {
        let kept = self.with(|memory| memory.find(run)).expect("memory does not fail")?;
        kept.callback.map(|callback| callback.called.state)
    }
}

impl Storage for Outliving {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        self.with(Memory::load)
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        self.with(|memory| memory.commit(batch))
    }
    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        self.with(|memory| memory.find(run))
    }
    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        self.with(|memory| memory.list(before, rows_max))
    }
    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        self.with(|memory| memory.find_key(key))
    }
    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        self.with(|memory| memory.list_sessions(after, rows_max))
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        self.with(|memory| memory.find_session(name))
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        self.with(|memory| memory.drop_session(name))
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        self.with(|memory| memory.sweep(sweep))
    }
    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        self.with(|memory| memory.find_vectors(names))
    }
    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        self.with(|memory| memory.keep_vectors(vectors, vectors_max))
    }
}

fn config(receivers: &[&ModelServer]) -> Config {
    let allow = receivers.iter().map(|receiver| {
        let address = receiver.address();
        AllowedServer { host: address.ip().to_string(), port: Some(address.port()) }
    });
    let callbacks = CallbackConfig {
        allow: allow.collect(),
        key: SigningKey::new(SECRET).expect("it is long enough"),
        trust: None,
        proxies: ProxyRules::default(),
    };
    Config { callbacks: Some(callbacks), ..Config::default() }
}

fn url(receiver: &ModelServer) -> String {
    format!("http://{}/v1/hook/?for=me", receiver.address())
}

/// Begins a task; answers its id.
fn begin(server: &mut Server, receiver: &ModelServer) -> Uuid {
    let body = json!({"message": "How hot is the kettle?", "callback_url": url(receiver)}).to_string();
    let mut client = server.connect();
    let answer = server.ask_store(&mut client, &post("/chat/async", &body));
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let body: Value = serde_json::from_str(body_of(&answer)).expect("it is JSON");
    body["task_id"].as_str().and_then(|id| id.parse().ok()).expect("it has an id")
}

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("it has a head").1
}

/// The task as its client sees it.
fn task(server: &mut Server, run: Uuid) -> Value {
    let mut client = server.connect();
    let request = format!("GET /chat/task/{run} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = server.ask_store(&mut client, request.as_bytes());
    serde_json::from_str(body_of(&answer)).expect("it is JSON")
}

fn field<'h>(head: &'h str, name: &str) -> &'h str {
    let prefix = format!("{name}: ");
    head.lines().find_map(|line| line.strip_prefix(&*prefix)).unwrap_or_else(|| panic!("no {name}: {head}"))
}

/// The next try on this connection: its body, once its signature was found to be good.
fn receive(call: &mut Call, server: &mut Server, run: Uuid) -> Value {
    let (body, head) = call.bytes_and_head(server);
    assert!(head.starts_with("POST /v1/hook/?for=me HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "webhook-id"), run.to_string());
    let timestamp = field(&head, "webhook-timestamp").parse().expect("it is a number");
    let key = SigningKey::new(SECRET).expect("it is long enough");
    assert_eq!(field(&head, "webhook-signature"), key.sign(&run.to_string(), timestamp, &body));
    serde_json::from_slice(&body).expect("it is JSON")
}

fn until_counted(server: &mut Server, what: &str, is_so: impl Fn(CallbackCounts) -> bool) {
    server.until(what, |server| is_so(server.callbacks().counts()).then_some(()));
    // That it is over is to be kept as well.
    server.until("it is kept", |server| server.census().is_kept.then_some(()));
}

#[test]
fn the_end_of_a_task_is_sent_signed_and_shown_as_delivered() {
    let receiver = ModelServer::new();
    let mut server = Server::start(config(&[&receiver]), Limits::default());
    let run = begin(&mut server, &receiver);
    let mut call = receiver.accept(&mut server);
    let told = receive(&mut call, &mut server, run);
    assert_eq!((&told["task_id"], &told["status"]), (&json!(run), &json!("completed")));
    let pending = task(&mut server, run)["callback"].clone();
    let shown = json!({"url": url(&receiver), "state": "pending", "attempts": 0, "last_error": null});
    assert_eq!(pending, shown);
    call.send("HTTP/1.1 204 Thanks\r\n\r\n");
    until_counted(&mut server, "it is delivered", |counts| counts.delivered == 1);
    let mut shown = task(&mut server, run);
    let callback = shown.as_object_mut().and_then(|shown| shown.remove("callback")).expect("it has one");
    assert_eq!(callback["state"], "delivered");
    assert_eq!(shown, told, "what is sent is what is shown, but for the callback");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_given_up() {
    let receiver = ModelServer::new();
    let limits = Limits { callback_pause: SOON, ..Limits::default() };
    let mut server = Server::start(config(&[&receiver]), limits);
    let run = begin(&mut server, &receiver);
    let mut call = receiver.accept(&mut server);
    for status in [500, 503, 429, 408] {
        receive(&mut call, &mut server, run);
        call.refuse(status, "", "");
    }
    receive(&mut call, &mut server, run);
    call.refuse(307, "Location: http://127.0.0.1:1/\r\n", "");
    until_counted(&mut server, "it is given up", |counts| counts.given_up == 1);
    let callback = task(&mut server, run)["callback"].clone();
    assert_eq!((&callback["state"], &callback["attempts"]), (&json!("given_up"), &json!(5)));
    assert_eq!(callback["last_error"], "redirects (307), which is not followed");
}

#[test]
fn tries_have_an_end() {
    let receiver = ModelServer::new();
    let limits = Limits { callback_pause: SOON, callback_attempts_max: 2, ..Limits::default() };
    let mut server = Server::start(config(&[&receiver]), limits);
    let run = begin(&mut server, &receiver);
    for _ in 0..2 {
        let mut call = receiver.accept(&mut server);
        receive(&mut call, &mut server, run);
    }
    until_counted(&mut server, "it is given up", |counts| counts.given_up == 1);
    assert_eq!(server.callbacks().outstanding(), (0, 0));
    assert_eq!(server.callbacks().holds(), (0, 0));
}

#[test]
fn a_receiver_that_says_nothing_holds_up_nobody_else() {
    let (silent, well) = (ModelServer::new(), ModelServer::new());
    let limits = Limits { callbacks_at_once_per_server_max: 1, ..Limits::default() };
    let mut server = Server::start(config(&[&silent, &well]), limits);
    for _ in 0..5 {
        begin(&mut server, &silent);
    }
    let mut held = silent.accept(&mut server);
    server.until("one is tried", |_| held.has_request().then_some(()));
    let run = begin(&mut server, &well);
    let mut call = well.accept(&mut server);
    receive(&mut call, &mut server, run);
    call.refuse(200, "", "");
    until_counted(&mut server, "it is delivered", |counts| counts.delivered == 1);
    assert!(silent.accept_now().is_none(), "one has no more than its places");
    assert_eq!(server.callbacks().outstanding(), (5, 1));
}

#[test]
fn the_servers_of_many_callbacks_take_turns_in_few_places() {
    let receivers: Vec<ModelServer> = (0..4).map(|_| ModelServer::new()).collect();
    let limits = Limits { callbacks_at_once_max: 2, callback_servers_max: 2, ..Limits::default() };
    let mut server = Server::start(config(&receivers.iter().collect::<Vec<_>>()), limits);
    let runs: Vec<Uuid> = receivers.iter().map(|receiver| begin(&mut server, receiver)).collect();
    for (receiver, run) in receivers.iter().zip(runs) {
        let mut call = receiver.accept(&mut server);
        receive(&mut call, &mut server, run);
        call.refuse(200, "", "");
    }
    until_counted(&mut server, "all are delivered", |counts| counts.delivered == 4);
}

#[test]
fn a_process_takes_over_what_the_one_before_had_not_delivered() {
    let receiver = ModelServer::new();
    let storage = Outliving::default();
    let limits = Limits { callback_pause: SOON, ..Limits::default() };
    let start = |config: Config| Server::with_storage(Box::new(storage.clone()), config, limits.clone());
    let mut server = start(config(&[&receiver]));
    let run = begin(&mut server, &receiver);
    let mut call = receiver.accept(&mut server);
    let told = receive(&mut call, &mut server, run);
    drop(server);
    assert_eq!(storage.call_state(run), Some(CallState::Outstanding));
    let mut server = start(config(&[&receiver]));
    let mut call = receiver.accept(&mut server);
    assert_eq!(receive(&mut call, &mut server, run), told, "the same under the same id");
    call.refuse(200, "", "");
    until_counted(&mut server, "it is delivered", |counts| counts.delivered == 1);
    drop(server);
    assert_eq!(storage.call_state(run), Some(CallState::Delivered));
    let server = start(config(&[&receiver]));
    assert_eq!(server.callbacks().outstanding(), (0, 0));
}

#[test]
fn a_server_that_is_not_allowed_any_more_is_not_called() {
    let receiver = ModelServer::new();
    let storage = Outliving::default();
    let start = |config: Config| Server::with_storage(Box::new(storage.clone()), config, Limits::default());
    let mut server = start(config(&[&receiver]));
    let run = begin(&mut server, &receiver);
    let mut call = receiver.accept(&mut server);
    receive(&mut call, &mut server, run);
    drop((server, call));
    let mut server = start(Config::default());
    until_counted(&mut server, "it is given up", |counts| counts.given_up == 1);
    assert_eq!(storage.call_state(run), Some(CallState::GivenUp));
    assert!(receiver.accept_now().is_none());
}

#[test]
fn a_pause_goes_on_in_the_next_process() {
    let receiver = ModelServer::new();
    let storage = Outliving::default();
    let start = || Server::with_storage(Box::new(storage.clone()), config(&[&receiver]), Limits::default());
    let mut server = start();
    let run = begin(&mut server, &receiver);
    let mut call = receiver.accept(&mut server);
    receive(&mut call, &mut server, run);
    call.refuse(503, "Retry-After: 600\r\n", "");
    until_counted(&mut server, "it is put off", |counts| counts.retried == 1);
    drop((server, call));
    let server = start();
    assert_eq!((server.callbacks().outstanding(), server.callbacks().holds()), ((1, 0), (1, 0)));
}

#[test]
fn a_callback_is_refused_where_it_can_not_be_made() {
    let receiver = ModelServer::new();
    let mut server = Server::start(config(&[&receiver]), Limits::default());
    let mut why = |path: &str, callback_url: Value| {
        let body = json!({"message": "How hot?", "callback_url": callback_url}).to_string();
        let mut client = server.connect();
        let answer = server.ask_store(&mut client, &post(path, &body));
        assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
        let body: Value = serde_json::from_str(body_of(&answer)).expect("it is JSON");
        assert_eq!(body["detail"][0]["loc"], json!(["body", "callback_url"]));
        body["detail"][0]["type"].as_str().expect("it has a kind").to_owned()
    };
    let good = url(&receiver);
    assert_eq!(why("/chat", json!(good)), "extra_forbidden");
    assert_eq!(why("/chat/stream", json!(good)), "extra_forbidden");
    assert_eq!(why("/chat/async", json!("http://127.0.0.1:1/")), "value_error");
    assert_eq!(why("/chat/async", json!("ftp://a/")), "url_parsing");
    assert_eq!(why("/chat/async", json!(format!("{good}{}", "x".repeat(3000)))), "url_too_long");
    assert_eq!(why("/chat/async", json!(7)), "string_type");
}

#[test]
fn a_task_asked_for_twice_is_called_back_once() {
    let receiver = ModelServer::new();
    let mut server = Server::start(config(&[&receiver]), Limits::default());
    let ask = |server: &mut Server, url: &str| {
        let body = json!({"message": "How hot is the kettle?", "callback_url": url}).to_string();
        let request = post("/chat/async", &body);
        let request = String::from_utf8(request).expect("it is text");
        let request = request.replacen("\r\n", "\r\nIdempotency-Key: once\r\n", 1);
        let mut client = server.connect();
        server.ask_store(&mut client, request.as_bytes())
    };
    let (first, again) = (ask(&mut server, &url(&receiver)), ask(&mut server, &url(&receiver)));
    let id =
        |answer: &str| serde_json::from_str::<Value>(body_of(answer)).expect("it is JSON")["task_id"].clone();
    assert_eq!(id(&first), id(&again));
    assert!(ask(&mut server, &format!("{}&and=me", url(&receiver))).starts_with("HTTP/1.1 422 "));
    let mut call = receiver.accept(&mut server);
    call.bytes_and_head(&mut server);
    call.refuse(200, "", "");
    until_counted(&mut server, "it is delivered", |counts| counts.delivered == 1);
    assert_eq!(server.callbacks().outstanding(), (0, 0));
}

#[test]
fn only_so_many_may_be_outstanding_for_one_server() {
    let (silent, well) = (ModelServer::new(), ModelServer::new());
    let limits = Limits { callbacks_per_server_max: 1, callbacks_max: 2, ..Limits::default() };
    let mut server = Server::start(config(&[&silent, &well]), limits);
    let refused = |server: &mut Server, receiver: &ModelServer| {
        let body = json!({"message": "How hot?", "callback_url": url(receiver)}).to_string();
        let mut client = server.connect();
        let answer = server.ask_store(&mut client, &post("/chat/async", &body));
        answer.starts_with("HTTP/1.1 503 ")
    };
    begin(&mut server, &silent);
    assert!(refused(&mut server, &silent));
    begin(&mut server, &well);
    assert!(refused(&mut server, &well));
}
