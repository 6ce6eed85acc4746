//! An embedding server behind the server: what is asked of it, and what becomes of a question when it does not answer. It is
//! the test's own, in this thread.
#![expect(clippy::disallowed_types, reason = "the store's helper is a thread of its own")]

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneloop::config::{Config, EmbedConfig};
use oneloop::limits::Limits;
use oneloop::store::{
    Batch, Idempotency, KeptRun, KeptSession, KeptVector, Loaded, Memory, Row, SessionPlace, SessionRow,
    Storage, Sweep, Swept, Trouble,
};
use oneloop::wire::url::Url;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, post};
use crate::model_server::{Call, Chat, ModelServer};

/// Shares no word with the note, but its direction.
const QUESTION: &str = "When is tea water ready?";

const NOTE_SAYS: &str = "The kettle boils at 96 degrees.";

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// Long enough that nothing else happens in the meantime, short enough to wait for.
const SOON: Duration = Duration::from_millis(30);

fn config(embedding: &ModelServer, timeout: Duration) -> Config {
    let url = Url::parse(&format!("http://{}/v1", embedding.address())).expect("it is one");
    Config { embed: Some(EmbedConfig { timeout, ..EmbedConfig::new(url, "small") }), ..Config::default() }
}

fn both(timeout: Duration, limits: Limits) -> (ModelServer, Server) {
    let embedding = ModelServer::new();
    let server = Server::start(config(&embedding, timeout), limits);
    (embedding, server)
}

/// What is about tea points one way, and all else another.
fn direction(text: &str) -> [f32; 2] {
    if text.contains("ettle") || text.contains("tea") { [1.0, 0.1] } else { [0.1, 1.0] }
}

fn texts(request: &Value) -> Vec<&str> {
    request["input"].as_array().expect("it is a list").iter().filter_map(Value::as_str).collect()
}

/// Answers a request with the direction of each of its texts.
fn answer(call: &mut Call, request: &Value) {
    let data: Vec<Value> =
        texts(request).into_iter().map(|text| json!({"embedding": direction(text)})).collect();
    let body = json!({"data": data}).to_string();
    let length = body.len();
    call.send(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
}

/// The passages are embedded, over a connection that is kept.
fn embedded(embedding: &ModelServer, server: &mut Server) -> Call {
    let (mut call, request) = embedding.asked(server);
    answer(&mut call, &request);
    server
        .until("the passages are embedded", |server| (server.embedder().counts().embedded > 0).then_some(()));
    call
}

fn degraded(response: &Value) -> Vec<&str> {
    response["degraded"].as_array().expect("it is a list").iter().filter_map(Value::as_str).collect()
}

fn without(why: &str) -> String {
    format!("The notes were searched by words alone, because the embedding server {why}.")
}

#[test]
fn passages_are_embedded_with_what_they_stand_under() {
    let (embedding, mut server) = both(NEVER, Limits::default());
    let (mut call, request) = embedding.asked(&mut server);
    assert_eq!(request["model"], "small");
    assert_eq!(request["encoding_format"], "base64");
    assert_eq!(texts(&request), ["Kettle\nThe kettle boils at 96 degrees."]);
    answer(&mut call, &request);
    server.until("they are put in", |server| (server.embedder().counts().embedded == 1).then_some(()));
}

#[test]
fn a_question_finds_a_note_that_shares_no_word_with_it() {
    let (embedding, mut server) = both(NEVER, Limits::default());
    let mut call = embedded(&embedding, &mut server);
    let mut chat = Chat::ask(&mut server, QUESTION);
    let request = call.request(&mut server);
    assert_eq!(texts(&request), [QUESTION]);
    answer(&mut call, &request);
    let response = chat.answer(&mut server);
    assert_eq!(response["response"], format!("{NOTE_SAYS} [1]"), "{response}");
    assert_eq!(degraded(&response), [""; 0]);
    // The next who asks the same asks nobody.
    let response = Chat::ask(&mut server, QUESTION).answer(&mut server);
    assert_eq!(response["sources"][0]["path"], "kettle.md");
}

#[test]
fn a_server_that_is_late_is_not_waited_for_and_its_answer_is_kept_for_the_next() {
    let (embedding, mut server) = both(SOON, Limits::default());
    let mut call = embedded(&embedding, &mut server);
    let mut chat = Chat::ask(&mut server, "Is the kettle hot?");
    let request = call.request(&mut server);
    let response = chat.answer(&mut server);
    assert_eq!(response["response"], format!("{NOTE_SAYS} [1]"), "by its words it is found all the same");
    assert_eq!(degraded(&response), [without("did not answer within 30 ms")]);
    answer(&mut call, &request);
    server.until("it is late", |server| (server.embedder().answers_stats().entries == 1).then_some(()));
    let response = Chat::ask(&mut server, "Is the kettle hot?").answer(&mut server);
    assert_eq!(degraded(&response), [""; 0]);
    assert_eq!(server.embedder().counts().cached, 1);
}

#[test]
fn two_who_ask_the_same_share_a_call() {
    let (embedding, mut server) = both(NEVER, Limits::default());
    let mut call = embedded(&embedding, &mut server);
    let mut chats = [Chat::ask(&mut server, QUESTION), Chat::ask(&mut server, QUESTION)];
    let request = call.request(&mut server);
    server.until("both wait", |server| (server.embedder().holds().0 == 2).then_some(()));
    answer(&mut call, &request);
    for chat in &mut chats {
        assert_eq!(chat.answer(&mut server)["sources"][0]["path"], "kettle.md");
    }
    assert_eq!(server.embedder().counts().shared, 1);
}

#[test]
fn a_server_that_fails_in_a_row_is_not_asked_for_a_while() {
    let (embedding, mut server) = both(NEVER, Limits { breaker_failures_max: 2, ..Limits::default() });
    let mut call = embedded(&embedding, &mut server);
    for number in 0..2 {
        let mut chat = Chat::ask(&mut server, &format!("{QUESTION} {number}"));
        call.request(&mut server);
        call.refuse(503, "", r#"{"error":{"message":"it is busy"}}"#);
        assert_eq!(degraded(&chat.answer(&mut server)), [without("answered 503: it is busy")]);
    }
    let response = Chat::ask(&mut server, QUESTION).answer(&mut server);
    assert_eq!(degraded(&response), [without("has failed 2 times in a row")]);
    assert_eq!(server.embedder().breaker(), ("open", 1));
}

#[test]
fn a_question_for_which_there_is_no_room_is_no_fault_of_the_server() {
    let limits = Limits { breaker_failures_max: 1, exchanges_max: 1, ..Limits::default() };
    let (embedding, mut server) = both(NEVER, limits);
    let mut call = embedded(&embedding, &mut server);
    let mut first = Chat::ask(&mut server, QUESTION);
    let request = call.request(&mut server);
    let response = Chat::ask(&mut server, "What is green?").answer(&mut server);
    let no_room = without("was not asked: too many requests are under way already");
    assert_eq!(degraded(&response), [no_room]);
    answer(&mut call, &request);
    assert!(degraded(&first.answer(&mut server)).is_empty());
    assert_eq!(server.embedder().breaker(), ("closed", 0));
}

#[test]
fn of_several_passages_one_that_is_too_long_is_tried_by_itself_and_then_half_of_it() {
    let embedding = ModelServer::new();
    let limits = Limits { embed_text_bytes_min: 20, ..Limits::default() };
    let mut server = Server::start(config(&embedding, NEVER), limits);
    let mut call = embedded(&embedding, &mut server);
    server.write_note("a.md", "# A\n\nA boat.\n");
    server.write_note("b.md", &format!("# B\n\n{}\n", "A longer boat. ".repeat(20)));
    let mut client = server.connect();
    server.ask_store(&mut client, b"POST /sync HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut asked = Vec::new();
    while server.embedder().counts().embedded < 3 {
        let request = call.request(&mut server);
        let all = texts(&request);
        asked.push(all.iter().map(|text| text.len()).collect::<Vec<_>>());
        if all.iter().any(|text| text.len() > 200) {
            call.refuse(500, "", r#"{"error":{"message":"input is too large to process"}}"#);
        } else {
            answer(&mut call, &request);
        }
        let (before, known) = (server.embedder().counts(), asked.len());
        server.until("it is taken in", |server| {
            let is_new = server.embedder().counts() != before || call.has_request();
            (is_new || known == 0).then_some(())
        });
    }
    let last = asked.last().expect("something was asked");
    assert!(last.len() == 1 && last[0] < 200, "{asked:?}");
    assert_eq!(server.embedder().counts().refused, 0);
}

/// What several servers keep, one after the other.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Memory>>);

impl Storage for Shared {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        self.0.lock().unwrap().load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        self.0.lock().unwrap().commit(batch)
    }

    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        self.0.lock().unwrap().find(run)
    }

    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        self.0.lock().unwrap().list(before, rows_max)
    }

    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        self.0.lock().unwrap().find_key(key)
    }

    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        self.0.lock().unwrap().list_sessions(after, rows_max)
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        self.0.lock().unwrap().find_session(name)
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        self.0.lock().unwrap().drop_session(name)
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        self.0.lock().unwrap().sweep(sweep)
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        self.0.lock().unwrap().find_vectors(names)
    }

    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        self.0.lock().unwrap().keep_vectors(vectors, vectors_max)
    }
}

#[test]
fn a_restart_asks_for_nothing_again_and_a_new_note_for_itself_alone() {
    let (embedding, kept) = (ModelServer::new(), Shared::default());
    let start = |embedding: &ModelServer| {
        let config = Config { is_durable: true, ..config(embedding, NEVER) };
        Server::with_storage(Box::new(kept.clone()), config, Limits::default())
    };
    let mut server = start(&embedding);
    drop(embedded(&embedding, &mut server));
    server.until("it is kept", |_| (*kept.0.lock().unwrap() != Memory::default()).then_some(()));
    drop(server);
    let mut server = start(&embedding);
    server.until("it is found again", |server| (server.embedder().counts().kept == 1).then_some(()));
    server.write_note("boat.md", "# Boat\n\nThe boat leaks.\n");
    let mut client = server.connect();
    server.ask_store(&mut client, b"POST /sync HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (_, request) = embedding.asked(&mut server);
    assert_eq!(texts(&request), ["Boat\nThe boat leaks."]);
}

#[test]
fn a_cancelled_run_leaves_nothing_behind_that_waits() {
    let (embedding, mut server) = both(NEVER, Limits::default());
    let mut call = embedded(&embedding, &mut server);
    let mut chat = Chat::ask(&mut server, QUESTION);
    call.request(&mut server);
    chat.until(&mut server, "status");
    let mut client = server.connect();
    let delete = format!("DELETE /tasks/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", chat.id);
    let told = server.ask_store(&mut client, delete.as_bytes());
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    // Its call goes on, and nobody waits for it.
    assert_eq!(server.embedder().holds(), (0, 0, 1));
}

/// Sends a client's request for vectors.
fn want(server: &mut Server, body: &Value) -> TcpStream {
    let mut client = server.connect();
    client.write_all(&post("/v1/embeddings", &body.to_string())).expect("it takes a request");
    client
}

/// The status and the body of an answer.
fn told(server: &mut Server, client: &TcpStream) -> (u16, Value) {
    let text = server.hear(client);
    let (head, body) = text.split_once("\r\n\r\n").expect("it has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("it has a status");
    (status, serde_json::from_str(body).expect("it is JSON"))
}

#[test]
fn a_client_is_told_the_vectors_of_its_texts_some_at_a_time_and_as_they_are() {
    let limits = Limits { embed_batch_max: 2, ..Limits::default() };
    let (embedding, mut server) = both(NEVER, limits);
    let _call = embedded(&embedding, &mut server);
    let client = want(&mut server, &json!({"model": "small", "input": ["tea", "a boat", "more tea"]}));
    // Over a connection of its own: questions have theirs.
    let (mut call, request) = embedding.asked(&mut server);
    assert_eq!(texts(&request), ["tea", "a boat"]);
    answer(&mut call, &request);
    let request = call.request(&mut server);
    assert_eq!(texts(&request), ["more tea"]);
    answer(&mut call, &request);
    let (status, list) = told(&mut server, &client);
    let vectors: Vec<&Value> = (0..3).map(|index| &list["data"][index]["embedding"]).collect();
    assert_eq!((status, &list["model"]), (200, &json!("small")));
    assert_eq!(vectors, [&json!([1.0, 0.1]), &json!([0.1, 1.0]), &json!([1.0, 0.1])]);
    assert_eq!(list["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
    assert_eq!((server.embedder().counts().given, server.embedder().requests()), (3, 0));
}

#[test]
fn a_client_that_closes_its_connection_takes_its_request_with_it() {
    let (embedding, mut server) = both(NEVER, Limits::default());
    let _call = embedded(&embedding, &mut server);
    let client = want(&mut server, &json!({"model": "small", "input": "tea"}));
    let (mut call, _) = embedding.asked(&mut server);
    assert_eq!(server.embedder().requests(), 1);
    drop(client);
    server.until("the embedding server is let go of", |_| call.is_closed().then_some(()));
    assert_eq!((server.embedder().requests(), server.census().connections), (0, 0));
    assert_eq!(server.embedder().breaker(), ("closed", 0));
}

#[test]
fn what_can_not_be_embedded_is_told_with_the_reason() {
    let (embedding, mut server) = both(NEVER, Limits { breaker_failures_max: 1, ..Limits::default() });
    let _call = embedded(&embedding, &mut server);
    let wanted = json!({"model": "small", "input": ["tea"], "dimensions": 3});
    let client = want(&mut server, &wanted);
    let (mut call, request) = embedding.asked(&mut server);
    answer(&mut call, &request);
    let (status, error) = told(&mut server, &client);
    assert_eq!((status, &error["error"]["param"]), (400, &json!("dimensions")));

    let client = want(&mut server, &json!({"model": "small", "input": "tea"}));
    call.request(&mut server);
    call.refuse(400, "", r#"{"error":{"message":"input is too long"}}"#);
    let (status, error) = told(&mut server, &client);
    assert_eq!(status, 400);
    assert_eq!(error["error"]["message"], "input: the embedding server answered 400: input is too long");
    assert_eq!(server.embedder().breaker(), ("closed", 0));

    let client = want(&mut server, &json!({"model": "small", "input": "tea"}));
    call.request(&mut server);
    call.refuse(503, "", r#"{"error":{"message":"it is busy"}}"#);
    assert_eq!(told(&mut server, &client).0, 503);
    // It has failed once, which is all that it may.
    let client = want(&mut server, &json!({"model": "small", "input": "tea"}));
    let (status, error) = told(&mut server, &client);
    assert_eq!((status, &error["error"]["code"]), (503, &json!("overloaded")));
    assert_eq!(error["error"]["message"], "the embedding server has failed 1 times in a row");
}

#[test]
fn one_request_too_many_and_one_that_takes_too_long_are_503_and_held_against_nobody() {
    let limits =
        Limits { vector_requests_max: 1, vector_timeout: SOON, breaker_failures_max: 1, ..Limits::default() };
    let (embedding, mut server) = both(NEVER, limits);
    let _call = embedded(&embedding, &mut server);
    let first = want(&mut server, &json!({"model": "small", "input": "tea"}));
    server.until("it is begun", |server| (server.embedder().requests() == 1).then_some(()));
    let second = want(&mut server, &json!({"model": "small", "input": "tea"}));
    let (status, error) = told(&mut server, &second);
    assert_eq!(status, 503);
    assert_eq!(
        error["error"]["message"],
        "the embedding server has too many requests of clients to answer already"
    );
    let (status, error) = told(&mut server, &first);
    assert_eq!(status, 503);
    assert_eq!(error["error"]["message"], "the embedding server was not done with all texts within 0.03 s");
    assert_eq!(server.embedder().breaker(), ("closed", 0));
}

#[test]
fn without_an_embedding_server_it_is_told_how_to_have_one() {
    let mut server = Server::start(Config::default(), Limits::default());
    let client = want(&mut server, &json!({"model": "small", "input": "tea"}));
    let (status, error) = told(&mut server, &client);
    assert_eq!((status, &error["error"]["code"]), (404, &json!("embeddings_off")));
}
