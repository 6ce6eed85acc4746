//! One passage, read piece by piece: what could be quoted from it, and how well each of that answers.
//!
//! ```text
//!                block found                 last part read
//!  ExpectBlock ──────────────► ReadParts ──────────────────► ExpectBlock
//!       │ no block left
//!       ▼            each piece judged
//!     Judge ──────────────────────────────► Over
//! ```
//!
//! A block is introduced by the sentence before it. Judging waits for the whole passage, because a sentence ends with a
//! colon before we know whether a list follows.

use std::collections::VecDeque;
use std::ops::Range;

use crate::text::{Language, Sense, Terms, WordId, joined, sentences, words};

use super::blocks::{Block, Blocks, trimmed};
use super::echo::Echo;
use super::evidence::{Evidence, TermSet};
use super::head;
use super::kind::Kind;
use super::marks::{Marks, is_defining};
use super::render;
use super::sketch::Sketch;

/// A piece of a passage that could stand in an answer.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Number of its passage among the findings.
    pub(super) passage: usize,
    /// Its bytes in the text of the passage.
    pub(super) range: Range<usize>,
    pub(super) shape: Shape,
    /// Number of its block in the passage: sentences of one block may be joined.
    pub(super) block: usize,
    /// The terms that it holds itself.
    pub(super) covers: TermSet,
    /// The terms that it holds with the headings above it.
    pub(super) known: TermSet,
    /// The share of the question that these are.
    pub(super) reach: f32,
    /// How sure it is that its passage means what is asked.
    pub(super) meaning: f32,
    /// How much it is about what is asked, with its headings, from 0 to 1.
    pub(super) sense: f32,
    pub(super) score: f32,
    /// It shows what this kind of question wants, or nothing in particular is wanted.
    pub(super) fits: bool,
    /// Code or a drawing that nobody asked for: it answers alone or not at all.
    pub(super) is_spare: bool,
    pub(super) sketch: Sketch,
}

/// How a piece is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Running text.
    Sentence,
    /// One list item.
    Item,
    /// A table row below this header.
    Row { header: Range<usize> },
    /// A table from its header to its last row.
    Table,
    /// Lists and code, with their lines as they are.
    Lines,
}

/// What is read with the passage open: the question's side.
pub(super) struct Asking<'q> {
    pub(super) kind: Kind,
    /// What something looks like is asked: an example, a picture.
    pub(super) looks: bool,
    /// The message, to know its echo.
    pub(super) echo: &'q Echo,
    pub(super) evidence: &'q Evidence,
    /// Of the passage, which `terms` speaks.
    pub(super) language: Language,
    pub(super) terms: &'q mut Terms,
}

/// The machine that reads one passage.
#[derive(Debug)]
pub(super) struct Reading {
    passage: usize,
    /// Score of the passage in the part of the best one's, from 0 to 1.
    rank: f32,
    /// How sure it is that the passage means what is asked, whatever its words, from 0 to 1.
    meaning: f32,
    /// Terms of the note's title and of the headings above, and what these are about.
    heading: TermSet,
    heading_sense: Sense,
    /// Terms of everything read.
    union: TermSet,
    scanner: Blocks,
    /// Parts of the block found last that come next.
    split: VecDeque<Block>,
    blocks: Vec<Block>,
    /// The open paragraph with spaces for its line breaks and quote marks, byte for byte.
    flat: String,
    pieces: Vec<Piece>,
    /// The best, at most [`CANDIDATES_MAX`].
    candidates: Vec<Candidate>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    ExpectBlock,
    /// The newest block is open; `part` of it comes next, in a paragraph from byte `at` of `flat`.
    ReadParts {
        part: usize,
        at: usize,
        introduced_by: Option<usize>,
    },
    /// All is read; this piece is judged next.
    Judge(usize),
    Over,
}

/// A part of a block as it was read.
#[derive(Debug, Clone)]
struct Piece {
    range: Range<usize>,
    shape: Shape,
    block: usize,
    /// Headings above it, with the title.
    heading: TermSet,
    /// Number of the sentence before it in its paragraph, or of the one that introduces its block.
    before: Option<usize>,
    /// Terms that a table row takes from its header.
    header: TermSet,
    glance: Glance,
}

/// What a look at a text gives.
#[derive(Debug, Clone, Copy, Default)]
struct Glance {
    covers: TermSet,
    /// Words in all.
    words: u32,
    /// Words from the first covered one to the last.
    spread: u32,
    marks: Marks,
    /// What it says at its start that it is something: `A run is …`, `**Run**: …`.
    subject: TermSet,
    /// It begins with a word that stands for something said before.
    leans_back: bool,
    /// It asks, so it hardly answers.
    asks: bool,
    /// It holds the question itself and little else, so it does not answer at all.
    echoes: bool,
    sketch: Sketch,
    /// How much it is about what is asked, with its headings, from 0 to 1.
    sense: f32,
}

impl Reading {
    /// Opens passage number `passage`; `above` is its title and headings, `rank` its score relative to the best.
    pub(super) fn open(
        passage: usize,
        rank: f32,
        meaning: f32,
        above: &str,
        asking: &mut Asking<'_>,
    ) -> Reading {
        let mut heading_sense = Sense::new();
        let heading = glance(above, &mut heading_sense, asking).covers;
        Reading {
            passage,
            rank,
            meaning,
            heading,
            heading_sense,
            union: heading,
            scanner: Blocks::default(),
            split: VecDeque::new(),
            blocks: Vec::new(),
            flat: String::new(),
            pieces: Vec::new(),
            candidates: Vec::new(),
            state: State::ExpectBlock,
        }
    }

    /// Does one small piece of work on `text` and says what it cost, in units; `None` once all is judged.
    pub(super) fn step(&mut self, text: &str, asking: &mut Asking<'_>) -> Option<u32> {
        let (state, cost) = match self.state {
            State::ExpectBlock => self.open_block(text, asking),
            State::ReadParts { part, at, introduced_by } => {
                match self.next_part(text, part, at) {
                    Some((range, shape)) => {
                        let cost = cost_of(range.len());
                        let next_at =
                            if matches!(shape, Shape::Sentence) { self.flat_end(&range) } else { at };
                        self.read_piece(text, range, shape, introduced_by, asking);
                        // A sentence leans on the one before it; other parts on what introduces the block.
                        let before = match self.pieces.last() {
                            Some(Piece { shape: Shape::Sentence, .. }) => Some(self.pieces.len() - 1),
                            _ => introduced_by,
                        };
                        (State::ReadParts { part: part + 1, at: next_at, introduced_by: before }, cost)
                    }
                    None => (State::ExpectBlock, 1),
                }
            }
            State::Judge(number) if number < self.pieces.len() => {
                self.judge(text, number, asking);
                (State::Judge(number + 1), 2)
            }
            State::Judge(_) => (State::Over, 1),
            State::Over => return None,
        };
        self.state = state;
        Some(cost)
    }

    /// What was found, and the terms that the whole passage covers.
    pub(super) fn close(self) -> (Vec<Candidate>, TermSet) {
        (self.candidates, self.union)
    }

    fn open_block(&mut self, text: &str, asking: &mut Asking<'_>) -> (State, u32) {
        if self.split.is_empty()
            && let Some(found) = self.scanner.next(text)
        {
            self.split = found.split(text, ITEM_BYTES_MAX);
        }
        let block = match self.split.pop_front() {
            Some(block) if self.pieces.len() < PIECES_MAX => block,
            Some(_) | None => return (State::Judge(0), 1),
        };
        let range = block.range();
        let mut cost = 1 + units(range.len() / SCANNED_BYTES_PER_UNIT);
        match &block {
            Block::Heading(range) => {
                let covers = glance(&text[range.clone()], &mut self.heading_sense, asking).covers;
                self.heading |= covers;
                self.union |= covers;
                cost += cost_of(range.len());
            }
            Block::Paragraph(range) => flatten(&text[range.clone()], &mut self.flat),
            Block::List { .. } | Block::Table { .. } | Block::Code(_) => {}
        }
        let follows_text = matches!(self.blocks.last(), Some(Block::Paragraph(_)));
        let introduces = follows_text && !matches!(block, Block::Paragraph(_) | Block::Heading(_));
        let introduced_by = self.pieces.len().checked_sub(1).filter(|_| introduces);
        self.blocks.push(block);
        (State::ReadParts { part: 0, at: 0, introduced_by }, cost)
    }

    /// The range and shape of the part that comes next in the open block.
    fn next_part(&self, text: &str, part: usize, at: usize) -> Option<(Range<usize>, Shape)> {
        if self.pieces.len() >= PIECES_MAX {
            return None;
        }
        match self.blocks.last()? {
            Block::Heading(_) => None,
            Block::Paragraph(range) => {
                let sentence = next_sentence(&self.flat, at)?;
                Some((range.start + sentence.start..range.start + sentence.end, Shape::Sentence))
            }
            Block::List { items, .. } if part < items.len() => Some((items[part].clone(), Shape::Item)),
            Block::List { items, .. } => {
                // One item is no list; a longer list gives the items that fit, each whole.
                let start = items.first()?.start;
                let fitting = items.iter().take_while(|item| item.end - start <= BLOCK_BYTES_MAX);
                let end = fitting.last()?.end;
                (part == items.len() && items.len() > 1).then_some((start..end, Shape::Lines))
            }
            Block::Table { header, rows } if part < rows.len() => {
                Some((rows[part].clone(), Shape::Row { header: header.clone() }))
            }
            Block::Table { header, rows } => {
                let range = header.start..rows.last()?.end;
                let is_short = range.len() <= BLOCK_BYTES_MAX;
                (part == rows.len() && is_short).then_some((range, Shape::Table))
            }
            Block::Code(range) => {
                let end = cut(text, range.clone(), BLOCK_BYTES_MAX);
                (part == 0).then_some((range.start..end, Shape::Lines))
            }
        }
    }

    /// Where in `flat` the sentence at `range` of the passage ends.
    fn flat_end(&self, range: &Range<usize>) -> usize {
        self.blocks.last().map_or(0, |block| range.end - block.range().start)
    }

    fn read_piece(
        &mut self,
        text: &str,
        range: Range<usize>,
        shape: Shape,
        before: Option<usize>,
        asking: &mut Asking<'_>,
    ) {
        let block = self.blocks.len() - 1;
        let mut sense = self.heading_sense.clone();
        let mut glance = match (&shape, &self.blocks[block]) {
            // The parts were read before.
            (Shape::Lines, Block::List { ordered, .. }) => self.parts_together(block, *ordered),
            (Shape::Table, _) => self.parts_together(block, false),
            (Shape::Lines, _) => {
                let mut glance = glance(&text[range.clone()], &mut sense, asking);
                glance.marks.add(Marks::CODE);
                glance
            }
            (Shape::Sentence | Shape::Item | Shape::Row { .. }, _) => {
                let text = render::without_targets(head(&text[range.clone()], PIECE_BYTES_MAX));
                glance(&text, &mut sense, asking)
            }
        };
        glance.sense = glance.sense.max(asking.evidence.sense_of(&sense));
        let first_of_section = matches!(shape, Shape::Sentence)
            && before.is_none()
            && !self.pieces.iter().any(|piece| piece.heading == self.heading);
        if first_of_section && asking.evidence.share(self.heading) >= NAMED_SHARE {
            glance.marks.add(Marks::DEFINES);
        }
        let header = match &shape {
            Shape::Row { header } => self.header_terms(text, block, header.clone(), asking),
            Shape::Sentence | Shape::Item | Shape::Table | Shape::Lines => 0,
        };
        if let (Shape::Lines | Shape::Table, Some(intro)) = (&shape, before) {
            glance.marks.add(self.pieces[intro].glance.marks);
        }
        // Under a heading, or a column's head, that says what is counted any number may count it.
        if glance.marks.has_any(Marks::NUMBER) && asking.evidence.counts(header | self.heading) {
            glance.marks.add(Marks::COUNT);
        }
        self.union |= glance.covers | header;
        self.pieces.push(Piece { range, shape, block, heading: self.heading, before, header, glance });
    }

    /// The terms of a table's header: read with its first row, then taken from the row before.
    fn header_terms(
        &self,
        text: &str,
        block: usize,
        header: Range<usize>,
        asking: &mut Asking<'_>,
    ) -> TermSet {
        match self.pieces.last() {
            Some(piece) if piece.block == block => piece.header,
            _ => glance(&text[header], &mut Sense::new(), asking).covers,
        }
    }

    /// A list or table as the sum of its parts, which are the last pieces.
    fn parts_together(&self, block: usize, ordered: bool) -> Glance {
        let mut whole = Glance::default();
        for piece in self.pieces.iter().rev().take_while(|piece| piece.block == block) {
            whole.covers |= piece.glance.covers | piece.header;
            whole.words += piece.glance.words;
            whole.echoes |= piece.glance.echoes;
            whole.sense = whole.sense.max(piece.glance.sense);
            whole.sketch.add_all(&piece.glance.sketch);
            whole.marks.add(piece.glance.marks);
        }
        whole.spread = whole.words;
        if ordered {
            whole.marks.add(Marks::STEPS);
        }
        whole
    }

    fn judge(&mut self, text: &str, number: usize, asking: &Asking<'_>) {
        let piece = &self.pieces[number];
        let before = piece.before.map(|before| &self.pieces[before]);
        let next_block = self.blocks.get(piece.block + 1);
        let opens_block =
            matches!(next_block, Some(Block::List { .. } | Block::Code(_) | Block::Table { .. }));
        let ends_paragraph = self.blocks[piece.block].range().end == piece.range.end;
        if matches!(piece.shape, Shape::Sentence) && ends_paragraph && opens_block && ends_open(text, piece) {
            // It comes with the block that it opens.
            return;
        }
        let mut range = piece.range.clone();
        if piece.glance.echoes {
            return;
        }
        let mut own = piece.glance.covers;
        let mut near = piece.header | before.map_or(0, |before| before.glance.covers);
        // Behind the question itself, as behind a heading, the answer need not repeat it.
        let heading = match before {
            Some(question) if question.glance.echoes => piece.heading | question.glance.covers,
            Some(_) | None => piece.heading,
        };
        let mut damp = 1.0;
        let mut is_spare = false;
        let mut fits = match asking.kind {
            Kind::WhatIs => defines(piece, asking),
            Kind::Who if piece.glance.marks.has_any(Marks::OPENING) => true,
            _ => fits(piece, asking) != Some(false),
        };
        match (&piece.shape, before) {
            (Shape::Sentence, Some(_)) if piece.glance.leans_back => {
                range.start = self.start_of_thought(number)
            }
            (Shape::Lines | Shape::Table, before) => {
                let is_code = matches!(self.blocks[piece.block], Block::Code(_));
                let above = piece.heading | before.map_or(0, |before| before.glance.covers);
                let shows = asking.looks && asking.evidence.share(above) >= SHOWN_SHARE;
                let instructs = is_code
                    && (shows || asking.kind == Kind::HowTo && !is_drawing(&text[piece.range.clone()]));
                let opening = before.filter(|intro| ends_open(text, intro));
                // The sentence that opens code answers; the code comes along.
                let is_opened = opening.is_some() && !is_drawing(&text[piece.range.clone()]);
                is_spare = is_code && !instructs && !is_opened;
                let intro = if instructs { before } else { opening };
                if is_spare {
                    damp = UNASKED_CODE;
                }
                fits = instructs || fits && !is_spare;
                match intro {
                    Some(intro) => {
                        range.start = intro.range.start;
                        own = intro.glance.covers;
                        near = piece.glance.covers | piece.header;
                    }
                    // The sum of many items covers anything: a list answers by what stands over it.
                    None if !is_code => {
                        own = 0;
                        near |= piece.glance.covers;
                    }
                    None => {}
                }
                if is_code && shows {
                    // What stands below a heading shows what the heading names.
                    own |= heading;
                }
                let frame = piece.heading | before.map_or(0, |before| before.glance.covers);
                if !is_code && !self.is_meant() && asking.evidence.share(frame) < PIECE_SHARE_MIN {
                    return;
                }
                damp *= if asking.kind == Kind::Which && !is_code { WANTED } else { 1.0 };
            }
            // A row is shown with the names of its columns, so it says them too, if it says anything asked.
            (Shape::Row { .. }, _) if own & asking.evidence.content() != 0 => own |= piece.header,
            (Shape::Sentence | Shape::Item | Shape::Row { .. }, _) => {}
        }
        if matches!(piece.shape, Shape::Table)
            && (asking.kind != Kind::Which || self.row_says_more(piece, heading, asking))
        {
            return;
        }
        let evidence = asking.evidence;
        let known = heading | near | own;
        // What is asked of the topic may be said in other words, by what shows the kind of answer.
        let is_topic_alone = evidence.has_topic() && evidence.own_share(known) < OWN_SHARE_MIN;
        let shows = asking.kind.wanted().is_some_and(|wanted| piece.glance.marks.has_any(wanted));
        let is_topic_alone =
            is_topic_alone && !(shows && evidence.topic_share_of(heading) >= TOPIC_SHARE_MIN);
        let is_off = is_spare && evidence.share(own | heading) < SHOWN_SHARE;
        let is_meant = self.is_meant() || piece.glance.sense >= SENSE_MIN;
        let says_nothing = evidence.share(known) < PIECE_SHARE_MIN && !is_meant;
        if is_off || says_nothing || is_topic_alone {
            return;
        }
        let score = score(piece, own, heading, near, self.rank, self.meaning, asking) * damp;
        if score <= 0.0 {
            return;
        }
        self.candidates.push(Candidate {
            passage: self.passage,
            range: trimmed(text, range),
            shape: piece.shape.clone(),
            block: piece.block,
            covers: own & evidence.content(),
            known: own | heading,
            reach: evidence.share(own | heading),
            meaning: self.meaning,
            sense: piece.glance.sense,
            score,
            fits,
            is_spare,
            sketch: piece.glance.sketch,
        });
        if self.candidates.len() > CANDIDATES_MAX {
            self.candidates.sort_by(|one, other| other.score.total_cmp(&one.score));
            self.candidates.truncate(CANDIDATES_MAX);
        }
    }

    /// What it says may answer although it says nothing of it in the asker's words.
    fn is_meant(&self) -> bool {
        self.meaning >= MEANING_MIN
    }

    /// A row of this table holds what is asked beyond what stands over them all: it answers, the others do not.
    fn row_says_more(&self, table: &Piece, heading: TermSet, asking: &Asking<'_>) -> bool {
        let intro = table.before.map_or(0, |before| self.pieces[before].glance.covers);
        let rows =
            || self.pieces.iter().filter(|piece| piece.block == table.block && piece.shape != table.shape);
        let above = rows().fold(heading | intro, |above, row| above | row.header);
        let asked = asking.evidence.beyond(above);
        rows().any(|row| row.glance.covers & asked != 0)
    }

    /// Where the sentence starts that `number`, which leans back, needs in front of it.
    fn start_of_thought(&self, number: usize) -> usize {
        let mut first = &self.pieces[number];
        for _ in 0..LEANING_MAX {
            match first.before.map(|before| &self.pieces[before]) {
                Some(before) if first.glance.leans_back && before.block == first.block => first = before,
                Some(_) | None => break,
            }
        }
        first.range.start
    }
}

/// How well a piece answers, from 0 to about 2.
fn score(
    piece: &Piece,
    own: TermSet,
    heading: TermSet,
    near: TermSet,
    rank: f32,
    meaning: f32,
    asking: &Asking<'_>,
) -> f32 {
    let evidence = asking.evidence;
    let with_heading = own | heading;
    let (alone, headed, all) =
        (evidence.share(own), evidence.share(with_heading), evidence.share(with_heading | near));
    let cover = alone
        + HEADING_PART * (headed - alone)
        + NEAR_PART * (all - headed)
        + MEANING_PART * meaning
        + SENSE_PART * piece.glance.sense;

    let fits = fits(piece, asking);
    let is_block = matches!(piece.shape, Shape::Lines);
    let is_definition = asking.kind == Kind::WhatIs && defines(piece, asking);
    let is_under_its_name = evidence.share(piece.heading) >= NAMED_SHARE;
    let fit = match (fits, asking.kind) {
        (Some(_), _) if is_definition && is_under_its_name => DEFINED,
        (Some(_), _) if is_definition => DEFINED_ELSEWHERE,
        _ if asking.looks && is_block => WANTED,
        _ if asking.looks => UNWANTED,
        (Some(true), _) => WANTED,
        (Some(false), kind) if kind.is_figure() => NO_FIGURE,
        (Some(false), _) => UNWANTED,
        (None, _) => 1.0,
    };
    let hint = if own & evidence.content() == 0 { SAYS_NOTHING } else { 1.0 };
    let length = match piece.glance.words {
        0..=2 => 0.7,
        3..=45 => 1.0,
        _ => 0.9,
    };
    let count = (own & evidence.content()).count_ones();
    let close =
        if count < 2 { 0.0 } else { CLOSE_PART * (count as f32 / (piece.glance.spread + 1) as f32).min(1.0) };
    let answers = if piece.glance.asks { ASKING } else { 1.0 };
    let names = 1.0 - UNNAMED * (1.0 - evidence.names_share(with_heading | near));
    cover * fit * hint * length * answers * names * (1.0 + close) + RANK_PART * rank
}

/// It says of what is asked that it is something.
fn defines(piece: &Piece, asking: &Asking<'_>) -> bool {
    asking.evidence.share(piece.glance.subject) >= NAMED_SHARE
}

/// Whether a piece shows what this kind of question wants; `None` if nothing in particular is wanted.
fn fits(piece: &Piece, asking: &Asking<'_>) -> Option<bool> {
    // A cell below what is asked for answers, whatever it looks like.
    let is_told = asking.kind.is_figure() || asking.kind == Kind::Who;
    let is_below = is_told && asking.evidence.own_words() & piece.header != 0;
    asking.kind.wanted().map(|wanted| is_below || piece.glance.marks.has_any(wanted))
}

/// Where the marker of an ordered list's item ends that `text` begins with; 0 for any other text.
fn ordered_marker(text: &str) -> usize {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_marker =
        (1..=9).contains(&digits) && [". ", ") "].iter().any(|end| text[digits..].starts_with(end));
    if is_marker { digits + 2 } else { 0 }
}

/// Reads the head of `text`: what it covers and what it shows. What it is about is added to `sense`.
fn glance(text: &str, sense: &mut Sense, asking: &mut Asking<'_>) -> Glance {
    let text = head(text, PIECE_BYTES_MAX);
    let mut echo = asking.echo.listen();
    let asks = text.trim_end().ends_with(['?', '？']);
    let mut glance = Glance { marks: Marks::of_text(text), asks, ..Glance::default() };
    let mut first_covered = None;
    // How many words ago the last number stood, and what is to be counted.
    let (mut number_ago, mut counted_ago) = (u32::MAX, u32::MAX);
    let mut subject = Subject::Expected(0);
    let mut whole_end = 0;
    let mut lower = String::new();
    // The number of an item in an ordered list is no figure that answers anything.
    let marker_end = ordered_marker(text);
    for word in words(text) {
        lower.clear();
        lower.extend(word.text.chars().flat_map(char::to_lowercase));
        let opens = glance.words == 0;
        if opens {
            glance.leans_back = LEANING.contains(&lower.as_str());
        }
        let term = asking.terms.term(word.text);
        let mut covered = asking.evidence.set_of(term);
        // The parts of a name say nothing that the name did not.
        let is_part = word.start < whole_end;
        whole_end = whole_end.max(word.start + word.text.len());

        glance.sketch.add(term);
        let mut like = 0;
        if let Some(word) = WordId::of(term).filter(|_| asking.language == Language::English) {
            sense.add(word);
            like = asking.evidence.like(word);
            glance.covers |= like;
        }
        let is_function = asking.language.is_function_word(&lower);
        // Who is named in the question is not asked for. Any word may open a sentence; so may a name.
        let is_capital =
            word.text.starts_with(char::is_uppercase) && covered & asking.evidence.content() == 0;
        let marks = Marks::of_word(&lower, opens, is_capital);
        if opens && is_capital && !is_function {
            glance.marks.add(Marks::OPENING);
        }
        if word.start >= marker_end {
            glance.marks.add(marks);
        }
        let since = |is_here: bool, ago: u32| if is_here { 0 } else { ago.saturating_add(1) };
        number_ago = since(marks.has_any(Marks::NUMBER), number_ago);
        counted_ago = since(asking.evidence.counts(covered | like), counted_ago);
        if number_ago.min(counted_ago) == 0 && number_ago.max(counted_ago) <= COUNTED_WITHIN {
            glance.marks.add(Marks::COUNT);
        }
        echo.hear(term, is_function, &text[word.start + word.text.len()..]);
        if let Some(joined) = joined(word.text) {
            covered |= asking.evidence.set_of(asking.terms.term(&joined));
        }
        let asked = covered & asking.evidence.content();
        subject = subject.read(asked, &lower, is_function, is_part, &text[whole_end..]);
        if asked != 0 {
            let first = *first_covered.get_or_insert(glance.words);
            glance.spread = glance.words - first;
        }
        let is_close_behind = first_covered.is_some_and(|first| first <= 4 && glance.words - first <= 4);
        if is_close_behind && is_defining(&lower) {
            glance.marks.add(Marks::DEFINES);
        }
        glance.covers |= covered;
        glance.words += 1;
    }
    glance.echoes = echo.is_heard();
    glance.subject = subject.found();
    if glance.subject != 0 {
        glance.marks.add(Marks::DEFINES);
    }
    glance.asks |= glance.echoes;
    glance
}

/// What a piece says at its start that it is something.
#[derive(Debug, Clone, Copy)]
enum Subject {
    /// Only asked and joining words were read so far, these of the question's terms among them.
    Expected(TermSet),
    Found(TermSet),
    Missing,
}

impl Subject {
    /// After one more word, which covers `covered`; `behind` is the text that follows it.
    fn read(self, covered: TermSet, lower: &str, is_function: bool, is_part: bool, behind: &str) -> Subject {
        let Subject::Expected(set) = self else { return self };
        let is_named =
            behind.trim_start_matches(['*', '_', '`', ' ', ')']).starts_with([':', '：', '—', '–']);
        match covered {
            0 if is_part => self,
            0 if set != 0 && is_defining(lower) => Subject::Found(set),
            0 if is_function => self,
            0 => Subject::Missing,
            _ if is_named => Subject::Found(set | covered),
            _ => Subject::Expected(set | covered),
        }
    }

    fn found(self) -> TermSet {
        match self {
            Subject::Found(set) => set,
            Subject::Expected(_) | Subject::Missing => 0,
        }
    }
}

/// The first sentence of `flat` from byte `at` on; one without end is cut at white space.
fn next_sentence(flat: &str, at: usize) -> Option<Range<usize>> {
    let rest = flat.get(at..)?;
    let window = head(rest, PIECE_BYTES_MAX);
    let mut found = sentences(window);
    let mut sentence = found.next()?;
    // A label is no sentence: `**Cause.** The disk was full.`
    if is_label(&window[sentence.clone()])
        && let Some(next) = found.next()
    {
        sentence.end = next.end;
    }
    if window.len() < rest.len() && sentence.end == window.trim_end().len() {
        sentence.end = cut(window, sentence.clone(), sentence.len().saturating_sub(1));
    }
    (sentence.end > sentence.start).then(|| at + sentence.start..at + sentence.end)
}

fn is_label(sentence: &str) -> bool {
    sentence.len() <= LABEL_BYTES_MAX && words(sentence).count() <= 2 && !sentence.contains(['?', '!'])
}

/// Where `range` of `text` ends if it may be `bytes_max` long: behind a line, else behind a word, else a character.
pub(super) fn cut(text: &str, range: Range<usize>, bytes_max: usize) -> usize {
    let piece = &text[range.clone()];
    if piece.len() <= bytes_max {
        return range.end;
    }
    let kept = head(piece, bytes_max);
    let end = match (kept.rfind('\n'), kept.rfind(char::is_whitespace)) {
        (Some(line), _) if line > 0 => line,
        (_, Some(word)) if word > 0 => word,
        _ => kept.len(),
    };
    range.start + end
}

/// Spaces for line breaks and quote marks, so that a sentence may run over lines; every byte stays at its place.
fn flatten(paragraph: &str, flat: &mut String) {
    flat.clear();
    let mut begins_line = true;
    for character in paragraph.chars() {
        let is_break = matches!(character, '\n' | '\r');
        let is_quote_mark = begins_line && character == '>';
        flat.push(if is_break || is_quote_mark { ' ' } else { character });
        begins_line = is_break || begins_line && (is_quote_mark || matches!(character, ' ' | '\t'));
    }
}

/// A code block that draws: what stands in it is not to be typed.
fn is_drawing(code: &str) -> bool {
    let first = code.lines().next().unwrap_or("").trim_start_matches(['`', '~', ' ']);
    let language = first.split([' ', '{', ',']).next().unwrap_or("");
    ["text", "txt", "mermaid", "ascii", "diagram", "dot", "plantuml"].contains(&language)
        || code.contains(['─', '│', '►', '┌', '└', '▼', '→'])
}

fn ends_open(text: &str, piece: &Piece) -> bool {
    text[piece.range.clone()].trim_end_matches(['*', '_', ' ']).ends_with([':', '：'])
}

fn cost_of(bytes: usize) -> u32 {
    1 + units(bytes.min(PIECE_BYTES_MAX) / READ_BYTES_PER_UNIT)
}

pub(super) fn units(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Bytes of one piece that are looked at, and the longest sentence: whole sentences are far shorter.
const PIECE_BYTES_MAX: usize = 1024;

/// A number counts what stands no more words from it.
const COUNTED_WITHIN: u32 = 3;

/// The longest sentence that may be a label of the next.
const LABEL_BYTES_MAX: usize = 24;

/// Pieces of one passage that are read; a passage of fragments ends there.
const PIECES_MAX: usize = 512;

/// Pieces kept of one passage: twice what an answer quotes in all.
const CANDIDATES_MAX: usize = 8;

/// Longest list, table or code block that comes whole, in bytes; of a longer one the first items or lines.
const BLOCK_BYTES_MAX: usize = 1536;

/// Longest list item that comes whole, in bytes. A longer one is read as a paragraph, sentence by sentence.
const ITEM_BYTES_MAX: usize = 480;

/// Bytes that are split into words, stemmed and compared in one unit.
const READ_BYTES_PER_UNIT: usize = 12;

/// Bytes whose line ends are found in one unit.
const SCANNED_BYTES_PER_UNIT: usize = 512;

/// Sentences that are taken along because the next leans on them.
const LEANING_MAX: usize = 2;

/// A piece whose terms, headings and neighbour cover less of the question is no answer.
const PIECE_SHARE_MIN: f32 = 0.05;

/// A heading that covers so much names what is asked.
const NAMED_SHARE: f32 = 0.9;

/// The same of the question's own words in a follow-up: its topic alone answers nothing.
const OWN_SHARE_MIN: f32 = 0.4;

/// A piece under headings that name so much of the topic speaks of it.
const TOPIC_SHARE_MIN: f32 = 0.4;

/// A block shows what is asked if so much of it stands above the block; one that nobody asked for must hold as much.
const SHOWN_SHARE: f32 = 0.7;

/// What a term in a heading, or in the sentence before, is worth beside one in the piece itself.
const HEADING_PART: f32 = 0.85;
const NEAR_PART: f32 = 0.4;

/// What a piece loses at most that does not name, with its headings, what the question names by a title.
const UNNAMED: f32 = 0.5;

/// What showing the marks of the wanted kind is worth, and what lacking them.
const WANTED: f32 = 1.4;
const UNWANTED: f32 = 0.65;

/// The same for a sentence that says what the thing asked for is, under a heading of its name and elsewhere.
const DEFINED: f32 = 1.8;
const DEFINED_ELSEWHERE: f32 = 1.6;

/// The same where a number or a time was asked for: without one it is hardly an answer.
const NO_FIGURE: f32 = 0.75;

/// Code, where nobody asked how to do something or what it looks like; and a drawing, unless one was asked for.
const UNASKED_CODE: f32 = 0.5;

/// A piece that asks: a question in a note, or the question itself quoted as an example.
const ASKING: f32 = 0.4;

/// A piece that says nothing of what is asked: the headings above it do.
const SAYS_NOTHING: f32 = 0.85;

/// What closeness of the terms, and the rank of the passage, add at most.
const CLOSE_PART: f32 = 0.1;
const RANK_PART: f32 = 1.0;

/// What a passage that surely means what is asked gives to each of its pieces, and from where on a piece of it may answer
/// without a word of the question.
const MEANING_PART: f32 = 0.5;
const MEANING_MIN: f32 = 0.15;

/// The same for a piece that is, by its own words and its headings', about what is asked.
const SENSE_PART: f32 = 0.6;
const SENSE_MIN: f32 = 0.4;

/// Words that stand for something in the sentence before.
const LEANING: [&str; 19] = [
    "it", "its", "this", "they", "their", "that", "these", "those", "he", "she", "his", "her", "dies",
    "diese", "dieser", "das", "es", "sie", "er",
];
