//! What a user is promised, asked of the real binary over real sockets.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{self, BINARY, Client, End, Folder, Server, until};
use crate::runs::{begin, joined, large_folder, question, resume, task};
use rustix::process::Signal;
use serde_json::{Value, json};

const NOTES: &[(&str, &str)] = &[
    (
        "kitchen/kettle.md",
        "---\ntitle: The kettle\ntags: [kitchen, tea]\naliases: [boiler]\n---\n\n# The kettle\n\nThe kettle was bought \
         in May 2019 by Ada.\n\n## Descaling\n\nDescale the kettle every six weeks with citric acid.\n\n## Making tea\n\n\
         1. Fill the kettle.\n2. Heat the water to 96 degrees.\n3. Steep the leaves for three minutes.\n",
    ),
    (
        "garden.md",
        "# Garden\n\nThe garden gate is painted green. See [[kettle]] and [[the missing shed]].\n\n\
         | plant | water per week |\n|---|---|\n| basil | 2 litres |\n| cactus | 50 ml |\n",
    ),
    ("zh.md", "# 茶\n\n绿茶的水温是八十度。\n"),
];

fn serve(arguments: &[&str]) -> Server {
    Server::start(NOTES, arguments)
}

// --- Answers ------------------------------------------------------------------------------------------------------

#[test]
fn an_answer_cites_exactly_the_bytes_that_it_quotes() {
    let server = serve(&[]);
    for (message, path, phrase) in [
        ("When was the kettle bought?", "kitchen/kettle.md", "May 2019"),
        ("How often should the kettle be descaled?", "kitchen/kettle.md", "six weeks"),
        ("How much water does basil need per week?", "garden.md", "2 litres"),
        ("绿茶的水温是多少？", "zh.md", "八十度"),
    ] {
        let answer = server.client().post("/chat", &question(message)).json();
        let text = answer["response"].as_str().expect("an answer has a text");
        assert!(text.contains(phrase), "{message}: {text}");
        let sources = answer["sources"].as_array().expect("an answer has a list of sources");
        assert!(sources.iter().any(|source| source["path"] == path), "{message}: {answer}");
        for source in sources {
            let file = NOTES.iter().find(|(path, _)| source["path"] == *path).expect("a source is a note").1;
            let range = source["start"].as_u64().unwrap() as usize..source["end"].as_u64().unwrap() as usize;
            assert_eq!(source["text"], file[range], "{message}");
        }
        assert_eq!(answer["answered_by"], "notes");
        assert_eq!(answer["knowledge_updates"], json!([]));
    }
}

#[test]
fn what_no_note_holds_is_refused_without_sources() {
    let answer = serve(&[]).client().post("/chat", &question("Who composed the Ring cycle?")).json();
    assert_eq!(answer["sources"], json!([]));
    assert!(answer["response"].as_str().unwrap().contains("no answer"), "{answer}");
}

#[test]
fn a_follow_up_is_about_what_was_said_before() {
    let server = serve(&[]);
    let history = json!([
        { "role": "user", "content": "How do I make tea with the kettle?" },
        { "role": "assistant", "content": "Fill the kettle, heat the water, steep the leaves." },
    ]);
    let body = json!({ "message": "and how hot does it get?", "conversation_history": history });
    let answer = server.client().post("/chat", &body).json();
    assert!(answer["response"].as_str().unwrap().contains("96 degrees"), "{answer}");
}

#[test]
fn ask_answers_without_a_server() {
    let folder = Folder::with(NOTES);
    let notes = folder.path().to_str().unwrap();
    let asked = run(&["ask", notes, "How often should the kettle be descaled?"]);
    assert_eq!(asked.status.code(), Some(0));
    let text = String::from_utf8(asked.stdout).unwrap();
    assert!(text.contains("six weeks") && text.contains("kitchen/kettle.md"), "{text}");

    let asked = run(&["ask", notes, "How often should the kettle be descaled?", "--json"]);
    let answer: Value = serde_json::from_slice(&asked.stdout).expect("--json prints JSON and nothing else");
    assert_eq!(answer["sources"][0]["path"], "kitchen/kettle.md");
}

// --- Streams ------------------------------------------------------------------------------------------------------

#[test]
fn a_stream_tells_a_run_from_its_status_to_its_end_in_numbered_events() {
    let server = serve(&[]);
    let mut events =
        server.client().stream("POST", "/chat/stream", Some(&question("When was the kettle bought?")));
    let told = events.rest();
    let kinds: Vec<String> = told.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds.first().map(String::as_str), Some("status"));
    assert_eq!(&kinds[kinds.len() - 2..], ["complete", "done"]);
    let numbers: Vec<u64> = told.iter().map(|event| event.place().1).collect();
    assert_eq!(numbers, (1..=told.len() as u64).collect::<Vec<_>>());

    let joined: String = told
        .iter()
        .filter(|event| event.kind() == "token")
        .map(|event| event.json()["text"].as_str().unwrap().to_owned())
        .collect();
    let complete = told[told.len() - 2].json();
    assert_eq!(complete["response"]["response"], joined, "the tokens are the answer");
    assert_eq!(complete["response"]["run_id"], told[0].place().0);
}

#[test]
fn a_stream_goes_on_behind_the_event_that_a_reader_has_seen() {
    let server = serve(&[]);
    let mut client = server.client();
    let id = begin(&mut client, "When was the kettle bought?");
    let (_, whole) = joined(server.client().stream("GET", &format!("/chat/task/{id}/stream"), None));
    assert!(whole.len() >= 5, "{whole:?}");

    for seen in 0..whole.len() as u64 {
        let by_query = server.client().stream("GET", &format!("/chat/task/{id}/stream?after={seen}"), None);
        let (state, rest) = joined(by_query);
        assert_eq!((&state["status"], &state["run_id"]), (&json!("completed"), &json!(id)), "{state}");
        assert_eq!(rest, whole[seen as usize..], "after={seen}");
        let by_field = resume(&server, &id, seen);
        assert_eq!(joined(by_field).1, whole[seen as usize..], "Last-Event-ID {seen}");
    }
    let all = client.call("GET", &format!("/chat/task/{id}/stream?after={}", whole.len()), None);
    assert_eq!(all.status(), 204, "who has seen all is told to stop coming back");
}

#[test]
fn many_readers_of_one_run_get_the_same_events() {
    let server = Server::over(large_folder(), &[]);
    server.await_index();
    let id = begin(&mut server.client(), "Which note mentions word17 and word201?");
    let streams: Vec<_> =
        (0..8).map(|_| server.client().stream("GET", &format!("/chat/task/{id}/stream"), None)).collect();
    // Where each reader found the run is its own affair.
    let told: Vec<_> = streams.into_iter().map(|stream| joined(stream).1).collect();
    assert_eq!(told[0].last().map(|event| event.kind()).as_deref(), Some("done"));
    assert!(told.iter().all(|events| *events == told[0]));
}

// --- Tasks --------------------------------------------------------------------------------------------------------

#[test]
fn a_task_runs_on_by_itself_and_keeps_its_result() {
    let server = serve(&[]);
    let mut client = server.client();
    let id = begin(&mut client, "When was the kettle bought?");
    until("the task is completed", || task(&mut client, &id)["status"] == "completed");
    let done = task(&mut client, &id);
    assert!(done["result"]["response"].as_str().unwrap().contains("May 2019"), "{done}");
    assert_eq!(done["error"], Value::Null);
    assert!(done["completed_at"].as_str() >= done["created_at"].as_str());

    let list = client.call("GET", "/tasks", None).json();
    assert_eq!(list["tasks"][0]["task_id"], id.as_str());
}

#[test]
fn cancelling_is_true_in_every_state_and_can_be_repeated() {
    let server = Server::start(NOTES, &["--runs-max", "1"]);
    let mut client = server.client();
    let id = begin(&mut client, "When was the kettle bought?");
    until("the task is completed", || task(&mut client, &id)["status"] == "completed");
    for _ in 0..2 {
        let answer = client.call("DELETE", &format!("/tasks/{id}"), None);
        assert_eq!(
            (answer.status(), &answer.json()["status"]),
            (200, &json!("completed")),
            "what is done stays done"
        );
    }

    // One request behind the other in one write: the second is handled before any run has begun.
    let body = question("When was the kettle bought?").to_string();
    let posted = common::request("POST", "/chat/async", Some(&question("When was the kettle bought?")));
    assert!(posted.ends_with(body.as_bytes()));
    client.send(&posted);
    let pending = client.answer().json()["task_id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let answer = client.call("DELETE", &format!("/tasks/{pending}"), None).json();
        let status = answer["status"].as_str().unwrap();
        assert!(matches!(status, "cancelled" | "completed"), "{answer}");
    }
}

#[test]
fn the_access_log_names_the_run_of_every_request_that_began_one() {
    let server = serve(&[]);
    let mut client = server.client();
    let message = "When was the kettle bought?";
    let id = begin(&mut client, message);
    let answered = client.post("/chat", &question(message)).json();
    let mut events = client.stream("POST", "/chat/stream", Some(&question(message)));
    let told = events.rest();
    server.await_log(&format!(" run={}", told[0].place().0));
    let log = server.log();
    for (path, run) in [
        ("/chat/async", id.as_str()),
        ("/chat", answered["run_id"].as_str().expect("an answer names its run")),
        ("/chat/stream", &told[0].place().0),
    ] {
        let line = log.lines().find(|line| line.contains(&format!("\"POST {path}\"")));
        let line = line.unwrap_or_else(|| panic!("no line for {path} in {log}"));
        assert!(line.ends_with(&format!(" run={run}")), "{line}");
    }
}

#[test]
fn an_unknown_task_is_404_and_one_that_was_swept_is_410() {
    let server = Server::start(NOTES, &["--task-keep", "1"]);
    let mut client = server.client();
    let unknown = client.call("GET", "/chat/task/0198c0de-0000-7000-8000-000000000001", None);
    assert_eq!(unknown.status(), 404);
    let first = begin(&mut client, "When was the kettle bought?");
    until("the first is completed", || task(&mut client, &first)["status"] == "completed");
    let second = begin(&mut client, "When was the kettle bought?");
    until("the first is swept", || client.call("GET", &format!("/chat/task/{first}"), None).status() == 410);
    assert_eq!(client.call("GET", &format!("/chat/task/{first}/stream"), None).status(), 410);
    assert_eq!(task(&mut client, &second)["status"], "completed");
}

#[test]
fn more_runs_than_may_wait_are_refused_with_a_hint_when_to_come_back() {
    let server = Server::over(large_folder(), &["--runs-max", "1", "--waiting-max", "2"]);
    let mut client = server.client();
    // All in one write, so that they arrive in one turn.
    let one = common::request("POST", "/chat/async", Some(&question("word1 word2 word3 word4 word5 word6?")));
    client.send(one.repeat(40));
    let answers: Vec<_> = (0..40).map(|_| client.answer()).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status() == 503).collect();
    assert!(!refused.is_empty() && refused.len() < 40, "{} refused", refused.len());
    assert!(refused.iter().all(|answer| answer.head.field("retry-after") == Some("1")));
    assert!(answers.iter().all(|answer| matches!(answer.status(), 202 | 503)));
}

#[test]
fn a_client_that_is_gone_cancels_its_chat_unless_it_asked_otherwise() {
    let server = Server::over(large_folder(), &["--disconnect-grace", "0", "--runs-max", "1"]);
    let mut watcher = server.client();
    let busy = |message: &str, wish: &str| {
        // The folder is still being indexed and one run is at work at a time, so this one waits a while.
        for _ in 0..20 {
            begin(&mut server.client(), "Which notes mention word1, word2, word3, word4 and word5?");
        }
        let mut client = server.client();
        client.send(common::request(
            "POST",
            "/chat",
            Some(&json!({ "message": message, "on_disconnect": wish })),
        ));
        client
    };
    let newest =
        |watcher: &mut Client| watcher.call("GET", "/tasks?limit=1", None).json()["tasks"][0].clone();

    let client = busy("who leaves?", "cancel");
    let before = newest(&mut watcher);
    drop(client);
    let id = before["task_id"].as_str().unwrap().to_owned();
    until("the run is over", || task(&mut watcher, &id)["completed_at"] != Value::Null);
    let left = task(&mut watcher, &id)["status"].clone();

    let client = busy("who leaves?", "continue");
    let id = newest(&mut watcher)["task_id"].as_str().unwrap().to_owned();
    client.reset();
    until("the run is over", || task(&mut watcher, &id)["completed_at"] != Value::Null);
    assert_eq!(task(&mut watcher, &id)["status"], "completed");
    assert!(left == "cancelled" || left == "completed", "{left}");
}

// --- Notes --------------------------------------------------------------------------------------------------------

#[test]
fn a_sync_tells_what_has_changed_and_answers_follow_it() {
    let server = serve(&[]);
    let mut client = server.client();
    let before = client.post("/sync", &json!({})).json();
    assert_eq!((&before["added"], &before["changed"], &before["removed"]), (&json!(0), &json!(0), &json!(0)));

    server.folder().write("shed.md", b"# The shed\n\nThe shed holds seven rakes.\n");
    server.folder().write("garden.md", b"# Garden\n\nThe garden gate is painted violet.\n");
    server.folder().remove("zh.md");
    let after = client.post("/sync", &json!({})).json();
    assert_eq!(
        (&after["added"], &after["changed"], &after["removed"]),
        (&json!(1), &json!(1), &json!(1)),
        "{after}"
    );
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64());

    let answer = client.post("/chat", &question("How many rakes does the shed hold?")).json();
    assert!(answer["response"].as_str().unwrap().contains("seven"), "{answer}");
    let answer = client.post("/chat", &question("Which colour is the garden gate painted?")).json();
    let text = answer["response"].as_str().unwrap();
    assert!(text.contains("violet") && !text.contains("green"), "{text}");
}

#[test]
fn a_folder_that_nobody_can_read_is_told_and_nobody_waits_for_it() {
    let server = Server::without_threads(NOTES);
    let mut client = server.client();
    for _ in 0..3 {
        let answer = client.call("POST", "/sync", None);
        assert_eq!(answer.status(), 503, "{answer}");
        assert_eq!(answer.head.field("retry-after"), Some("1"), "{answer}");
    }
    assert_eq!(client.call("GET", "/health", None).json()["index"]["state"], "indexing");
    server.await_log("the disk helper can't be started");
    let log = server.log();
    assert_eq!(log.matches("the disk helper can't be started").count(), 1, "told once: {log}");
}

#[test]
fn what_nobody_can_keep_is_refused_and_nobody_waits_for_it() {
    let server = Server::without_threads(NOTES);
    let mut client = server.client();
    let unknown = "/chat/task/0198c0de-0000-7000-8000-000000000001";
    for (method, path, body) in [
        ("POST", "/chat/async", Some(question("When was the kettle bought?"))),
        ("POST", "/chat", Some(question("When was the kettle bought?"))),
        ("POST", "/chat/stream", Some(question("When was the kettle bought?"))),
        ("GET", "/tasks", None),
        ("GET", unknown, None),
    ] {
        let answer = client.call(method, path, body.as_ref());
        assert_eq!(answer.status(), 503, "{method} {path}: {answer}");
        assert_eq!(answer.head.field("retry-after"), Some("1"), "{method} {path}: {answer}");
        assert!(answer.detail().contains("the store's helper can't be started"), "{method} {path}: {answer}");
    }
    assert_eq!(client.call("GET", "/health", None).json()["store"], "failing");
    let info = client.call("GET", "/info", None).json();
    assert_eq!((&info["runs"]["pending"], &info["runs"]["running"]), (&json!(0), &json!(0)), "{info}");
    server.await_log("the store's helper can't be started, so");
    let log = server.log();
    assert_eq!(log.matches("the store's helper can't be started, so").count(), 1, "told once: {log}");
}

#[test]
fn odd_files_are_reported_and_nothing_leads_out_of_the_folder() {
    let outside = Folder::with(&[("secret.md", "# Secret\n\nThe vault code is 4711.\n")]);
    let folder = Folder::with(NOTES);
    let inside = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(outside.path().join("secret.md"), inside("leak.md")).unwrap();
    std::os::unix::fs::symlink(outside.path(), inside("leaks")).unwrap();
    std::os::unix::fs::symlink("..", inside("kitchen/up")).unwrap();
    folder.write(".hidden/note.md", b"# Hidden\n\nThe hidden code is 4712.\n");
    folder.write("empty.md", b"");
    folder.write("bom.md", b"\xef\xbb\xbf# Bom\r\n\r\nThe bom note tells of zeppelins.\r\n");
    folder.write("broken.md", b"# Broken\n\nThe broken note \xff\xfe tells of submarines.\n");
    folder.write("line.md", format!("# Line\n\n{} lighthouse\n", "x".repeat(20_000)).as_bytes());
    folder.write(
        "long.md",
        format!("# Long\n\nThe windmill turns.\n\n{}", "filler text. ".repeat(60_000)).as_bytes(),
    );
    let server = Server::over(folder, &[]);
    server.await_index();
    let mut client = server.client();

    let report = client.post("/sync", &json!({})).json();
    let problems = report["problems"].to_string();
    for path in ["leak.md", "leaks", "kitchen/up"] {
        assert!(problems.contains(path), "{path}: {problems}");
    }
    // A note that is indexed in part is reported by the scan that read it.
    server.await_log("long.md");
    for code in ["What is the vault code?", "What is the hidden code?"] {
        let answer = client.post("/chat", &question(code)).json();
        assert!(!answer.to_string().contains("471"), "{answer}");
    }
    for (message, path) in
        [("What tells of zeppelins?", "bom.md"), ("Where does the windmill turn?", "long.md")]
    {
        let answer = client.post("/chat", &question(message)).json();
        assert_eq!(answer["sources"][0]["path"], path, "{answer}");
    }
}

// --- The server itself --------------------------------------------------------------------------------------------

#[test]
fn health_and_info_say_how_it_is() {
    let server = serve(&[]);
    let health = server.ask("/health").json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["service"], "knowledge-agent");
    assert_eq!(health["index"], json!({ "state": "ready", "notes": 3, "done": 3 }));
    server.client().post("/chat", &question("When was the kettle bought?"));
    let info = server.ask("/info").json();
    assert_eq!(health["store"], "disk");
    assert_eq!(info["runs"]["completed"], 1);
    assert_eq!((&info["store"]["state"], &info["store"]["ended"]), (&json!("disk"), &json!(1)), "{info}");
    assert_eq!(info["notes"]["count"], 3);
    assert!(
        info["loop"]["turns"].as_u64() > Some(3) && info["loop"]["longest_turn_ms"].as_f64() > Some(0.0),
        "{info}"
    );
}

#[test]
fn the_doors_are_shut_to_other_names_and_other_pages() {
    let server = serve(&["--allow-host", "notes.example"]);
    let ask = |fields: &str, method: &str, target: &str| {
        let mut client = server.client();
        client.send(format!("{method} {target} HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n"));
        client.answer().status()
    };
    assert_eq!(ask("Host: evil.example\r\n", "GET", "/health"), 421);
    assert_eq!(ask("Host: notes.example\r\n", "GET", "/health"), 200);
    assert_eq!(ask("Host: localhost\r\nOrigin: http://evil.example\r\n", "POST", "/sync"), 403);
    assert_eq!(
        ask("Host: localhost\r\nOrigin: null\r\n", "DELETE", "/tasks/0198c0de-0000-7000-8000-000000000001"),
        403
    );
    assert_eq!(ask("Host: localhost\r\nOrigin: http://evil.example\r\n", "GET", "/health"), 200);
    assert_eq!(ask("Host: localhost:9\r\nOrigin: http://localhost:9\r\n", "POST", "/sync"), 200);
}

#[test]
fn a_signal_lets_what_runs_finish_and_the_process_ends_well() {
    let server = Server::over(large_folder(), &[]);
    let mut client = server.client();
    let mut events =
        server.client().stream("POST", "/chat/stream", Some(&question("Which notes mention word7?")));
    assert_eq!(events.next_event().map(|event| event.kind()).as_deref(), Some("status"), "it has begun");
    server.signal(Signal::TERM);
    let rest = events.rest();
    assert_eq!(rest.last().map(|event| event.kind()).as_deref(), Some("done"), "it is told to its end");
    assert_eq!(client.end(), End::Closed, "who is idle is parted with");
    let (status, _) = server.await_end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let server = Server::start(NOTES, &[]);
    // A request that never ends keeps the server from being done.
    let mut client = server.client();
    client.send("POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{");
    until("the head has arrived", || server.ask("/info").json()["connections"]["open"].as_u64() >= Some(2));
    server.signal(Signal::TERM);
    until("the first signal has shut the listener", || TcpStream::connect(server.address()).is_err());
    server.signal(Signal::INT);
    let (status, _) = server.await_end();
    assert_eq!(status.code(), Some(130));
}

// --- The command line ---------------------------------------------------------------------------------------------

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.env_remove("NOTES_DIRECTORY").env_remove("STATE_DIRECTORY");
    command.args(arguments).output().expect("the binary starts")
}

/// Its exit code and the one line that it said.
pub fn failed(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), said)
}

#[test]
fn wrong_use_is_one_line_and_exit_code_2() {
    for arguments in [
        &[][..],
        &["serve", "--listen", "nonsense"],
        &["serve", "--listen", "127.0.0.1"],
        &["serve", "--listen", "127.0.0.1:99999"],
        &["serve", "--unknown"],
        &["serve", "a", "b"],
        &["serve", "--runs-max", "0"],
        &["fetch"],
        &["ask", "docs"],
        &["ask", "docs", " "],
    ] {
        let (code, said) = failed(arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}");
    }
}

#[test]
fn what_the_world_refuses_is_one_line_and_exit_code_1() {
    let folder = Folder::with(NOTES);
    let notes = folder.path().to_str().unwrap();
    let file = folder.path().join("garden.md");
    let taken = Server::start(NOTES, &[]);
    let taken = taken.address().to_string();
    for (arguments, word) in [
        (&["serve", "no/such/folder"][..], "no/such/folder"),
        (&["serve", file.to_str().unwrap()], "garden.md"),
        (&["serve", notes, "--listen", &taken], "in use"),
        (&["serve", notes, "--listen", "0.0.0.0:0"], "--insecure"),
        (&["ask", "no/such/folder", "why?"], "no/such/folder"),
    ] {
        let (code, said) = failed(arguments);
        assert!(code == 1 && said.contains(word), "{arguments:?}: {code} {said}");
    }
}

#[test]
fn help_teaches_with_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["ask", "--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Examples:") && text.contains("oneloop"), "{text}");
    }
    assert!(Path::new(BINARY).exists());
}

#[test]
fn a_log_that_nobody_reads_or_that_is_gone_holds_up_nobody() {
    let folder = Folder::with(NOTES);
    for number in 0..200 {
        std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join(format!("{number:0>200}.md")))
            .unwrap();
    }
    for reads in [true, false] {
        let mut server = Command::new(BINARY)
            .args(["serve", folder.path().to_str().unwrap(), "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("//").expect("it says where it listens").1.to_owned();
        // Kept and never read, or closed.
        let stderr = server.stderr.take().filter(|_| reads);
        let connect = || {
            let stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
            Client::new(stream)
        };
        let mut client = connect();
        for _ in 0..60 {
            assert_eq!(client.post("/sync", &json!({})).status(), 200);
        }
        assert_eq!(client.call("GET", "/health", None).status(), 200);
        server.kill().unwrap();
        server.wait().unwrap();
        drop(stderr);
    }
}

#[test]
fn stopping_waits_for_nobody_who_is_idle() {
    let server = serve(&[]);
    let idle: Vec<_> = (0..5).map(|_| server.client()).collect();
    let mut kept = server.client();
    kept.call("GET", "/health", None);
    server.signal(Signal::TERM);
    // The runner's own bound is the time: with a wait of its shutdown bound this would be told as a failure below.
    let log_before_end = |log: &str| !log.contains("are over");
    assert_eq!(kept.end(), End::Closed);
    let (status, log) = server.await_end();
    assert_eq!(status.code(), Some(0));
    assert!(log_before_end(&log), "{log}");
    drop(idle);
}
