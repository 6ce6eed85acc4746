//! Asking for runs and looking at them, as tests over sockets do it again and again.

use serde_json::{Value, json};

use crate::common::{Client, Events, Folder, Server, StreamEvent};

/// Enough text that a run over it takes many turns.
pub fn large_folder() -> Folder {
    let folder = Folder::new();
    for number in 0..400 {
        let words: String = (0..300).map(|word| format!("word{} ", (number * 31 + word * 7) % 500)).collect();
        folder.write(&format!("note-{number}.md"), format!("# Note {number}\n\n{words}.\n").as_bytes());
    }
    folder
}

/// The body that asks this.
pub fn question(message: &str) -> Value {
    json!({ "message": message })
}

/// What is told of a task, which must be there.
pub fn task(client: &mut Client, id: &str) -> Value {
    let answer = client.call("GET", &format!("/chat/task/{id}"), None);
    assert_eq!(answer.status(), 200, "{answer}");
    answer.json()
}

/// Asks for a run that goes on by itself; answers its id.
pub fn begin(client: &mut Client, message: &str) -> String {
    let answer = client.post("/chat/async", &question(message));
    assert_eq!(answer.status(), 202, "{answer}");
    let id = answer.json()["task_id"].as_str().expect("a task has an id").to_owned();
    assert_eq!(answer.head.field("location"), Some(format!("/chat/task/{id}").as_str()));
    id
}

/// A reader that comes back to a run's stream, having seen its events up to this one.
pub fn resume(server: &Server, id: &str, seen: u64) -> Events {
    let mut client = server.client();
    client.send(format!(
        "GET /chat/task/{id}/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {id}-{seen}\r\n\r\n"
    ));
    let head = client.head();
    assert_eq!(head.status, 200, "{head:?}");
    client.events(&head)
}

/// What a reader who joins in is told first, without a number: where the run is. And all that follows.
pub fn joined(mut events: Events) -> (Value, Vec<StreamEvent>) {
    let state = events.next_event().expect("a stream that was joined begins with where the run is");
    assert_eq!((state.id.as_deref(), state.kind().as_str()), (None, "state"), "{state:?}");
    (state.json(), events.rest())
}
