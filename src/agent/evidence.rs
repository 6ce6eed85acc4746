//! How much a set of found terms says about a question.
//!
//! The terms of a question are numbered, so what a piece of text covers is a set of bits, and what two pieces cover
//! together is one `|`. A term weighs what the index says (rare words tell more), except that function words weigh
//! nothing and a word that no note holds weighs no more than the rarest one that some note holds.
//!
//! A corrected word is a guess: it gives less than it weighs, and nothing where no word stands as it was asked. So do a
//! word's kin, which say much the same.

use std::collections::BTreeSet;

use crate::text::{Kinship, Language, Sense, Terms, Word, WordId, kin, says, words};

use super::effect::{Findings, FoundTerm};
use super::kind::{Kind, is_measure, is_price};
use super::marks::is_time_word;
use super::question::Asked;

/// Which terms of a question a text holds: bit `n` is its `n`th term, bit `CLOSE + n` one of that term's close kin or
/// a word that means much the same, bit `KIN + n` one of the others, and bit `LIKE + n` a word that is about the same.
pub(super) type TermSet = u128;

/// The weighed terms of one question.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// Term and number, in order of the term. A corrected word may have two terms with one number.
    numbers: Vec<(String, u8)>,
    /// By number; zero for a term that counts for nothing.
    weights: Vec<f32>,
    /// The terms of the question's own words that count.
    own: TermSet,
    own_total: f32,
    /// The terms that count and stand in some note as they were asked.
    known: TermSet,
    /// The terms that count and were searched for in another spelling.
    corrected: TermSet,
    /// The terms of the earlier topic that count.
    topic: TermSet,
    topic_total: f32,
    /// The most that the topic can give.
    topic_share: f32,
    /// The terms that name something: they stand in the title of a passage that was found, or have a capital letter.
    names: TermSet,
    names_total: f32,
    /// Those of them that have a capital letter.
    proper: TermSet,
    /// The terms that count and are numbers: `1998`.
    figures: TermSet,
    /// The terms that count and have digits beside letters: `B2`.
    codes: TermSet,
    /// Words of the question that are known to be English, and all of them.
    english: (usize, usize),
    /// What is counted, in a question that asks how many there are.
    counted: TermSet,
    /// The common words of an English question, with the numbers of their terms.
    common: Vec<(WordId, u8)>,
    /// What an English question is about, with its topic.
    sense: Sense,
}

impl Evidence {
    /// Weighs the terms that the search knew, the first 32 of them.
    pub(super) fn weigh(asked: &Asked, findings: &Findings, terms: &mut Terms) -> Evidence {
        let language = asked.language;
        terms.speak(language);
        let text: BTreeSet<String> = term_set(&asked.request.text, terms);
        let context: BTreeSet<String> = term_set(&asked.request.context, terms);
        let topic: BTreeSet<String> = term_set(&asked.topic, terms);
        let found = &findings.terms[..findings.terms.len().min(TERMS_MAX)];
        let is_amount = |kind| {
            matches!(
                kind,
                Kind::HowHot | Kind::HowMuch | Kind::HowFar | Kind::HowHeavy | Kind::HowOld | Kind::HowFast
            )
        };
        // `How long` is answered by `65 s`, which holds no `long`.
        let is_filler = |term: &FoundTerm| {
            let lower = term.text.to_lowercase();
            language.is_function_word(&lower)
                || is_amount(asked.kind) && is_measure(&lower)
                || asked.kind == Kind::Price && is_price(&lower)
                || ["happens", "happen", "happened"].contains(&lower.as_str())
                || asked.kind == Kind::WhatIs && ["meant", "mean", "means", "stand"].contains(&lower.as_str())
        };
        // `Who are they?` has no other words; then they must do.
        let all_filler = found.iter().all(is_filler);
        let heaviest_known =
            found.iter().filter(|term| term.known).map(|term| finite(term.weight)).fold(0.0, f32::max);

        let mut evidence = Evidence { weights: vec![0.0; found.len()], ..Evidence::default() };
        for (number, term) in (0_u8..).zip(found) {
            evidence.numbers.push((term.term.clone(), number));
            evidence.numbers.extend(term.forms.iter().map(|form| (form.clone(), number)));
            // The index may name a correction by its word or by its term; both are looked for.
            if let Some(corrected) = &term.corrected {
                evidence.numbers.push((terms.term(corrected).to_owned(), number));
            }
            let is_counted = !is_filler(term) || all_filler;
            if is_counted {
                evidence.numbers.extend(
                    kin(&term.term).map(|(other, kinship)| (other.to_owned(), number + plane(kinship))),
                );
            }
            let asked_form = terms.term(&term.text).to_owned();
            let is_in = |set: &BTreeSet<String>| set.contains(&asked_form) || set.contains(&term.term);
            let floor = heaviest_known * WEIGHT_FLOOR;
            let ceiling = if term.known { f32::INFINITY } else { heaviest_known * UNKNOWN_WEIGHT_MAX };
            let weight = finite(term.weight).max(floor).min(ceiling);
            if !is_counted {
                continue;
            }
            let bits = with_all_kin(1 << number);
            if is_in(&topic) && !is_in(&text) {
                evidence.topic |= bits;
                evidence.topic_total += weight;
            } else if is_in(&text) || !is_in(&context) {
                evidence.own |= bits;
                evidence.own_total += weight;
            } else {
                continue;
            }
            if term.known && term.corrected.is_none() {
                evidence.known |= 1 << number;
            }
            if term.corrected.is_some() {
                evidence.corrected |= bits;
            }
            let has_digit = term.text.contains(|c: char| c.is_ascii_digit());
            if has_digit && term.text.contains(char::is_alphabetic) {
                evidence.codes |= 1 << number;
            } else if has_digit {
                evidence.figures |= 1 << number;
            }
            evidence.weights[usize::from(number)] = weight;
            if let Some(word) = WordId::of(&term.term).filter(|_| language == Language::English) {
                evidence.common.push((word, number));
                evidence.sense.add(word);
            }
        }
        evidence.numbers.sort();
        for word in words(&asked.request.text).filter(|_| language == Language::English) {
            let is_known = language.is_function_word(&word.text.to_lowercase())
                || WordId::of(terms.term(word.text)).is_some();
            evidence.english.0 += usize::from(is_known);
            evidence.english.1 += 1;
        }
        for passage in &findings.passages {
            let language = Language::of(&passage.text);
            terms.speak(language);
            let (mut whole, mut is_whole) = (0, true);
            for word in words(&passage.title) {
                let term = terms.term(word.text);
                let set = evidence.set_of(term) & EXACT;
                if says(term) >= NAME_SAYS {
                    evidence.names |= set;
                }
                is_whole &= set != 0 || language.is_function_word(&word.text.to_lowercase());
                whole |= set;
            }
            // A title that stands in the question as a whole names its note, however common its words are.
            if is_whole {
                evidence.names |= whole;
            }
        }
        terms.speak(language);
        let text = asked.request.text.trim_start();
        let is_name = |word: &Word<'_>| {
            word.start > 0
                && word.text.starts_with(char::is_uppercase)
                && word.text.contains(char::is_lowercase)
                && !is_time_word(&word.text.to_lowercase())
        };
        for word in words(text).filter(|word| language != Language::German && is_name(word)) {
            evidence.proper |= evidence.set_of(terms.term(word.text)) & EXACT;
        }
        evidence.proper &= evidence.content();
        // France is no other country, however much they have in common.
        let Evidence { common, proper, .. } = &mut evidence;
        common.retain(|(_, number)| *proper >> *number & 1 == 0);
        evidence.names = (evidence.names | evidence.proper) & evidence.content();
        if let Some(behind) = Kind::counted(text).filter(|_| asked.kind == Kind::HowMany) {
            // A corrected word is known by what was typed.
            let number = |word: &Word<'_>| found.iter().position(|term| term.text == word.text);
            let mut sets = words(behind).map(|word| {
                let typed = number(&word).map_or(0, |number| 1 << number);
                (evidence.set_of(terms.term(word.text)) | typed) & evidence.content()
            });
            evidence.counted = with_all_kin(sets.find(|set| *set != 0).unwrap_or(0) & EXACT);
        }
        // `Berth 4` is as much a name as `B4` is.
        let mut before: Option<Word<'_>> = None;
        for word in words(text) {
            let is_number = word.text.bytes().all(|byte| byte.is_ascii_digit());
            let is_named = before.is_some_and(|before| {
                let lower = before.text.to_lowercase();
                let is_plain = before.text.chars().all(char::is_alphabetic);
                is_plain && !language.is_function_word(&lower) && !is_time_word(&lower) && !is_measure(&lower)
            });
            if is_number && is_named {
                evidence.codes |= evidence.set_of(terms.term(word.text)) & EXACT & evidence.content();
            }
            before = Some(word);
        }
        evidence.names_total = evidence.sum(evidence.names);
        evidence.topic_share = match evidence.topic {
            0 => 0.0,
            _ if evidence.own == 0 => evidence.topic_total,
            _ => evidence.own_total * asked.topic_share,
        };
        evidence
    }

    /// The number of `term` as a set of one, or the empty set.
    pub(super) fn set_of(&self, term: &str) -> TermSet {
        let first = self.numbers.partition_point(|(known, _)| known.as_str() < term);
        self.numbers[first..]
            .iter()
            .take_while(|(known, _)| known == term)
            .fold(0, |set, (_, number)| set | 1 << number)
    }

    /// The term of `word` stands in `set`, or something like it does.
    pub(super) fn holds_like(&self, set: TermSet, term: &str) -> bool {
        let asked = self.set_of(term) & EXACT;
        asked != 0 && with_all_kin(asked) & set != 0
    }

    /// The question is in English, and not only taken for it: half of its words are known to be.
    pub(super) fn is_english(&self) -> bool {
        self.english.0 * 2 >= self.english.1
    }

    /// `set` holds what is to be counted.
    pub(super) fn counts(&self, set: TermSet) -> bool {
        self.counted & set != 0
    }

    /// The terms that `word` is like, whatever they share of it.
    pub(super) fn like(&self, word: WordId) -> TermSet {
        let others = self.common.iter().filter(|(asked, _)| *asked != word);
        others
            .filter_map(|(asked, number)| Some(1 << (number + plane(asked.kinship(word)?))))
            .fold(0, |set, bit: TermSet| set | bit)
    }

    /// How much something of this sense is about what is asked, from 0 to 1.
    pub(super) fn sense_of(&self, sense: &Sense) -> f32 {
        let likeness = self.sense.likeness(sense).unwrap_or(SENSE_NONE);
        ((likeness - SENSE_NONE) / (SENSE_SURE - SENSE_NONE)).clamp(0.0, 1.0)
    }

    /// The share of the question that `set` covers, from 0 to 1.
    pub(super) fn share(&self, set: TermSet) -> f32 {
        let whole = self.own_total + self.topic_share;
        if whole <= 0.0 { 0.0 } else { self.gain(set) / whole }
    }

    /// The share of the question's own words that `set` covers, whatever the earlier topic gives.
    pub(super) fn own_share(&self, set: TermSet) -> f32 {
        if self.own_total <= 0.0 { 1.0 } else { self.sum(set & self.own) / self.own_total }
    }

    /// The share of the things named in the question that `set` names, too; all of it if none is.
    pub(super) fn names_share(&self, set: TermSet) -> f32 {
        if self.names_total <= 0.0 { 1.0 } else { self.sum(set & self.names) / self.names_total }
    }

    /// The same of what is written with a capital letter and stands in some note.
    pub(super) fn proper_share(&self, set: TermSet) -> f32 {
        let total = self.sum(self.proper & self.known);
        if total <= 0.0 { 1.0 } else { self.sum(set & self.proper & self.known) / total }
    }

    /// The share that `set` covers of what is asked beside names; `None` without names, or where they are all that is asked.
    pub(super) fn attribute_share(&self, set: TermSet) -> Option<f32> {
        let attributes = self.own & !with_all_kin(self.names);
        let total = self.sum(attributes & EXACT);
        let matters = self.topic == 0 && self.names_total > 0.0 && total >= ATTRIBUTES_MIN * self.own_total;
        matters.then(|| self.sum(set & attributes) / total)
    }

    /// `set` without what is only like a word that some note holds as it was asked.
    pub(super) fn without_like_known(&self, set: TermSet) -> TermSet {
        set & !(self.known << LIKE)
    }

    /// Whatever counts in the question is a name.
    pub(super) fn asks_of_names_alone(&self) -> bool {
        self.names_total > 0.0 && self.own & EXACT & !self.names == 0
    }

    /// `set` holds corrections alone, though words that matter stand in the question as they were meant.
    pub(super) fn is_guess(&self, set: TermSet) -> bool {
        let as_asked = self.content() & !self.corrected;
        let total = self.sum(self.content() & EXACT & !self.corrected);
        set & as_asked == 0 && total >= AS_ASKED_MIN * (self.own_total + self.topic_total)
    }

    /// The heart of the question stands in nothing that was found, which is `all`, or stands elsewhere, and `set` holds
    /// hardly anything of the rest.
    pub(super) fn misses_the_heart(&self, set: TermSet, all: TermSet) -> bool {
        let words = |set: TermSet| (set | set >> CLOSE | set >> KIN) & self.content() & EXACT;
        let missing = self.content() & EXACT & !words(all);
        let elsewhere = self.known & !words(set);
        let whole = self.own_total + self.topic_total;
        words(set).count_ones() <= 1
            && (self.sum(missing) >= HEART_SHARE * whole || self.sum(elsewhere) >= ELSEWHERE_SHARE * whole)
    }

    /// `set` shares numbers with the question, and nothing else: any note has those.
    pub(super) fn is_number_alone(&self, set: TermSet) -> bool {
        let content = self.content() & EXACT;
        set & self.content() != 0 && set & self.content() & !self.figures == 0 && content & !self.figures != 0
    }

    /// The question has a code, such as `B2`, that `set` lacks: one like it is another thing.
    pub(super) fn lacks_code(&self, set: TermSet) -> bool {
        self.codes & !set != 0
    }

    /// What counts beyond the words that `set` holds, in whatever form.
    pub(super) fn beyond(&self, set: TermSet) -> TermSet {
        self.content() & !with_all_kin((set | set >> CLOSE | set >> KIN | set >> LIKE) & EXACT)
    }

    /// How many of the question's own words count.
    pub(super) fn own_count(&self) -> u32 {
        (self.own & EXACT).count_ones()
    }

    /// The question's own words that count, as they were asked.
    pub(super) fn own_words(&self) -> TermSet {
        self.own & EXACT
    }

    /// The share of the earlier topic that `set` covers.
    pub(super) fn topic_share_of(&self, set: TermSet) -> f32 {
        if self.topic_total <= 0.0 { 0.0 } else { self.sum(set & self.topic) / self.topic_total }
    }

    /// The question leans on an earlier one.
    pub(super) fn has_topic(&self) -> bool {
        self.topic != 0
    }

    fn gain(&self, set: TermSet) -> f32 {
        let as_asked = self.content() & !self.corrected;
        let guessed = if set & as_asked == 0 && as_asked != 0 { GUESSED_PART } else { 1.0 };
        // Half of an earlier question's words name its topic well enough.
        let topic = match self.topic_total {
            total if total > 0.0 => (2.0 * self.sum(set & self.topic) / total).min(1.0) * self.topic_share,
            _ => 0.0,
        };
        guessed * (self.sum(set & self.own) + topic)
    }

    fn sum(&self, set: TermSet) -> f32 {
        let holds = |set: TermSet, number: usize| set >> number & 1 == 1;
        let part = |number: usize| match () {
            () if holds(set, number) && holds(self.corrected, number) => CORRECTED_PART,
            () if holds(set, number) => 1.0,
            () if holds(set, number + usize::from(CLOSE)) => CLOSE_KIN_PART,
            () if holds(set, number + usize::from(KIN)) => KIN_PART,
            () if holds(set, number + usize::from(LIKE)) => LIKE_PART,
            () => 0.0,
        };
        self.weights.iter().enumerate().map(|(number, weight)| part(number) * weight).sum()
    }

    /// The terms that count: without function words.
    pub(super) fn content(&self) -> TermSet {
        self.own | self.topic
    }
}

/// The content words of `asked` that no note holds, each once and whole: of a name whose part no note holds, the name.
pub(super) fn unknown_words<'q>(findings: &Findings, language: Language, asked: &'q str) -> Vec<&'q str> {
    let found = &findings.terms[..findings.terms.len().min(TERMS_MAX)];
    let is_unknown = |word: &str| {
        found.iter().any(|term| !term.known && term.text == word)
            && !language.is_function_word(&word.to_lowercase())
    };
    let mut unknown: Vec<&str> = Vec::new();
    let mut whole = 0..0;
    for word in words(asked) {
        let reach = word.start..word.start + word.text.len();
        // Pairs of an unspaced script overlap, but none holds another.
        if reach.end > whole.end {
            whole = reach;
        }
        let name = &asked[whole.clone()];
        if is_unknown(word.text) && !unknown.contains(&name) {
            unknown.push(name);
        }
    }
    unknown
}

/// `set` without the terms of which it holds only what has something in common with them.
pub(super) fn without_like(set: TermSet) -> TermSet {
    set & ((1 << LIKE) - 1)
}

fn plane(kinship: Kinship) -> u8 {
    match kinship {
        Kinship::Close => CLOSE,
        Kinship::Less => KIN,
        Kinship::Some => LIKE,
    }
}

/// Terms as they were asked, and whatever stands for them.
fn with_all_kin(set: TermSet) -> TermSet {
    set | set << CLOSE | set << KIN | set << LIKE
}

fn term_set(text: &str, terms: &mut Terms) -> BTreeSet<String> {
    words(text).map(|word| terms.term(word.text).to_owned()).collect()
}

/// Weights come from a record that may have been tampered with.
fn finite(weight: f32) -> f32 {
    if weight.is_finite() { weight.max(0.0) } else { 0.0 }
}

/// Terms of a question that are numbered, and what their kin are numbered from.
const TERMS_MAX: usize = 32;
const EXACT: TermSet = (1 << TERMS_MAX) - 1;
const CLOSE: u8 = 32;
const KIN: u8 = 64;
const LIKE: u8 = 96;

/// No content word weighs less than this part of the heaviest: one that every note holds still was asked for.
const WEIGHT_FLOOR: f32 = 0.15;

/// What a corrected word gives of its weight, and what a word's kin do.
const CORRECTED_PART: f32 = 0.7;
/// The same once more, where nothing stands as it was asked.
const GUESSED_PART: f32 = 0.8;
const CLOSE_KIN_PART: f32 = 0.9;
const KIN_PART: f32 = 0.5;
const LIKE_PART: f32 = 0.3;

/// Texts that have nothing in common still are so like, and those that are liker are surely about the same.
const SENSE_NONE: f32 = 0.05;
const SENSE_SURE: f32 = 0.8;

/// What a word of a title must say to name something: `leave` in a title names nothing.
const NAME_SAYS: f32 = 0.8;

/// What is asked of what is named matters from this share of the question on.
const ATTRIBUTES_MIN: f32 = 0.2;

/// What is at least so much of a question is its heart; less will do, if notes hold it elsewhere as it was asked.
const HEART_SHARE: f32 = 0.5;
const ELSEWHERE_SHARE: f32 = 0.35;

/// Words that were not corrected matter from this share of the question on.
const AS_ASKED_MIN: f32 = 0.3;

/// A word that no note holds weighs at most so much of the heaviest that one does. It may be the heart of the question
/// (then the notes hold no answer) or a synonym (then the other words must carry it).
const UNKNOWN_WEIGHT_MAX: f32 = 1.0;
