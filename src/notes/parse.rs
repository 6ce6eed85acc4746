//! Takes a note apart in slices: headings, passages, links and tags, each with its place in the file.
//!
//! ```text
//! Decode ──► Pieces ──► Done        a step decodes a window or parses one piece (see `pieces`)
//! ```
//!
//! A section is what lies between two headings; its blocks are gathered into passages of about
//! `limits.passage_bytes`. A passage never begins or ends inside a block unless the block alone is too long.

use std::collections::BTreeSet;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use super::front_matter::{FrontMatter, front_matter};
use super::link::{file_name, key_of, path_link, wiki_link, without_extension};
use super::note::{Cut, Heading, Link, Note, Passage};
use super::pieces::{Cutter, PieceKind};
use super::source::{Decoding, NoteHash};
use crate::base::Budget;
use crate::limits::Limits;
use crate::text::{boundary_before, boundary_behind};

/// A note on its way from bytes to [`Note`].
pub struct Parsing {
    path: Box<str>,
    limits: Limits,
    stage: Stage,
    front: FrontMatter,
    cutter: Cutter,
    at: usize,
    headings: Vec<Heading>,
    passages: Vec<Passage>,
    /// The passage that the next block may still join.
    open: Option<Passage>,
    /// Passages when the newest heading was met, to see whether anything stands under it.
    passages_before: usize,
    links: Vec<Link>,
    known_links: BTreeSet<Link>,
    tags: Vec<Box<str>>,
    known_tags: BTreeSet<String>,
    cut: Cut,
}

enum Stage {
    Decode(Box<Decoding>),
    Pieces(String, NoteHash),
    Done,
}

impl Parsing {
    /// For the bytes of the file at `path`; `is_cut` if the file has more of them.
    pub fn new(path: Box<str>, bytes: Vec<u8>, is_cut: bool, limits: &Limits) -> Parsing {
        let is_cut = is_cut || bytes.len() > limits.note_bytes_max;
        Parsing {
            path,
            stage: Stage::Decode(Box::new(Decoding::new(bytes, limits.note_bytes_max, is_cut))),
            limits: limits.clone(),
            front: FrontMatter::default(),
            cutter: Cutter::default(),
            at: 0,
            headings: Vec::new(),
            passages: Vec::new(),
            open: None,
            passages_before: 0,
            links: Vec::new(),
            known_links: BTreeSet::new(),
            tags: Vec::new(),
            known_tags: BTreeSet::new(),
            cut: Cut { text: is_cut, links: false },
        }
    }

    /// Decodes one window or parses one piece; the note once it is whole.
    pub fn step(&mut self, budget: &mut Budget) -> Option<Note> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Decode(mut decoding) => {
                budget.spend(units(decoding.step_bytes(), DECODED_PER_UNIT));
                self.stage = match decoding.step() {
                    None => Stage::Decode(decoding),
                    Some((text, hash)) => {
                        self.begin(&text);
                        Stage::Pieces(text, hash)
                    }
                };
                None
            }
            Stage::Pieces(text, hash) if self.at < text.len() => {
                let (piece, kind) = self.cutter.next_piece(&text, self.at, self.limits.note_piece_bytes_max);
                budget.spend(units(piece.len(), PARSED_PER_UNIT));
                self.at = piece.end;
                match kind {
                    PieceKind::Markdown => budget.spend(units(self.parse(&text, piece), EVENTS_PER_UNIT)),
                    PieceKind::Code => self.add_block(&text, piece),
                }
                self.stage = Stage::Pieces(text, hash);
                None
            }
            Stage::Pieces(text, hash) => Some(self.finish(text, hash)),
            Stage::Done => None,
        }
    }

    /// Reads the front matter and stands behind it.
    fn begin(&mut self, text: &str) {
        let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        self.at = mark;
        if let Some((front, length)) = front_matter(&text[mark..]) {
            self.front = front;
            self.at = mark + length;
        }
        let mut tags = std::mem::take(&mut self.front.tags);
        tags.drain(..).for_each(|tag| self.add_tag(&tag));
        self.front.aliases.truncate(self.limits.aliases_per_note_max);
    }

    /// Parses one piece of Markdown and gathers what it holds; how many events that took.
    fn parse(&mut self, text: &str, piece: Range<usize>) -> usize {
        let base = piece.start;
        let mut events = 0;
        let mut depth = 0usize;
        let mut quiet = 0usize;
        let mut heading: Option<(u8, usize, String)> = None;
        for (event, range) in Parser::new_ext(&text[piece], options()).into_offset_iter() {
            let range = base + range.start..base + range.end;
            events += 1;
            match event {
                Event::Start(tag) => {
                    if depth == 0 {
                        match &tag {
                            Tag::Heading { level, .. } if self.headings.len() < HEADINGS_MAX => {
                                heading = Some((*level as u8, range.start, String::new()))
                            }
                            _ => self.add_block(text, range),
                        }
                    }
                    depth += 1;
                    match tag {
                        Tag::CodeBlock(_) => quiet += 1,
                        Tag::Link { link_type, dest_url, .. } => {
                            quiet += 1;
                            self.add_link(link_type, &dest_url);
                        }
                        Tag::Image { link_type: link_type @ LinkType::WikiLink { .. }, dest_url, .. } => {
                            self.add_link(link_type, &dest_url);
                        }
                        _ => {}
                    }
                }
                Event::End(end) => {
                    depth = depth.saturating_sub(1);
                    match end {
                        TagEnd::CodeBlock | TagEnd::Link => quiet = quiet.saturating_sub(1),
                        TagEnd::Heading(_) if depth == 0 => {
                            if let Some((level, start, words)) = heading.take() {
                                self.add_heading(text, level, start, &words);
                            }
                        }
                        _ => {}
                    }
                }
                Event::Text(words) => match &mut heading {
                    Some((_, _, gathered)) => push_bounded(gathered, &words),
                    None if quiet == 0 => self.add_tags(text, range),
                    None => {}
                },
                Event::Code(words) => {
                    if let Some((_, _, gathered)) = &mut heading {
                        push_bounded(gathered, &words);
                    }
                }
                Event::SoftBreak | Event::HardBreak => {
                    if let Some((_, _, gathered)) = &mut heading {
                        push_bounded(gathered, " ");
                    }
                }
                Event::Html(_)
                | Event::InlineHtml(_)
                | Event::InlineMath(_)
                | Event::DisplayMath(_)
                | Event::FootnoteReference(_)
                | Event::Rule
                | Event::TaskListMarker(_) => {}
            }
        }
        events
    }

    fn add_heading(&mut self, text: &str, level: u8, start: usize, words: &str) {
        self.close_section(&text[..start], level);
        let mut parent = self.headings.len().checked_sub(1);
        while let Some(index) = parent {
            if self.headings[index].level < level {
                break;
            }
            parent = self.headings[index].parent.map(|index| index as usize);
        }
        let parent = parent.map(offset);
        self.headings.push(Heading { level, text: words.trim().into(), parent, start: offset(start) });
        self.passages_before = self.passages.len();
    }

    /// Ends the open passage at the end of `text`, where the next section begins. A heading with nothing under it, not
    /// even a deeper one, is a passage by itself.
    fn close_section(&mut self, text: &str, next_level: u8) {
        self.passages.extend(self.open.take());
        let Some(last) = self.headings.last() else { return };
        if self.passages.len() == self.passages_before && next_level <= last.level {
            // An underlined heading may begin with a line of no-break spaces.
            let start = text.len() - text[last.start as usize..].trim_start().len();
            // A carriage return ends a line by itself, too (CommonMark 0.31.2 §2.1).
            let length = memchr::memchr2(b'\n', b'\r', &text.as_bytes()[start..]);
            let end = length.map_or(text.len(), |length| start + length);
            let heading = Some(offset(self.headings.len() - 1));
            for range in chunks(text, trimmed(text, start..end), self.limits.passage_bytes_max) {
                self.passages.push(Passage { start: offset(range.start), end: offset(range.end), heading });
            }
        }
    }

    /// Adds one block to the open passage, or begins another with it.
    fn add_block(&mut self, text: &str, range: Range<usize>) {
        let range = trimmed(text, range);
        let heading = self.headings.len().checked_sub(1).map(offset);
        for part in chunks(text, range, self.limits.passage_bytes_max) {
            let (start, end) = (offset(part.start), offset(part.end));
            match &mut self.open {
                Some(open) if part.end - open.start as usize <= self.limits.passage_bytes => open.end = end,
                open => self.passages.extend(open.replace(Passage { start, end, heading })),
            }
        }
    }

    fn add_link(&mut self, link_type: LinkType, destination: &str) {
        let link = match link_type {
            LinkType::WikiLink { .. } => wiki_link(destination),
            LinkType::Email | LinkType::Autolink => None,
            _ => path_link(&self.path, destination),
        };
        let Some(link) = link else { return };
        let key = Link { kind: link.kind, target: key_of(&link.target).into() };
        if self.known_links.contains(&key) {
            return;
        }
        if self.links.len() >= self.limits.links_per_note_max {
            self.cut.links = true;
            return;
        }
        self.known_links.insert(key);
        self.links.push(link);
    }

    /// Tags such as `#io/loops` in a stretch of plain text.
    fn add_tags(&mut self, text: &str, range: Range<usize>) {
        for at in memchr::memchr_iter(b'#', &text.as_bytes()[range.clone()]).map(|at| range.start + at) {
            let follows = text[..at]
                .chars()
                .next_back()
                .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ',' | ';'));
            if follows {
                // The parser hands `#a_b` in two pieces; the text itself has it whole.
                let rest = &text[at + 1..];
                let length: usize = rest
                    .chars()
                    .take(TAG_CHARACTERS_MAX)
                    .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'))
                    .map(char::len_utf8)
                    .sum();
                let tag = rest[..length].trim_end_matches(['/', '-']);
                if tag.chars().any(|c| !c.is_numeric()) {
                    self.add_tag(tag);
                }
            }
        }
    }

    fn add_tag(&mut self, tag: &str) {
        let is_new = !tag.is_empty() && self.tags.len() < self.limits.tags_per_note_max;
        if is_new && self.known_tags.insert(tag.to_lowercase()) {
            self.tags.push(tag.into());
        }
    }

    fn finish(&mut self, text: String, hash: NoteHash) -> Note {
        self.close_section(&text, 0);
        if self.passages.is_empty() {
            let end = offset(text.len());
            self.passages.push(Passage { start: end, end, heading: None });
        }
        let front = std::mem::take(&mut self.front);
        let first_title = self.headings.iter().find(|heading| heading.level == 1 && !heading.text.is_empty());
        let title: Box<str> = match (front.title, first_title) {
            (Some(title), _) => title.into(),
            (None, Some(heading)) => heading.text.clone(),
            (None, None) => without_extension(file_name(&self.path)).into(),
        };
        let folder = self.path.split_once('/').map_or("", |(folder, _)| folder);
        Note {
            title,
            aliases: front.aliases.into_iter().map(String::into_boxed_str).collect(),
            tags: std::mem::take(&mut self.tags).into(),
            category: front.category.as_deref().unwrap_or(folder).into(),
            created: front.created.map(String::into_boxed_str),
            headings: std::mem::take(&mut self.headings).into(),
            passages: std::mem::take(&mut self.passages).into(),
            links: std::mem::take(&mut self.links).into(),
            path: std::mem::take(&mut self.path),
            text: text.into(),
            hash,
            cut: self.cut,
        }
    }
}

/// What of Markdown is read beyond CommonMark. Front matter is our own: the parser would also see it mid-note.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_WIKILINKS
}

/// `range` without the white space at its end, and without the blank lines at its start (an indent is kept).
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let content = text[range.clone()].trim_end();
    let lead = content.len() - content.trim_start_matches(['\n', '\r']).len();
    range.start + lead..range.start + content.len()
}

/// A block in parts of at most `bytes_max`, cut at a line end, else at a space, else between characters.
fn chunks(text: &str, range: Range<usize>, bytes_max: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let limit = boundary_before(text, at.saturating_add(bytes_max).min(range.end));
        let limit = if limit > at { limit } else { boundary_behind(text, at + 1) };
        let end = if limit == range.end {
            limit
        } else {
            let window = &text.as_bytes()[at..limit];
            let newline = memchr::memrchr(b'\n', window);
            let end =
                newline.or_else(|| memchr::memrchr(b' ', window)).map_or(limit, |length| at + length + 1);
            end.min(limit)
        };
        let chunk = at..end;
        at = end;
        Some(chunk)
    })
}

fn push_bounded(gathered: &mut String, words: &str) {
    let room = HEADING_BYTES_MAX.saturating_sub(gathered.len());
    gathered.push_str(&words[..boundary_before(words, room.min(words.len()))]);
}

/// Offsets are kept in 32 bits; `note_bytes_max` keeps notes far below.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn units(bytes: usize, per_unit: usize) -> u32 {
    u32::try_from(bytes / per_unit).unwrap_or(u32::MAX).saturating_add(1)
}

const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// Longest heading that is kept, in bytes; a longer one is known by its start.
const HEADING_BYTES_MAX: usize = 512;
/// Most headings of one note that begin a section; further ones are text.
const HEADINGS_MAX: usize = 4096;
/// Longest tag, in characters; a longer one is known by its start.
const TAG_CHARACTERS_MAX: usize = 100;
/// What a microsecond is enough for, in bytes and in events of the parser (`benches/units.rs`).
const DECODED_PER_UNIT: usize = 200;
const PARSED_PER_UNIT: usize = 150;
const EVENTS_PER_UNIT: usize = 8;
