//! What stands in a request's target, and what is asked in words.

use std::borrow::Cow;
use std::sync::OnceLock;

use oneloop::agent::{Effect, Input, Question, Role, Run, SearchRequest, Turn};
use oneloop::base::{Budget, HashSeed};
use oneloop::limits::Limits;
use oneloop::notes::{Entry, Found, Library, Query, ReadFile};
use oneloop::text::words;
use oneloop::wire::http1::{BadEscape, QueryPairs, RequestEvent, Server, Target, decode_path, host_and_port};

/// Escapes are decoded once, as another decoder does; a target is cut and loses nothing; a host is a part of its
/// authority; and a question's search keeps its bounds, whatever was said before.
///
/// Bytes that are no UTF-8 are read as if a client had replaced them. Text without a bad escape counts as taken.
pub fn query(bytes: &[u8]) -> bool {
    let text = &*String::from_utf8_lossy(bytes);
    assert_pairs_are_decoded_once(text);
    assert_authority_is_parted(text);
    assert_target_loses_nothing(text);
    for limits in [small_limits(), Limits::default()] {
        let request = request_of(text, &limits);
        assert_request_keeps_its_bounds(&request, text, &limits);
        assert_search_is_bounded(&request, &limits);
    }
    path_is_decoded_once(text)
}

fn small_limits() -> Limits {
    Limits {
        query_bytes_max: 24,
        query_words_max: 3,
        context_words_max: 2,
        context_turns_max: 2,
        context_bytes_max: 16,
        ..Limits::default()
    }
}

// --- Escapes ------------------------------------------------------------------------------------------------------

/// `true` for a path without a bad escape.
fn path_is_decoded_once(path: &str) -> bool {
    let mut text = String::from("dropped");
    let outcome = decode_path(path, &mut text);
    assert_eq!(outcome.map(|()| text.clone()), unescaped(path));
    if outcome.is_err() {
        assert_eq!(text, "", "an error leaves a half-decoded path");
        return false;
    }
    assert!(text.len() <= path.len() && !text.contains('\0'));
    // Decoding leaves alone what has no escape, and an escape of everything gives everything back.
    assert!(path.contains('%') || text == path);
    let mut again = String::new();
    assert_eq!(decode_path(&escaped(&text), &mut again), Ok(()));
    assert_eq!(again, text, "escaping and decoding is not nothing");
    true
}

fn assert_pairs_are_decoded_once(query: &str) {
    let told: Vec<_> = QueryPairs::new(query).collect();
    let segments = query.split('&').filter(|segment| !segment.is_empty());
    let expected: Vec<Result<(String, String), BadEscape>> = segments
        .map(|segment| {
            let segment = segment.replace('+', " ");
            let at = segment.find('=').unwrap_or(segment.len());
            let name = unescaped(&segment[..at])?;
            Ok((name, unescaped(segment[at..].strip_prefix('=').unwrap_or(""))?))
        })
        .collect();
    let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
    assert_eq!(told.iter().cloned().map(|pair| pair.map(owned)).collect::<Vec<_>>(), expected);

    let good: Vec<(String, String)> = expected.into_iter().flatten().collect();
    let written: Vec<String> =
        good.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    let again: Vec<_> =
        QueryPairs::new(&written.join("&")).map(|pair| owned(pair.expect("escaped"))).collect();
    assert_eq!(again, good, "escaping and decoding is not nothing");
}

/// Decodes escapes cut by cut: what stands before the first `%` is text, and each cut begins with two digits.
fn unescaped(text: &str) -> Result<String, BadEscape> {
    let mut cuts = text.as_bytes().split(|byte| *byte == b'%');
    let mut bytes = cuts.next().unwrap_or_default().to_vec();
    let nul = |bytes: &[u8]| if bytes.contains(&0) { Err(BadEscape::Nul) } else { Ok(()) };
    nul(&bytes)?;
    for cut in cuts {
        let digits = cut.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = std::str::from_utf8(digits.ok_or(BadEscape::NotHex)?).expect("digits are ASCII");
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits are a byte"));
        bytes.extend_from_slice(&cut[2..]);
        nul(&bytes)?;
    }
    String::from_utf8(bytes).map_err(|_| BadEscape::NotUtf8)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

// --- Targets ------------------------------------------------------------------------------------------------------

fn assert_authority_is_parted(text: &str) {
    let Some((host, port)) = host_and_port(text) else { return };
    let rest = text.strip_prefix(host).expect("the host is how its authority begins");
    match port {
        Some(port) => assert_eq!(rest.strip_prefix(':').and_then(|digits| digits.parse().ok()), Some(port)),
        None => assert!(matches!(rest, "" | ":")),
    }
    assert!(!host.is_empty() && host.is_ascii() && !host.contains([',', '@', '/', '%']));
    assert_eq!(host_and_port(host), Some((host, None)), "a host is no authority");
}

/// A path with its query reaches the application as it was sent, cut at the first `?`.
fn assert_target_loses_nothing(text: &str) {
    let sent = format!("/{text}");
    if !sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return;
    }
    let request = format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n");
    let limits = Limits::default();
    let mut server = Server::new();
    match server.receive(request.as_bytes(), &limits).map(|step| step.event) {
        Ok(Some(RequestEvent::Head(head))) => {
            let Target::Path { path, query } = head.target else { panic!("a path is a path") };
            assert!(path.starts_with('/') && !path.contains('?'));
            assert_eq!(query.map_or(path.to_owned(), |query| format!("{path}?{query}")), sent);
        }
        Ok(event) => panic!("a whole head is told, and not {event:?}"),
        Err(error) => assert!(sent.len() > limits.target_bytes_max, "a good target is refused: {error}"),
    }
}

// --- Questions ----------------------------------------------------------------------------------------------------

/// The last line is asked; the lines before it were said, in turn by the one and the other.
fn request_of(text: &str, limits: &Limits) -> SearchRequest {
    let mut lines: Vec<&str> = text.lines().collect();
    let message = lines.pop().unwrap_or_default().to_owned();
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    let turns = lines.into_iter().zip(roles).map(|(line, role)| Turn { role, content: line.to_owned() });
    let question = Question { message, history: turns.collect(), ..Question::default() };
    let ask = || match Run::new("run-1".to_owned(), &question, limits).resume(Input::Start, &mut Vec::new()) {
        Ok(Effect::Search(request)) => request,
        other => panic!("a started run searches, not {other:?}"),
    };
    let request = ask();
    assert_eq!(ask(), request, "the same question is made out in two ways");
    request
}

fn assert_request_keeps_its_bounds(request: &SearchRequest, text: &str, limits: &Limits) {
    assert!(text.contains(&request.text), "a question is made of what was not asked");
    assert!(request.text.len() <= limits.query_bytes_max);
    let mut distinct: Vec<String> = words(&request.text).map(|word| word.text.to_lowercase()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(
        distinct.len() <= limits.query_words_max,
        "more words are searched for than may be: {distinct:?} in {:?}",
        request.text
    );
    let carried: Vec<&str> = request.context.split(' ').filter(|word| !word.is_empty()).collect();
    assert!(carried.len() <= limits.context_words_max, "more words are carried along than may be");
    assert!(carried.iter().all(|word| text.contains(word)), "a word is carried along that nobody said");
    assert_eq!(request.passages_max, limits.passages_max);
}

/// Slices change nothing, and what is found is told with weights that can be compared.
fn assert_search_is_bounded(request: &SearchRequest, limits: &Limits) {
    let search = |units| -> Found {
        let library = library();
        let (text, context) = (request.text.clone(), request.context.clone());
        let mut search = library.search(Query { text, context, hits_max: limits.passages_max, vector: None });
        loop {
            if let Some(found) = search.step(library, &mut Budget::new(units)) {
                return found;
            }
        }
    };
    let found = search(u32::MAX);
    assert_eq!(search(1), found, "slices find something else");
    assert!(found.hits.len() <= limits.passages_max);
    assert!(found.hits.iter().all(|hit| hit.score.is_finite() && hit.score >= 0.0));
    for (index, term) in found.terms.iter().enumerate() {
        assert!(!term.term.is_empty() && term.weight.is_finite() && term.weight >= 0.0, "{term:?}");
        assert!(term.known || term.corrected_to.is_none(), "{term:?} is corrected to nothing");
        let asked = if term.from_context { &request.context } else { &request.text };
        assert!(asked.contains(&term.text), "{term:?} was not asked");
        let is_typed = |other: &&oneloop::notes::QueryTerm| other.text == term.text;
        assert!(!found.terms[..index].iter().any(|other| is_typed(&other)), "{term:?} is told twice");
    }
}

/// A few notes with words to be found, mistyped and asked in several scripts.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut library = Library::new(HashSeed(7), &Limits::default());
        library.begin_scan();
        library.listed(NOTES.map(|(path, _)| Entry { path: path.into(), bytes: 1, modified_ns: 1 }).into());
        library.list_ended(true);
        library.next_reads().expect("there is something to read");
        for (path, text) in NOTES {
            let bytes = text.as_bytes().to_vec();
            library.read(path, Ok(ReadFile { total_bytes: bytes.len() as u64, bytes, modified_ns: 1 }));
        }
        while library.has_work() {
            library.index_step(&mut Budget::new(u32::MAX));
        }
        library
    })
}

const NOTES: [(&str, &str); 4] = [
    ("loop.md", "# Event loop\n\nTimers fire first, then [[poll]] waits. A turn runs its phases in order.\n"),
    (
        "poll.md",
        "---\ntags: [io]\n---\n# Poll\n\nReadiness is told once: `Last-Event-ID` and tick_ms are names.\n",
    ),
    (
        "tee.md",
        "# 日本語\n\nお茶は熱い。緑茶を入れる。\n\n# Größe\n\nNaïve café, Überlauf der Warteschlange.\n",
    ),
    ("цикл.md", "# Цикл событий\n\nТаймеры срабатывают первыми.\n"),
];
