//! What a run needs that asks a model: what was found and said so far, and how it stands.

use crate::agent::citations::{self, Marks};
use crate::agent::effect::{Findings, Passage, Plan};
use crate::agent::event::{Answer, RunEvent, Source};
use crate::agent::model::{ToolCall, Usage};
use crate::agent::prompt::{self, Round};
use crate::agent::question::{Question, Writes};
use crate::limits::Limits;

/// What a run needs that asks a model.
#[derive(Debug)]
pub(super) struct Modelled {
    pub(super) plan: Plan,
    /// For the built-in answerer, if the model fails.
    pub(super) findings: Option<Findings>,
    /// What the answer may cite, in the order of its marks, with each one's category.
    pub(super) sources: Vec<Source>,
    pub(super) categories: Vec<String>,
    /// How many of them the search has found, before any tool.
    pub(super) found: usize,
    /// Replies that asked for tools, with what those brought.
    pub(super) rounds: Vec<Round>,
    /// Calls of the last round that are still to be made, the next one last.
    pub(super) calls: Vec<ToolCall>,
    /// How often the prompt was halved because the model's server found it too long.
    pub(super) shrinks: u32,
    /// Tools are offered no more: the model can't call them, or has called enough.
    pub(super) without_tools: bool,
    /// The built-in answer that was told first.
    pub(super) first: Option<Answer>,
    /// What is being said: bytes of it as the model has it, and as it was told.
    pub(super) heard_bytes: usize,
    pub(super) said: String,
    pub(super) marks: Marks,
    /// The tokens of the first answer, if one was told, are void.
    pub(super) is_revised: bool,
    pub(super) degraded: Vec<String>,
    pub(super) usage: Option<Usage>,
    pub(super) cached: bool,
}

impl Modelled {
    pub(super) fn new(plan: Plan) -> Modelled {
        Modelled {
            plan,
            findings: None,
            sources: Vec::new(),
            categories: Vec::new(),
            found: 0,
            rounds: Vec::new(),
            calls: Vec::new(),
            shrinks: 0,
            without_tools: false,
            first: None,
            heard_bytes: 0,
            said: String::new(),
            marks: Marks::new(),
            is_revised: false,
            degraded: Vec::new(),
            usage: None,
            cached: false,
        }
    }

    /// A reply begins.
    pub(super) fn listen_anew(&mut self) {
        self.heard_bytes = 0;
        self.said.clear();
        self.marks = Marks::new();
    }

    pub(super) fn hear(&mut self, text: &str, told: &mut Vec<RunEvent>) {
        let begins = self.heard_bytes == 0;
        self.heard_bytes += text.len();
        if self.first.is_some() && begins {
            if !std::mem::replace(&mut self.is_revised, true) {
                told.push(RunEvent::Revision { detail: "The model answers.".to_owned() });
            }
            // Tools may have brought some since its last words.
            told.push(RunEvent::Sources { sources: self.sources.clone() });
        }
        let before = self.said.len();
        self.marks.push(text, self.sources.len(), &mut self.said);
        self.tell_said(before, told);
    }

    /// What was held back because it might have become a mark.
    pub(super) fn say_rest(&mut self, told: &mut Vec<RunEvent>) {
        let before = self.said.len();
        self.marks.finish(&mut self.said);
        self.tell_said(before, told);
    }

    fn tell_said(&self, before: usize, told: &mut Vec<RunEvent>) {
        if let Some(text) = self.said.get(before..).filter(|text| !text.is_empty()) {
            told.push(RunEvent::Token { text: text.to_owned() });
        }
    }

    /// Nothing of this reply is worth reading: white space, and marks that name no source.
    pub(super) fn leaves_nothing(&self, content: &str) -> bool {
        let is_in_marks = |character: char| {
            character.is_whitespace() || character.is_ascii_digit() || "[],".contains(character)
        };
        if !content.chars().all(is_in_marks) {
            return false;
        }
        let (mut marks, mut shown) = (Marks::new(), String::new());
        marks.push(content, self.sources.len(), &mut shown);
        marks.finish(&mut shown);
        shown.trim().is_empty()
    }

    pub(super) fn offers_tools(&self, rounds_max: usize) -> bool {
        self.plan.offers_tools && !self.without_tools && self.rounds.len() < rounds_max
    }

    /// The mark under which a passage is cited; it gets one if it has none. `None` if there are too many.
    pub(super) fn cite(&mut self, passage: &Passage, sources_max: usize) -> Option<usize> {
        let is_this = |source: &Source| {
            source.path == passage.path && (source.start, source.end) == (passage.start, passage.end)
        };
        if let Some(index) = self.sources.iter().position(is_this) {
            return Some(index + 1);
        }
        if self.sources.len() >= sources_max {
            return None;
        }
        self.sources.push(Source {
            path: passage.path.clone(),
            title: passage.title.clone(),
            heading: passage.heading.clone(),
            start: passage.start,
            end: passage.end,
            score: passage.score,
            text: passage.text.clone(),
            hash: passage.hash.clone(),
        });
        self.categories.push(passage.category.clone());
        Some(self.sources.len())
    }

    /// Passages as a tool's result, each under its mark.
    pub(super) fn show(&mut self, passages: &[Passage], limits: &Limits) -> String {
        let mut shown = String::new();
        for passage in passages {
            let known = self.sources.len();
            let mark = self.cite(passage, limits.cited_sources_max);
            let source = mark.and_then(|mark| self.sources.get(mark - 1).map(|source| (mark, source)));
            let room = limits.tool_result_bytes_max.saturating_sub(shown.len() + 1);
            match source.and_then(|(mark, source)| prompt::passage(mark, source, room)) {
                Some(text) => shown.extend([text.as_str(), "\n"]),
                // What the model has not seen it can't cite.
                None => {
                    self.sources.truncate(known);
                    self.categories.truncate(known);
                    break;
                }
            }
        }
        if shown.is_empty() {
            shown.push_str("Nothing was found.");
        }
        shown
    }

    /// The result of the call that is next.
    pub(super) fn bring(&mut self, text: String) {
        if let (Some(call), Some(round)) = (self.calls.pop(), self.rounds.last_mut()) {
            round.results.push((call.id, text));
        }
    }

    pub(super) fn count(&mut self, usage: Option<Usage>, cached: bool) {
        self.cached = cached;
        // What was counted when it was asked the first time costs nothing now.
        let Some(usage) = usage.filter(|_| !cached) else { return };
        let sum = self.usage.get_or_insert_with(Usage::default);
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
        sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
    }

    /// The categories of the sources that the answer cites, each once.
    pub(super) fn cited_categories(&self) -> Vec<String> {
        let marks = citations::cited(&self.said, self.sources.len());
        let mut categories: Vec<String> = Vec::new();
        for category in marks.into_iter().filter_map(|mark| self.categories.get(mark - 1)) {
            if !category.is_empty() && !categories.contains(category) {
                categories.push(category.clone());
            }
        }
        categories
    }

    /// All that decides what the model should say, the question folded.
    pub(super) fn identity(&self, question: &Question, tools: Option<Writes>) -> String {
        let words: Vec<&str> = question.message.split_whitespace().collect();
        let folded = words.join(" ");
        // A capital further on may be all that tells one word from another.
        let first = folded.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = folded.split_at(first);
        let folded = (first.to_lowercase(), rest.trim_end_matches(['?', '!', '.', ' ']));
        let epoch = self.findings.as_ref().map_or(0, |findings| findings.epoch);
        // Their text as well: epochs begin anew with each process, and a run may be older than this one. What tools
        // have brought stands in their results.
        let passages: Vec<_> = self.sources[..self.found]
            .iter()
            .map(|source| (&source.path, source.start, source.end, &source.text))
            .collect();
        let calls: Vec<_> = self
            .rounds
            .iter()
            .map(|round| {
                let calls: Vec<_> =
                    round.reply.tool_calls.iter().map(|call| (&call.name, &call.arguments)).collect();
                (&round.reply.content, calls, round.results.iter().map(|(_, text)| text).collect::<Vec<_>>())
            })
            .collect();
        let plan = (&self.plan.model, self.plan.context_tokens, self.shrinks, tools);
        serde_json::to_string(&(plan, folded, &question.history, epoch, passages, calls))
            .expect("strings and numbers have JSON")
    }
}
