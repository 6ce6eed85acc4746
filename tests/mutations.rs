//! Mutations of the fuzzers' corpus, checked in every run of the tests: what a fuzzer finds in minutes stays found.
//!
//! The corpus is that of `tests/fuzz`, where a real fuzzer breeds its inputs by what code they reach, and the properties
//! are the same. Here a seeded generator changes each file of the corpus in a few places, blindly. `SEED=n` repeats a
//! run or makes another. A case that fails is printed as the literal of a Rust byte string.
#![expect(clippy::disallowed_methods, reason = "a test that reads its corpus")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

#[path = "properties/mod.rs"]
mod properties;

use properties::random::Random;
use properties::{ALL, Property};

#[test]
fn every_file_of_the_corpus_has_its_property() {
    for (target, property) in ALL {
        for (name, bytes) in corpus(target) {
            checked(target, property, &bytes, &name);
        }
    }
}

#[test]
fn no_mutation_of_a_chat_body_breaks_its_property() {
    mutations_keep("chat_body", 20_000);
}

#[test]
fn no_mutation_of_a_chunked_body_breaks_its_property() {
    mutations_keep("chunked_body", 20_000);
}

#[test]
fn no_mutation_of_an_event_stream_breaks_its_property() {
    mutations_keep("event_stream", 20_000);
}

#[test]
fn no_mutation_of_what_a_model_streams_breaks_its_property() {
    mutations_keep("deltas", 10_000);
}

#[test]
fn no_mutation_of_a_head_breaks_its_property() {
    mutations_keep("http_head", 10_000);
}

#[test]
fn no_mutation_of_an_mcp_message_breaks_its_property() {
    mutations_keep("mcp_message", 10_000);
}

#[test]
fn no_mutation_of_a_note_breaks_its_property() {
    mutations_keep("note", 3000);
}

#[test]
fn no_mutation_of_a_query_breaks_its_property() {
    mutations_keep("query", 3000);
}

#[test]
fn no_mutation_of_a_response_breaks_its_property() {
    mutations_keep("responses", 10_000);
}

#[test]
fn no_mutation_of_a_clients_frames_breaks_its_property() {
    mutations_keep("websocket", 10_000);
}

/// Changes a file of the corpus, mostly in a place or two, and checks it; `rounds` times.
fn mutations_keep(target: &str, rounds: usize) {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_301);
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let (_, property) = ALL.into_iter().find(|(name, _)| *name == target).expect("it has a property");
    let files = corpus(target);
    let mut taken = 0;
    for round in 0..rounds {
        let mut bytes = random.pick(&files).1.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &files, &mut random);
        }
        taken += usize::from(checked(target, property, &bytes, &format!("SEED={seed}, round {round}")));
    }
    let fewest = rounds / 50;
    assert!(
        (fewest..rounds - fewest).contains(&taken),
        "of {rounds} cases {taken} were taken: too many or few"
    );
}

/// Whether the case was taken; a case that fails is printed first.
fn checked(target: &str, property: Property, bytes: &[u8], case: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| property(bytes))).unwrap_or_else(|panic| {
        println!("{target} fails, {case}: b\"{}\"", bytes.escape_ascii());
        resume_unwind(panic)
    })
}

/// The files of one target in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the corpus can be listed") {
        let path = entry.expect("its entries can be read").path();
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        // What a fuzzer has added is named by its hash; without it a run is the same everywhere.
        let is_kept = !(name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_kept {
            files.push((name, fs::read(path).expect("a file of the corpus can be read")));
        }
    }
    assert!(files.len() >= 10, "the corpus of {target} has {} files", files.len());
    files.sort();
    files
}

/// Changes one place: a byte replaced, flipped or dropped, a stretch repeated, dropped or taken from another file,
/// a token put in, or the end cut off.
fn mutate(bytes: &mut Vec<u8>, files: &[(String, Vec<u8>)], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] = *random.pick(TELLING),
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 if at < end => drop(bytes.drain(at..end)),
        4 if at < end => {
            let stretch = bytes[at..end].repeat(1 + random.below(4));
            bytes.splice(at..at, stretch);
        }
        5 => {
            let other = &random.pick(files).1;
            let from = random.below(other.len() + 1);
            let stretch = &other[from..other.len().min(from + random.below(64))];
            bytes.splice(at..end.max(at), stretch.iter().copied());
        }
        6 => {
            let other = &random.pick(files).1;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        7 if random.below(4) == 0 => bytes.truncate(at),
        _ => {
            bytes.splice(at..at, random.pick(&TOKENS).bytes());
        }
    }
}

/// Bytes that mean something to one of the parsers, and some that mean nothing to any.
const TELLING: &[u8] = b"\r\n \t:;,=/?*%&+#[]{}|`<>-_\"'\\0159afx\0\x7f\x80\xbf\xc3\xe6\xf0\xff";

/// What a blind change of bytes would not come upon.
const TOKENS: [&str; 47] = [
    "\r\n",
    "\r\n\r\n",
    "\r\n ",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "HTTP/1.1",
    "0\r\n\r\n",
    "ffffffff",
    "1;a=b\r\nx\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "Connection: close\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100\r\n\r\n",
    ", 1",
    "data: a\n",
    "data\n\n",
    "event: a\r",
    "\n:",
    "# ",
    "\n\n## ",
    "\n---\n",
    "\n```\n",
    "[[",
    "]]",
    "](b.md)",
    "|-|-|\n",
    "\n> ",
    "\n  - ",
    " #tag",
    "[^1]",
    "<!--",
    "日本語",
    "。",
    "é",
    "\u{301}",
    "\u{200d}",
    "\u{feff}",
    "tags: [",
    "%2",
    "%00",
    "%e6%97%a5",
    "&a=",
    "\"message\":",
    "\\ud83d",
    "{\"role\":\"user\",\"content\":\"a\"},",
    "[[[[",
];
