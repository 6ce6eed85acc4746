//! A model that writes: what becomes of a note when two runs, or a run and an editor, want to change it at once.

use oneloop::config::{Config, Writes};
use oneloop::limits::Limits;
use serde_json::{Value, json};

use crate::harness::{Server, post};
use crate::model_server::{Call, Chat, ModelServer};

const NOTE: &str = "# Kettle\n\nThe kettle boils at 96 degrees.\n";

fn both(writes: Writes) -> (ModelServer, Server) {
    let model = ModelServer::new();
    let config = Config { model: Some(model.config()), writes, ..Config::default() };
    (model, Server::start(config, Limits::default()))
}

/// A run whose model has been asked this.
fn asked(model: &ModelServer, server: &mut Server, question: &str) -> (Chat, Call, Value) {
    let chat = Chat::ask(server, question);
    let (call, request) = model.asked(server);
    (chat, call, request)
}

fn append(call: &mut Call, content: &str) {
    let arguments = json!({"path": "kettle.md", "content": content});
    call.call_tool("", "append_note", &arguments.to_string());
}

/// Lets the model end its run: what it was told of its calls, and the run's changes.
fn end(chat: &mut Chat, call: &mut Call, server: &mut Server) -> (String, Value) {
    let told = last_message(&call.request(server));
    call.answer("Done.");
    (told, chat.answer(server)["knowledge_updates"].clone())
}

fn last_message(request: &Value) -> String {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    last.and_then(|message| message["content"].as_str()).expect("it is text").to_owned()
}

fn undo(server: &mut Server, update: &Value) -> String {
    let body = json!({"id": update["id"]}).to_string();
    let mut client = server.connect();
    let answer = server.ask_store(&mut client, &post("/notes/undo", &body));
    answer.split(' ').nth(1).expect("a status").to_owned()
}

#[test]
fn a_note_that_the_model_makes_is_there_is_reported_and_can_be_undone() {
    let (model, mut server) = both(Writes::Inbox);
    let (mut chat, mut call, request) = asked(&model, &mut server, "How hot is the kettle?");
    let names: Vec<&Value> =
        request["tools"].as_array().expect("tools").iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["search_notes", "read_note", "list_links", "list_notes", "create_note"]);
    call.call_tool("", "create_note", r#"{"title":"Tea","content":"Green."}"#);
    let (told, updates) = end(&mut chat, &mut call, &mut server);
    assert_eq!(told, "The note Inbox/Tea.md was created.");
    assert_eq!((&updates[0]["action"], &updates[0]["path"]), (&json!("created"), &json!("Inbox/Tea.md")));
    let text = server.note("Inbox/Tea.md").expect("it was written");
    assert!(text.ends_with("# Tea\n\nGreen.\n"), "{text}");
    assert_eq!(undo(&mut server, &updates[0]), "200");
    assert_eq!(server.note("Inbox/Tea.md"), None);
}

#[test]
fn two_runs_that_add_to_one_note_are_both_in_it_and_the_later_is_undone_first() {
    let (model, mut server) = both(Writes::All);
    let (mut chat_a, mut call_a, _) = asked(&model, &mut server, "How hot is the kettle?");
    let (mut chat_b, mut call_b, _) = asked(&model, &mut server, "Is the kettle hot enough?");
    append(&mut call_a, "It is red.");
    append(&mut call_b, "It is loud.");
    // Either may ask again over the connection of the other, so nothing is answered before both have asked.
    for call in [&mut call_a, &mut call_b] {
        assert!(last_message(&call.request(&mut server)).contains("It was added at the end of kettle.md."));
    }
    call_a.answer("Done.");
    call_b.answer("Done.");
    let a = chat_a.answer(&mut server)["knowledge_updates"].clone();
    let b = chat_b.answer(&mut server)["knowledge_updates"].clone();
    let text = server.note("kettle.md").expect("it is there");
    let in_order = |one, other| format!("{NOTE}\n{one}\n\n{other}\n");
    let is_a_first = text == in_order("It is red.", "It is loud.");
    assert!(is_a_first || text == in_order("It is loud.", "It is red."), "{text}");
    let (first, later) = if is_a_first { (&a[0], &b[0]) } else { (&b[0], &a[0]) };
    assert_eq!(undo(&mut server, first), "409");
    assert_eq!(undo(&mut server, later), "200");
    assert_eq!(undo(&mut server, first), "200");
    assert_eq!(server.note("kettle.md").as_deref(), Some(NOTE));
    assert_eq!(undo(&mut server, first), "409");
}

#[test]
fn a_note_that_an_editor_has_saved_is_added_to_as_it_is_then() {
    let (model, mut server) = both(Writes::All);
    let (mut chat, mut call, _) = asked(&model, &mut server, "How hot is the kettle?");
    // The index does not know of it.
    server.write_note("kettle.md", "The kettle is broken.");
    append(&mut call, "- It is red.");
    let (_, updates) = end(&mut chat, &mut call, &mut server);
    assert_eq!(server.note("kettle.md").as_deref(), Some("The kettle is broken.\n\n- It is red.\n"));
    server.write_note("kettle.md", "The kettle was mended.\n");
    assert_eq!(undo(&mut server, &updates[0]), "409");
    assert_eq!(server.note("kettle.md").as_deref(), Some("The kettle was mended.\n"));
}

#[test]
fn what_is_linked_already_is_not_linked_again() {
    let (model, mut server) = both(Writes::All);
    let (mut chat, mut call, _) = asked(&model, &mut server, "How hot is the kettle?");
    call.call_tool("", "create_note", r#"{"title":"Tea","content":"Green.","folder":"drinks"}"#);
    call.request(&mut server);
    let link = r#"{"from":"kettle","to":"drinks/Tea.md","why":"it makes it"}"#;
    call.call_tool("", "link_notes", link);
    call.request(&mut server);
    call.call_tool("", "link_notes", link);
    let (told, updates) = end(&mut chat, &mut call, &mut server);
    assert_eq!(told, "error: nothing was written, because kettle.md links to drinks/Tea.md already.");
    assert_eq!(updates.as_array().map(Vec::len), Some(2), "{updates}");
    let linked = format!("{NOTE}\n## Related\n\n- [[drinks/Tea]]: it makes it\n");
    assert_eq!(server.note("kettle.md"), Some(linked));
    assert_eq!(undo(&mut server, &updates[1]), "200");
    assert_eq!(server.note("kettle.md").as_deref(), Some(NOTE));
}

#[test]
fn a_note_that_can_not_be_added_to_is_told_to_the_model_and_stays_as_it_is() {
    let (model, mut server) = both(Writes::All);
    let (mut chat, mut call, _) = asked(&model, &mut server, "How hot is the kettle?");
    server.remove_note("kettle.md");
    append(&mut call, "It is red.");
    let (told, updates) = end(&mut chat, &mut call, &mut server);
    assert_eq!(told, "error: nothing was written, because there is no such note.");
    assert_eq!((updates, server.note("kettle.md")), (json!([]), None));
}
