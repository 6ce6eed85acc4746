//! The model server of simulated worlds, put to the test itself: what it complains of, and what it tells to a client that
//! is put together from our own machines.

use serde_json::{Value, json};

use super::play::model::account::{Account, Call, plain};
use super::play::model::request::{Asked, RequestReader, Wanted, check};

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
