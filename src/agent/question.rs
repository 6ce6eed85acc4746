//! What is asked: the words to search for, the kind of answer that is wanted, and what a follow-up is about.
//!
//! All of it reads a bounded head of the message and of a few earlier turns, because it runs inside one
//! [`Run::new`](super::Run::new) and not in slices.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::text::{Language, words};

use super::effect::SearchRequest;
use super::head;
use super::kind::Kind;

/// A message with the turns before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked now, at most `message_bytes_max` long.
    pub message: String,
    /// What was said before, oldest first.
    #[serde(default)]
    pub history: Vec<Turn>,
    /// The session that it is a part of. What was said there before is looked up when its turn has come, unless the asker
    /// tells a history of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Who is to answer.
    #[serde(default, skip_serializing_if = "Strategy::is_usual")]
    pub strategy: Strategy,
    /// What may be written for its sake. The operator's to say, not the asker's; a part of the question all the same, as a
    /// process that takes the run over may have been started with other wishes.
    #[serde(default, skip_serializing_if = "Writes::is_off")]
    pub writes: Writes,
}

/// What the agent may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// Nothing.
    #[default]
    Off,
    /// New notes in one folder, `Inbox`.
    Inbox,
    /// New notes, each in the folder of its category, and additions to notes that there are.
    All,
}

impl Writes {
    fn is_off(&self) -> bool {
        *self == Writes::Off
    }
}

/// Who is to answer a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The model, if there is one.
    #[default]
    Model,
    /// The built-in answerer at once, and then the model, whose answer replaces the first.
    FastFirst,
    /// The built-in answerer alone.
    Notes,
}

impl Strategy {
    fn is_usual(&self) -> bool {
        *self == Strategy::Model
    }
}

/// One earlier message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who asks.
    User,
    /// Who answers.
    Assistant,
    /// Who set the two up; read by a model, not by the built-in answerer.
    System,
}

/// A question as it was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) request: SearchRequest,
    pub(super) language: Language,
    pub(super) kind: Kind,
    /// What something looks like is asked.
    pub(super) looks: bool,
    /// What the asker spoke of before, if this is a follow-up; a part of `request.context`, which also holds names
    /// that only the assistant said.
    pub(super) topic: String,
    /// How much of the evidence the topic must give, measured in what the question's own words give.
    pub(super) topic_share: f32,
}

impl Asked {
    /// Understands `question` within the bounds of `limits`.
    pub(super) fn make_out(question: &Question, limits: &Limits) -> Asked {
        let message = head(question.message.trim(), limits.query_bytes_max);
        let text = head_of_words(message, limits.query_words_max);
        let language = Language::of(text);
        let (topic, names, topic_share) = match follow_up(message) {
            Some(topic_share) => {
                let topic = topic_words(question, limits);
                let room = limits.context_words_max - topic.len();
                (topic, names_in_last_answer(question, room.min(NAMES_MAX), limits), topic_share)
            }
            None => (Vec::new(), Vec::new(), 0.0),
        };
        let context = [topic.as_slice(), names.as_slice()].concat().join(" ");
        Asked {
            request: SearchRequest { text: text.to_owned(), context, passages_max: limits.passages_max },
            language,
            kind: Kind::of(text),
            looks: Kind::asks_for_looks(text),
            topic: topic.join(" "),
            topic_share,
        }
    }
}

/// Whether `message` leans on what was said before, and how much of the evidence the earlier topic must then give.
fn follow_up(message: &str) -> Option<f32> {
    let lower = message.to_lowercase();
    let all: Vec<&str> = words(&lower).map(|word| word.text).take(FOLLOW_UP_WORDS_MAX).collect();
    let language = Language::of(message);
    let content = all.iter().filter(|word| !language.is_function_word(word)).count();
    let opens = OPENERS.iter().any(|opener| {
        lower
            .strip_prefix(opener)
            .is_some_and(|rest| !opener.is_ascii() || !rest.starts_with(char::is_alphanumeric))
    });
    let points =
        all.iter().any(|word| POINTERS.contains(word)) || POINTING.iter().any(|mark| lower.contains(mark));
    let elliptic = all.len() <= 3 && all.first().is_some_and(|first| ["how", "wie"].contains(first));
    match content {
        0 => Some(TOPIC_SHARE),
        _ if opens || elliptic => Some(TOPIC_SHARE),
        1 if points => Some(TOPIC_SHARE),
        // `What is the loop and how does it work?` points into itself, so the earlier topic helps but is not needed.
        2 | 3 if points => Some(TOPIC_SHARE / 2.0),
        _ => None,
    }
}

/// The content words of the newest user turns, newest turn first, back to one that stands alone.
fn topic_words(question: &Question, limits: &Limits) -> Vec<String> {
    let mut topic: Vec<String> = Vec::new();
    for turn in question.history.iter().rev().take(limits.context_turns_max) {
        // Some clients put the message itself at the end of the history.
        if turn.role != Role::User || turn.content.trim() == question.message.trim() {
            continue;
        }
        let said = head(turn.content.trim(), limits.context_bytes_max);
        let language = Language::of(said);
        for word in words(said) {
            let lower = word.text.to_lowercase();
            let new = !topic.iter().any(|known| known.to_lowercase() == lower);
            if topic.len() < limits.context_words_max && new && !language.is_function_word(&lower) {
                topic.push(word.text.to_owned());
            }
        }
        if follow_up(said).is_none() {
            break;
        }
    }
    topic
}

/// Up to `count` capitalised words from inside the sentences of the newest answer: names that `it` may stand for.
fn names_in_last_answer(question: &Question, count: usize, limits: &Limits) -> Vec<String> {
    let Some(answer) = question.history.iter().rev().find(|turn| turn.role == Role::Assistant) else {
        return Vec::new();
    };
    let said = head(&answer.content, limits.context_bytes_max);
    let mut names: Vec<String> = Vec::new();
    for word in words(said) {
        let before = said[..word.start].trim_end();
        let opens_sentence =
            before.is_empty() || before.ends_with(['.', '!', '?', ':', ']', '\n', '-', '*', '`']);
        let is_name = word.text.starts_with(char::is_uppercase) && !opens_sentence;
        if names.len() < count && is_name && !names.iter().any(|name| name == word.text) {
            names.push(word.text.to_owned());
        }
    }
    names
}

/// `text` up to and with its `count`th distinct word.
fn head_of_words(text: &str, count: usize) -> &str {
    let mut head = text;
    loop {
        // A cut can make other words of what stands before it: without its `é`, `aBc-é` is a name with parts.
        let cut = cut_behind_words(head, count);
        if cut.len() == head.len() {
            return head;
        }
        head = cut;
    }
}

fn cut_behind_words(text: &str, count: usize) -> &str {
    let mut distinct: BTreeSet<String> = BTreeSet::new();
    for word in words(text) {
        if distinct.len() == count && !distinct.contains(&word.text.to_lowercase()) {
            return text[..word.start].trim_end();
        }
        distinct.insert(word.text.to_lowercase());
    }
    text
}

/// A follow-up must find a little more of its topic than of its own words, or a note on another topic that shares
/// all of `how hot does it get` would answer it.
const TOPIC_SHARE: f32 = 1.25;

/// A message that is longer speaks for itself.
const FOLLOW_UP_WORDS_MAX: usize = 64;

/// Names taken over from the last answer.
const NAMES_MAX: usize = 4;

/// What a follow-up begins with.
const OPENERS: [&str; 16] = [
    "and",
    "but",
    "also",
    "or",
    "what about",
    "how about",
    "und",
    "aber",
    "auch",
    "oder",
    "was ist mit",
    "那",
    "那么",
    "では",
    "じゃあ",
    "それで",
];

/// Words that stand for something said before.
const POINTERS: [&str; 26] = [
    "it", "its", "they", "them", "their", "that", "this", "these", "those", "he", "she", "him", "his", "her",
    "there", "er", "es", "ihn", "ihm", "dessen", "deren", "dieser", "diese", "dieses", "davon", "dort",
];

/// The same in scripts without spaces.
const POINTING: [&str; 10] = ["它", "他", "她", "这", "那", "それ", "これ", "その", "この", "그것"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_that_makes_new_words_is_followed_by_another() {
        assert_eq!(head_of_words("one two three", 2), "one two");
        assert_eq!(words("Wh-Evh-Event-I\u{fffd}").count(), 4);
        assert_eq!(words("Wh-Evh-Event-").count(), 4);
        let head = head_of_words("Wh-Evh-Event-I\u{fffd}", 3);
        assert_eq!(head, "Wh-Evh-");
        assert_eq!(words(head).count(), 3);
    }
}
