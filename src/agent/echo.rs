//! Whether a piece of text holds the question itself: an example in a manual, an entry of a list of open questions.
//!
//! Such a piece covers all that is asked and answers nothing. It is known by its words: the content words of the
//! question in their order, with only function words between, and a question mark behind; or all words of the
//! question as they were asked. What is asked and then answered in one piece (`How long? A week, at most.`) is none.

use crate::text::{Language, Terms, words};

/// The words of a question, in their order.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// The terms of all words.
    all: Vec<String>,
    /// The terms of those that are no function words.
    content: Vec<String>,
    /// It asks, so the same words in a row ask too.
    asks: bool,
}

impl Echo {
    /// What would be an echo of `message`.
    pub(super) fn of(message: &str, language: Language, terms: &mut Terms) -> Echo {
        let mut echo = Echo::default();
        for word in words(message).take(WORDS_MAX) {
            let is_function = language.is_function_word(&word.text.to_lowercase());
            // A keyword, an order or a name may well stand in an answer; what opens with `which` may not.
            echo.asks |= echo.all.is_empty() && is_function;
            let term = terms.term(word.text);
            echo.all.push(term.to_owned());
            if !is_function {
                echo.content.push(term.to_owned());
            }
        }
        echo
    }

    /// An ear for one piece of text.
    pub(super) fn listen(&self) -> Ear<'_> {
        Ear { echo: self, all: 0, content: 0, words_behind: None, is_quoted: false }
    }
}

/// What has been heard of a piece so far.
#[derive(Debug)]
pub(super) struct Ear<'e> {
    echo: &'e Echo,
    /// Words of the question that were heard last, in a row.
    all: usize,
    content: usize,
    /// Words since the question was heard.
    words_behind: Option<u32>,
    is_quoted: bool,
}

impl Ear<'_> {
    /// Hears the next word of the piece; `behind` is the text that follows it.
    pub(super) fn hear(&mut self, term: &str, is_function: bool, behind: &str) {
        self.words_behind = self.words_behind.map(|count| count + 1);
        self.all = advance(&self.echo.all, self.all, term);
        if !is_function {
            self.content = advance(&self.echo.content, self.content, term);
        }
        let mark = behind.chars().next().filter(|character| matches!(character, '?' | '？'));
        let is_all = self.echo.asks && self.all >= ALL_MIN && self.all == self.echo.all.len();
        let is_content =
            mark.is_some() && self.content >= CONTENT_MIN && self.content == self.echo.content.len();
        if is_all || is_content {
            self.words_behind = Some(0);
            let rest = behind.trim_start_matches(['?', '？', '.']);
            self.is_quoted |= rest.starts_with(['"', '\'', '”', '’', '»', '“', '`', '」']);
        }
    }

    /// The piece holds the question, and nothing behind it that could be an answer.
    pub(super) fn is_heard(&self) -> bool {
        self.words_behind.is_some_and(|behind| self.is_quoted || behind < ANSWER_MIN)
    }
}

/// Words of `expected` that were heard in a row, after one more.
fn advance(expected: &[String], heard: usize, term: &str) -> usize {
    match expected.get(heard) {
        Some(next) if next == term => heard + 1,
        _ => usize::from(expected.first().is_some_and(|first| first == term)),
    }
}

/// Words of a question that are compared; a longer one has no echo.
const WORDS_MAX: usize = 64;

/// A question of fewer words, and of fewer content words, may stand in an answer by chance.
const ALL_MIN: usize = 3;
const CONTENT_MIN: usize = 2;

/// So many words behind a question can answer it.
const ANSWER_MIN: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_echo(message: &str, piece: &str) -> bool {
        let mut terms = Terms::new();
        let echo = Echo::of(message, Language::English, &mut terms);
        let mut ear = echo.listen();
        for word in words(piece) {
            let behind = &piece[word.start + word.text.len()..];
            ear.hear(
                terms.term(word.text),
                Language::English.is_function_word(&word.text.to_lowercase()),
                behind,
            );
        }
        ear.is_heard()
    }

    #[test]
    fn an_example_and_an_open_question_echo() {
        assert!(is_echo(
            "In which order does a turn run?",
            "ask docs \"In which order does a turn run?\" --json"
        ));
        assert!(is_echo("what order does the turn run", "In which order does a turn run?"));
        assert!(is_echo("Who cleans the machine", "To do: who cleans the machine"));
    }

    #[test]
    fn an_answer_in_the_words_of_the_question_does_not() {
        assert!(!is_echo("Who cleans the machine?", "Mira cleans the machine."));
        assert!(!is_echo("Who cleans the machine?", "Who cleans the machine? Mira, every Friday."));
        assert!(!is_echo("machine cleaning plan", "Our machine cleaning plan."));
    }
}
