//! Whether the sentences of a model's answer stand on its sources: those that do not are marked.
//!
//! It is a count of words and no understanding: a sentence is supported if enough of its content words stand in the
//! sources that it cites (in any of them, if it cites none), and every number that it names. So what is marked deserves
//! a second look; what is not may still be wrong.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::text::{Kinship, Language, Terms, kin, sentences, words};

use super::citations::cited;
use super::event::Source;
use super::head;

/// A sentence of an answer that no source supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Byte offset in the response at which it starts.
    pub start: usize,
    /// Byte offset just behind it.
    pub end: usize,
    /// These bytes.
    pub text: String,
}

/// The sentences of `answer` that do not stand on `sources`, in order.
///
/// Code, headings, questions, what only introduces, what says that nothing was found and what has hardly a content word
/// is never among them. Only the head of a long answer is looked at, and of many sources the first; a sentence that cites
/// one that was not is let be.
///
/// ```
/// # use oneloop::agent::{Source, support::unsupported};
/// # let source = Source { path: String::new(), title: String::new(), heading: String::new(), start: 0, end: 0,
/// #     score: 1.0, hash: String::new(), text: "Mira cleans the espresso machine on Fridays.".to_owned() };
/// let answer = "Mira cleans the machine on Fridays [1]. It was built in Milan by two brothers in 1961.";
/// let found = unsupported(answer, &[source], &oneloop::limits::Limits::default());
/// assert_eq!(found[0].text, "It was built in Milan by two brothers in 1961.");
/// assert_eq!(found.len(), 1);
/// ```
pub fn unsupported(answer: &str, sources: &[Source], limits: &Limits) -> Vec<Unsupported> {
    let answer = head(answer, limits.supported_answer_bytes_max);
    let mut terms = Terms::new();
    let mut room = limits.supported_source_bytes_max;
    let read: Vec<BTreeSet<String>> = sources
        .iter()
        .map_while(|source| {
            room = room.checked_sub(source.text.len())?;
            terms.speak(Language::of(&source.text));
            let all = [&source.title, &source.heading, &source.text];
            Some(
                all.iter()
                    .flat_map(|text| words(text))
                    .map(|word| terms.term(word.text).to_owned())
                    .collect(),
            )
        })
        .collect();
    let language = Language::of(answer);
    terms.speak(language);
    let pieces = pieces(answer);
    let mut found = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let text = &answer[piece.clone()];
        // A mark behind the stop belongs to what it follows.
        let behind = pieces
            .get(number + 1)
            .map_or(answer.len(), |next| next.start + marks_length(&answer[next.clone()]));
        let marks = cited(&answer[piece.start..behind], sources.len());
        let can_judge = marks.iter().all(|mark| *mark <= read.len())
            && (!marks.is_empty() || read.len() == sources.len());
        if !can_judge || !is_claim(text) {
            continue;
        }
        let stands_on: Vec<&BTreeSet<String>> = match marks.is_empty() {
            true => read.iter().collect(),
            false => marks.iter().filter_map(|mark| read.get(mark - 1)).collect(),
        };
        if !is_supported(text, language, &stands_on, &mut terms) {
            found.push(Unsupported { start: piece.start, end: piece.end, text: text.to_owned() });
        }
    }
    found
}

/// The sentences of `answer`, without marks at their start, and without code.
fn pieces(answer: &str) -> Vec<Range<usize>> {
    let mut in_code = false;
    let mut pieces = Vec::new();
    let mut code_until = 0;
    for range in sentences(answer) {
        // The splitter passes over fences; what lies between two of them is code.
        let skipped = &answer[code_until..range.start];
        if skipped.contains("```") || skipped.contains("~~~") {
            in_code = !in_code;
        }
        code_until = range.end;
        let start = range.start + marks_length(&answer[range.clone()]);
        if !in_code && start < range.end {
            pieces.push(start..range.end);
        }
    }
    pieces
}

/// The length of the marks that `text` begins with, and of the white space behind them.
fn marks_length(text: &str) -> usize {
    let mut rest = text;
    while let Some((inner, behind)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        if inner.is_empty() || !inner.bytes().all(|byte| byte.is_ascii_digit() || b", ".contains(&byte)) {
            break;
        }
        rest = behind.trim_start_matches(['.', ' ', '\n', ',', ';']);
    }
    text.len() - rest.len()
}

/// It says something that a note could say.
fn is_claim(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_open = text.trim_end_matches(['*', '_', ' ']).ends_with([':', '?', '：', '？']);
    !is_open && !text.starts_with('#') && !NOTHING_FOUND.iter().any(|sign| lower.contains(sign))
}

fn is_supported(text: &str, language: Language, sources: &[&BTreeSet<String>], terms: &mut Terms) -> bool {
    let holds = |term: &str| sources.iter().any(|source| source.contains(term));
    let (mut all, mut held) = (BTreeSet::new(), 0);
    let mut whole_end = 0;
    for word in words(text) {
        // Marks are no words, nor are the parts of a name.
        let is_mark = text[..word.start].ends_with('[') || word.start < whole_end;
        whole_end = whole_end.max(word.start + word.text.len());
        if is_mark || language.is_function_word(&word.text.to_lowercase()) {
            continue;
        }
        let term = terms.term(word.text).to_owned();
        let is_number = term.bytes().any(|byte| byte.is_ascii_digit());
        let is_held =
            holds(&term) || kin(&term).any(|(other, kinship)| kinship == Kinship::Close && holds(other));
        if is_number && !is_held && term.len() > 1 {
            return false;
        }
        if all.insert(term) && is_held {
            held += 1;
        }
    }
    all.len() < CLAIM_TERMS_MIN || held as f32 >= SUPPORTED_SHARE * all.len() as f32
}

/// A sentence with fewer different content words claims too little to be judged.
const CLAIM_TERMS_MIN: usize = 4;

/// The share of its content words that must stand in the sources.
const SUPPORTED_SHARE: f32 = 0.5;

/// What says that nothing was found.
const NOTHING_FOUND: [&str; 12] = [
    "notes do not",
    "notes don't",
    "no note",
    "not mention",
    "not specif",
    "no information",
    "not found",
    "don't know",
    "cannot answer",
    "can't answer",
    "keine notiz",
    "notizen enthalten",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "a.md".to_owned(),
            title: "Kettle".to_owned(),
            heading: String::new(),
            start: 0,
            end: text.len() as u64,
            score: 1.0,
            text: text.to_owned(),
            hash: String::new(),
        }
    }

    fn marked(answer: &str) -> Vec<String> {
        let sources = [
            source("The kettle was bought in May 2019 by Ada. It holds 1.7 litres."),
            source("The canteen opens at 11:30 and closes at 14:00; on Fridays there is fish."),
        ];
        let found = unsupported(answer, &sources, &Limits::default());
        found.iter().for_each(|found| assert_eq!(found.text, answer[found.start..found.end]));
        found.into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn what_the_cited_source_says_is_not_marked() {
        assert_eq!(
            marked("Ada bought the kettle in May 2019. [1] The canteen closes at 14:00 [2]."),
            [""; 0]
        );
        assert_eq!(marked("The kettle was purchased by Ada [1]."), [""; 0]);
    }

    #[test]
    fn what_only_another_source_says_is_marked() {
        assert_eq!(
            marked("The canteen closes at 14:00 and has fish on Fridays [1]."),
            ["The canteen closes at 14:00 and has fish on Fridays [1]."]
        );
    }

    #[test]
    fn a_number_that_no_source_names_is_marked() {
        assert_eq!(
            marked("The kettle was bought in May 2018 by Ada. [1]"),
            ["The kettle was bought in May 2018 by Ada."]
        );
    }

    #[test]
    fn what_claims_nothing_is_let_be() {
        assert_eq!(
            marked(
                "# The kettle and its long glorious history\n\nHere is what the wonderful archive tells:\n\n\
                 The notes do not say who repaired the broken toaster.\n\n```\nlet unknown = something(else, entirely);\n```\n\
                 Is that really everything somebody wanted?\n\nSure!"
            ),
            [""; 0]
        );
    }
}
