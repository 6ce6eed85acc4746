//! The book answers questions about the server it describes: each question here is one that a learner asks, and the
//! decisive words of the right answer must stand in the response, quoted from the right chapter.
//!
//! The questions go to the real binary, over the real `docs/`. So a chapter that loses its answer fails here, and so
//! does an answerer that no longer finds it.
#![allow(clippy::disallowed_methods, reason = "a thread that waits for a child is what bounds the wait")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Longest wait for one answer. Indexing the book takes milliseconds; this is for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A question, words that only a right answer holds, and the chapter that it must be quoted from.
struct Asked {
    question: &'static str,
    words: &'static [&'static str],
    chapter: &'static str,
}

const QUESTIONS: &[Asked] = &[
    Asked {
        question: "When does an idle server wake up?",
        words: &["a socket is ready", "a signal comes", "a deadline is due"],
        chapter: "event-loop.md",
    },
    Asked {
        question: "What does edge-triggered mean?",
        words: &["announces readiness once", "silent until something new arrives"],
        chapter: "event-loop.md",
    },
    Asked {
        question: "Why is there no process.nextTick?",
        words: &["no callback is ever called"],
        chapter: "event-loop.md",
    },
    Asked {
        question: "How does the page never lose a word?",
        words: &["the last event that it has seen", "kept in the browser until"],
        chapter: "page.md",
    },
    Asked {
        question: "Why does a hidden tab let go of its stream?",
        words: &["at most six connections"],
        chapter: "page.md",
    },
    Asked {
        question: "How is markup in a note shown on the page?",
        words: &["as the text that it is"],
        chapter: "page.md",
    },
    Asked {
        question: "What is a run?",
        words: &["one question on its way to an answer", "append-only log"],
        chapter: "runs.md",
    },
    Asked { question: "How many runs can be at work at once?", words: &["64"], chapter: "runs.md" },
    Asked {
        question: "What happens at SIGTERM?",
        words: &["stops accepting", "10 s", "exits with code 0"],
        chapter: "runs.md",
    },
    Asked {
        question: "What happens with a slow reader?",
        words: &["offset", "the run's log is the buffer"],
        chapter: "streams.md",
    },
    Asked {
        question: "How is a stream resumed?",
        words: &["Last-Event-ID", "?after="],
        chapter: "streams.md",
    },
    Asked {
        question: "How long is a request head allowed to take?",
        words: &["10 s in all", "does not restart"],
        chapter: "connections.md",
    },
    Asked {
        question: "Which status does a target that is too long get?",
        words: &["414"],
        chapter: "http.md",
    },
    Asked {
        question: "What does the Host door do?",
        words: &["421", "loopback name", "--allow-host"],
        chapter: "http.md",
    },
    Asked { question: "What is a unit?", words: &["about a microsecond of work"], chapter: "tasks.md" },
    Asked {
        question: "What does a refusal mean?",
        words: &["the notes hold no answer", "sources is empty"],
        chapter: "knowledge.md",
    },
    Asked {
        question: "What happens when a second message comes to a busy session?",
        words: &["on_busy"],
        chapter: "sessions.md",
    },
    Asked {
        question: "What is a session?",
        words: &["conversation that the server keeps"],
        chapter: "sessions.md",
    },
    Asked {
        question: "How does a search work?",
        words: &["each word becomes a term", "the best passages are kept"],
        chapter: "search.md",
    },
    Asked {
        question: "What is BM25?",
        words: &["rare words count more than common ones"],
        chapter: "search.md",
    },
    Asked {
        question: "In which languages are words stemmed?",
        words: &["18 languages", "German", "Tamil"],
        chapter: "search.md",
    },
    Asked {
        question: "What is the thesaurus?",
        words: &["built-in list of English words that say much the same"],
        chapter: "search.md",
    },
    Asked {
        question: "How do I check whether a source still stands?",
        words: &["POST /verify"],
        chapter: "citations.md",
    },
    Asked { question: "What is the hash of a source?", words: &["SHA-256"], chapter: "citations.md" },
    Asked {
        question: "What does the state moved of a source mean?",
        words: &["stands elsewhere in the note"],
        chapter: "citations.md",
    },
    Asked {
        question: "What are unsupported sentences?",
        words: &["its sources do not support"],
        chapter: "citations.md",
    },
    Asked {
        question: "How do I replay a failing seed?",
        words: &["cargo run --release --example simulate -- --seed NUMBER --trace"],
        chapter: "simulation.md",
    },
    Asked {
        question: "What does the simulator check after each turn?",
        words: &["no timer has fired early", "no bound is passed", "open sockets, and connections"],
        chapter: "simulation.md",
    },
    Asked {
        question: "Which bug did the simulator find?",
        words: &["lients left in the backlog", "pipelined", "an interrupted write"],
        chapter: "simulation.md",
    },
    Asked {
        question: "Why were clients left in the backlog?",
        words: &["the request to go on accepting was used up"],
        chapter: "simulation.md",
    },
    Asked {
        question: "What is swarm testing?",
        words: &["switches some kinds of fault on", "leaves the others off"],
        chapter: "simulation.md",
    },
    Asked {
        question: "What can the simulator not find?",
        words: &["TLS", "the real kernel", "performance"],
        chapter: "simulation.md",
    },
    Asked {
        question: "What happens to my task when the server is killed?",
        words: &["no task that was accepted is lost", "the next process takes it up under the same id"],
        chapter: "durability.md",
    },
    Asked {
        question: "What does 202 promise?",
        words: &["it is on disk before the answer leaves"],
        chapter: "durability.md",
    },
    Asked {
        question: "What does at-least-once mean?",
        words: &["outstanding when the process ended is done again"],
        chapter: "durability.md",
    },
    Asked {
        question: "What is a restart event?",
        words: &["{\"type\":\"restart\",\"keep\":N}", "the ones after N are void"],
        chapter: "durability.md",
    },
    Asked { question: "How often is a run tried again?", words: &["3 attempts"], chapter: "durability.md" },
    Asked {
        question: "What happens when the disk is full?",
        words: &["507", "go on in memory"],
        chapter: "durability.md",
    },
    Asked {
        question: "What happens when a sync fails?",
        words: &["nothing of its batch is taken for done", "written anew over a new connection"],
        chapter: "durability.md",
    },
    Asked {
        question: "How do I avoid asking twice?",
        words: &["Idempotency-Key", "the same task_id"],
        chapter: "durability.md",
    },
    Asked {
        question: "Where are runs kept?",
        words: &["the state folder", ".oneloop"],
        chapter: "durability.md",
    },
    Asked {
        question: "Can two servers share a state folder?",
        words: &["one process serves it at a time", "exit code 1"],
        chapter: "durability.md",
    },
    Asked {
        question: "How do I back up the state?",
        words: &["stop the server and copy all files of the state folder"],
        chapter: "durability.md",
    },
    Asked {
        question: "What happens with a newer database?",
        words: &["refused and never overwritten"],
        chapter: "durability.md",
    },
    Asked {
        question: "What is not promised?",
        words: &["exactly once", "lie about flushes", "network file systems"],
        chapter: "durability.md",
    },
    Asked {
        question: "What is lost when the process ends?",
        words: &["nothing is lost that a client was told to rely on"],
        chapter: "runs.md",
    },
    Asked {
        question: "What does a restarting event say?",
        words: &["the server stops", "goes on in the next process"],
        chapter: "streams.md",
    },
    Asked { question: "How do I use llama.cpp?", words: &["llama-server", "--jinja"], chapter: "models.md" },
    Asked {
        question: "What happens when the model fails?",
        words: &["the notes answer in its place", "answered_by is notes", "degraded"],
        chapter: "models.md",
    },
    Asked {
        question: "How long may a model take?",
        words: &["120 s until its answer begins", "600 s in all"],
        chapter: "models.md",
    },
    Asked {
        question: "What does the breaker do?",
        words: &["after 5 failures in a row it opens"],
        chapter: "models.md",
    },
    Asked {
        question: "What does a revision event say?",
        words: &["the answer begins anew", "every token before it is void"],
        chapter: "models.md",
    },
    Asked {
        question: "Where does the key of the model come from?",
        words: &["--model-key-env", "OPENAI_API_KEY"],
        chapter: "models.md",
    },
    Asked {
        question: "Which tools does a model have?",
        words: &["search_notes", "read_note"],
        chapter: "tools.md",
    },
    Asked {
        question: "Why can a note not add a tool?",
        words: &["neither is made of text"],
        chapter: "tools.md",
    },
    Asked {
        question: "What is a verified quote?",
        words: &["word for word in a source"],
        chapter: "tools.md",
    },
    Asked {
        question: "Why does looking up a name need a thread?",
        words: &["getaddrinfo blocks"],
        chapter: "outbound.md",
    },
    Asked {
        question: "What does Happy Eyeballs mean?",
        words: &["250 ms", "whichever stands first wins"],
        chapter: "outbound.md",
    },
    Asked {
        question: "What happens when a kept connection was closed?",
        words: &["a fresh one is made", "sent again, once"],
        chapter: "outbound.md",
    },
    Asked {
        question: "How can I be told when a task has ended?",
        words: &["send callback_url with POST /chat/async"],
        chapter: "callbacks.md",
    },
    Asked {
        question: "Which servers may be called back?",
        words: &["Only servers that --callback-allow HOST[:PORT] names may be called back"],
        chapter: "callbacks.md",
    },
    Asked {
        question: "How does a receiver check the signature of a callback?",
        words: &["Standard Webhooks", "HMAC-SHA256"],
        chapter: "callbacks.md",
    },
    Asked {
        question: "When is a callback tried again?",
        words: &["no answer within 15 s", "5xx"],
        chapter: "callbacks.md",
    },
    Asked { question: "What does a callback promise?", words: &["at least once"], chapter: "callbacks.md" },
    Asked {
        question: "How do I connect an OpenAI client?",
        words: &["http://localhost:8000/v1", "its model to oneloop", "its key to anything"],
        chapter: "openai.md",
    },
    Asked {
        question: "What happens when an OpenAI client closes the connection?",
        words: &["cancelled at once", "without the grace"],
        chapter: "openai.md",
    },
    Asked {
        question: "In which order do chunks of a completion come?",
        words: &["who speaks", "finish_reason", "[DONE]"],
        chapter: "openai.md",
    },
    Asked {
        question: "How do I get embeddings from the server?",
        words: &["--embed-url", "POST /v1/embeddings"],
        chapter: "openai.md",
    },
    Asked {
        question: "Which field names a session in OpenAI's API?",
        words: &["X-OpenWebUI-Chat-Id"],
        chapter: "openai.md",
    },
    Asked {
        question: "Which threads does the server have?",
        words: &["four threads at most", "names helper"],
        chapter: "architecture.md",
    },
];

#[test]
fn the_book_answers_what_a_learner_asks() {
    let mut wrong = Vec::new();
    for Asked { question, words, chapter } in QUESTIONS {
        let (response, sources) = ask(question);
        let missing: Vec<_> = words.iter().filter(|word| !response.contains(&plain(word))).collect();
        if !missing.is_empty() || !sources.iter().any(|source| source == chapter) {
            wrong.push(format!("{question}\n  lacks {missing:?} of {chapter}\n  {sources:?}\n  {response}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), QUESTIONS.len(), wrong.join("\n"));
}

#[test]
fn the_phases_are_told_in_their_order() {
    let (response, sources) = ask("In which order does a turn run its phases?");
    let lower = response.to_lowercase();
    let mut from = 0;
    for phase in ["pending", "poll", "check", "close", "timers"] {
        let at = lower[from..].find(phase);
        from +=
            at.unwrap_or_else(|| panic!("no {phase} behind the phases before it: {response}")) + phase.len();
    }
    assert_eq!(sources.first().map(String::as_str), Some("event-loop.md"), "{response}");
}

#[test]
fn an_instruction_comes_first_and_no_drawing_in_its_place() {
    let (response, _) = ask("How do I cancel a run?");
    assert!(response.starts_with("To cancel a run, send DELETE /tasks/{id}."), "{response}");
    assert!(!response.contains("──►"), "{response}");
}

#[test]
fn what_the_book_does_not_hold_is_refused_without_sources() {
    for question in [
        "Who won the chess olympiad in Budapest?",
        "What is the capital of France?",
        "How do I bake sourdough bread?",
    ] {
        let (response, sources) = ask(question);
        assert!(sources.is_empty(), "{question} was answered from {sources:?}: {response}");
        assert!(!response.is_empty(), "a refusal says that it is one");
    }
}

/// The response to `question`, in [`plain`] form, and the paths of its sources.
fn ask(question: &str) -> (String, Vec<String>) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut child = Command::new(env!("CARGO_BIN_EXE_oneloop"))
        .arg("ask")
        .arg(docs)
        .args([question, "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (told, answer) = channel();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        let _ = told.send(read.map(|_| text));
    });
    let answer = answer.recv_timeout(PATIENCE);
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().expect("it is our own child");
    reader.join().expect("reading does not panic");
    let text = answer.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}: {question}"));
    assert!(status.success(), "{question}: {status}");
    let answer: Value = serde_json::from_str(&text.expect("stdout is UTF-8")).expect("--json prints JSON");
    assert_eq!(answer["answered_by"], "notes");
    let sources = answer["sources"].as_array().expect("sources is a list");
    let paths =
        sources.iter().map(|source| source["path"].as_str().expect("a path is text").to_owned()).collect();
    (plain(answer["response"].as_str().expect("the response is text")), paths)
}

/// One space between words and no code marks, so that where a line was broken in the chapter does not matter.
fn plain(text: &str) -> String {
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}
