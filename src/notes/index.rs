//! The inverted index: for every term, the passages that hold it.
//!
//! ```text
//! vocabulary   "loop" → 17
//! terms[17]    postings: (Δ passage as varint, one byte of counts)*      about 2.5 bytes a posting
//! passages[n]  which note, and how long its fields are
//! owners[note] which run of passages is that note's current version
//! ```
//!
//! Passage numbers only grow, so a posting is only ever appended and a search in flight keeps its places. A
//! passage is dead once its note owns it no longer; dead postings are swept out list by list when they are many.
//! The counts that scores depend on are exact at once, so a folder read in any order, with any changes on the way,
//! scores like one read afresh. Terms that no passage holds any longer stay in the vocabulary, at some 100 bytes each.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use super::note::{Note, Passage};
use super::pages::Pages;
use super::shelf::NoteId;
use crate::base::HashSeed;
use crate::text::{Language, Terms, boundary_before, joined, words};

/// Names a term of the vocabulary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TermId(pub u32);

/// Names a passage of the index; later passages have greater numbers, and no number is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassageId(pub u32);

/// All terms and passages.
pub struct Index {
    seed: HashSeed,
    /// Many small maps, so that none takes long to grow.
    vocabulary: Vec<HashMap<Box<str>, TermId, HashSeed>>,
    terms: Pages<TermEntry>,
    passages: Pages<PassageEntry>,
    owners: Pages<Owner>,
    totals: Totals,
    /// Languages that some passage is or was in.
    languages: BTreeSet<Language>,
    /// Terms of words met lately, each in the one place that its hash gives: most words of a text are among them,
    /// and need neither folding nor stemming. Words that collide only take turns.
    recent: Vec<Recent>,
}

/// A short word and its term.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    length: u8,
    language: Language,
    word: [u8; RECENT_BYTES],
    term: TermId,
}

/// What the weights of all terms depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Passages of all current notes.
    pub passages: u64,
    /// Words in their bodies.
    pub body_words: u64,
    /// Words in their titles, counted once a passage.
    pub title_words: u64,
    /// Words in their heading paths.
    pub heading_words: u64,
    /// Postings that count.
    pub postings: u64,
    /// Postings of dead passages that still lie about.
    pub dead_postings: u64,
}

/// One term of the vocabulary.
#[derive(Debug)]
pub struct TermEntry {
    postings: Bytes,
    /// Current passages that hold it.
    live: u32,
    /// The newest passage in the list.
    last: u32,
    /// Times the list was swept; a cursor that notes another number must find its place again.
    sweeps: u32,
}

/// Where a passage came from and how long its fields are.
#[derive(Debug, Clone, Copy)]
pub struct PassageEntry {
    /// Its note, if that still owns it.
    pub note: NoteId,
    /// Its place among the note's passages.
    pub ordinal: u32,
    /// Words of its body, of its title and of its heading path.
    pub body_words: u16,
    /// Words of the title.
    pub title_words: u8,
    /// Words of all headings above.
    pub heading_words: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Owner {
    first: u32,
    end: u32,
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Body,
    Title,
    Heading,
    Names,
    /// A word of the body once more without its hyphen; it has no length of its own.
    Joined,
}

/// How often a term stands in each field of one passage, packed into the byte of its posting.
///
/// ```text
/// bit  7      6 5      4      3 2 1 0
///      names  heading  title  body       each count stops at its maximum
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts(u8);

impl Counts {
    /// Times in the body, up to 15.
    pub fn body(self) -> u8 {
        self.0 & 0x0F
    }

    /// In the title or not.
    pub fn title(self) -> u8 {
        (self.0 >> 4) & 1
    }

    /// Times in the heading path, up to 3.
    pub fn heading(self) -> u8 {
        (self.0 >> 5) & 3
    }

    /// Among aliases and tags or not.
    pub fn names(self) -> u8 {
        self.0 >> 7
    }

    fn add(self, field: Field) -> Counts {
        Counts(match field {
            Field::Body | Field::Joined if self.body() < 15 => self.0 + 1,
            Field::Title => self.0 | 0x10,
            Field::Heading if self.heading() < 3 => self.0 + 0x20,
            Field::Names => self.0 | 0x80,
            Field::Body | Field::Joined | Field::Heading => self.0,
        })
    }
}

impl Index {
    /// Holds nothing yet.
    pub fn new(seed: HashSeed) -> Index {
        Index {
            seed,
            vocabulary: (0..SHARDS).map(|_| HashMap::with_hasher(seed)).collect(),
            terms: Pages::new(),
            passages: Pages::new(),
            owners: Pages::new(),
            totals: Totals::default(),
            languages: BTreeSet::new(),
            recent: vec![Recent::default(); RECENT],
        }
    }

    /// What all current passages add up to.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The number that the next passage will have.
    pub fn end(&self) -> PassageId {
        PassageId(u32::try_from(self.passages.len()).unwrap_or(u32::MAX))
    }

    /// Languages that some passage is in, or was.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        self.languages.iter().copied()
    }

    /// Terms in the vocabulary, dead ones included.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Adds one passage of a note, unseen until [`publish`](Index::publish).
    pub fn add(&mut self, id: NoteId, note: &Note, ordinal: usize, terms: &mut Terms) {
        let Some(passage) = note.passages.get(ordinal) else { return };
        let language = Language::of(note.passage_text(passage));
        self.languages.insert(language);
        terms.speak(language);
        let number = self.end().0;
        let mut lengths = Lengths::default();
        let mut added = 0;
        for_each_word(note, passage, ordinal, |field, word| {
            lengths.add(field);
            let term = self.term_of(word, language, terms);
            if let Some(entry) = self.terms.get_mut(term.0 as usize) {
                added += u64::from(entry.add(number, field));
            }
        });
        self.totals.postings += added;
        self.totals.passages += 1;
        self.totals.body_words += u64::from(lengths.body);
        self.totals.title_words += u64::from(lengths.title);
        self.totals.heading_words += u64::from(lengths.heading);
        self.passages.push(PassageEntry {
            note: id,
            ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
            body_words: lengths.body,
            title_words: lengths.title,
            heading_words: lengths.heading,
        });
    }

    /// From now on the passages from `first` to the newest are the note's.
    pub fn publish(&mut self, id: NoteId, first: PassageId) {
        while self.owners.len() <= id.0 as usize {
            self.owners.push(Owner::default());
        }
        let end = self.end().0;
        if let Some(owner) = self.owners.get_mut(id.0 as usize) {
            *owner = Owner { first: first.0, end };
        }
    }

    /// From now on the note owns no passage.
    pub fn withdraw(&mut self, id: NoteId) {
        if let Some(owner) = self.owners.get_mut(id.0 as usize) {
            *owner = Owner::default();
        }
    }

    /// Takes one passage of a withdrawn note out of all counts; its postings stay until they are swept.
    pub fn remove(&mut self, note: &Note, ordinal: usize, terms: &mut Terms) {
        let Some(passage) = note.passages.get(ordinal) else { return };
        terms.speak(Language::of(note.passage_text(passage)));
        let mut lengths = Lengths::default();
        let mut held = Vec::new();
        for_each_word(note, passage, ordinal, |field, word| {
            lengths.add(field);
            held.extend(self.find(terms.term(word)));
        });
        held.sort_unstable();
        held.dedup();
        for term in &held {
            if let Some(entry) = self.terms.get_mut(term.0 as usize) {
                entry.live -= 1;
            }
        }
        let removed = held.len() as u64;
        self.totals.postings -= removed;
        self.totals.dead_postings += removed;
        self.totals.passages -= 1;
        self.totals.body_words -= u64::from(lengths.body);
        self.totals.title_words -= u64::from(lengths.title);
        self.totals.heading_words -= u64::from(lengths.heading);
    }

    /// The first passage of a note, if it is current; its others follow.
    pub fn first_passage(&self, id: NoteId) -> Option<PassageId> {
        let owner = self.owners.get(id.0 as usize)?;
        (owner.first < owner.end).then_some(PassageId(owner.first))
    }

    /// The passage, if it belongs to a current note.
    pub fn passage(&self, id: PassageId) -> Option<&PassageEntry> {
        let entry = self.passages.get(id.0 as usize)?;
        let owner = self.owners.get(entry.note.0 as usize)?;
        (owner.first <= id.0 && id.0 < owner.end).then_some(entry)
    }

    /// The term in the vocabulary, whether a current passage holds it or not.
    pub fn find(&self, term: &str) -> Option<TermId> {
        self.vocabulary[self.shard_of(term)].get(term).copied()
    }

    /// Current passages that hold the term.
    pub fn live(&self, term: TermId) -> u32 {
        self.terms.get(term.0 as usize).map_or(0, |entry| entry.live)
    }

    /// One part of the vocabulary, for those who compare with all of it; `None` beyond the last part.
    pub fn shard(&self, number: usize) -> Option<impl Iterator<Item = (&str, TermId)>> {
        self.vocabulary.get(number).map(|shard| shard.iter().map(|(text, id)| (&**text, *id)))
    }

    /// Drops the dead postings of one term's list; bytes looked at, or `None` beyond the last term.
    pub fn sweep(&mut self, number: usize) -> Option<usize> {
        let entry = self.terms.get(number)?;
        let before = entry.postings.as_slice().len();
        let mut kept = Bytes::default();
        let (mut last, mut dropped) = (NONE, 0);
        let mut cursor = Cursor::new(TermId(number as u32));
        while let Some((passage, counts)) = cursor.next(self) {
            if self.passage(passage).is_some() {
                kept.push_posting(passage.0.wrapping_sub(last), counts);
                last = passage.0;
            } else {
                dropped += 1;
            }
        }
        if dropped > 0
            && let Some(entry) = self.terms.get_mut(number)
        {
            kept.shrink();
            *entry =
                TermEntry { postings: kept, last, sweeps: entry.sweeps.wrapping_add(1), live: entry.live };
            self.totals.dead_postings = self.totals.dead_postings.saturating_sub(dropped);
        }
        Some(before)
    }

    /// The term of a word, which joins the vocabulary if it is new.
    fn term_of(&mut self, word: &str, language: Language, terms: &mut Terms) -> TermId {
        let slot = recent_slot(word);
        let recent = &self.recent[slot];
        if recent.language == language && recent.word[..usize::from(recent.length)] == *word.as_bytes() {
            return recent.term;
        }
        let term = self.intern(terms.term(word));
        if word.len() <= RECENT_BYTES {
            let recent = &mut self.recent[slot];
            recent.word[..word.len()].copy_from_slice(word.as_bytes());
            (recent.length, recent.language, recent.term) = (word.len() as u8, language, term);
        }
        term
    }

    fn intern(&mut self, term: &str) -> TermId {
        let shard = self.shard_of(term);
        if let Some(id) = self.vocabulary[shard].get(term) {
            return *id;
        }
        let id = TermId(u32::try_from(self.terms.len()).expect("a term is over a byte of address space"));
        self.vocabulary[shard].insert(term.into(), id);
        self.terms.push(TermEntry { postings: Bytes::default(), live: 0, last: NONE, sweeps: 0 });
        id
    }

    /// Bits that the maps themselves do not go by: they use the lowest and the highest.
    fn shard_of(&self, term: &str) -> usize {
        (self.seed.hash_one(term) >> 40) as usize % SHARDS
    }
}

impl TermEntry {
    /// Counts one more occurrence in a passage; true for the first there.
    fn add(&mut self, passage: u32, field: Field) -> bool {
        if self.last == passage {
            if let Some(counts) = self.postings.last_mut() {
                *counts = Counts(*counts).add(field).0;
            }
            return false;
        }
        self.postings.push_posting(passage.wrapping_sub(self.last), Counts(0).add(field));
        self.last = passage;
        self.live += 1;
        true
    }
}

/// Walks the postings of one term in passage order, across changes of the index.
#[derive(Debug, Clone)]
pub struct Cursor {
    term: TermId,
    offset: usize,
    last: u32,
    sweeps: u32,
}

impl Cursor {
    /// Before the first posting.
    pub fn new(term: TermId) -> Cursor {
        Cursor { term, offset: 0, last: NONE, sweeps: 0 }
    }

    /// The next posting. After a sweep, the next one that is left.
    pub fn next(&mut self, index: &Index) -> Option<(PassageId, Counts)> {
        let entry = index.terms.get(self.term.0 as usize)?;
        let bytes = entry.postings.as_slice();
        if entry.sweeps != self.sweeps {
            self.find_place(bytes, entry.sweeps);
        }
        let (delta, offset) = varint(bytes, self.offset)?;
        let counts = *bytes.get(offset)?;
        self.offset = offset + 1;
        self.last = self.last.wrapping_add(delta);
        Some((PassageId(self.last), Counts(counts)))
    }

    /// From the start of a swept list to behind the last passage that was seen.
    fn find_place(&mut self, bytes: &[u8], sweeps: u32) {
        let seen = self.last;
        (self.offset, self.last, self.sweeps) = (0, NONE, sweeps);
        while let Some((delta, offset)) = varint(bytes, self.offset).filter(|_| seen != NONE) {
            let passage = self.last.wrapping_add(delta);
            if passage > seen {
                return;
            }
            (self.offset, self.last) = (offset + 1, passage);
        }
    }
}

/// Gives every word of a passage with its field, in the same order each time.
///
/// Tags and aliases of a note may be many: all of its passages get the first of them, the first passage more.
fn for_each_word(note: &Note, passage: &Passage, ordinal: usize, mut take: impl FnMut(Field, &str)) {
    words(&note.title[..boundary_before(&note.title, TITLE_BYTES_MAX)])
        .for_each(|word| take(Field::Title, word.text));
    let mut room = if ordinal == 0 { NAMES_BYTES_FIRST } else { NAMES_BYTES };
    for name in note.aliases.iter().chain(&note.tags) {
        if name.len() > room {
            break;
        }
        room -= name.len();
        words(name).for_each(|word| take(Field::Names, word.text));
    }
    for heading in note.heading_path(passage) {
        words(heading).for_each(|word| take(Field::Heading, word.text));
    }
    words(note.passage_text(passage)).for_each(|word| {
        take(Field::Body, word.text);
        if let Some(joined) = joined(word.text) {
            take(Field::Joined, &joined);
        }
    });
}

/// FNV-1a: cheap, and unkeyed because collisions cost a miss and nothing else.
fn recent_slot(word: &str) -> usize {
    let hash =
        word.bytes().fold(0x811C_9DC5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 15)) as usize % RECENT
}

#[derive(Debug, Default)]
struct Lengths {
    body: u16,
    title: u8,
    heading: u8,
}

impl Lengths {
    fn add(&mut self, field: Field) {
        match field {
            Field::Body => self.body = self.body.saturating_add(1),
            Field::Title => self.title = self.title.saturating_add(1),
            Field::Heading => self.heading = self.heading.saturating_add(1),
            Field::Names | Field::Joined => {}
        }
    }
}

/// A list of postings. Most terms stand in a passage or two, and their lists need no allocation.
#[derive(Debug)]
enum Bytes {
    Few { length: u8, bytes: [u8; FEW] },
    Many(Vec<u8>),
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::Few { length: 0, bytes: [0; FEW] }
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Few { length, bytes } => &bytes[..usize::from(*length)],
            Bytes::Many(bytes) => bytes,
        }
    }

    fn last_mut(&mut self) -> Option<&mut u8> {
        match self {
            Bytes::Few { length, bytes } => bytes[..usize::from(*length)].last_mut(),
            Bytes::Many(bytes) => bytes.last_mut(),
        }
    }

    fn push_posting(&mut self, mut delta: u32, counts: Counts) {
        while delta >= 0x80 {
            self.push(delta as u8 | 0x80);
            delta >>= 7;
        }
        self.push(delta as u8);
        self.push(counts.0);
    }

    fn push(&mut self, byte: u8) {
        match self {
            Bytes::Few { length, bytes } if usize::from(*length) < FEW => {
                bytes[usize::from(*length)] = byte;
                *length += 1;
            }
            Bytes::Few { bytes, .. } => {
                let mut many = Vec::with_capacity(2 * FEW);
                many.extend_from_slice(bytes);
                many.push(byte);
                *self = Bytes::Many(many);
            }
            Bytes::Many(bytes) => bytes.push(byte),
        }
    }

    fn shrink(&mut self) {
        if let Bytes::Many(bytes) = self {
            bytes.shrink_to_fit();
        }
    }
}

/// A number in groups of seven bits, lowest first, and where it ends.
fn varint(bytes: &[u8], mut offset: usize) -> Option<(u32, usize)> {
    let (mut value, mut shift) = (0u32, 0);
    loop {
        let byte = *bytes.get(offset)?;
        offset += 1;
        value |= u32::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some((value, offset));
        }
        shift += 7;
    }
}

/// No passage; the first delta of a list is counted from here, so it is the passage's number plus one.
const NONE: u32 = u32::MAX;
/// Bytes of a list that is kept in place.
const FEW: usize = 30;
const SHARDS: usize = 1024;
/// Words remembered, half a megabyte of them, and the longest that is.
const RECENT: usize = 16 * 1024;
const RECENT_BYTES: usize = 22;
/// Titles count up to here, in bytes.
const TITLE_BYTES_MAX: usize = 512;
/// Aliases and tags that count for the first passage of a note, and for each other one, in bytes.
const NAMES_BYTES_FIRST: usize = 4096;
const NAMES_BYTES: usize = 512;
