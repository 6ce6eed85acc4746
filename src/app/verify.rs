//! `POST /verify`: whether the sources of an answer still stand in the notes as they are now.
//!
//! ```text
//! no such note ─► gone
//! the same bytes at the same place or, for a source without `text`, the same hash ─► stands
//! the same text elsewhere in the note ─► moved, and where it is
//! else ─► changed
//! ```
//!
//! Only the index is looked at, never the disk: a path that leads out of the folder is simply no note.

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;
use crate::notes::{IndexState, Library, Note};

use super::chat::{object, read_object, string};
use super::respond::{Invalid, Place, Problem, Reply, write_json};

/// A source as an answer names it; what else stands in it is passed over.
#[derive(Debug)]
struct Named {
    path: String,
    start: u64,
    end: u64,
    hash: Option<String>,
    text: Option<String>,
}

/// What has become of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Stands,
    Moved,
    Changed,
    Gone,
}

#[derive(Debug, Serialize)]
struct Verified<'n> {
    path: &'n str,
    state: State,
    start: u64,
    end: u64,
}

/// Looks each source up, in their order.
///
/// # Errors
/// 422 for a body that is none of sources, 413 for one that would take too long to look up, and 503 while a note that
/// is missing may only not be indexed yet.
pub fn verify(
    body: &[u8],
    library: &Library,
    limits: &Limits,
    answer: &mut Vec<u8>,
) -> Result<Reply, Problem> {
    let named = parse(body, limits).map_err(Problem::invalid)?;
    let mut bytes_left = limits.verify_bytes_max;
    let mut sources = Vec::with_capacity(named.len());
    for source in &named {
        let (state, start, end) = match library.note(&source.path) {
            Some(note) => {
                if !stands(source, note) {
                    bytes_left = bytes_left.checked_sub(note.text.len()).ok_or_else(|| {
                        Problem::new(413, "these sources take too long to look up: ask for fewer at once")
                    })?;
                }
                look_up(source, note)
            }
            None if library.progress().state != IndexState::Ready => {
                let detail = "the notes are being indexed, and one of these is not there yet";
                return Err(Problem::busy(detail, 1));
            }
            None => (State::Gone, source.start, source.end),
        };
        sources.push(Verified { path: &source.path, state, start, end });
    }
    #[derive(Serialize)]
    struct Body<'n> {
        sources: Vec<Verified<'n>>,
    }
    write_json(&Body { sources }, answer);
    Ok(Reply::OK)
}

/// The bytes that a source names, if the note has so many.
fn bytes_of<'n>(source: &Named, note: &'n Note) -> Option<&'n str> {
    note.text.get(usize::try_from(source.start).ok()?..usize::try_from(source.end).ok()?)
}

fn stands(source: &Named, note: &Note) -> bool {
    bytes_of(source, note).is_some_and(|there| match &source.text {
        Some(_) if is_planted(Planted::VerifiesByHashAlone) => {
            source.hash.as_ref() == Some(&note.hash_text())
        }
        Some(text) => there == text,
        None => source.hash.as_ref().is_some_and(|hash| hash.eq_ignore_ascii_case(&note.hash_text())),
    })
}

fn look_up(source: &Named, note: &Note) -> (State, u64, u64) {
    if stands(source, note) {
        return (State::Stands, source.start, source.end);
    }
    let found = source.text.as_ref().and_then(|text| nearest(&note.text, text, source.start));
    match (found, &source.text) {
        (Some(start), Some(text)) => (State::Moved, start as u64, (start + text.len()) as u64),
        _ => (State::Changed, source.start, source.end),
    }
}

/// Where `wanted` stands in `text`, as near to `place` as it does.
fn nearest(text: &str, wanted: &str, place: u64) -> Option<usize> {
    let place = usize::try_from(place).unwrap_or(usize::MAX).min(text.len());
    let behind = memmem::find(&text.as_bytes()[place..], wanted.as_bytes()).map(|offset| place + offset);
    let reach = place.saturating_add(wanted.len()).saturating_sub(1).min(text.len());
    let before = memmem::rfind(&text.as_bytes()[..reach], wanted.as_bytes());
    match (before, behind) {
        (Some(before), Some(behind)) if place - before <= behind - place => Some(before),
        (before, behind) => behind.or(before),
    }
}

// --- What is asked ------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    sources: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct SourceFields<'b> {
    #[serde(borrow)]
    path: Option<&'b RawValue>,
    #[serde(borrow)]
    start: Option<&'b RawValue>,
    #[serde(borrow)]
    end: Option<&'b RawValue>,
    #[serde(borrow)]
    hash: Option<&'b RawValue>,
    #[serde(borrow)]
    text: Option<&'b RawValue>,
}

const LIST: [Place; 2] = [Place::Name("body"), Place::Name("sources")];

fn parse(body: &[u8], limits: &Limits) -> Result<Vec<Named>, Invalid> {
    let fields: Fields<'_> = read_object(body)?;
    let Some(text) = fields.sources else { return Err(Invalid::new("missing", &LIST, "Field required")) };
    let sources: Vec<&RawValue> = serde_json::from_str(text.get())
        .map_err(|_| Invalid::new("list_type", &LIST, "Input should be a valid list"))?;
    if sources.len() > limits.verify_sources_max {
        let msg = format!("List should have at most {} items", limits.verify_sources_max);
        return Err(Invalid::new("too_long", &LIST, msg));
    }
    sources.into_iter().enumerate().map(|(index, text)| named(text, index)).collect()
}

/// A number without a fraction and a sign, also one that is written with a point, as some clients write all of theirs:
/// `7.0` is an integer (JSON Schema Validation §6.1.1, "integer").
fn whole_number(text: &RawValue) -> Option<u64> {
    if let Ok(number) = serde_json::from_str(text.get()) {
        return Some(number);
    }
    let number: f64 = serde_json::from_str(text.get()).ok()?;
    let is_whole = number.fract() == 0.0 && number >= 0.0;
    // Written out, it is exact, and one that is too large is found to be so.
    is_whole.then(|| format!("{:.0}", number.abs()).parse().ok()).flatten()
}

fn named(text: &RawValue, index: usize) -> Result<Named, Invalid> {
    let at = |name: Option<&'static str>| {
        let mut place = LIST.to_vec();
        place.push(Place::Index(index));
        place.extend(name.map(Place::Name));
        place
    };
    let Some(Ok(SourceFields { path, start, end, hash, text })) = object(text) else {
        return Err(Invalid::new("model_type", &at(None), "Input should be a JSON object"));
    };
    let missing = |name| Invalid::new("missing", &at(Some(name)), "Field required");
    let no_string = |name| Invalid::new("string_type", &at(Some(name)), "Input should be a valid string");
    let number = |field: Option<&RawValue>, name| {
        let text = field.ok_or_else(|| missing(name))?;
        whole_number(text).ok_or_else(|| {
            Invalid::new(
                "int_parsing",
                &at(Some(name)),
                "Input should be a whole number that is not negative",
            )
        })
    };
    let words = |field: Option<&RawValue>, name| match field {
        Some(text) => serde_json::from_str::<Option<String>>(text.get()).map_err(|_| no_string(name)),
        None => Ok(None),
    };
    let path = string(path.ok_or_else(|| missing("path"))?).ok_or_else(|| no_string("path"))?;
    let (start, end) = (number(start, "start")?, number(end, "end")?);
    let hash = words(hash, "hash")?;
    let text = words(text, "text")?.filter(|text| !text.is_empty());
    if hash.is_none() && text.is_none() {
        let msg = "Without 'hash' or 'text' there is nothing to compare with";
        return Err(Invalid::new("missing", &at(Some("hash")), msg));
    }
    Ok(Named { path, start, end, hash, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, HashSeed};
    use crate::notes::{Entry, ReadFile};

    fn library(notes: &[(&str, &str)]) -> Library {
        let mut library = Library::new(HashSeed(1), &Limits::default());
        library.begin_scan();
        let entry = |(path, text): &(&str, &str)| Entry {
            path: (*path).into(),
            bytes: text.len() as u64,
            modified_ns: 1,
        };
        library.listed(notes.iter().map(entry).collect());
        library.list_ended(true);
        while let Some(paths) = library.next_reads() {
            for path in paths {
                let (_, text) = notes.iter().find(|(name, _)| **name == *path).unwrap();
                let bytes = text.as_bytes().to_vec();
                let file = ReadFile { total_bytes: bytes.len() as u64, bytes, modified_ns: 1 };
                library.read(&path, Ok(file));
            }
            while library.has_work() {
                library.index_step(&mut Budget::new(10_000));
            }
        }
        library
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for (text, number) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("1e3", Some(1000)),
            ("-0.0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("7.5", None),
            ("-7", None),
            ("-7.0", None),
            ("1e300", None),
            ("\"7\"", None),
            ("null", None),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(whole_number(raw), number, "{text}");
        }
    }

    fn states(sources: &str, library: &Library) -> Result<String, u16> {
        let mut answer = Vec::new();
        let body = format!(r#"{{"sources":[{sources}]}}"#);
        verify(body.as_bytes(), library, &Limits::default(), &mut answer)
            .map_err(|problem| problem.status)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn each_source_has_its_state() {
        let library = library(&[("tea.md", "# Tea\n\nOld line.\n\nGreen tea wants 80 °C.\n")]);
        let hash = library.note("tea.md").unwrap().hash_text();
        for (source, state) in [
            (format!(r#"{{"path":"tea.md","start":18,"end":40,"hash":"{hash}"}}"#), "stands\",\"start\":18"),
            (r#"{"path":"tea.md","start":18,"end":41,"text":"Green tea wants 80 °C."}"#.to_owned(), "stands"),
            (
                r#"{"path":"tea.md","start":7,"end":30,"hash":"00","text":"Green tea wants 80 °C."}"#
                    .to_owned(),
                "moved\",\"start\":18,\"end\":41",
            ),
            (
                r#"{"path":"tea.md","start":7,"end":20,"hash":"00","text":"Black tea"}"#.to_owned(),
                "changed\",\"start\":7",
            ),
            (format!(r#"{{"path":"tea.md","start":18,"end":4000,"hash":"{hash}"}}"#), "changed"),
            (r#"{"path":"../tea.md","start":0,"end":1,"hash":"00"}"#.to_owned(), "gone"),
        ] {
            let answer = states(&source, &library).unwrap();
            assert!(answer.contains(&format!("\"state\":\"{state}")), "{source}: {answer}");
        }
    }

    #[test]
    fn what_is_missing_while_notes_are_indexed_may_only_not_be_there_yet() {
        let source = r#"{"path":"tea.md","start":0,"end":5,"hash":"00"}"#;
        let mut library = Library::new(HashSeed(1), &Limits::default());
        library.begin_scan();
        assert_eq!(states(source, &library), Err(503));
        library.list_ended(true);
        while library.has_work() {
            library.index_step(&mut Budget::new(10_000));
        }
        assert!(states(source, &library).unwrap().contains("\"gone\""));
    }

    #[test]
    fn of_two_places_the_nearer_one_is_where_it_has_moved() {
        assert_eq!(nearest("ab..ab......ab", "ab", 5), Some(4));
        assert_eq!(nearest("ab..ab......ab", "ab", 9), Some(12));
        assert_eq!(nearest("ab", "ab", 900), Some(0));
        assert_eq!(nearest("ab", "abc", 0), None);
    }

    #[test]
    fn what_is_no_source_is_refused() {
        let library = library(&[]);
        for source in [
            "7",
            r#"{"path":"a.md","start":0,"end":1}"#,
            r#"{"path":"a.md","start":-1,"end":1,"hash":""}"#,
            r#"{"path":7,"start":0,"end":1,"hash":""}"#,
            r#"{"start":0,"end":1,"hash":""}"#,
        ] {
            assert_eq!(states(source, &library), Err(422), "{source}");
        }
    }
}
