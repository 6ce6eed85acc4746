//! The model server of simulated worlds, put to the test itself: what it complains of, and what it tells to a client that
//! is put together from our own machines.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use oneloop::agent::model::{Deltas, ModelReply};
use oneloop::base::{Key, Time};
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::os::sim::{Plan, Random, World};
use oneloop::os::{Net, Woken};
use oneloop::wire::http1::{Client, ResponseEvent, Sent};
use oneloop::wire::sse::Reader;
use serde_json::{Value, json};

use super::play::model::account::{Account, Call, plain};
use super::play::model::answer::plan;
use super::play::model::manners::{Manners, Trouble};
use super::play::model::request::{Asked, RequestReader, Wanted, check};
use super::play::model::{HOST, Model, PORT, addresses, wanted as wanted_by};
use super::play::town::Town;

// --- What it is asked ----------------------------------------------------------------------------------------------

fn wanted() -> Wanted {
    let [authority, path, model] = ["model.example:8080", "/v1", "sim"].map(str::to_owned);
    Wanted { authority, path, model, key: Some("sk-1".to_owned()) }
}

fn bytes(head: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!("POST /v1/chat/completions HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

const HEAD: &str =
    "Host: model.example:8080\r\nAuthorization: Bearer sk-1\r\nContent-Type: application/json\r\n";

fn question() -> Value {
    json!({
        "model": "sim",
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "[1] zebra.md\n\nWhat is the code of zebra? Ask 17." },
        ],
    })
}

fn checked(head: &str, body: &Value) -> Result<Asked, String> {
    let mut reader = RequestReader::default();
    reader.feed(&bytes(head, body));
    let request = reader.next()?.ok_or("is not whole")?;
    assert!(reader.is_empty());
    check(&request, &wanted())
}

#[test]
fn a_question_in_order_is_read_whole_and_cut_at_every_point() {
    let asked = checked(HEAD, &question()).expect("it is in order");
    assert_eq!(asked.tag, "what-is-the-code-of-zebra-ask-17");
    assert_eq!((asked.offers_tools, asked.rounds), (false, 0));
    let bytes = bytes(HEAD, &question());
    for cut in 0..bytes.len() {
        let mut reader = RequestReader::default();
        reader.feed(&bytes[..cut]);
        assert_eq!(reader.next(), Ok(None), "cut at {cut}");
        reader.feed(&bytes[cut..]);
        let request = reader.next().expect("it is in order").expect("it is whole");
        assert_eq!(check(&request, &wanted()), Ok(asked.clone()));
    }
}

#[test]
fn rounds_of_tools_are_counted_and_each_call_is_answered_once() {
    let mut body = question();
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "list_notes", "arguments": "{}" } });
    let answer = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "nothing" });
    let calls =
        |ids: &[Value]| json!({ "role": "assistant", "content": null, "tool_calls": Value::from(ids) });
    body["tools"] = json!([{ "type": "function", "function": {
        "name": "list_notes", "description": "Lists.", "parameters": { "type": "object" } } }]);
    body["tool_choice"] = json!("auto");
    let with = |more: &[Value]| {
        let mut body = body.clone();
        body["messages"].as_array_mut().expect("they are a list").extend(more.iter().cloned());
        checked(HEAD, &body)
    };
    let asked = with(&[calls(&[call("a"), call("b")]), answer("b"), answer("a")]).expect("in order");
    assert_eq!((asked.offers_tools, asked.rounds), (true, 1));
    for wrong in [
        vec![calls(&[call("a"), call("b")]), answer("a")],
        vec![calls(&[call("a")]), answer("a"), answer("a")],
        vec![calls(&[call("a"), call("a")]), answer("a"), answer("a")],
        vec![answer("a")],
        vec![calls(&[call("a")])],
        vec![json!({ "role": "assistant", "content": "" }), json!({ "role": "user", "content": "So?" })],
        vec![json!({ "role": "system", "content": "New rules." })],
        vec![json!({ "role": "user" })],
    ] {
        with(&wrong).expect_err(&format!("{wrong:?}"));
    }
}

#[test]
fn what_some_server_would_not_take_is_told() {
    for (head, part) in [
        ("Host: other.example\r\nContent-Type: application/json\r\n", "host"),
        ("Host: model.example:8080\r\nContent-Type: application/json\r\n", "key"),
        ("Host: model.example:8080\r\nHost: model.example:8080\r\n", "two fields host"),
        ("Host: model.example:8080\r\nTransfer-Encoding: chunked\r\n", "chunks"),
        ("Host:model.example:8080\r\n", "no field line"),
    ] {
        let told = checked(head, &question()).expect_err(head);
        assert!(told.contains(part), "{told}");
    }
    for (name, value) in [
        ("model", json!("other")),
        ("stream", json!(false)),
        ("messages", json!([])),
        ("tools", json!([])),
        ("max_tokens", json!(0)),
    ] {
        let mut body = question();
        body[name] = value;
        checked(HEAD, &body).expect_err(name);
    }
}

// --- What it keeps account of --------------------------------------------------------------------------------------

#[test]
fn only_what_the_model_has_told_to_its_end_is_its_answer() {
    let mut account = Account::default();
    let call = Call {
        tag: "what-is-it".to_owned(),
        text: "It is a kettle [1], not a pot [99].".to_owned(),
        wants_tools: false,
        is_told: false,
    };
    let number = account.begin(call);
    let answer = json!({ "response": "It is a kettle [1], not a pot.", "answered_by": "model" });
    account.check_answer(None, &answer).expect_err("it is not told yet");
    account.told(number);
    account.check_answer(Some("What is it?"), &answer).expect("it is told");
    account.check_answer(Some("Where is it?"), &answer).expect_err("that was not asked");
    let notes = json!({ "response": "A note.", "answered_by": "notes" });
    account.check_answer(Some("Where is it?"), &notes).expect("the notes may answer");
    let other = json!({ "response": "It is a kettle", "answered_by": "model" });
    account.check_answer(None, &other).expect_err("that is half of it");
}

#[test]
fn marks_and_white_space_do_not_count() {
    assert_eq!(plain(" a[1][22] b [x] [3\n c]"), "ab[x][3c]");
}

// --- What it tells -------------------------------------------------------------------------------------------------

/// A client that is put together from our own machines, with a connection that it keeps when it may.
struct Asker<'w> {
    world: &'w World,
    connection: Option<(Key, Client)>,
}

/// What became of a question.
type Told = Result<ModelReply, String>;

impl Asker<'_> {
    fn net<T>(&self, call: impl FnOnce(&mut dyn Net) -> T) -> T {
        call(self.world.handles().os().net)
    }

    /// Sleeps until there is news; an error when the question has taken an hour.
    fn wait(&self, since: Time) -> Result<(), String> {
        let mut woken = Woken::default();
        let most = Some(Duration::from_secs(60));
        self.world.handles().os().waiter.wait(most, &mut woken).map_err(|error| error.to_string())?;
        let is_late = self.world.now().since(since) > Duration::from_secs(600);
        if is_late { Err("it takes for ever".to_owned()) } else { Ok(()) }
    }

    fn ask(&mut self, body: &[u8]) -> Told {
        let limits = Limits::default();
        let began = self.world.now();
        let (key, mut client) = match self.connection.take() {
            Some(kept) => kept,
            None => (self.connect(began)?, Client::new()),
        };
        let told = self.exchange(key, &mut client, body, &limits, began);
        if told.is_ok() && client.may_be_reused() {
            self.connection = Some((key, client));
        } else {
            self.net(|net| net.close(key));
        }
        told
    }

    fn connect(&self, began: Time) -> Result<Key, String> {
        let address = SocketAddr::new(addresses()[1], PORT);
        let key = self.net(|net| net.connect(address)).map_err(|error| error.to_string())?;
        loop {
            match self.net(|net| net.connected(key)) {
                Ok(()) => return Ok(key),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(began)?,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn exchange(&self, key: Key, client: &mut Client, body: &[u8], limits: &Limits, began: Time) -> Told {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}:{PORT}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let (bytes, mut sent) = ([head.as_bytes(), body].concat(), 0);
        let (mut unread, mut space) = (Vec::new(), vec![0; 4096]);
        let (mut status, mut is_json, mut whole) = (0, false, Vec::new());
        let (mut reader, mut deltas) = (Reader::new(), Deltas::new(limits));
        client.expect(Sent::Post);
        loop {
            while sent < bytes.len() {
                match self.net(|net| net.write(key, &bytes[sent..])) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.to_string()),
                }
            }
            let has_ended = match self.net(|net| net.read(key, &mut space)) {
                Ok(count) => {
                    unread.extend(&space[..count]);
                    count == 0
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(began)?;
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            if has_ended {
                client.end_of_input().map_err(|error| error.to_string())?;
            }
            loop {
                let step = client.receive(&unread, limits).map_err(|error| error.to_string())?;
                let mut is_stuck = step.consumed == 0 && step.event.is_none();
                match step.event {
                    Some(ResponseEvent::Head(head)) => {
                        status = head.status;
                        is_json = head
                            .field("content-type")
                            .is_some_and(|kind| kind.starts_with(b"application/json"));
                    }
                    Some(ResponseEvent::Body(bytes)) if is_json || status != 200 => whole.extend(bytes),
                    Some(ResponseEvent::Body(bytes)) => hear(bytes, &mut reader, &mut deltas, limits)?,
                    Some(ResponseEvent::End) => is_stuck = true,
                    None => {}
                }
                unread.drain(..step.consumed);
                if is_stuck {
                    break;
                }
            }
            if whole.len() > 20_000 {
                return Err("a long refusal".to_owned());
            }
            if client.is_over() && status != 0 {
                break;
            }
        }
        if status != 200 {
            return Err(format!("{status} {}", String::from_utf8_lossy(&whole)));
        }
        if is_json {
            deltas.whole(&String::from_utf8_lossy(&whole)).map_err(|error| error.to_string())?;
        }
        deltas.finish().map_err(|error| error.to_string())
    }
}

fn hear(mut bytes: &[u8], reader: &mut Reader, deltas: &mut Deltas, limits: &Limits) -> Result<(), String> {
    while !bytes.is_empty() {
        let step = reader.receive(bytes, limits).map_err(|error| error.to_string())?;
        bytes = &bytes[step.consumed..];
        if let Some(message) = step.event {
            deltas.receive(&message.data).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// A world with a model in it and no server, and somebody who asks it so many questions one after the other.
fn asked_in_a_row(
    seed: u64,
    manners: Manners,
    questions: usize,
) -> (Vec<Told>, Vec<Call>, Vec<&'static str>) {
    let plan = Plan {
        seed,
        calm_after: Duration::from_secs(100_000),
        ends_after: Duration::from_secs(200_000),
        ..Plan::default()
    };
    let limits = Limits::default();
    let town = Rc::new(Town::new(seed, Config::default(), limits.clone()));
    let model = Model::new(&town, wanted_by(None), manners, addresses().to_vec(), seed);
    let world = World::new(&plan, &limits, vec![Box::new(model)]);
    world.boot();
    let mut asker = Asker { world: &world, connection: None };
    asker.wait(world.now()).expect("nothing interrupts");
    let mut told = Vec::new();
    for index in 0..questions {
        let mut body = question();
        let text = format!("The code of zebra is QX1000.\n\nWhat is the code of zebra? Ask {index}.");
        body["messages"][1]["content"] = json!(text);
        told.push(asker.ask(body.to_string().as_bytes()));
    }
    world.with_actors(|actors| {
        assert_eq!(actors[0].complaint(), None, "seed {seed}");
        (told, town.account.borrow().calls().to_vec(), actors[0].seen().to_vec())
    })
}

#[test]
fn a_model_that_nothing_troubles_answers_each_question_in_any_accent() {
    let mut all = BTreeSet::new();
    for seed in 1..=100 {
        let mut manners = Manners { trouble_per_mille: 0, ..Manners::draw(&mut Random::new(seed, 7)) };
        (manners.away, manners.question_bytes_max, manners.stale_per_mille) = (Vec::new(), usize::MAX, 0);
        // A kept connection may be closed at any time; who asks here does not ask twice.
        manners.idle = Duration::from_secs(3600);
        let (told, calls, seen) = asked_in_a_row(seed, manners, 5);
        assert_eq!((told.len(), calls.len()), (5, 5), "seed {seed}");
        for (index, (told, call)) in told.iter().zip(&calls).enumerate() {
            let reply = told.as_ref().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
            assert!(call.is_told && reply.content == call.text, "seed {seed}: {reply:?} for {call:?}");
            assert!(call.text.starts_with(&format!("re:what-is-the-code-of-zebra-ask-{index} ")), "{call:?}");
            assert!(call.text.contains("The code of zebra is QX1000."), "{call:?}");
        }
        all.extend(seen);
    }
    for what in [
        "a model thought aloud",
        "a model server did not stream",
        "a model's answer came in chunks",
        "a model's answer came with its length",
        "a model's answer ended with its connection",
        "a model's answer ended without [DONE]",
        "a model was asked over a connection that had been used before",
    ] {
        assert!(all.contains(what), "never: {what}; seen: {all:#?}");
    }
}

#[test]
fn whatever_troubles_a_model_only_a_whole_answer_is_taken_for_one() {
    for trouble in Trouble::ALL {
        let mut whole = 0;
        for seed in 1..=8 {
            let gap = Duration::from_millis(200);
            let manners =
                Manners { trouble_per_mille: 1000, troubles: vec![*trouble], gap, ..Manners::good() };
            let (told, calls, seen) = asked_in_a_row(seed, manners, 2);
            assert!(
                seen.contains(&trouble.words()) || *trouble == Trouble::NeverReads,
                "{trouble:?}: {seen:?}"
            );
            let replies = told.iter().flatten().map(|reply| &reply.content);
            for text in replies {
                whole += 1;
                assert!(calls.iter().any(|call| call.is_told && call.text == *text), "{trouble:?}: {text}");
            }
        }
        // Cut behind its last piece, an answer is whole all the same.
        let may_be_whole = [Trouble::StopsWithin, Trouble::ResetsWithin, Trouble::HangsUpWithin];
        assert!(whole == 0 || may_be_whole.contains(trouble), "{trouble:?} troubles nobody: {whole}");
        assert!(whole < 16, "{trouble:?} never troubles anybody");
    }
}

#[test]
fn a_model_wants_tools_only_where_it_is_offered_some() {
    let mut asked = Asked {
        tag: "what-is-the-code-of-zebra".to_owned(),
        prompt: String::new(),
        offers_tools: true,
        offers_writing: false,
        rounds: 0,
        bytes: 100,
    };
    let manners = Manners { calls_for_ever: true, ..Manners::good() };
    let wants =
        |asked: &Asked, is_calm| plan(asked, 0, &manners, &mut Random::new(1, 1), is_calm).wants_tools;
    assert!(wants(&asked, false));
    assert!(!wants(&asked, true), "in calm weather it comes to its end");
    asked.offers_tools = false;
    assert!(!wants(&asked, false));
}
