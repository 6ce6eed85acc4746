//! Finds the passages that answer best to a question, in slices.
//!
//! ```text
//! Read ──► Correct ──► Rank ──► Near ──► Sense ──► Link ──► Follow ──► Gather ──► Done
//! words    unknown     walk     compare  read the  lend     links of   texts
//! to       words       all      all      best      weight   the best   of the
//! terms    mended      lists    vectors            passages best
//! ```
//!
//! *Rank* walks the postings of all terms side by side, passage by passage, and keeps the best few: a search holds
//! a cursor a term and some candidates, whatever the size of the folder. Scores are BM25F (Robertson, Zaragoza and
//! Taylor 2004): counts of all fields are weighed and added before they saturate.
//!
//! *Near* is passed over by a question without a vector; passages that lie near one that has join the candidates. For *Sense*
//! all candidates are read, by a question that is in English: what they are about ([`Sense`](crate::text::Sense)), and which of
//! their words are like those that were asked. At its end each score is made of words, of sense and of the vector's likeness:
//! see [`blend`](super::blend).
//!
//! The index may change between two steps. Passages that come later are not looked at, those that go are dropped.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::blend::{Scale, blend};
use super::index::{Counts, Cursor, Index, PassageEntry, PassageId, TermId, Totals};
use super::library::Library;
use super::scan::IndexState;
use super::shelf::NoteId;
use super::spelling::Mistyped;
use super::vectors::{Nearest, UnitVector};
use crate::base::Budget;
use crate::limits::Limits;
use crate::text::{Kinship, Language, Sense, Terms, WordId, boundary_before, kin, says, words};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The question.
    pub text: String,
    /// Words of earlier turns, which weigh less.
    pub context: String,
    /// Hits wanted at most.
    pub hits_max: usize,
    /// Where the question lies in the space of the embedding model, if that is known.
    pub vector: Option<Arc<UnitVector>>,
}

/// One word of a question, and what the search made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryTerm {
    /// The word as typed.
    pub text: String,
    /// What stands for it in the index; after a correction, for the word it was taken for.
    pub term: String,
    /// Other terms that the word may be in a note: stemmed as in another language, joined with its neighbour, or the
    /// parts of a compound.
    pub forms: Vec<String>,
    /// How much it says: rare words much, function words and words of earlier turns little, unknown ones as if
    /// one passage held them.
    pub weight: f32,
    /// Some passage holds it, perhaps after a correction.
    pub known: bool,
    /// The word that it was taken for, as the notes write it.
    pub corrected_to: Option<String>,
    /// It stands in the earlier turns only.
    pub from_context: bool,
}

/// One passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its note.
    pub path: String,
    /// The note's title.
    pub title: String,
    /// The headings it stands under, outermost first, joined by ` > `.
    pub heading: String,
    /// First byte in the file.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// How well it answers; comparable within one search only.
    pub score: f32,
    /// Exactly these bytes; those that are not UTF-8 as `?`.
    pub text: String,
    /// The note's category, or empty.
    pub category: String,
    /// The note's tags.
    pub tags: Vec<String>,
    /// What the note links to and nobody has written yet.
    pub dangling: Vec<String>,
    /// The note's hash, in hexadecimal.
    pub hash: String,
    /// The date that the note gives itself, as written.
    pub date: Option<String>,
    /// The line of one of the best hits that links to this note, behind the title of its own note; else empty.
    pub lead: String,
    /// How near it lies to the question (the cosine), if both have a vector.
    pub likeness: Option<f32>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The words of the question, then those of earlier turns, each once.
    pub terms: Vec<QueryTerm>,
    /// The library's epoch at the beginning: what was found need not hold for a later one.
    pub epoch: u64,
    /// All notes were indexed at the end.
    pub complete: bool,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("query", &self.query).finish_non_exhaustive()
    }
}

/// A search under way. It gives its result once.
pub struct Search {
    query: Query,
    /// Of the question.
    language: Language,
    /// When it began.
    epoch: u64,
    limits: Limits,
    stage: Stage,
    terms: Terms,
    wanted: Vec<Wanted>,
    ranking: Option<Ranking>,
    nearest: Option<Nearest>,
    /// What the question is about; of nothing if it is not in English.
    sense: Sense,
    /// Best first, all of different passages.
    best: Vec<Candidate>,
    /// Passages that links of the best lead to.
    led: Vec<Led>,
    hits: Vec<Hit>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The next byte of the question, then of the context.
    ReadText {
        at: usize,
    },
    ReadContext {
        at: usize,
    },
    /// The next part of the vocabulary.
    Correct {
        shard: usize,
    },
    Rank,
    Near,
    /// The next candidate to read.
    Sense {
        next: usize,
    },
    /// The next candidate to lend weight from.
    Link {
        next: usize,
    },
    /// The next candidate whose links are followed.
    Follow {
        next: usize,
    },
    Gather {
        next: usize,
    },
    Done,
}

/// One word of the question on its way.
struct Wanted {
    told: QueryTerm,
    id: Option<TermId>,
    /// 1, or less for function words and earlier turns.
    share: f32,
    is_function: bool,
    /// It is a common word of English, and the question is.
    common: Option<WordId>,
    /// Terms that say much the same.
    kin: Vec<(&'static str, Kinship)>,
    mistyped: Option<Mistyped>,
    /// The best correction so far: slips, passages, term.
    correction: Option<(usize, u32, String)>,
    /// A name made of parts, which are words of the question too.
    is_name: bool,
}

/// The lists that are walked side by side.
struct Ranking {
    lists: Vec<List>,
    /// What each word of the question adds to the passage that is scored: the most that one of its lists does.
    parts: Vec<(usize, f32)>,
    /// Lists from here on are long and say little: they add to a score but do not make a candidate.
    essential: usize,
    averages: Averages,
    end: PassageId,
}

/// A list that is to be walked.
struct Choice {
    id: TermId,
    weight: f32,
    live: u32,
    word: usize,
}

struct List {
    cursor: Cursor,
    weight: f32,
    /// The number of the word that it stands for.
    word: usize,
    head: Option<(PassageId, Counts)>,
}

/// Words in a field, on average over the passages.
struct Averages {
    body: f32,
    title: f32,
    heading: f32,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    passage: PassageId,
    note: NoteId,
    ordinal: u32,
    /// Of the strongest neighbour, before links lend anything.
    neighbour: f32,
    /// To the question's vector.
    likeness: Option<f32>,
    /// How much it is about what is asked, if both are in English.
    sense: Option<f32>,
}

impl Candidate {
    fn new(score: f32, passage: PassageId, entry: &PassageEntry) -> Candidate {
        let (note, ordinal) = (entry.note, entry.ordinal);
        Candidate { score, passage, note, ordinal, neighbour: 0.0, likeness: None, sense: None }
    }
}

/// A passage that a link leads to.
struct Led {
    candidate: Candidate,
    line: String,
}

impl Search {
    pub(super) fn new(query: Query, epoch: u64, limits: &Limits) -> Search {
        Search {
            language: Language::of(&query.text),
            query,
            epoch,
            limits: limits.clone(),
            stage: Stage::ReadText { at: 0 },
            terms: Terms::new(),
            wanted: Vec::new(),
            ranking: None,
            nearest: None,
            sense: Sense::new(),
            best: Vec::new(),
            led: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Works until the budget is spent; what was found, once that is all.
    pub fn step(&mut self, library: &Library, budget: &mut Budget) -> Option<Found> {
        while !budget.is_spent() {
            self.stage = match self.stage {
                Stage::ReadText { at } => match self.read(at, false, library.index(), budget) {
                    Some(at) => Stage::ReadText { at },
                    None => Stage::ReadContext { at: 0 },
                },
                Stage::ReadContext { at } => match self.read(at, true, library.index(), budget) {
                    Some(at) => Stage::ReadContext { at },
                    None => Stage::Correct { shard: self.begin_correct() },
                },
                Stage::Correct { shard } => match self.correct(shard, library.index(), budget) {
                    true => Stage::Correct { shard: shard + 1 },
                    false => {
                        self.begin_rank(library.index());
                        Stage::Rank
                    }
                },
                Stage::Rank => match self.rank(library, budget) {
                    true => self.begin_near(),
                    false => Stage::Rank,
                },
                Stage::Near => match self.near(library, budget) {
                    true => Stage::Sense { next: 0 },
                    false => Stage::Near,
                },
                Stage::Sense { next } => match self.sense(next, library, budget) {
                    true => Stage::Sense { next: next + 1 },
                    false => {
                        self.blend(library);
                        Stage::Link { next: 0 }
                    }
                },
                Stage::Link { next } => match self.lend(next, library, budget) {
                    true => Stage::Link { next: next + 1 },
                    false => {
                        self.settle_scores(library);
                        Stage::Follow { next: 0 }
                    }
                },
                Stage::Follow { next } => match self.follow(next, library, budget) {
                    true => Stage::Follow { next: next + 1 },
                    false => {
                        self.settle_led(library);
                        Stage::Gather { next: 0 }
                    }
                },
                Stage::Gather { next } => match self.gather(next, library, budget) {
                    true => Stage::Gather { next: next + 1 },
                    false => {
                        self.stage = Stage::Done;
                        return Some(self.found(library));
                    }
                },
                Stage::Done => return None,
            };
        }
        None
    }

    /// Reads one piece of the question or of the context; where the next one begins.
    fn read(&mut self, at: usize, from_context: bool, index: &Index, budget: &mut Budget) -> Option<usize> {
        let text = if from_context { &self.query.context } else { &self.query.text };
        if at >= text.len() || self.wanted.len() >= WORDS_MAX {
            return None;
        }
        let end = piece_end(text, at);
        let piece = text[at..end].to_owned();
        let mut whole = 0..0;
        let mut last: Option<&str> = None;
        for word in words(&piece) {
            budget.spend(2);
            let is_part = word.start < whole.end;
            let reach = word.start..word.start + word.text.len();
            if !is_part {
                whole = reach;
            } else if let Some(name) = self.wanted.last_mut().filter(|_| whole.start == word.start) {
                name.is_name |= name.told.text == piece[whole.clone()];
            }
            let before = last.filter(|_| !is_part);
            self.want(word.text, before, from_context, index);
            last = (!is_part).then_some(word.text);
            if self.wanted.len() >= WORDS_MAX {
                break;
            }
        }
        Some(end)
    }

    /// Adds one word, unless its term is wanted already.
    fn want(&mut self, word: &str, before: Option<&str>, from_context: bool, index: &Index) {
        let live = |term: &str| index.find(term).filter(|id| index.live(*id) > 0);
        self.terms.speak(self.language);
        let term = self.terms.term(word).to_owned();
        if term.is_empty() || self.wanted.iter().any(|wanted| wanted.told.term == term) {
            return;
        }
        let lower = word.to_lowercase().replace('’', "'");
        let is_function = self.language.is_function_word(&lower);
        // As a note in another language would have it, and as one word with the one before it.
        let mut forms: Vec<String> = Vec::new();
        for language in index.languages().filter(|_| !is_function) {
            self.terms.speak(language);
            let form = self.terms.term(word);
            if form != term && forms.iter().all(|known| known != form) && live(form).is_some() {
                forms.push(form.to_owned());
            }
        }
        self.terms.speak(self.language);
        let joined = before.map(|before| [before, word].concat()).unwrap_or_else(|| word.replace('-', ""));
        let form = self.terms.term(&joined);
        if form != term && is_plain(&joined) && live(form).is_some() {
            forms.push(form.to_owned());
        }
        let own = live(&term);
        if own.is_none() && forms.is_empty() && !is_function {
            forms = compound_parts(&lower, &mut self.terms, &|term| live(term).is_some());
        }
        let id = own.or_else(|| live(forms.first()?));
        // A word that means something is not mistyped, even if no note holds it.
        let is_word = is_function || kin(&term).next().is_some() || says(&term) < 1.0;
        let mistyped = if id.is_none() && !is_word { Mistyped::new(&lower, &term) } else { None };
        let share = if is_function { FUNCTION_WORD_SHARE } else { 1.0 };
        self.wanted.push(Wanted {
            told: QueryTerm {
                text: word.to_owned(),
                term,
                forms,
                weight: 0.0,
                known: id.is_some(),
                corrected_to: None,
                from_context,
            },
            id,
            share: if from_context { share * CONTEXT_SHARE } else { share },
            is_function,
            common: None,
            kin: Vec::new(),
            mistyped,
            correction: None,
            is_name: false,
        });
    }

    /// Decides which unknown words are compared with the vocabulary; where to begin.
    fn begin_correct(&mut self) -> usize {
        // A name is looked for by its parts; unknown as a whole, it tells nothing that they do not.
        self.wanted.retain(|wanted| wanted.id.is_some() || !wanted.is_name);
        let mistyped = self.wanted.iter_mut().filter(|wanted| wanted.mistyped.is_some());
        mistyped.skip(self.limits.query_corrections_max).for_each(|wanted| wanted.mistyped = None);
        if self.wanted.iter().any(|wanted| wanted.mistyped.is_some()) { 0 } else { usize::MAX }
    }

    /// Compares the unknown words with one part of the vocabulary; false when there are no more parts.
    fn correct(&mut self, shard: usize, index: &Index, budget: &mut Budget) -> bool {
        let Some(terms) = index.shard(shard) else { return false };
        let mut compared = 0;
        for (text, id) in terms {
            for wanted in &mut self.wanted {
                let Some(distance) = wanted.mistyped.as_ref().and_then(|mistyped| {
                    compared += 1;
                    mistyped.distance(text)
                }) else {
                    continue;
                };
                let live = index.live(id);
                // Fewest slips, then most passages, then the alphabet, so that the order of the map says nothing.
                let is_better = wanted.correction.as_ref().is_none_or(|(slips, most, best)| {
                    (distance, std::cmp::Reverse(live), text)
                        < (*slips, std::cmp::Reverse(*most), best.as_str())
                });
                if live > 0 && is_better {
                    wanted.correction = Some((distance, live, text.to_owned()));
                    wanted.id = Some(id);
                }
            }
        }
        budget.spend(compared / COMPARED_PER_UNIT + 1);
        true
    }

    /// Weighs the terms and opens their lists, the ones that say most first.
    fn begin_rank(&mut self, index: &Index) {
        let totals = index.totals();
        for wanted in &mut self.wanted {
            if let Some((_, _, term)) = wanted.correction.take() {
                wanted.told.known = true;
                wanted.told.corrected_to = Some(term.clone());
                wanted.told.term = term;
            }
            if !wanted.is_function {
                wanted.kin = kin(&wanted.told.term).collect();
                wanted.common = WordId::of(&wanted.told.term).filter(|_| self.language == Language::English);
            }
            let live = wanted.id.map_or(1, |id| index.live(id));
            wanted.told.weight = rarity(live, totals) * wanted.share * says(&wanted.told.term);
        }
        let mut chosen: Vec<Choice> = Vec::new();
        for (word, wanted) in self.wanted.iter().enumerate() {
            let Some(id) = wanted.id else { continue };
            let forms = wanted.told.forms.iter().filter_map(|form| index.find(form));
            for id in std::iter::once(id).chain(forms) {
                if chosen.iter().all(|other| other.id != id) {
                    chosen.push(Choice { id, weight: wanted.told.weight, live: index.live(id), word });
                }
            }
        }
        // The order decides in which order weights are added; it must not depend on the numbers of terms.
        chosen.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        chosen.truncate(self.limits.query_terms_max);
        chosen.extend(self.kin_of_wanted(index, totals, &chosen));
        let is_telling = |choice: &Choice| {
            let is_common = choice.live > COMMON_MIN && u64::from(choice.live) * 8 > totals.passages;
            !is_common && choice.weight > FUNCTION_WORD_SHARE * rarity(1, totals)
        };
        // Telling lists first, each group in order of weight (the sort is stable).
        chosen.sort_by_key(|choice| !is_telling(choice));
        let telling = chosen.iter().filter(|choice| is_telling(choice)).count();
        self.ranking = Some(Ranking {
            essential: if telling == 0 { chosen.len() } else { telling },
            lists: chosen
                .into_iter()
                .map(|Choice { id, weight, word, .. }| {
                    let mut cursor = Cursor::new(id);
                    let head = cursor.next(index);
                    List { cursor, weight, word, head }
                })
                .collect(),
            parts: Vec::new(),
            averages: Averages::of(totals),
            end: index.end(),
        });
    }

    /// The kin of the question's words that some passage holds, those that weigh most.
    fn kin_of_wanted(&self, index: &Index, totals: Totals, chosen: &[Choice]) -> Vec<Choice> {
        let mut found: Vec<Choice> = Vec::new();
        for (word, wanted) in self.wanted.iter().enumerate() {
            for (term, kinship) in wanted.kin.iter().copied() {
                let Some(id) = index.find(term) else { continue };
                let live = index.live(id);
                if live > 0 && chosen.iter().chain(&found).all(|other| other.id != id) {
                    let weight =
                        (rarity(live, totals) * says(term)).min(wanted.told.weight) * kin_share(kinship);
                    found.push(Choice { id, weight, live, word });
                }
            }
        }
        found.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        found.truncate(self.limits.query_kin_max);
        found
    }

    /// Walks the lists until the budget is spent; true at their end.
    fn rank(&mut self, library: &Library, budget: &mut Budget) -> bool {
        let index = library.index();
        let Some(ranking) = &mut self.ranking else { return true };
        let mut walked = 0;
        while walked < WALKED_PER_PIECE {
            let (essential, others) = ranking.lists.split_at_mut(ranking.essential);
            let next = essential.iter().filter_map(|list| list.head.map(|(passage, _)| passage)).min();
            let Some(passage) = next.filter(|passage| *passage < ranking.end) else {
                budget.spend(walked / WALKED_PER_UNIT + 1);
                return true;
            };
            let entry = index.passage(passage);
            if entry.is_some() {
                for list in others.iter_mut() {
                    walked += list.walk_to(passage, index, WALKED_PER_PIECE);
                }
                // A long list did not get there yet: this passage is looked at again in the next piece.
                if walked >= WALKED_PER_PIECE {
                    break;
                }
            }
            walked += 1;
            ranking.parts.clear();
            for list in essential.iter_mut().chain(others) {
                if let Some((at, counts)) = list.head
                    && at == passage
                {
                    if let Some(entry) = entry {
                        let part = list.weight * ranking.averages.saturated(counts, entry);
                        match ranking.parts.iter_mut().find(|(word, _)| *word == list.word) {
                            Some((_, most)) => *most = most.max(part),
                            None => ranking.parts.push((list.word, part)),
                        }
                    }
                    list.head = list.cursor.next(index);
                    walked += 1;
                }
            }
            if let Some(entry) = entry {
                let score = ranking.parts.iter().map(|(_, part)| part).sum();
                let candidate = Candidate::new(score, passage, entry);
                keep_best(&mut self.best, candidate, self.limits.search_candidates_max, library);
            }
        }
        budget.spend(walked / WALKED_PER_UNIT + 1);
        false
    }

    /// What the question is about is made out, and one with a vector is compared with those of all passages.
    fn begin_near(&mut self) -> Stage {
        self.wanted.iter().filter_map(|wanted| wanted.common).for_each(|word| self.sense.add(word));
        let Some(vector) = &self.query.vector else { return Stage::Sense { next: 0 } };
        self.nearest = Some(Nearest::new(UnitVector::clone(vector), self.limits.search_candidates_max));
        Stage::Near
    }

    /// Compares vectors until the budget is spent; true at their end, with what lies nearest among the candidates.
    fn near(&mut self, library: &Library, budget: &mut Budget) -> bool {
        let Some(nearest) = &mut self.nearest else { return true };
        if !nearest.step(library.vectors(), budget) {
            return false;
        }
        let (index, vectors) = (library.index(), library.vectors());
        for candidate in &mut self.best {
            candidate.likeness = vectors.likeness(candidate.passage, nearest.wanted());
        }
        for (likeness, passage) in nearest.best().iter().copied() {
            let is_known = self.best.iter().any(|candidate| candidate.passage == passage);
            if let Some(entry) = index.passage(passage).filter(|_| !is_known) {
                let likeness = Some(likeness);
                self.best.push(Candidate { likeness, ..Candidate::new(0.0, passage, entry) });
            }
        }
        budget.spend(NEAR_UNITS);
        true
    }

    /// Reads one candidate for what it is about; false after the last, or if the question is about nothing that is known.
    fn sense(&mut self, next: usize, library: &Library, budget: &mut Budget) -> bool {
        let candidate = self.best.get(next).copied().filter(|_| !self.sense.is_empty());
        let Some(candidate) = candidate else { return false };
        let note = library.shelf().note(candidate.note);
        let note = note.filter(|_| library.index().passage(candidate.passage).is_some());
        let Some(note) = note else { return true };
        let Some(passage) = note.passages.get(candidate.ordinal as usize) else { return true };
        let text = note.passage_text(passage);
        let text = &text[..boundary_before(text, SENSED_BYTES_MAX.min(text.len()))];
        budget.spend(u32::try_from(text.len()).unwrap_or(u32::MAX) / SENSED_PER_UNIT + GATHER_UNITS);
        if Language::of(text) == Language::English {
            let above = [&*note.title, " ", &note.heading_line(passage), " ", text].concat();
            let (overlap, sense) = self.overlap(&above);
            let whole: f32 = self.wanted.iter().map(|wanted| wanted.told.weight).sum();
            let sense = self.sense.likeness(&sense).unwrap_or(0.0);
            let aligned = if whole > 0.0 { overlap / whole } else { 0.0 };
            self.best[next].sense = Some((aligned + sense) / 2.0);
        }
        true
    }

    /// Makes the rankings of the candidates one.
    fn blend(&mut self, library: &Library) {
        let candidates = self.best.iter_mut();
        blend(candidates.map(|candidate| (&mut candidate.score, candidate.sense)), Scale::SENSE);
        if self.query.vector.is_some() {
            let candidates = self.best.iter_mut();
            blend(candidates.map(|candidate| (&mut candidate.score, candidate.likeness)), Scale::MODEL);
        }
        self.best.sort_by(|one, other| order(one, other, library));
        self.best.truncate(self.limits.search_candidates_max);
    }

    /// Notes which candidates one candidate's note links to; each lends to the other. False after the last.
    fn lend(&mut self, next: usize, library: &Library, budget: &mut Budget) -> bool {
        let Some(from) = self.best.get(next).copied() else { return false };
        budget.spend(1);
        // Of several passages of a note the best one stands for it.
        let is_first = self.best[..next].iter().all(|earlier| earlier.note != from.note);
        let Some(note) = library.shelf().note(from.note).filter(|_| is_first) else { return true };
        let links = &note.links[..note.links.len().min(LENDING_LINKS_MAX)];
        budget.spend(u32::try_from(links.len()).unwrap_or(u32::MAX));
        let targets: BTreeSet<NoteId> =
            links.iter().filter_map(|link| library.graph().resolve(link, library.shelf())).collect();
        for target in targets.into_iter().filter(|target| *target != from.note) {
            let Some(best) = self.best.iter().find(|other| other.note == target).map(|other| other.score)
            else {
                continue;
            };
            for candidate in &mut self.best {
                if candidate.note == target {
                    candidate.neighbour = candidate.neighbour.max(from.score);
                } else if candidate.note == from.note {
                    candidate.neighbour = candidate.neighbour.max(best);
                }
            }
        }
        true
    }

    /// Adds what neighbours lend and orders the candidates once more.
    fn settle_scores(&mut self, library: &Library) {
        let top = self.best.first().map_or(1.0, |best| best.score.max(f32::MIN_POSITIVE));
        for candidate in &mut self.best {
            candidate.score *= 1.0 + LINK_SHARE_MAX * (candidate.neighbour / top);
        }
        self.best.sort_by(|one, other| order(one, other, library));
    }

    /// Follows the links that stand in one of the best passages: what they lead to may answer in other words. False
    /// after the last.
    fn follow(&mut self, next: usize, library: &Library, budget: &mut Budget) -> bool {
        if next >= FOLLOWED_MAX {
            return false;
        }
        let Some(from) = self.best.get(next).copied() else { return false };
        let note =
            library.shelf().note(from.note).filter(|_| library.index().passage(from.passage).is_some());
        let Some(note) = note else { return true };
        let Some(passage) = note.passages.get(from.ordinal as usize) else { return true };
        let text = note.passage_text(passage);
        budget.spend(GATHER_UNITS + u32::try_from(text.len() / READ_PER_UNIT as usize).unwrap_or(u32::MAX));
        let mut left = FOLLOWED_LINKS_MAX;
        for link in note.links.iter().take(LENDING_LINKS_MAX) {
            let name = link.target.rsplit('/').next().unwrap_or(&link.target);
            let name = name.strip_suffix(".md").unwrap_or(name);
            let Some(at) = (left > 0).then(|| text.find(name)).flatten() else { continue };
            let Some(target) = library.graph().resolve(link, library.shelf()) else { continue };
            if target == from.note {
                continue;
            }
            left -= 1;
            let line = [&note.title, ": ", line_around(text, at)].concat();
            self.lead_to(target, &from, &line, library, budget);
        }
        true
    }

    /// The first passages of the note at the end of a link, and those among the candidates, are led to.
    fn lead_to(
        &mut self,
        target: NoteId,
        from: &Candidate,
        line: &str,
        library: &Library,
        budget: &mut Budget,
    ) {
        let Some(note) = library.shelf().note(target) else { return };
        let Some(first) = library.index().first_passage(target) else { return };
        for (ordinal, passage) in (0_u32..).zip(&note.passages).take(FOLLOWED_PASSAGES_MAX) {
            let id = PassageId(first.0 + ordinal);
            if self.led.len() >= LED_MAX || self.led.iter().any(|led| led.candidate.passage == id) {
                continue;
            }
            let known = self.best.iter().find(|candidate| candidate.passage == id);
            let own = match known {
                Some(candidate) => candidate.score,
                None => {
                    let text = note.passage_text(passage);
                    budget.spend(u32::try_from(text.len()).unwrap_or(u32::MAX) / READ_PER_UNIT + 1);
                    OVERLAP_SHARE * self.overlap(text).0
                }
            };
            let score = (own + LED_SHARE * from.score).min(from.score).max(own);
            let likeness =
                self.query.vector.as_ref().and_then(|wanted| library.vectors().likeness(id, wanted));
            let candidate = Candidate {
                score,
                passage: id,
                note: target,
                ordinal,
                neighbour: 0.0,
                likeness,
                sense: None,
            };
            self.led.push(Led { candidate, line: line.to_owned() });
        }
    }

    /// What the words of the question weigh that stand in `text`, they or words that are like them, and what it is about.
    fn overlap(&mut self, text: &str) -> (f32, Sense) {
        let Search { terms, wanted, .. } = self;
        let mut held = vec![0.0_f32; wanted.len()];
        let mut sense = Sense::new();
        let language = Language::of(text);
        terms.speak(language);
        for word in words(text) {
            let term = terms.term(word.text);
            let common = WordId::of(term).filter(|_| language == Language::English);
            common.into_iter().for_each(|word| sense.add(word));
            for (held, wanted) in held.iter_mut().zip(wanted.iter()) {
                if wanted.told.term == term || wanted.told.forms.iter().any(|form| form == term) {
                    *held = wanted.told.weight;
                } else if let Some((_, kinship)) = wanted.kin.iter().find(|(other, _)| *other == term) {
                    *held = held.max(kin_share(*kinship) * wanted.told.weight);
                } else if let (Some(word), Some(asked)) = (common, wanted.common)
                    && let Some(kinship) = asked.kinship(word)
                {
                    *held = held.max(kin_share(kinship) * wanted.told.weight);
                }
            }
        }
        (held.iter().sum(), sense)
    }

    /// What was led to takes its place among the candidates.
    fn settle_led(&mut self, library: &Library) {
        for led in &self.led {
            self.best.retain(|candidate| candidate.passage != led.candidate.passage);
            self.best.push(led.candidate);
        }
        self.best.sort_by(|one, other| order(one, other, library));
    }

    /// Makes one candidate a hit; false when there are enough.
    fn gather(&mut self, next: usize, library: &Library, budget: &mut Budget) -> bool {
        let Some(candidate) = self.best.get(next).filter(|_| self.hits.len() < self.query.hits_max) else {
            return false;
        };
        // Its note may have changed since it was ranked.
        let is_current = library.index().passage(candidate.passage).is_some();
        let Some(note) = library.shelf().note(candidate.note).filter(|_| is_current) else { return true };
        let Some(passage) = note.passages.get(candidate.ordinal as usize) else { return true };
        budget.spend(GATHER_UNITS + note.links.len().min(DANGLING_LINKS_MAX) as u32);
        let text = note.passage_text(passage);
        let heading = note.heading_line(passage);
        for wanted in &mut self.wanted {
            let told = &mut wanted.told;
            // Until a hit shows it as a word, a correction is told as the term.
            if told.corrected_to.as_ref().is_some_and(|corrected| *corrected == told.term) {
                budget.spend(u32::try_from(text.len()).unwrap_or(u32::MAX) / READ_PER_UNIT);
                let terms = &mut self.terms;
                terms.speak(Language::of(text));
                let mut shown = words(&note.title).chain(words(&heading)).chain(words(text));
                if let Some(word) = shown.find(|word| terms.term(word.text) == told.term) {
                    told.corrected_to = Some(word.text.to_lowercase());
                }
            }
        }
        self.hits.push(Hit {
            path: note.path.to_string(),
            title: note.title.to_string(),
            heading,
            start: passage.start as usize,
            end: passage.end as usize,
            score: candidate.score,
            text: text.to_owned(),
            category: note.category.to_string(),
            tags: note.tags.iter().map(|tag| tag.to_string()).collect(),
            dangling: library
                .links(note)
                .take(DANGLING_LINKS_MAX)
                .filter(|(_, target)| target.is_none())
                .take(DANGLING_MAX)
                .map(|(link, _)| link.target.to_string())
                .collect(),
            hash: note.hash_text(),
            date: note.created.as_ref().map(|date| date.to_string()),
            lead: self
                .led
                .iter()
                .find(|led| led.candidate.passage == candidate.passage)
                .map_or_else(String::new, |led| led.line.clone()),
            likeness: candidate.likeness,
        });
        true
    }

    fn found(&mut self, library: &Library) -> Found {
        Found {
            hits: std::mem::take(&mut self.hits),
            terms: std::mem::take(&mut self.wanted).into_iter().map(|wanted| wanted.told).collect(),
            epoch: self.epoch,
            complete: library.progress().state == IndexState::Ready,
        }
    }
}

impl List {
    /// Moves on to `passage` or behind it, by at most `steps`; steps taken.
    fn walk_to(&mut self, passage: PassageId, index: &Index, steps: u32) -> u32 {
        let mut taken = 0;
        while taken < steps && self.head.is_some_and(|(at, _)| at < passage) {
            self.head = self.cursor.next(index);
            taken += 1;
        }
        taken
    }
}

impl Averages {
    fn of(totals: Totals) -> Averages {
        let passages = totals.passages.max(1) as f32;
        let average = |words: u64| (words as f32 / passages).max(1.0);
        Averages {
            body: average(totals.body_words),
            title: average(totals.title_words),
            heading: average(totals.heading_words),
        }
    }

    /// The weighed counts of all fields, between 0 and 1.
    fn saturated(&self, counts: Counts, entry: &PassageEntry) -> f32 {
        let even = |share: f32, words: f32, average: f32| 1.0 - share + share * words / average;
        let body = f32::from(counts.body()) / even(BODY_EVEN, f32::from(entry.body_words), self.body);
        let title = f32::from(counts.title()) / even(TITLE_EVEN, f32::from(entry.title_words), self.title);
        let heading =
            f32::from(counts.heading()) / even(TITLE_EVEN, f32::from(entry.heading_words), self.heading);
        let sum =
            body + TITLE_WEIGHT * title + HEADING_WEIGHT * heading + NAMES_WEIGHT * f32::from(counts.names());
        sum / (SATURATION + sum)
    }
}

/// What a term says by how few passages hold it (the idf of BM25, which is never negative).
fn rarity(live: u32, totals: Totals) -> f32 {
    let (live, all) = (live as f32, totals.passages as f32);
    (1.0 + (all - live + 0.5).max(0.0) / (live + 0.5)).ln()
}

/// A word that could be a part of a compound, or one.
fn is_plain(word: &str) -> bool {
    word.chars().all(char::is_alphabetic)
}

/// The terms of the two parts of a compound that no note holds as a whole, if notes hold both (`Kaffeemaschine`).
fn compound_parts(lower: &str, terms: &mut Terms, is_live: &dyn Fn(&str) -> bool) -> Vec<String> {
    if !is_plain(lower) || !(2 * PART_BYTES_MIN..=COMPOUND_BYTES_MAX).contains(&lower.len()) {
        return Vec::new();
    }
    for at in (PART_BYTES_MIN..=lower.len() - PART_BYTES_MIN).rev().filter(|at| lower.is_char_boundary(*at)) {
        let (first, second) = lower.split_at(at);
        let second = terms.term(second).to_owned();
        if !is_live(&second) {
            continue;
        }
        // German joins with an `s`, an `n` or `es`.
        for bare in
            [first, first.trim_end_matches('s'), first.trim_end_matches('n'), first.trim_end_matches("es")]
        {
            let first = terms.term(bare);
            if bare.len() >= PART_BYTES_MIN && is_live(first) {
                return vec![second, first.to_owned()];
            }
        }
    }
    Vec::new()
}

fn kin_share(kinship: Kinship) -> f32 {
    match kinship {
        Kinship::Close => CLOSE_KIN_SHARE,
        Kinship::Less => KIN_SHARE,
        Kinship::Some => LIKE_SHARE,
    }
}

/// The line of `text` that the byte at `at` stands in, its ends cut if it is long.
fn line_around(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let start = start.max(boundary_before(text, at.saturating_sub(LEAD_BYTES_MAX / 2)));
    let end = end.min(boundary_before(text, (at + LEAD_BYTES_MAX / 2).min(text.len())));
    text[start..end.max(at)].trim()
}

/// Puts a candidate in its place if it is among the best.
fn keep_best(best: &mut Vec<Candidate>, candidate: Candidate, most: usize, library: &Library) {
    if best.len() >= most && best.last().is_some_and(|last| candidate.score < last.score) {
        return;
    }
    let at = best.partition_point(|other| order(other, &candidate, library) == Ordering::Less);
    best.insert(at, candidate);
    best.truncate(most);
}

/// Best first; equals by path and place, which are the same however the index came about.
fn order(one: &Candidate, other: &Candidate, library: &Library) -> Ordering {
    let path = |candidate: &Candidate| library.shelf().note(candidate.note).map(|note| &note.path);
    other
        .score
        .total_cmp(&one.score)
        .then_with(|| path(one).cmp(&path(other)))
        .then_with(|| one.ordinal.cmp(&other.ordinal))
}

/// Where the piece of a question that begins at `at` ends: at white space where there is any.
fn piece_end(text: &str, at: usize) -> usize {
    let limit = boundary_before(text, (at + PIECE_BYTES).min(text.len()));
    if limit == text.len() {
        return limit;
    }
    text[at..limit]
        .rfind(char::is_whitespace)
        .filter(|length| *length > 0)
        .map_or(limit, |length| at + length)
}

/// Weights of a word in the fields, against 1 in the body, and how far lengths are evened out.
const TITLE_WEIGHT: f32 = 3.0;
const HEADING_WEIGHT: f32 = 2.0;
const NAMES_WEIGHT: f32 = 2.5;
const BODY_EVEN: f32 = 0.6;
const TITLE_EVEN: f32 = 0.3;
/// How soon more of the same word stops to matter (the k1 of BM25).
const SATURATION: f32 = 1.2;
/// What words weigh that hold a sentence together, or that stand in an earlier turn.
const FUNCTION_WORD_SHARE: f32 = 0.05;
const CONTEXT_SHARE: f32 = 0.3;
/// What the kin of a word weigh against what they, or the word, would weigh if they were asked for.
const CLOSE_KIN_SHARE: f32 = 0.7;
const KIN_SHARE: f32 = 0.4;
const LIKE_SHARE: f32 = 0.25;
/// Most that links add to a score, as a share of it: the neighbour is the best hit of all.
const LINK_SHARE_MAX: f32 = 0.15;
/// What a passage gets of the score of one that links to it, and what the question's words are worth that it holds
/// itself: less than in a ranking, as only their presence is looked at.
const LED_SHARE: f32 = 0.4;
const OVERLAP_SHARE: f32 = 0.4;
/// Best passages whose links are followed, links of each, passages at the end of each, and all of these.
const FOLLOWED_MAX: usize = 3;
const FOLLOWED_LINKS_MAX: usize = 6;
const FOLLOWED_PASSAGES_MAX: usize = 4;
const LED_MAX: usize = 16;
/// Bytes of the line that is told of a link.
const LEAD_BYTES_MAX: usize = 400;
/// Links of a candidate that are looked at.
const LENDING_LINKS_MAX: usize = 64;
/// A list longer than this, and in over an eighth of all passages, makes no candidates by itself.
const COMMON_MIN: u32 = 4096;
/// Different words of a question and its context that are read; further ones are passed over.
const WORDS_MAX: usize = 128;
/// Wanted notes told with a hit, and links of its note that are looked at for them.
const DANGLING_MAX: usize = 8;
const DANGLING_LINKS_MAX: usize = 128;
/// The shortest part of a compound and the longest compound, in bytes.
const PART_BYTES_MIN: usize = 4;
const COMPOUND_BYTES_MAX: usize = 48;
/// Sizes of pieces, and what they cost in units (`benches/units.rs`).
const PIECE_BYTES: usize = 512;
const WALKED_PER_PIECE: u32 = 2048;
const WALKED_PER_UNIT: u32 = 50;
const COMPARED_PER_UNIT: u32 = 40;
const READ_PER_UNIT: u32 = 20;
const GATHER_UNITS: u32 = 5;
const NEAR_UNITS: u32 = 20;
const SENSED_PER_UNIT: u32 = 10;
/// Bytes of a candidate that are read for what it is about.
const SENSED_BYTES_MAX: usize = 4096;
