//! Statements: a message that tells something is kept as a note, with a title, a category, tags and links.
//!
//! ```text
//! "Remember that the boiler is serviced every October. #house"
//!      │ statement: what is to be kept, without the words that ask for it
//!      ▼
//!  a search for it ─► neighbours ─► the category that most of them have, tags that they share, links to the nearest
//!      ▼
//!  Draft { title: "The boiler is serviced every October", … }
//! ```
//!
//! What is kept is what was said, word for word. Only what stands around it is made up here.

use super::effect::Passage;
use super::head;
use crate::text::{Language, words};

/// A note that is to be made: all of it but the day and the path, which are not the agent's to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its title, which becomes the file's name.
    pub title: String,
    /// What it says.
    pub body: String,
    /// Its category; empty for none.
    pub category: String,
    /// Its tags, beside those that stand in the body.
    pub tags: Vec<String>,
    /// Notes that have to do with it: path and title.
    pub related: Vec<(String, String)>,
}

impl Draft {
    /// The note's text, made on `day` (`2026-03-01`).
    pub fn text(&self, day: &str) -> String {
        let mut text = format!("---\ncreated: {day}\n");
        if !self.category.is_empty() {
            text.push_str(&format!("category: {}\n", quoted(&self.category)));
        }
        if !self.tags.is_empty() {
            let tags: Vec<String> = self.tags.iter().map(|tag| quoted(tag)).collect();
            text.push_str(&format!("tags: [{}]\n", tags.join(", ")));
        }
        text.push_str("---\n\n");
        let body = self.body.trim();
        if !body.starts_with("# ") {
            text.push_str(&format!("# {}\n\n", self.title));
        }
        text.push_str(body);
        text.push('\n');
        if !self.related.is_empty() {
            let links: Vec<String> = self.related.iter().map(|(path, title)| link(path, title)).collect();
            text.push_str(&format!("\nRelated: {}\n", links.join(", ")));
        }
        text
    }
}

/// A scalar of YAML that can be nothing but a text.
fn quoted(text: &str) -> String {
    let inner: String =
        text.chars().filter(|character| !character.is_control() && *character != '"').collect();
    format!("\"{}\"", inner.replace('\\', "/"))
}

/// A link that means exactly this note, whatever its name holds, and reads as its title.
pub fn link(path: &str, title: &str) -> String {
    if path.contains(NOT_IN_WIKILINKS) {
        return link_by_path(path, title);
    }
    let target = path.strip_suffix(".md").or_else(|| path.strip_suffix(".markdown")).unwrap_or(path);
    let name = target.rsplit('/').next().unwrap_or(target);
    if name == title || title.contains(['|', '[', ']', '\n']) {
        return format!("[[{target}]]");
    }
    format!("[[{target}|{title}]]")
}

/// What a name in double brackets would be cut at, or read as something else.
const NOT_IN_WIKILINKS: [char; 6] = ['#', '|', '[', ']', '^', '\\'];

/// The same in Markdown's own form, the path with percent escapes.
fn link_by_path(path: &str, title: &str) -> String {
    let name: String = title.chars().filter(|character| !"[]\\".contains(*character)).collect();
    let mut target = String::new();
    for character in path.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && !"-._~/".contains(character) {
            target.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            target.push(character);
        }
    }
    format!("[{name}](/{target})")
}

/// The folder of what was noted, for whoever puts it in order.
pub const INBOX: &str = "Inbox";

/// What a message wants to be kept; `None` for a question or a wish.
pub(super) fn statement(message: &str) -> Option<&str> {
    let message = message.trim();
    asked_for(message).or_else(|| reads_like_a_note(message).then_some(message))
}

/// What stands behind words that ask for it to be kept.
fn asked_for(message: &str) -> Option<&str> {
    let beginning: String = head(message, BEGINNING_BYTES).to_lowercase();
    // Lower case may have other bytes; then the beginning is none of these, which are ASCII.
    let opener = OPENERS.iter().find(|opener| beginning.starts_with(**opener))?;
    let rest = message.get(opener.len()..)?;
    // `Notebooks` begins like `note`, and is no wish.
    let ends = opener.ends_with([':', ' ']) || rest.starts_with([':', ',', ' ', '\n']);
    let told = rest.trim_start_matches([':', ',', '-', ' ', '\n', '\t']);
    let told = JOINTS.iter().find_map(|joint| strip_word(told, joint)).unwrap_or(told).trim();
    // `Remember that café?` asks.
    let asks = told.ends_with('?') && !opener.ends_with(':');
    (ends && !asks && told.chars().any(char::is_alphanumeric)).then_some(told)
}

/// `text` behind a word that begins it, in any case.
fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (beginning, rest) = text.split_at_checked(word.len())?;
    (beginning.eq_ignore_ascii_case(word) && rest.starts_with([' ', ':', ',']))
        .then(|| rest.trim_start_matches([' ', ':', ',']))
}

const OPENERS: [&str; 24] = [
    "note:",
    "note to self",
    "note that ",
    "notes:",
    "remember:",
    "remember that ",
    "remember this",
    "please remember ",
    "please note ",
    "make a note",
    "take a note",
    "add a note",
    "new note",
    "write down",
    "jot down",
    "save this",
    "keep in mind that ",
    "for the record",
    "merk dir",
    "merke dir",
    "bitte merk",
    "notiz:",
    "notiere",
    "bitte notiere",
];

/// Words between the wish and what it is about.
const JOINTS: [&str; 6] = ["that", "this", "of", "about", "dass", "dir"];

const BEGINNING_BYTES: usize = 32;

/// A long text that asks for nothing: pasted minutes, a thought.
fn reads_like_a_note(message: &str) -> bool {
    let text = head(message, LOOKED_AT_BYTES);
    let count = words(text).take(NOTE_WORDS_MIN).count();
    let sentences = text.matches(['.', '!', '\n']).count();
    if count < NOTE_WORDS_MIN || sentences < NOTE_SENTENCES_MIN || text.contains('?') {
        return false;
    }
    let lower = text.to_lowercase();
    let first = words(&lower).next().map_or("", |word| word.text);
    !WISHES.contains(&first) && !WISHED.iter().any(|wish| lower.contains(wish))
}

/// Words of a text that is kept without being asked for. A question that is this long says that it is one.
const NOTE_WORDS_MIN: usize = 60;
const NOTE_SENTENCES_MIN: usize = 2;
const LOOKED_AT_BYTES: usize = 4 * 1024;

/// First words of a wish.
const WISHES: [&str; 32] = [
    "what",
    "who",
    "whom",
    "whose",
    "when",
    "where",
    "why",
    "which",
    "how",
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "can",
    "could",
    "should",
    "would",
    "will",
    "explain",
    "describe",
    "list",
    "show",
    "find",
    "summarize",
    "summarise",
    "compare",
    "translate",
    "write",
    "give",
];

/// What makes a wish of the text around it.
const WISHED: [&str; 12] = [
    "can you",
    "could you",
    "would you",
    "please",
    "tell me",
    "explain",
    "help me",
    "i want you",
    "i need you",
    "let me know",
    "summar",
    "your task",
];

/// What is made of a statement, with the notes that were found for it.
pub(super) fn draft(told: &str, neighbours: &[Passage]) -> Draft {
    let title = title_of(told);
    let own = content_words(told);
    let mut related: Vec<(String, String)> = Vec::new();
    let mut near: Vec<&Passage> = Vec::new();
    for passage in neighbours {
        let shared = shared_words(&own, passage).len();
        if shared < SHARED_WORDS_MIN {
            continue;
        }
        near.push(passage);
        let is_told = related.iter().any(|(path, _)| *path == passage.path);
        if !is_told && related.len() < RELATED_MAX {
            related.push((passage.path.clone(), passage.title.clone()));
        }
    }
    Draft { title, body: told.to_owned(), category: category_of(&near), tags: tags_of(told, &near), related }
}

/// A title out of the first line or sentence.
fn title_of(told: &str) -> String {
    let line = told.trim().lines().next().unwrap_or("").trim_start_matches(['#', ' ', '-', '*', '>']).trim();
    let end = line.char_indices().find(|(at, character)| {
        let behind = line[at + character.len_utf8()..].chars().next();
        matches!(character, '.' | '!' | '?' | ';') && behind.is_none_or(char::is_whitespace)
    });
    let sentence = end.map_or(line, |(at, _)| &line[..at]);
    let mut title = head(sentence, TITLE_BYTES_MAX);
    if title.len() < sentence.len() {
        title = title.rsplit_once(' ').map_or(title, |(whole, _)| whole);
    }
    // Tags are told by themselves.
    let title: Vec<&str> = title.split_whitespace().filter(|word| !word.starts_with('#')).collect();
    let title = title.join(" ").trim_end_matches([',', ':', ' ', '-', '.']).to_owned();
    let mut characters = title.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => "Note".to_owned(),
    }
}

/// Longest title, in bytes: a line that a list of notes has room for.
pub const TITLE_BYTES_MAX: usize = 72;

/// The file name of a title: what some file system, or a link, would not take is left out.
pub fn file_stem(title: &str) -> String {
    let kept = title.chars().map(|character| match character {
        '/' | '\\' | ':' | '|' => ' ',
        other => other,
    });
    let kept: String =
        kept.filter(|character| !character.is_control() && !"*?\"<>#^[]".contains(*character)).collect();
    let name: Vec<&str> = kept.split_whitespace().collect();
    let name = name.join(" ");
    let name = head(&name, STEM_BYTES_MAX).trim_matches(['.', ' ']).to_owned();
    if name.is_empty() { "Note".to_owned() } else { name }
}

const STEM_BYTES_MAX: usize = 120;

/// The category that most of what is near has, if that is more than half.
fn category_of(near: &[&Passage]) -> String {
    let weight = |category: &str| -> f32 {
        near.iter().filter(|passage| passage.category == category).map(|passage| passage.score).sum()
    };
    let all: f32 = near.iter().map(|passage| passage.score).sum();
    let named = near.iter().map(|passage| &*passage.category).filter(|category| !category.is_empty());
    let best = named.max_by(|one, other| weight(one).total_cmp(&weight(other)));
    best.filter(|category| weight(category) * 2.0 > all).unwrap_or("").to_owned()
}

/// Tags that two of the nearest notes share, or that the statement has among its words.
fn tags_of(told: &str, near: &[&Passage]) -> Vec<String> {
    let own: Vec<String> = words(told).take(WORDS_MAX).map(|word| word.text.to_lowercase()).collect();
    let mut tags: Vec<String> = Vec::new();
    for passage in near.iter().take(TAGGING_MAX) {
        for tag in &passage.tags {
            let is_said = own.iter().any(|word| *word == tag.to_lowercase());
            let others = near.iter().take(TAGGING_MAX).filter(|other| other.path != passage.path);
            let is_shared = others.clone().any(|other| other.tags.contains(tag));
            if (is_said || is_shared) && !tags.contains(tag) && tags.len() < TAGS_MAX {
                tags.push(tag.clone());
            }
        }
    }
    tags
}

/// Notes that say much the same already: path and title.
pub(super) fn near_duplicate<'p>(told: &str, neighbours: &'p [Passage]) -> Option<&'p Passage> {
    let own = content_words(told);
    if own.len() < DUPLICATE_WORDS_MIN {
        return None;
    }
    let is_same = |passage: &&Passage| shared_words(&own, passage).len() * 5 >= own.len() * 4;
    neighbours.iter().find(is_same)
}

/// Words of a statement that say what it is about, each once, in lower case.
fn content_words(told: &str) -> Vec<String> {
    let language = Language::of(told);
    let mut found: Vec<String> = Vec::new();
    for word in words(told).take(WORDS_MAX) {
        let lower = word.text.to_lowercase();
        if lower.chars().count() >= CONTENT_CHARS_MIN
            && !language.is_function_word(&lower)
            && !found.contains(&lower)
        {
            found.push(lower);
        }
    }
    found
}

/// Those of these words that a passage has as well, be it in another form.
fn shared_words<'w>(own: &'w [String], passage: &Passage) -> Vec<&'w String> {
    let there: Vec<String> = [&passage.title, &passage.heading, &passage.text]
        .into_iter()
        .flat_map(|text| words(text).take(WORDS_MAX).map(|word| word.text.to_lowercase()))
        .collect();
    own.iter().filter(|word| there.iter().any(|other| is_like(word, other))).collect()
}

/// One is the other, or both begin alike for most of their length: `boiler` and `boilers`.
fn is_like(one: &str, other: &str) -> bool {
    let alike = one.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    let (shorter, longer) =
        (one.chars().count().min(other.chars().count()), one.chars().count().max(other.chars().count()));
    one == other || (alike >= 5 && alike + 1 >= shorter && longer - alike <= 3)
}

/// Content words that a note must share with a statement to have to do with it.
const SHARED_WORDS_MIN: usize = 2;
const CONTENT_CHARS_MIN: usize = 4;
/// Words of one text that are looked at: what is compared is bounded, whatever is pasted.
const WORDS_MAX: usize = 400;
const RELATED_MAX: usize = 3;
const TAGS_MAX: usize = 3;
/// Notes whose tags are looked at.
const TAGGING_MAX: usize = 5;
/// A statement with fewer words of its own is like too many others.
const DUPLICATE_WORDS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(path: &str, category: &str, tags: &[&str], text: &str) -> Passage {
        Passage {
            path: path.to_owned(),
            title: path.trim_end_matches(".md").to_owned(),
            heading: String::new(),
            start: 0,
            end: text.len() as u64,
            score: 1.0,
            text: text.to_owned(),
            category: category.to_owned(),
            dangling: Vec::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            hash: String::new(),
            date: None,
            lead: String::new(),
            likeness: None,
        }
    }

    #[test]
    fn a_name_that_a_wikilink_can_not_hold_is_linked_by_its_path() {
        assert_eq!(link("house/Boiler.md", "The boiler"), "[[house/Boiler|The boiler]]");
        assert_eq!(link("C# [old].md", "C# [old]"), "[C# old](/C%23%20%5Bold%5D.md)");
    }

    #[test]
    fn what_is_to_be_kept_stands_behind_the_wish() {
        for (message, told) in [
            ("Note: the boiler is serviced in October.", "the boiler is serviced in October."),
            ("note that the boiler is old", "the boiler is old"),
            ("Please remember that Mira has the key.", "Mira has the key."),
            ("REMEMBER: buy tea", "buy tea"),
            ("Make a note that the pump is loud", "the pump is loud"),
            ("Merk dir, dass der Schlüssel bei Mira ist", "der Schlüssel bei Mira ist"),
            ("Notiz: Tee kaufen", "Tee kaufen"),
            ("note: is it loud?", "is it loud?"),
        ] {
            assert_eq!(statement(message), Some(told), "{message}");
        }
    }

    #[test]
    fn a_question_or_a_wish_is_none() {
        for message in [
            "Who has the key?",
            "Remember that café in Lisbon?",
            "Notebooks are where?",
            "note:",
            "Which notes are about tea",
            "What should I note about the boiler",
            "",
        ] {
            assert_eq!(statement(message), None, "{message}");
        }
        let asked = format!(
            "Could you put this in order. {}",
            "We met and spoke about the boiler and the pump. ".repeat(9)
        );
        assert_eq!(statement(&asked), None);
    }

    #[test]
    fn a_long_text_that_asks_for_nothing_is_kept() {
        let minutes = "We met on Monday and spoke about the boiler and the pump in the cellar. ".repeat(5);
        assert_eq!(statement(&minutes), Some(minutes.trim()));
    }

    #[test]
    fn a_title_is_the_first_sentence_within_bounds() {
        assert_eq!(title_of("the boiler is old. It leaks."), "The boiler is old");
        assert_eq!(title_of("# Minutes\n\nWe met."), "Minutes");
        assert_eq!(title_of("buy tea #shopping"), "Buy tea");
        assert!(title_of(&"word ".repeat(99)).len() <= TITLE_BYTES_MAX);
        assert_eq!(title_of("..."), "Note");
    }

    #[test]
    fn a_file_name_has_nothing_that_a_file_system_or_a_link_would_not_take() {
        assert_eq!(file_stem("TCP/IP: what? [draft] #1"), "TCP IP what draft 1");
        assert_eq!(file_stem("..."), "Note");
        assert_eq!(file_stem("../../etc"), "etc");
    }

    #[test]
    fn category_tags_and_links_come_from_what_is_near() {
        let neighbours = [
            passage(
                "house/Boiler.md",
                "house",
                &["heating", "cellar"],
                "The boiler stands in the cellar and is old.",
            ),
            passage("house/Pump.md", "house", &["heating"], "The pump belongs to the boiler in the cellar."),
            passage("tea.md", "", &["tea"], "Green tea wants 80 degrees."),
        ];
        let made = draft("the boiler in the cellar leaks", &neighbours);
        assert_eq!(
            (made.title.as_str(), made.category.as_str()),
            ("The boiler in the cellar leaks", "house")
        );
        assert_eq!(made.tags, ["heating", "cellar"]);
        let text = made.text("2026-03-01");
        assert_eq!(
            text,
            "---\ncreated: 2026-03-01\ncategory: \"house\"\ntags: [\"heating\", \"cellar\"]\n---\n\n\
             # The boiler in the cellar leaks\n\nthe boiler in the cellar leaks\n\n\
             Related: [[house/Boiler|house/Boiler]], [[house/Pump|house/Pump]]\n"
        );
    }

    #[test]
    fn what_was_said_before_is_a_near_duplicate() {
        let neighbours = [passage("Boiler.md", "", &[], "The old boiler in the cellar leaks since October.")];
        assert!(near_duplicate("boiler in the cellar leaks since October", &neighbours).is_some());
        assert!(near_duplicate("the pump in the cellar is as loud as a train", &neighbours).is_none());
    }
}
