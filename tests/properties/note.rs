//! A file in the folder: what is kept of it lies inside it, keeps its bounds, and goes with it.

use std::collections::BTreeSet;
use std::ops::Range;

use oneloop::agent::{Answer, Effect, Findings, FoundTerm, Input, Passage, Question, Run};
use oneloop::base::{Budget, HashSeed};
use oneloop::limits::Limits;
use oneloop::notes::{Entry, Found, Library, LinkKind, Note, Query, ReadFile};
use oneloop::text::{Terms, boundary_before, boundary_behind, sentences, words};

/// Every offset of the note is one of the file and lies between two characters; every bound is kept; slices of one
/// unit make the same note as one big slice, and none is much longer than it may be; a search and an answer cite
/// bytes that are in the file; and when the file goes, nothing of it is left.
///
/// A note with a heading counts as taken.
pub fn note(bytes: &[u8]) -> bool {
    let mut headings = 0;
    for limits in [small_limits(), Limits::default()] {
        let mut library = indexed(bytes, &limits, u32::MAX);
        let sliced = indexed(bytes, &limits, 1);
        assert!(library.notes().eq(sliced.notes()), "slices make another note");
        let note = library.note(PATH).expect("every file is a note");
        assert_text_is_the_file(note, bytes, &limits);
        assert_headings_are_in_order(note);
        assert_passages_are_in_order(note, &limits);
        assert_names_keep_their_bounds(note, &limits);
        assert_eq!(library.links(note).count(), note.links.len());
        assert_boundaries_are_near(&note.text);
        headings += note.headings.len();

        let text = note.text[..boundary_before(&note.text, QUESTION_BYTES.min(note.text.len()))].to_owned();
        let found = asked(&library, &text, u32::MAX);
        assert_eq!(asked(&library, &text, 7), found, "slices find something else");
        assert_hits_are_cited(&found, note);
        assert_answer_is_cited(&text, found, note, &limits);

        library.begin_scan();
        library.list_ended(true);
        settle(&mut library, u32::MAX);
        assert_eq!(library.counts(), Default::default(), "something of the note is left");
        assert_eq!(asked(&library, &text, u32::MAX).hits, [], "a note is found that has gone");
    }
    headings > 0
}

/// Small bounds, so that short notes meet them. No passage can be shorter than one character.
fn small_limits() -> Limits {
    Limits {
        note_bytes_max: 600,
        note_piece_bytes_max: 64,
        passage_bytes: 40,
        passage_bytes_max: 90,
        links_per_note_max: 3,
        tags_per_note_max: 3,
        aliases_per_note_max: 2,
        query_words_max: 6,
        query_bytes_max: 80,
        answer_bytes_max: 120,
        sources_max: 2,
        dead_postings_min: 0,
        ..Limits::default()
    }
}

/// A library that holds nothing but this file.
fn indexed(bytes: &[u8], limits: &Limits, units: u32) -> Library {
    let mut library = Library::new(HashSeed(7), limits);
    let total_bytes = bytes.len() as u64;
    library.begin_scan();
    library.listed(vec![Entry { path: PATH.into(), bytes: total_bytes, modified_ns: 1 }]);
    library.list_ended(true);
    assert_eq!(library.next_reads(), Some(vec![PATH.into()]));
    library.read(PATH, Ok(ReadFile { bytes: bytes.to_vec(), total_bytes, modified_ns: 1 }));
    settle(&mut library, units);
    library
}

/// Works in slices of `units` until nothing is left to do.
fn settle(library: &mut Library, units: u32) {
    while library.has_work() {
        let mut slice = Budget::new(units);
        library.index_step(&mut slice);
        assert!(slice.overdrawn() <= OVERDRAWN_MAX, "a slice is {} units too long", slice.overdrawn());
    }
}

fn asked(library: &Library, text: &str, units: u32) -> Found {
    let query = Query { text: text.to_owned(), context: String::new(), hits_max: HITS_MAX, vector: None };
    let mut search = library.search(query);
    loop {
        let mut slice = Budget::new(units);
        if let Some(found) = search.step(library, &mut slice) {
            return found;
        }
        assert!(slice.overdrawn() <= OVERDRAWN_MAX, "a slice is {} units too long", slice.overdrawn());
    }
}

/// Nothing has moved, so that a byte range of the note is one of the file.
fn assert_text_is_the_file(note: &Note, bytes: &[u8], limits: &Limits) {
    let text = note.text.as_bytes();
    assert_eq!(note.cut.text, bytes.len() > limits.note_bytes_max);
    match note.cut.text {
        true => assert!(text.len() <= limits.note_bytes_max && text.len() + 4 > limits.note_bytes_max),
        false => assert_eq!(text.len(), bytes.len()),
    }
    assert!(text.iter().zip(bytes).all(|(kept, byte)| kept == byte || (*kept == b'?' && !byte.is_ascii())));
    if std::str::from_utf8(bytes).is_ok() {
        assert!(bytes.starts_with(text), "good characters are replaced");
    }
}

fn assert_headings_are_in_order(note: &Note) {
    let mut before = None;
    for (index, heading) in note.headings.iter().enumerate() {
        let start = heading.start as usize;
        assert!(note.text.is_char_boundary(start) && start < note.text.len());
        assert!(before.is_none_or(|before| before < start), "headings are out of order");
        before = Some(start);
        assert!((1..=6).contains(&heading.level) && heading.text.len() <= HEADING_BYTES_MAX);
        if let Some(parent) = heading.parent {
            assert!((parent as usize) < index, "a heading stands under a later one");
            assert!(
                note.headings[parent as usize].level < heading.level,
                "a heading stands under a lesser one"
            );
        }
    }
}

fn assert_passages_are_in_order(note: &Note, limits: &Limits) {
    assert!(!note.passages.is_empty(), "a note without a passage is never found");
    let mut end = 0;
    for passage in &note.passages {
        let (start, heading) = (passage.start as usize, passage.heading.map(|index| index as usize));
        assert!(start >= end, "passages overlap");
        end = passage.end as usize;
        assert!(note.text.get(start..end).is_some(), "a passage cuts a character");
        assert!(end - start <= limits.passage_bytes_max, "a passage is too long");
        assert!(heading.is_none_or(|index| note.headings[index].start as usize <= start));
        let next = note.headings.get(heading.map_or(0, |index| index + 1));
        assert!(
            next.is_none_or(|next| start <= next.start as usize),
            "a passage stands under the wrong heading"
        );
        assert!(note.heading_path(passage).count() <= 6, "a heading stands under itself");
    }
}

fn assert_names_keep_their_bounds(note: &Note, limits: &Limits) {
    assert!(note.links.len() <= limits.links_per_note_max);
    let mut targets = BTreeSet::new();
    for link in &note.links {
        assert!(!link.target.is_empty() && link.target.len() <= TARGET_BYTES_MAX);
        assert!(targets.insert(link), "a link is kept twice");
        let leads_out = link.target.split('/').any(|part| matches!(part, "" | "." | ".."));
        assert!(link.kind == LinkKind::Name || !leads_out, "a path leads out of the folder: {link:?}");
    }
    let tags: BTreeSet<String> = note.tags.iter().map(|tag| tag.to_lowercase()).collect();
    assert!(tags.len() == note.tags.len() && tags.len() <= limits.tags_per_note_max && !tags.contains(""));
    assert!(note.aliases.len() <= limits.aliases_per_note_max);
}

/// What cuts texts everywhere: words and sentences lie in the text, boundaries between characters.
fn assert_boundaries_are_near(text: &str) {
    for word in words(text) {
        assert!(
            !word.text.is_empty() && text[word.start..].starts_with(word.text),
            "a word is not in its text"
        );
    }
    let mut end = 0;
    for range in sentences(text) {
        assert!(range.start >= end && !text[range.clone()].is_empty(), "sentences overlap");
        end = range.end;
    }
    for at in 0..text.len().min(64) {
        let (before, behind) = (boundary_before(text, at), boundary_behind(text, at));
        assert!(text.is_char_boundary(before) && text.is_char_boundary(behind));
        assert!(before <= at && at <= behind && behind <= text.len());
    }
}

fn assert_hits_are_cited(found: &Found, note: &Note) {
    assert!(found.complete && found.hits.len() <= HITS_MAX);
    for hit in &found.hits {
        assert_eq!(note.text.get(hit.start..hit.end), Some(hit.text.as_str()), "a hit cites other bytes");
        assert!(hit.score.is_finite() && hit.score >= 0.0, "a score of {}", hit.score);
    }
    assert!(found.hits.is_sorted_by(|one, other| one.score >= other.score), "the best hit is not first");
}

/// A question about the note is answered with ranges of the note.
fn assert_answer_is_cited(text: &str, found: Found, note: &Note, limits: &Limits) {
    let question = Question { message: text.to_owned(), ..Question::default() };
    let mut run = Run::new("run-1".to_owned(), &question, limits);
    let mut told = Vec::new();
    run.resume(Input::Start, &mut told).expect("a run that was not started starts");
    let effect = run.resume(Input::Found(findings(found)), &mut told).expect("a run that searches is told");
    let Effect::Compose(mut composer) = effect else { panic!("a run that found something composes") };
    let mut terms = Terms::new();
    let answer: Answer = loop {
        if let Some(answer) = composer.step(&mut terms, &mut Budget::new(5)) {
            break answer;
        }
    };
    assert!(answer.sources.len() <= limits.sources_max);
    for source in &answer.sources {
        let range: Range<usize> = source.start as usize..source.end as usize;
        let cited = note.text.get(range).expect("an answer cites bytes that are there");
        assert_eq!(cited, source.text, "an answer cites other bytes");
    }
    run.resume(Input::Composed(answer), &mut told).expect("a run that composes is told");
    assert!(run.is_ended());
}

fn findings(found: Found) -> Findings {
    let passages = found.hits.into_iter().map(|hit| Passage {
        path: hit.path,
        title: hit.title,
        heading: hit.heading,
        start: hit.start as u64,
        end: hit.end as u64,
        score: hit.score,
        text: hit.text,
        category: hit.category,
        dangling: hit.dangling,
        tags: hit.tags,
        hash: hit.hash,
        date: hit.date,
        lead: hit.lead,
        likeness: hit.likeness,
    });
    let terms = found.terms.into_iter().map(|term| FoundTerm {
        text: term.text,
        term: term.term,
        forms: term.forms,
        weight: term.weight,
        known: term.known,
        corrected: term.corrected_to,
    });
    Findings {
        passages: passages.collect(),
        terms: terms.collect(),
        epoch: found.epoch,
        complete: found.complete,
        notes_indexed: 1,
        notes_found: 1,
        degraded: Vec::new(),
    }
}

const PATH: &str = "folder/note.md";
/// How much of a note is asked for.
const QUESTION_BYTES: usize = 200;
const HITS_MAX: usize = 10;
/// The bounds of a heading and of a link's target, which are the parser's own.
const HEADING_BYTES_MAX: usize = 512;
const TARGET_BYTES_MAX: usize = 4096;
/// A slice may be longer than its budget by one piece of work: a millisecond, five times a turn's share for tasks.
const OVERDRAWN_MAX: u32 = 1000;
