//! The built-in answerer: it quotes what the notes say and adds nothing.
//!
//! ```text
//!  Weigh ──► OpenPassage ──► ReadPassage ──┐ last passage closed
//!                 ▲                        ├───────────────────► Pick ──► Write ──► Told
//!                 └── next passage ────────┘                               ▲  │ piece by piece
//!                                                                          └──┘
//! ```
//!
//! Each arrow is one small piece of work, about 100 units at most, so a composer can stop anywhere. How much it
//! is given at a time changes nothing in the answer.

use std::cmp::Reverse;
use std::mem;
use std::ops::Range;

use crate::base::Budget;
use crate::text::{Language, Terms, words};

use super::blocks::{holds_blocks, marker_length};
use super::echo::Echo;
use super::effect::{Findings, Passage};
use super::event::{Answer, Source};
use super::evidence::{Evidence, TermSet, unknown_words, without_like};
use super::head;
use super::kind::{Kind, is_price};
use super::question::Asked;
use super::reading::{Asking, Candidate, Reading, Shape, cut, units};
use super::render;

/// Makes an answer out of what a search found, in slices.
#[derive(Debug)]
pub struct Composer {
    asked: Asked,
    findings: Findings,
    answer_bytes_max: usize,
    sources_max: usize,
    evidence: Evidence,
    echo: Echo,
    candidates: Vec<Candidate>,
    /// The passage that covers most of the question, with the share.
    nearest: Option<(usize, f32)>,
    /// What each passage that was read covers.
    unions: Vec<TermSet>,
    work: Work,
}

/// What a composer does next.
#[derive(Debug)]
enum Work {
    /// Weigh the terms of the question.
    Weigh,
    /// Open this passage.
    OpenPassage(usize),
    /// Read on in the open passage.
    ReadPassage(usize, Box<Reading>),
    /// Choose among the candidates.
    Pick,
    /// Write the chosen ones down, in order.
    Write(Draft),
    /// The answer was given.
    Told,
}

/// An answer that is being written.
#[derive(Debug, Default)]
struct Draft {
    picks: Vec<Candidate>,
    written: usize,
    response: String,
    sources: Vec<Source>,
    /// The passage of each source.
    passages: Vec<usize>,
    /// The last piece was running text.
    is_running: bool,
    /// The best pieces of other notes: sources that the answer does not quote.
    others: Vec<Candidate>,
    /// The pieces disagree, so each is shown with its note's date.
    is_disputed: bool,
}

impl Composer {
    pub(super) fn new(
        asked: Asked,
        findings: Findings,
        answer_bytes_max: usize,
        sources_max: usize,
    ) -> Composer {
        Composer {
            asked,
            findings,
            answer_bytes_max,
            sources_max,
            evidence: Evidence::default(),
            echo: Echo::default(),
            candidates: Vec::new(),
            nearest: None,
            unions: Vec::new(),
            work: Work::Weigh,
        }
    }

    /// Works until the budget is spent, or gives the answer: once, then never again.
    ///
    /// `terms` is any one of the thread; it must make terms the way the index does.
    pub fn step(&mut self, terms: &mut Terms, budget: &mut Budget) -> Option<Answer> {
        while !budget.is_spent() {
            let (work, cost) = match mem::replace(&mut self.work, Work::Told) {
                Work::Weigh => self.weigh(terms),
                Work::OpenPassage(number) => self.open_passage(number, terms),
                Work::ReadPassage(number, reading) => self.read_passage(number, reading, terms),
                Work::Pick => (Work::Write(self.pick()), units(self.candidates.len())),
                Work::Write(draft) if draft.written < draft.picks.len() => self.write_next(draft),
                Work::Write(draft) => {
                    budget.spend(FINISH_COST);
                    return Some(self.finish(draft));
                }
                Work::Told => return None,
            };
            self.work = work;
            budget.spend(cost);
        }
        None
    }

    fn weigh(&mut self, terms: &mut Terms) -> (Work, u32) {
        self.evidence = Evidence::weigh(&self.asked, &self.findings, terms);
        self.echo = Echo::of(&self.asked.request.text, self.asked.language, terms);
        (Work::OpenPassage(0), 1 + units(self.asked.request.text.len() / WEIGHED_BYTES_PER_UNIT))
    }

    fn open_passage(&self, number: usize, terms: &mut Terms) -> (Work, u32) {
        let Some(passage) = self.findings.passages.get(number) else {
            return (Work::Pick, 1);
        };
        if !is_quotable(passage) {
            return (Work::OpenPassage(number + 1), 1);
        }
        let best = self.findings.passages.iter().map(|passage| positive(passage.score)).fold(0.0, f32::max);
        let rank = if best > 0.0 { positive(passage.score) / best } else { 0.0 };
        let above = [passage.title.as_str(), " ", &passage.heading, " ", &passage.lead].concat();
        let reading = Reading::open(number, rank, meaning(passage), &above, &mut self.asking(number, terms));
        (Work::ReadPassage(number, Box::new(reading)), OPEN_COST)
    }

    fn read_passage(&mut self, number: usize, mut reading: Box<Reading>, terms: &mut Terms) -> (Work, u32) {
        let text = readable(&self.findings.passages[number]);
        if let Some(cost) = reading.step(text, &mut self.asking(number, terms)) {
            return (Work::ReadPassage(number, reading), cost);
        }
        let (candidates, covered) = reading.close();
        let share = self.evidence.share(covered);
        self.unions.push(covered);
        if self.nearest.is_none_or(|(_, most)| share > most) {
            self.nearest = Some((number, share));
        }
        self.candidates.extend(candidates);
        (Work::OpenPassage(number + 1), 1)
    }

    /// What is asked, of passage number `number`.
    fn asking<'q>(&'q self, number: usize, terms: &'q mut Terms) -> Asking<'q> {
        let Asked { kind, looks, .. } = self.asked;
        let language = Language::of(&self.findings.passages[number].text);
        terms.speak(language);
        Asking { kind, looks, echo: &self.echo, evidence: &self.evidence, language, terms }
    }

    /// The best candidate, then those that add to it, ordered by note and place.
    fn pick(&mut self) -> Draft {
        // The sort is stable and the candidates came in the order of passages and places: ties are settled.
        self.candidates.sort_by(|one, other| other.score.total_cmp(&one.score));
        self.promote_led();
        // Code that nobody asked for stands alone: it neither leads where text answers, nor adds to it.
        let leads_spare = self.candidates.first().is_some_and(|first| first.is_spare);
        if leads_spare {
            self.candidates.truncate(1);
        } else {
            self.candidates.retain(|candidate| !candidate.is_spare);
        }
        let Some(first) = self.candidates.first().filter(|first| self.is_sure(first)) else {
            return Draft::default();
        };
        let (best, best_fits) = (first.score, first.fits);
        let mut picks: Vec<Candidate> = Vec::new();
        let mut covered = 0;
        for candidate in &self.candidates {
            let adds =
                self.evidence.share(covered | candidate.covers) >= self.evidence.share(covered) + ADDED_SHARE;
            let wanted = match (best_fits && !candidate.fits, adds) {
                (true, _) => best * UNFIT_SCORE,
                (false, true) => best * ADDING_SCORE,
                (false, false) => best * EQUAL_SCORE,
            };
            let is_new = picks
                .iter()
                .all(|pick| !self.overlap(pick, candidate) && !pick.sketch.repeats(&candidate.sketch));
            let disagrees = self.disagrees(candidate, first);
            let supports = adds || disagrees || self.supports(candidate, first);
            let wanted = if disagrees { best * DISAGREEING_SCORE } else { wanted };
            if picks.len() < self.sources_max && candidate.score >= wanted && is_new && supports {
                covered |= candidate.covers;
                picks.push(candidate.clone());
            }
        }
        let path = |pick: &Candidate| self.findings.passages[pick.passage].path.as_str();
        let order: Vec<&str> = picks.iter().map(path).collect();
        let place = |pick: &Candidate| {
            let first = order.iter().position(|known| *known == path(pick));
            (first, self.absolute(pick).start)
        };
        let mut placed: Vec<_> = picks.iter().map(|pick| (place(pick), pick.clone())).collect();
        placed.sort_by_key(|(place, _)| *place);
        let mut picks = self.join_neighbours(placed.into_iter().map(|(_, pick)| pick));
        // What answers best comes first; the sort is stable, so the others keep their order.
        picks.sort_by_key(|pick| !self.overlap(pick, first));
        let others = self.others(&picks);
        let is_disputed = picks.iter().any(|pick| self.disagrees(pick, first));
        Draft { picks, others, is_disputed, ..Draft::default() }
    }

    /// Where the best piece only leads to a note that, with it, says more of what is asked, the piece there comes first:
    /// `Who keeps the rota, and when is he away?`
    fn promote_led(&mut self) {
        let Some(first) = self.candidates.first() else { return };
        let leading = &self.findings.passages[first.passage];
        let told = self.evidence.share(first.known) + LED_ADDS;
        let (known, best) = (first.known, first.score);
        let led = self.candidates.iter().position(|candidate| {
            let lead = self.findings.passages[candidate.passage].lead.as_str();
            let adds = candidate.covers & !known != 0 && self.evidence.share(known | candidate.known) >= told;
            let line = lead.strip_prefix(leading.title.as_str()).and_then(|lead| lead.strip_prefix(": "));
            candidate.fits && adds && line.is_some_and(|line| leading.text.contains(line))
        });
        if let Some(led) = led {
            let mut led = self.candidates.remove(led);
            led.score = best;
            self.candidates.insert(0, led);
        }
    }

    /// The evidence is strong enough for an answer.
    fn is_sure(&self, best: &Candidate) -> bool {
        let all = self.all_read();
        let kind = self.asked.kind;
        let is_meant = best.meaning >= SURE_MEANING;
        // A follow-up says little by itself, and of an earlier turn's words many are beside the point: that a piece holds
        // some of both was seen to when it was judged.
        if self.evidence.has_topic() {
            return best.reach >= SURE_REACH;
        }
        // What all passages hold together is little of what is asked, or the piece is about something else. Words that are
        // like others are known for English alone.
        let language = Language::of(&self.findings.passages[best.passage].text);
        let is_english = self.evidence.is_english() && language == Language::English;
        // A long question says more than it asks; of a short one nothing may be left to words that have something in common.
        let (held, all_min) = match self.evidence.own_count() {
            0..=2 => (without_like(all), ALL_SHARE_MIN),
            3..=ALL_OF => (all, ALL_SHARE_MIN),
            _ => (all, MOST_SHARE_MIN),
        };
        let is_weak = match self.asked.language {
            Language::English if is_english => {
                self.evidence.share(held) < all_min
                    || self.evidence.misses_the_heart(best.known, all) && best.sense < HEART_SENSE_MIN
            }
            // What is taken for English for want of anything better: which of its words count is not known.
            Language::English => best.reach < SURE_REACH,
            _ => best.reach < SURE_REACH || self.evidence.misses_the_heart(best.known, all),
        };
        if !is_meant && (is_weak || self.evidence.is_guess(best.known)) {
            return false;
        }
        let read = self.unions.get(best.passage).copied().unwrap_or(0);
        if self.evidence.is_number_alone(best.known) || self.evidence.lacks_code(best.known | read) {
            return false;
        }
        // A temperature has degrees and a price a currency; and of what is named alone, a figure is asked: `How old is Ada?`
        let shows = match kind {
            Kind::Price => {
                self.evidence.asks_of_names_alone()
                    || words(&self.asked.request.text).any(|word| is_price(&word.text.to_lowercase()))
            }
            kind if is_english && kind.is_sharp() => true,
            // What means the same may tell it in another way: `When is it ready?` `At 96 degrees.`
            Kind::When | Kind::Who => {
                is_english && !is_meant || self.evidence.asks_of_names_alone() && kind.is_figure()
            }
            kind => kind.is_figure() && self.evidence.asks_of_names_alone(),
        };
        if shows && !best.fits {
            return false;
        }
        // What is named in the question must be named by the answer, and a name that no note holds is what it is about.
        if self.evidence.proper_share(best.known) < NAMES_SHARE_MIN
            || best.reach < NAMELESS_REACH && self.asks_of_stranger()
        {
            return false;
        }
        // What is named is known; so must something be of what is asked of it.
        let named = self.unions.iter().filter(|union| self.evidence.names_share(**union) >= NAMED_SHARE);
        let attributes = named.filter_map(|union| self.evidence.attribute_share(*union)).reduce(f32::max);
        // `80 °C` says that it is a temperature; what else is asked has a word, and who has that word in his notes uses it.
        let told = match read | best.known {
            told if is_english && !kind.says_itself() => self.evidence.without_like_known(told),
            told => told,
        };
        let own = self.evidence.attribute_share(told);
        let says = |share: Option<f32>| share.is_none_or(|share| share >= ATTRIBUTE_SHARE);
        language != Language::English || says(attributes) && says(own)
    }

    /// The terms that all passages cover together.
    fn all_read(&self) -> TermSet {
        self.unions.iter().fold(0, |all, union| all | union)
    }

    /// The question names somebody or something, with a capital letter, that no note mentions.
    fn asks_of_stranger(&self) -> bool {
        let text = &self.asked.request.text;
        let all = self.all_read();
        unknown_words(&self.findings, self.asked.language, text).iter().any(|unknown| {
            let is_first = words(text).next().is_some_and(|first| first.text == *unknown);
            let term = self.findings.terms.iter().find(|term| term.text == *unknown);
            // `RAM` may be spoken of as memory; nobody is another.
            let is_name = unknown.chars().any(char::is_lowercase);
            let is_like = !is_name && term.is_some_and(|term| self.evidence.holds_like(all, &term.term));
            self.asked.language != Language::German
                && !is_first
                && !is_like
                && unknown.starts_with(char::is_uppercase)
        })
    }

    /// The best piece of each of the next best notes: where to read on.
    fn others(&self, picks: &[Candidate]) -> Vec<Candidate> {
        let path = |pick: &Candidate| self.findings.passages[pick.passage].path.as_str();
        let mut notes: Vec<&str> = picks.iter().map(path).collect();
        notes.dedup();
        let mut others = Vec::new();
        for candidate in &self.candidates {
            if notes.len() >= NOTES_MIN || picks.len() + others.len() >= self.sources_max {
                break;
            }
            let is_near = candidate.reach >= OTHER_REACH || candidate.meaning >= OTHER_MEANING;
            if !notes.contains(&path(candidate)) && is_near {
                notes.push(path(candidate));
                others.push(candidate.clone());
            }
        }
        others
    }

    /// Two notes give different figures for what is asked: both are to be shown.
    fn disagrees(&self, candidate: &Candidate, best: &Candidate) -> bool {
        let path = |candidate: &Candidate| &self.findings.passages[candidate.passage].path;
        (self.asked.kind.is_figure() || matches!(self.asked.kind, Kind::Where | Kind::Which))
            && path(candidate) != path(best)
            && candidate.fits
            && best.fits
            && candidate.reach >= DISAGREEING_REACH * best.reach
            && self.evidence.names_share(candidate.known) >= self.evidence.names_share(best.known)
            && candidate.sketch.differs_in_figures(&best.sketch)
    }

    /// Whether `candidate`, which adds no word of the question to the best one, is still worth reading after it.
    fn supports(&self, candidate: &Candidate, best: &Candidate) -> bool {
        let (own, most) = (self.evidence.share(candidate.covers), self.evidence.share(best.covers));
        candidate.reach >= SUPPORTING_REACH * best.reach && own >= SUPPORTING_SHARE * most
    }

    /// Sentences that stand side by side become one piece with one citation.
    fn join_neighbours(&self, picks: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
        let mut joined: Vec<Candidate> = Vec::new();
        for pick in picks {
            let text = &self.findings.passages[pick.passage].text;
            match joined.last_mut() {
                Some(last)
                    if (last.passage, last.block) == (pick.passage, pick.block)
                        && last.shape == Shape::Sentence
                        && pick.shape == Shape::Sentence
                        && text[last.range.end..pick.range.start].trim().is_empty() =>
                {
                    last.range.end = pick.range.end;
                    last.score = last.score.max(pick.score);
                }
                _ => joined.push(pick),
            }
        }
        joined
    }

    fn overlap(&self, one: &Candidate, other: &Candidate) -> bool {
        let same_note =
            self.findings.passages[one.passage].path == self.findings.passages[other.passage].path;
        let (first, second) = (self.absolute(one), self.absolute(other));
        same_note && first.start < second.end && second.start < first.end
    }

    /// The bytes of `candidate` in its file. The sums fit, because those of the quotable passage do.
    fn absolute(&self, candidate: &Candidate) -> Range<u64> {
        let start = self.findings.passages[candidate.passage].start;
        start + candidate.range.start as u64..start + candidate.range.end as u64
    }

    fn write_next(&self, mut draft: Draft) -> (Work, u32) {
        let mut pick = draft.picks[draft.written].clone();
        let passage = &self.findings.passages[pick.passage];
        draft.written += 1;
        pick.range.end = cut(&passage.text, pick.range.clone(), self.answer_bytes_max);
        let mut shown = String::new();
        show(&passage.text, &pick, &mut shown);
        if shown.len() > self.answer_bytes_max && draft.sources.is_empty() {
            // Only a row with longer column names than cells grows beyond its source.
            shown.truncate(head(&shown, self.answer_bytes_max).len());
        }
        let cost = 1 + units((pick.range.len() + shown.len()) / WRITTEN_BYTES_PER_UNIT);
        if draft.response.len() + shown.len() > self.answer_bytes_max || shown.trim().is_empty() {
            return (Work::Write(draft), cost);
        }
        let is_running = matches!(pick.shape, Shape::Sentence);
        let same_note = draft.sources.last().is_some_and(|source| source.path == passage.path);
        if !draft.response.is_empty() {
            draft.response.push_str(if is_running && draft.is_running && same_note { " " } else { "\n\n" });
        }
        draft.response.push_str(shown.trim());
        if let Some(date) = passage.date.as_ref().filter(|_| draft.is_disputed) {
            draft.response.push_str(&format!(" ({})", short(date)));
        }
        draft.sources.push(self.source(&pick));
        let ends_with_fence = draft.response.ends_with("```") || draft.response.ends_with("~~~");
        draft.response.push_str(if ends_with_fence { "\n" } else { " " });
        draft.response.push_str(&format!("[{}]", draft.sources.len()));
        draft.passages.push(pick.passage);
        draft.is_running = is_running;
        (Work::Write(draft), cost)
    }

    fn source(&self, pick: &Candidate) -> Source {
        let passage = &self.findings.passages[pick.passage];
        let absolute = self.absolute(pick);
        Source {
            path: passage.path.clone(),
            title: passage.title.clone(),
            heading: passage.heading.clone(),
            start: absolute.start,
            end: absolute.end,
            score: pick.score,
            text: passage.text[pick.range.clone()].to_owned(),
            hash: passage.hash.clone(),
        }
    }

    fn finish(&self, mut draft: Draft) -> Answer {
        if draft.sources.is_empty() {
            return self.refuse();
        }
        draft.sources.extend(draft.others.iter().map(|other| self.source(other)));
        let used = || draft.passages.iter().map(|number| &self.findings.passages[*number]);
        let mut categories: Vec<String> = Vec::new();
        for passage in used() {
            if !passage.category.is_empty() && !categories.contains(&passage.category) {
                categories.push(passage.category.clone());
            }
        }
        let mut missing: Vec<(&str, &str)> = Vec::new();
        for (passage, name) in
            used().flat_map(|passage| passage.dangling.iter().map(move |name| (passage, name)))
        {
            if missing.len() < ACTIONS_MAX && !missing.iter().any(|(known, _)| known == name) {
                missing.push((name, &passage.title));
            }
        }
        let actions = missing.iter().map(|(name, title)| {
            format!("Write the missing note \"{}\", which \"{}\" links to.", short(name), short(title))
        });
        let mut response = draft.response;
        if let Some(remark) = self.remark() {
            response.push_str("\n\n");
            response.push_str(&remark);
        }
        Answer { response, sources: draft.sources, categories, suggested_actions: actions.collect() }
    }

    /// Says that there is no answer, and only what is known about why.
    fn refuse(&self) -> Answer {
        let unknown = self.unknown_words();
        let mut response = match (self.findings.notes_found, self.findings.complete) {
            (0, true) => "There are no notes yet, so they hold no answer to this.".to_owned(),
            _ => "The notes hold no answer to this.".to_owned(),
        };
        if self.findings.complete && self.findings.notes_found > 0 && !unknown.is_empty() {
            response.push_str(&format!(" No note mentions {}.", either(&unknown)));
        }
        if let Some(remark) = self.remark() {
            response.push(' ');
            response.push_str(&remark);
        }
        let mut suggested_actions = Vec::new();
        let subject = self.subject();
        if !subject.is_empty() {
            suggested_actions.push(format!("Add a note about {subject}."));
        }
        if let Some((number, _)) = self.nearest.filter(|(_, share)| *share >= NEAREST_SHARE_MIN) {
            let passage = &self.findings.passages[number];
            suggested_actions.push(format!(
                "Read \"{}\" ({}), which comes nearest.",
                short(&passage.title),
                passage.path
            ));
        }
        Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions }
    }

    /// The asked words that no note holds, whole as they were typed: those that say most about what was meant.
    fn unknown_words(&self) -> Vec<&str> {
        let mut unknown = unknown_words(&self.findings, self.asked.language, &self.asked.request.text);
        if unknown.is_empty() {
            unknown = unknown_words(&self.findings, self.asked.language, &self.asked.topic);
        }
        // Names first, then long words: of `won`, `chess`, `olympiad` and `Budapest` the last three.
        let is_plain = |word: &str| !word.starts_with(char::is_uppercase);
        let mut telling = unknown.clone();
        telling.sort_by_key(|word| (is_plain(word), Reverse(word.chars().count())));
        telling.truncate(WORDS_NAMED_MAX);
        unknown.retain(|word| telling.contains(word));
        unknown
    }

    /// What the question is about, in the asker's words.
    fn subject(&self) -> String {
        let asked = words(&self.asked.topic).chain(words(&self.asked.request.text));
        let content = asked.filter(|word| !self.asked.language.is_function_word(&word.text.to_lowercase()));
        let named: Vec<&str> = content.take(SUBJECT_WORDS_MAX).map(|word| short(word.text)).collect();
        named.join(" ")
    }

    /// An answer from an unfinished index says so.
    fn remark(&self) -> Option<String> {
        let Findings { complete, notes_indexed, notes_found, .. } = &self.findings;
        let remark = format!("Only {notes_indexed} of {notes_found} notes were indexed so far.");
        (!complete).then_some(remark)
    }
}

/// Appends what the answer shows of `pick`.
fn show(text: &str, pick: &Candidate, shown: &mut String) {
    let piece = &text[pick.range.clone()];
    match &pick.shape {
        Shape::Sentence => render::plain_line(piece, shown),
        Shape::Item => {
            let words = without_marker(piece);
            // An item that holds a list or code keeps its lines; a sentence over two lines does not.
            if holds_blocks(piece) { render::plain(words, shown) } else { render::plain_line(words, shown) }
        }
        Shape::Row { header } => render::row(&text[header.clone()], piece, shown),
        Shape::Table => render::table(piece, shown),
        Shape::Lines => render::plain(piece, shown),
    }
}

/// A list item without its bullet or number, and without its box.
fn without_marker(item: &str) -> &str {
    let words = &item[marker_length(item)..];
    ["[ ] ", "[x] ", "[X] "].iter().find_map(|mark| words.strip_prefix(mark)).unwrap_or(words)
}

/// `"a", "b" or "c"`.
fn either(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{}\"", short(name))).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

/// Its ranges tell the truth.
fn is_quotable(passage: &Passage) -> bool {
    passage.end.checked_sub(passage.start) == Some(passage.text.len() as u64)
}

/// The head of the passage that is read.
fn readable(passage: &Passage) -> &str {
    head(&passage.text, PASSAGE_BYTES_MAX)
}

fn positive(score: f32) -> f32 {
    if score.is_finite() { score.max(0.0) } else { 0.0 }
}

/// How sure it is that a passage means what is asked, from 0 to 1.
fn meaning(passage: &Passage) -> f32 {
    let likeness = passage.likeness.unwrap_or(0.0);
    ((likeness - LIKENESS_NONE) / (LIKENESS_SURE - LIKENESS_NONE)).clamp(0.0, 1.0)
}

/// The head of a name, for a sentence about it.
fn short(name: &str) -> &str {
    head(name, NAME_BYTES_MAX)
}

/// Bytes of one passage that are read. Passages are shorter; a line of 20 kB may make one that is not.
const PASSAGE_BYTES_MAX: usize = 16 * 1024;

/// Passages that are no liker than this have another meaning; those that are liker than the second surely mean the same.
const LIKENESS_NONE: f32 = 0.2;
const LIKENESS_SURE: f32 = 0.5;

/// A piece of a passage that so surely means what is asked needs none of its words.
const SURE_MEANING: f32 = 0.2;

/// A question is not answered whose words, or words like them, all passages together hold to a smaller share: the first if it has
/// up to so many, else the second; nor one whose best piece is less about it, if that says hardly anything of its heart.
const ALL_SHARE_MIN: f32 = 0.52;
const ALL_OF: u32 = 4;
const MOST_SHARE_MIN: f32 = 0.3;
const HEART_SENSE_MIN: f32 = 0.1;

/// The same for the best piece and its headings where words that are like others are not known; and with a name that
/// no note mentions.
const SURE_REACH: f32 = 0.18;
const NAMELESS_REACH: f32 = 0.9;

/// The best piece must name, with its headings, so much of what the question names with a capital letter.
const NAMES_SHARE_MIN: f32 = 0.25;

/// A passage that names so much of what the question names speaks of it; it must then cover so much of what is asked of it.
const NAMED_SHARE: f32 = 0.6;
const ATTRIBUTE_SHARE: f32 = 0.05;

/// A passage that covers so much may be worth a look.
const NEAREST_SHARE_MIN: f32 = 0.3;

/// A piece adds to an answer if it covers so much more of the question than the pieces before it.
const ADDED_SHARE: f32 = 0.2;

/// What a piece at the end of a link must add to the one that leads to it, as a share of the question.
const LED_ADDS: f32 = 0.1;

/// What a further piece must score of the best one, if it adds and if it does not.
const ADDING_SCORE: f32 = 0.55;
const EQUAL_SCORE: f32 = 0.75;

/// The same for a piece of another note that gives another figure for the same, and what it must cover with its headings of
/// what the best one does.
const DISAGREEING_SCORE: f32 = 0.5;
const DISAGREEING_REACH: f32 = 0.85;

/// What a further piece that adds nothing must cover of what the best one covers: with its headings, and by itself.
const SUPPORTING_REACH: f32 = 0.75;
const SUPPORTING_SHARE: f32 = 0.75;

/// The same for a piece without what this kind of question wants, if the best one has it.
const UNFIT_SCORE: f32 = 0.95;

/// Different notes among the sources, if so many answer at all: those that are not quoted come last.
const NOTES_MIN: usize = 3;

/// What the piece of a note that is not quoted must cover of the question, with its headings.
const OTHER_REACH: f32 = 0.25;
const OTHER_MEANING: f32 = 0.15;

/// Suggested actions; words that a refusal names; words of its subject; bytes of a name.
const ACTIONS_MAX: usize = 3;
const WORDS_NAMED_MAX: usize = 3;
const SUBJECT_WORDS_MAX: usize = 5;
const NAME_BYTES_MAX: usize = 80;

/// Costs, in units.
const OPEN_COST: u32 = 20;
const FINISH_COST: u32 = 10;
const WEIGHED_BYTES_PER_UNIT: usize = 16;
const WRITTEN_BYTES_PER_UNIT: usize = 64;
