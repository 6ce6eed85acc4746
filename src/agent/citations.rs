//! What a model says about its sources, checked: marks that name no source are taken out, and quotes are looked up.
//!
//! ```
//! use oneloop::agent::citations::Marks;
//!
//! let (mut marks, mut shown) = (Marks::new(), String::new());
//! for piece in ["Mira cleans it [1", "], on Fridays [7].", " See `list[7]`."] {
//!     marks.push(piece, 2, &mut shown);
//! }
//! marks.finish(&mut shown);
//! assert_eq!(shown, "Mira cleans it [1], on Fridays. See `list[7]`.");
//! assert_eq!(marks.taken_out(), 1);
//! ```

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::text::words;

use super::event::Source;
use super::{head, render};

// --- Marks --------------------------------------------------------------------------------------------------------

/// Takes marks that name no source out of an answer while it streams.
///
/// A mark is `[7]` or a list of them, `[1, 7]`, of which the real ones are kept. What stands in code, a link
/// `[7](…)`, `[[7]]` and `\[7]` are left alone, and so is everything else in brackets. How the text is cut changes
/// nothing in what comes out. At most [`HELD_BYTES_MAX`] and a space are held back, until it is clear what they are.
///
/// ```text
///             [                digits, commas ]              any character
///  Nothing ───────► Open ──────────────────────► Closed ───────────────────► Nothing
///     ▲              │ anything else: shown as it is         kept, mended or taken out
///     └──────────────┘
/// ```
#[derive(Debug, Default)]
pub struct Marks {
    code: Code,
    held: Held,
    /// What is held of a mark, from its `[`.
    mark: String,
    /// What is shown of a closed mark, and how many numbers were taken out of it.
    checked: (String, usize),
    /// The mark stands directly behind another `[`.
    is_nested: bool,
    space: Space,
    /// The last character that was taken.
    before: Option<char>,
    taken_out: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// No mark has begun.
    #[default]
    Nothing,
    /// A bracket is open, and what stands in it may be a mark.
    Open,
    /// A mark, but for what follows it: with `(` it is a link.
    Closed,
}

/// The one space that stands before what is held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// There is none.
    #[default]
    None,
    /// It is shown, if no mark behind it is taken out.
    Held,
    /// The mark behind it was taken out: it is shown only before a word.
    Spare,
}

/// Longest mark, in bytes. What is longer is no mark: more sources than it has room for are not cited at once.
pub const HELD_BYTES_MAX: usize = 48;

impl Marks {
    /// A filter that has seen nothing.
    pub fn new() -> Marks {
        Marks::default()
    }

    /// Takes the next piece of an answer and appends to `out` what can be shown. There are `sources` sources by now.
    pub fn push(&mut self, text: &str, sources: usize, out: &mut String) {
        for character in text.chars() {
            self.take(character, sources, out);
            self.before = Some(character);
        }
    }

    /// Appends what was held back, at the end of the answer.
    pub fn finish(&mut self, out: &mut String) {
        match self.held {
            Held::Nothing => {}
            Held::Open => self.release(out),
            Held::Closed => self.settle(None, out),
        }
        if mem::take(&mut self.space) == Space::Held {
            out.push(' ');
        }
    }

    /// Numbers that were taken out so far.
    pub fn taken_out(&self) -> usize {
        self.taken_out
    }

    fn take(&mut self, character: char, sources: usize, out: &mut String) {
        let is_code = self.code.take(character);
        match (self.held, character) {
            (Held::Nothing, _) => {}
            (Held::Open, '0'..='9' | ',' | ' ') if !is_code && self.mark.len() + 1 < HELD_BYTES_MAX => {
                return self.mark.push(character);
            }
            (Held::Open, ']') if !is_code => {
                self.mark.push(character);
                match checked(&self.mark, sources) {
                    Some(checked) => {
                        self.checked = checked;
                        self.held = Held::Closed;
                    }
                    None => self.release(out),
                }
                return;
            }
            (Held::Open, _) => self.release(out),
            (Held::Closed, _) => self.settle(Some(character), out),
        }
        match character {
            '[' if !is_code && !self.code.is_escaped => {
                self.is_nested = self.before == Some('[');
                self.mark.push('[');
                self.held = Held::Open;
            }
            ' ' if !is_code => {
                if self.space == Space::Held {
                    out.push(' ');
                }
                self.space = Space::Held;
            }
            _ => {
                let is_wanted = match mem::take(&mut self.space) {
                    Space::None => false,
                    Space::Held => true,
                    Space::Spare => !character.is_whitespace() && !CLOSING.contains(character),
                };
                if is_wanted {
                    out.push(' ');
                }
                out.push(character);
            }
        }
    }

    /// Shows what is held: it is no mark.
    fn release(&mut self, out: &mut String) {
        if mem::take(&mut self.space) != Space::None {
            out.push(' ');
        }
        out.push_str(&self.mark);
        self.mark.clear();
        self.held = Held::Nothing;
    }

    /// Shows or takes out the mark that is held, now that `next` follows it.
    fn settle(&mut self, next: Option<char>, out: &mut String) {
        let (shown, taken_out) = mem::take(&mut self.checked);
        let is_link = next == Some('(') || self.is_nested && next == Some(']');
        if is_link || taken_out == 0 {
            return self.release(out);
        }
        self.taken_out += taken_out;
        self.mark = shown;
        if !self.mark.is_empty() {
            return self.release(out);
        }
        self.held = Held::Nothing;
        if self.space == Space::Held {
            self.space = Space::Spare;
        }
    }
}

/// What may follow a mark without a space between them.
const CLOSING: &str = ".,;:!?)]}…。，、；：！？»”";

/// What is left of a mark, and how many numbers are taken out of it; `None` if it is no list of numbers.
fn checked(mark: &str, sources: usize) -> Option<(String, usize)> {
    let inner = mark.strip_prefix('[')?.strip_suffix(']')?;
    let numbers: Vec<&str> = inner.split(',').map(str::trim).collect();
    let is_number = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.iter().all(is_number) {
        return None;
    }
    // A number too large to be read names no source either.
    let is_real = |number: &&&str| number.parse().is_ok_and(|number: usize| (1..=sources).contains(&number));
    let real: Vec<&str> = numbers.iter().filter(is_real).copied().collect();
    let shown = if real.is_empty() { String::new() } else { format!("[{}]", real.join(", ")) };
    Some((shown, numbers.len() - real.len()))
}

/// The marks of real sources that stand in `answer`, alone or in a list, each once and the least first.
pub fn cited(answer: &str, sources: usize) -> BTreeSet<usize> {
    let mut cited = BTreeSet::new();
    for (at, _) in answer.match_indices('[') {
        let Some((numbers, _)) = head(&answer[at + 1..], HELD_BYTES_MAX).split_once(']') else { continue };
        cited.extend(numbers.split(',').filter_map(|number| number.trim().parse::<usize>().ok()));
    }
    cited.retain(|number| (1..=sources).contains(number));
    cited
}

// --- Code ---------------------------------------------------------------------------------------------------------

/// Tells code from text, character by character (CommonMark 0.31, 4.5 and 6.1).
///
/// It can't look ahead, so a backtick that nothing closes makes code of the rest of its paragraph. Code that is only
/// indented is text: in a list it would be, too.
#[derive(Debug, Default)]
struct Code {
    place: Place,
    /// A run of backticks or tildes that may go on.
    run: Option<Run>,
    /// Nothing but white space and quote marks stands on this line so far.
    opens_line: LineStart,
    /// The character taken last was behind a backslash.
    is_escaped: bool,
    after_backslash: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// In a span that as many backticks end.
    Span(usize),
    /// On the line that opens a fenced block.
    Info(Fence),
    /// In a fenced block.
    Block(Fence),
    /// Behind what ends a fenced block, if nothing follows on the line.
    Closing(Fence),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence {
    mark: char,
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    mark: char,
    length: usize,
    opens_line: bool,
}

/// `true` at the very start.
#[derive(Debug, Clone, Copy)]
struct LineStart(bool);

impl Default for LineStart {
    fn default() -> LineStart {
        LineStart(true)
    }
}

impl Code {
    /// Takes the next character; `true` if it is code, or marks where code begins or ends.
    fn take(&mut self, character: char) -> bool {
        if let Some(run) = self.run.as_mut().filter(|run| run.mark == character) {
            run.length += 1;
            return true;
        }
        if let Some(run) = self.run.take() {
            self.end_run(run);
        }
        let is_text = self.place == Place::Text;
        self.is_escaped = mem::replace(&mut self.after_backslash, false) && is_text;
        self.after_backslash = is_text && character == '\\' && !self.is_escaped;
        let opens_line = self.opens_line.0;
        self.opens_line.0 = match character {
            '\n' => true,
            ' ' | '\t' | '\r' | '>' => opens_line,
            _ => false,
        };
        if character == '`' && !self.is_escaped || character == '~' && opens_line {
            if let Place::Closing(fence) = self.place {
                self.place = Place::Block(fence);
            }
            self.run = Some(Run { mark: character, length: 1, opens_line });
            return true;
        }
        self.place = match (self.place, character) {
            (Place::Text, _) => Place::Text,
            // A span does not reach beyond its paragraph.
            (Place::Span(_), '\n') if opens_line => Place::Text,
            (Place::Span(length), _) => Place::Span(length),
            (Place::Info(fence), '\n') => Place::Block(fence),
            (Place::Info(fence), _) => Place::Info(fence),
            (Place::Block(fence), _) => Place::Block(fence),
            (Place::Closing(_), '\n') => Place::Text,
            (Place::Closing(fence), ' ' | '\t' | '\r') => Place::Closing(fence),
            (Place::Closing(fence), _) => Place::Block(fence),
        };
        self.place != Place::Text
    }

    fn end_run(&mut self, Run { mark, length, opens_line }: Run) {
        let may_fence = opens_line && length >= FENCE_LENGTH_MIN;
        let fence = Fence { mark, length };
        self.place = match self.place {
            Place::Text if may_fence => Place::Info(fence),
            Place::Text if mark == '`' => Place::Span(length),
            Place::Text => Place::Text,
            Place::Span(opened) if mark == '`' && length == opened => Place::Text,
            Place::Span(opened) if may_fence && opened < FENCE_LENGTH_MIN => Place::Info(fence),
            Place::Span(opened) => Place::Span(opened),
            // Backticks on the line make a span of what seemed to be a fence.
            Place::Info(open) if mark == '`' && open.mark == '`' => {
                if length == open.length {
                    Place::Text
                } else {
                    Place::Span(open.length)
                }
            }
            Place::Info(open) => Place::Info(open),
            Place::Block(open) if opens_line && mark == open.mark && length >= open.length => {
                Place::Closing(open)
            }
            Place::Block(open) | Place::Closing(open) => Place::Block(open),
        };
    }
}

/// Fewest backticks or tildes that open a block.
const FENCE_LENGTH_MIN: usize = 3;

// --- Quotes -------------------------------------------------------------------------------------------------------

/// Something that an answer quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// What stands between the quotation marks.
    pub text: String,
    /// The mark of the source that holds it, counted from 1. If none does: what the answer cites for it, if anything.
    pub source: Option<usize>,
    /// Some source holds it word for word.
    pub verified: bool,
}

/// The quotes in an answer, in order: what stands in quotation marks and has three words at least.
///
/// A quote is verified if a source holds it, as it is stored or as it is read (without the marks of Markdown), whatever
/// the white space between its words. A stop at its end belongs to the answer. Only the first `answer_quotes_max` are
/// looked at, and none in code.
pub fn quotes(answer: &str, sources: &[Source], limits: &Limits) -> Vec<Quote> {
    let found: Vec<Range<usize>> = quoted(answer, limits.answer_quotes_max);
    if found.is_empty() {
        return Vec::new();
    }
    let readable: Vec<[String; 2]> = sources.iter().map(|source| readable(&source.text)).collect();
    let checked = found.into_iter().map(|range| {
        let text = &answer[range.clone()];
        let cited = cited_behind(&answer[range.end..]).filter(|number| *number <= sources.len());
        let wanted = folded(text.trim_end_matches(['.', ',', ';', ':', '!', '?', '…']));
        let finder = Finder::new(&wanted);
        let holds =
            |number: &usize| readable[number - 1].iter().any(|text| finder.find(text.as_bytes()).is_some());
        let holder = cited.into_iter().chain(1..=sources.len()).find(holds);
        Quote { text: text.to_owned(), source: holder.or(cited), verified: holder.is_some() }
    });
    checked.collect()
}

/// A text as it is stored and as a reader sees it.
fn readable(text: &str) -> [String; 2] {
    let mut shown = String::new();
    render::plain(text, &mut shown);
    [folded(text), folded(&shown)]
}

/// `text` with each run of white space as one space.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// What stands between quotation marks, without them.
fn quoted(answer: &str, count_max: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut code = Code::default();
    // Where a quote begins, and what ends it.
    let mut open: Option<(usize, &str)> = None;
    let mut before = ' ';
    for (at, character) in answer.char_indices() {
        let opens_line = code.opens_line.0;
        let is_code = code.take(character);
        let is_lost = |start: usize| at - start > QUOTE_BYTES_MAX || character == '\n' && opens_line;
        open = open.filter(|(start, _)| !is_lost(*start));
        if !is_code {
            match open {
                Some((start, ends)) if ends.contains(character) && ends_here(character, before) => {
                    if has_words(&answer[start..at]) {
                        found.push(start..at);
                    }
                    open = None;
                }
                // `“a “b c d”`: the one that is closed is the quote.
                Some((_, _)) if character == '"' => {}
                Some((_, _)) | None => {
                    if let Some(ends) = ends_of(character, before) {
                        open = Some((at + character.len_utf8(), ends));
                    }
                }
            }
        }
        if found.len() == count_max {
            break;
        }
        before = character;
    }
    found
}

/// The characters that end a quote which `opener` opens, if it opens one.
fn ends_of(opener: char, before: char) -> Option<&'static str> {
    match opener {
        '“' => Some("”"),
        '„' => Some("“”"),
        '«' => Some("»"),
        '»' => Some("«"),
        // Behind a letter or a number it closes, or stands for inches.
        '"' if !before.is_alphanumeric() => Some("\""),
        _ => None,
    }
}

/// A straight mark behind a space opens and does not end.
fn ends_here(character: char, before: char) -> bool {
    character != '"' || !before.is_whitespace()
}

/// At least as many words as a quote must have, not counting those that overlap: parts of names, pairs of characters.
fn has_words(text: &str) -> bool {
    let (mut count, mut end) = (0, 0);
    for word in words(text) {
        if word.start >= end {
            count += 1;
            end = word.start + word.text.len();
        }
        if count == QUOTE_WORDS_MIN {
            return true;
        }
    }
    false
}

/// The first number of a mark that follows directly, whatever stops stand between.
fn cited_behind(rest: &str) -> Option<usize> {
    let mut rest =
        rest.chars().skip(1).take(CITED_WITHIN).skip_while(|character| " .,;:!?)*_".contains(*character));
    if rest.next() != Some('[') {
        return None;
    }
    let digits: String = rest.take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| *number > 0)
}

/// With fewer words it is a name or a term, which stands in quotation marks without being quoted.
const QUOTE_WORDS_MIN: usize = 3;

/// Longest quote, in bytes. What is longer lacks its closing mark.
const QUOTE_BYTES_MAX: usize = 2000;

/// Characters behind a quote within which its mark stands.
const CITED_WITHIN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer with two sources: whole, and cut in two and three at every point.
    fn shown(answer: &str) -> (String, usize) {
        let run = |pieces: &[&str]| {
            let (mut marks, mut out) = (Marks::new(), String::new());
            for piece in pieces {
                let before = out.len();
                marks.push(piece, 2, &mut out);
                assert!(out.len() >= before && marks.mark.len() <= HELD_BYTES_MAX);
            }
            marks.finish(&mut out);
            (out, marks.taken_out())
        };
        let whole = run(&[answer]);
        let cuts: Vec<usize> = (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)).collect();
        for at in &cuts {
            assert_eq!(run(&[&answer[..*at], &answer[*at..]]), whole, "cut at {at}");
            for behind in cuts.iter().filter(|behind| *behind >= at) {
                let pieces = [&answer[..*at], &answer[*at..*behind], &answer[*behind..]];
                assert_eq!(run(&pieces), whole, "cut at {at} and {behind}");
            }
        }
        let mut letters = [0; 4];
        let (mut marks, mut out) = (Marks::new(), String::new());
        for character in answer.chars() {
            marks.push(character.encode_utf8(&mut letters), 2, &mut out);
        }
        marks.finish(&mut out);
        assert_eq!((out, marks.taken_out()), whole, "letter by letter");
        whole
    }

    #[test]
    fn a_mark_that_names_no_source_is_taken_out() {
        for (answer, expected, taken_out) in [
            ("Mira [1].", "Mira [1].", 0),
            ("Mira[2].", "Mira[2].", 0),
            ("Mira [3].", "Mira.", 1),
            ("Mira [10] and [0] so on", "Mira and so on", 2),
            ("Mira [99999999999999999999999].", "Mira.", 1),
            ("a [1][7][2] b", "a [1][2] b", 1),
            ("a [7][1] b", "a [1] b", 1),
            ("a [7] [8]. [9]", "a.", 3),
            ("a [7]\nb [8]", "a\nb", 2),
            ("[7] a", " a", 1),
            ("- [7] a", "- a", 1),
            ("a [7]b", "a b", 1),
            ("a [01]", "a [01]", 0),
            ("a  [7] b", "a  b", 1),
            ("(see [7])", "(see)", 1),
        ] {
            assert_eq!(shown(answer), (expected.to_owned(), taken_out), "{answer}");
        }
    }

    #[test]
    fn of_a_list_the_real_ones_are_kept() {
        for (answer, expected, taken_out) in [
            ("a [1, 2].", "a [1, 2].", 0),
            ("a [1,2].", "a [1,2].", 0),
            ("a [ 1 ].", "a [ 1 ].", 0),
            ("a [1,7].", "a [1].", 1),
            ("a [7, 2 ,1,9].", "a [2, 1].", 2),
            ("a [7, 8].", "a.", 2),
        ] {
            assert_eq!(shown(answer), (expected.to_owned(), taken_out), "{answer}");
        }
    }

    #[test]
    fn what_is_no_mark_is_left_alone() {
        for answer in [
            "",
            " ",
            "a ",
            "[",
            "a [",
            "a [7",
            "a [7, ",
            "[]",
            "- [ ] a\n- [x] b",
            "[^7] [a7] [7a] [-7] [7-9] [1 7] [,] [7,] [,7]",
            "[7](https://a.example) and [text](b) ![7](c)",
            "[[7]] and [[7|seven]] and [[2024]]",
            r"\[7] and \\",
            "`a[7]` and ``b ` [7]`` and `[7]`",
            "```\na[7]\n```",
            "```rust\na[7]\n``` \n",
            "~~~\n```\n[7]\n~~\n~~~~\n",
            "> ```\n> a[7]\n> ```\n",
            "1. a\n   ```\n   a[7]\n   ```\n",
            "```\nnot the end: ``` [7]\n``` x [7]\n",
            "a `never closed [7]",
            "```a [7]``` b",
        ] {
            assert_eq!(shown(answer), (answer.to_owned(), 0), "{answer}");
        }
        let long = format!("a [{}] b", "1, ".repeat(30) + "7");
        let (mut marks, mut out) = (Marks::new(), String::new());
        marks.push(&long, 2, &mut out);
        marks.finish(&mut out);
        assert_eq!((out, marks.taken_out()), (long, 0), "longer than any mark");
    }

    #[test]
    fn text_behind_code_is_text_again() {
        for (answer, expected) in [
            ("`a` [7] b", "`a` b"),
            ("``` x ``` [7] b", "``` x ``` b"),
            ("```\na\n```\nb [7]", "```\na\n```\nb"),
            ("a ` b\n\nc [7]", "a ` b\n\nc"),
            ("a ` b\n```\n[7]\n```\nc [7]", "a ` b\n```\n[7]\n```\nc"),
            (r"a \` b [7]", r"a \` b"),
            ("~ a [7]", "~ a"),
            ("[[7] b", "[ b"),
            ("a [b [7]]", "a [b]"),
            ("`[7]`[7]`", "`[7]``"),
        ] {
            assert_eq!(shown(answer).0, expected, "{answer}");
        }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        for text in ["[1, ", "[", "[7] ", "`", "~", " ", "[1,1,1,1,1,1,1,1"] {
            let (mut marks, mut out) = (Marks::new(), String::new());
            let mut pushed = 0;
            for _ in 0..10_000 {
                marks.push(text, 0, &mut out);
                pushed += text.len();
                assert!(marks.mark.len() <= HELD_BYTES_MAX);
            }
            marks.finish(&mut out);
            assert!(out.len() <= pushed);
        }
    }

    fn source(text: &str) -> Source {
        Source {
            path: String::new(),
            title: String::new(),
            heading: String::new(),
            start: 0,
            end: 0,
            score: 0.0,
            text: text.to_owned(),
            hash: String::new(),
        }
    }

    fn looked_up(answer: &str) -> Vec<(String, Option<usize>, bool)> {
        let sources = [
            source("# Coffee\n\nMira cleans the **espresso machine** every\nFriday after [[Lunch|lunch]]."),
            source(
                "The beans come  from a roaster in Leipzig. Mira cleans the cups. コーヒー豆は京都から届きます。",
            ),
        ];
        let quotes = quotes(answer, &sources, &Limits::default());
        quotes.into_iter().map(|quote| (quote.text, quote.source, quote.verified)).collect()
    }

    #[test]
    fn a_quote_that_stands_in_a_source_is_verified() {
        for (answer, text, source) in [
            ("It says “The beans come from a roaster”.", "The beans come from a roaster", 2),
            ("It says \"The beans come from a roaster.\" [1]", "The beans come from a roaster.", 2),
            ("„The beans come from“", "The beans come from", 2),
            ("«The beans\ncome from»", "The beans\ncome from", 2),
            ("»beans come from«", "beans come from", 2),
            ("\"Mira cleans the\" [2]", "Mira cleans the", 2),
            ("\"Mira cleans the\" [1]", "Mira cleans the", 1),
            ("\"Mira cleans the\"", "Mira cleans the", 1),
            ("“cleans the espresso machine every Friday,”", "cleans the espresso machine every Friday,", 1),
            ("“the **espresso machine** every”", "the **espresso machine** every", 1),
            ("“Friday after lunch.”", "Friday after lunch.", 1),
            ("“コーヒー豆は京都から”", "コーヒー豆は京都から", 2),
            ("“a “The beans come from”", "The beans come from", 2),
        ] {
            assert_eq!(looked_up(answer), [(text.to_owned(), Some(source), true)], "{answer}");
        }
    }

    #[test]
    fn a_quote_that_stands_nowhere_is_not_verified() {
        for (answer, source) in [
            ("“The beans come from Kyoto”", None),
            ("“The beans come from Kyoto”. [2]", Some(2)),
            ("“The beans come from Kyoto” [7]", None),
            ("“the beans come from” [1]", Some(1)),
        ] {
            let told = looked_up(answer);
            assert_eq!(told.len(), 1, "{answer}");
            assert_eq!((told[0].1, told[0].2), (source, false), "{answer}");
        }
    }

    #[test]
    fn what_is_no_quote_is_not_looked_up() {
        for answer in [
            "",
            "“”",
            "the “espresso machine” and the \"idle_timeout_ms\"",
            "a 5\" pipe is not a 6\" one",
            "`print \"The beans come from\"`",
            "```\n\"The beans come from\"\n```",
            "“The beans come\n\nfrom a roaster”",
            "\"The beans come from",
        ] {
            assert_eq!(looked_up(answer), [], "{answer}");
        }
        assert_eq!(looked_up(&format!("“The beans {}”", "x ".repeat(2000))), []);
    }

    #[test]
    fn only_so_many_quotes_are_looked_up() {
        let answer = "“The beans come from” ".repeat(1000);
        let limits = Limits { answer_quotes_max: 3, ..Limits::default() };
        assert_eq!(quotes(&answer, &[source("The beans come from")], &limits).len(), 3);
        assert_eq!(quotes(&answer, &[], &limits).iter().filter(|quote| quote.verified).count(), 0);
    }
}
