//! A small honest search for tests: every passage is found, terms are weighed over the passages given.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeSet;

use oneloop::agent::{
    Answer, Effect, Findings, FoundTerm, Input, Passage, Question, Run, SearchRequest, Turn,
};
use oneloop::base::Budget;
use oneloop::limits::Limits;
use oneloop::text::{Terms, words};

pub fn note(path: &str, title: &str, heading: &str, text: &str) -> Passage {
    passage_of(path, title, heading, text, 0)
}

/// The passage of `file` from byte `start` to its end.
pub fn passage_of(path: &str, title: &str, heading: &str, file: &str, start: usize) -> Passage {
    Passage {
        path: path.to_owned(),
        title: title.to_owned(),
        heading: heading.to_owned(),
        start: start as u64,
        end: file.len() as u64,
        score: 1.0,
        text: file[start..].to_owned(),
        category: path.split_once('/').map_or("", |(folder, _)| folder).to_owned(),
        dangling: Vec::new(),
        tags: Vec::new(),
        hash: String::new(),
        date: None,
        lead: String::new(),
        likeness: None,
    }
}

pub fn run_of(question: &Question) -> Run {
    Run::new("run-1".to_owned(), question, &Limits::default())
}

pub fn request_of(question: &Question) -> SearchRequest {
    match run_of(question).resume(Input::Start, &mut Vec::new()) {
        Ok(Effect::Search(request)) => request,
        other => panic!("a started run searches, not {other:?}"),
    }
}

/// All `passages` with the terms of what `question` searches for.
pub fn found(question: &Question, passages: &[Passage]) -> Findings {
    let request = request_of(question);
    let mut terms = Terms::new();
    let held: Vec<BTreeSet<String>> = passages
        .iter()
        .map(|passage| {
            let all = format!("{} {} {}", passage.title, passage.heading, passage.text);
            words(&all).map(|word| terms.term(word.text).to_owned()).collect()
        })
        .collect();
    let asked = format!("{} {}", request.text, request.context);
    let mut seen = BTreeSet::new();
    let mut weighed = Vec::new();
    for word in words(&asked) {
        let term = terms.term(word.text).to_owned();
        if !seen.insert(term.clone()) {
            continue;
        }
        let count = held.iter().filter(|held| held.contains(&term)).count() as f32;
        let total = passages.len() as f32;
        let weight = (1.0 + (total - count + 0.5) / (count + 0.5)).ln();
        let text = word.text.to_owned();
        weighed.push(FoundTerm {
            text,
            term,
            forms: Vec::new(),
            weight,
            known: count > 0.0,
            corrected: None,
        });
    }
    Findings {
        passages: passages.to_vec(),
        terms: weighed,
        epoch: 1,
        complete: true,
        notes_indexed: passages.len(),
        notes_found: passages.len(),
        degraded: Vec::new(),
    }
}

pub fn composed_in_slices(question: &Question, findings: Findings, units: u32) -> Answer {
    let mut run = run_of(question);
    run.resume(Input::Start, &mut Vec::new()).expect("a new run starts");
    let Ok(Effect::Compose(mut composer)) = run.resume(Input::Found(findings), &mut Vec::new()) else {
        panic!("found passages are composed");
    };
    let mut terms = Terms::new();
    for _ in 0..1_000_000 {
        if let Some(answer) = composer.step(&mut terms, &mut Budget::new(units)) {
            return answer;
        }
    }
    panic!("a composer ends");
}

pub fn ask_with_history(message: &str, history: &[Turn], passages: &[Passage]) -> Answer {
    let question = Question { message: message.to_owned(), history: history.to_vec(), ..Question::default() };
    composed_in_slices(&question, found(&question, passages), u32::MAX)
}

pub fn ask(message: &str, passages: &[Passage]) -> Answer {
    ask_with_history(message, &[], passages)
}
