//! The composer as a machine: its slices agree, its pieces are small, and its citations are exact for any text.

mod agent_support;

use agent_support::{composed_in_slices, found, note, passage_of, run_of};
use oneloop::agent::{Answer, Composer, Effect, Findings, Input, Passage, Question};
use oneloop::base::Budget;
use oneloop::limits::Limits;
use oneloop::text::Terms;

/// Units that one piece of work may overdraw.
const PIECE_UNITS_MAX: u32 = 160;

const SEED: u64 = 0x5EED_0002;

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

const SCRAPS: [&str; 44] = [
    "# Loop\n",
    "## ",
    "\n",
    "\n\n",
    "\r\n",
    "- ",
    "* [ ] ",
    "1. ",
    "2) ",
    "   ",
    "\t",
    "| a | b |\n",
    "|---|:-:|\n",
    "| loop | `x|y` |\n",
    "|",
    "```",
    "```sh\n",
    "~~~\n",
    "`",
    "``",
    "[[",
    "]]",
    "[",
    "](",
    ")",
    "![",
    "[1]",
    "\\",
    "**",
    "_",
    "> ",
    "<!--",
    "-->",
    "<b>",
    "---\n",
    "===\n",
    "The loop waits. ",
    "It polls: ",
    "phase ",
    "loop ",
    "水循环。",
    "é🙂",
    ": ",
    "e.g. 3.14 ",
];

fn scraps(dice: &mut Dice) -> String {
    (0..dice.below(120)).map(|_| SCRAPS[dice.below(SCRAPS.len())]).collect()
}

fn question() -> Question {
    Question { message: "In which order does the loop poll its phases?".to_owned(), ..Question::default() }
}

fn composer(question: &Question, findings: Findings) -> Box<Composer> {
    let mut run = run_of(question);
    run.resume(Input::Start, &mut Vec::new()).expect("a new run starts");
    match run.resume(Input::Found(findings), &mut Vec::new()) {
        Ok(Effect::Compose(composer)) => composer,
        other => panic!("found passages are composed, not {other:?}"),
    }
}

/// Every citation is the exact bytes of a passage, the sources that are marked come first, and the text is bounded.
fn assert_honest(answer: &Answer, passages: &[Passage]) {
    let is_marked = |index: &usize| answer.response.contains(&format!("[{}]", index + 1));
    let marked = (0..answer.sources.len()).take_while(is_marked).count();
    assert!(marked > 0 || answer.sources.is_empty(), "{} marks nothing", answer.response);
    assert!(!(marked..answer.sources.len()).any(|index| is_marked(&index)), "{}", answer.response);
    for source in &answer.sources {
        let inside = passages.iter().any(|passage| {
            let within =
                passage.path == source.path && passage.start <= source.start && source.end <= passage.end;
            within && {
                let range = (source.start - passage.start) as usize..(source.end - passage.start) as usize;
                passage.text.get(range) == Some(source.text.as_str())
            }
        });
        assert!(inside, "{source:?} is no part of its passage");
        assert!(source.start < source.end && source.score.is_finite());
    }
    let limits = Limits::default();
    assert!(answer.sources.len() <= limits.sources_max && answer.suggested_actions.len() <= 3);
    assert!(answer.response.len() <= limits.answer_bytes_max + 256);
}

#[test]
fn any_text_gives_exact_citations_however_it_is_sliced() {
    println!("seed {SEED:#x}");
    let mut dice = Dice(SEED);
    let mut answered = 0;
    for round in 0..1500 {
        let passages: Vec<Passage> = (0..1 + dice.below(4))
            .map(|number| {
                let file = scraps(&mut dice);
                let start = file.char_indices().nth(dice.below(40)).map_or(0, |(at, _)| at);
                passage_of(&format!("{}.md", number % 2), "Loop", "Phases", &file, start)
            })
            .collect();
        let findings = found(&question(), &passages);
        let whole = composed_in_slices(&question(), findings.clone(), u32::MAX);
        assert_honest(&whole, &passages);
        answered += usize::from(!whole.sources.is_empty());
        if round % 10 == 0 {
            assert_eq!(composed_in_slices(&question(), findings, 1), whole, "round {round}");
        }
    }
    assert!(answered > 300, "only {answered} rounds had anything to check");
}

#[test]
fn no_piece_of_work_is_large_whatever_the_passage() {
    let long = [
        "loop ".repeat(5_000),
        "loop. ".repeat(5_000),
        "- loop poll\n".repeat(3_000),
        "水循环".repeat(3_000),
        format!("| loop | poll |\n|---|---|\n{}", "| a | b |\n".repeat(3_000)),
        "[".repeat(20_000),
        "`".repeat(20_000),
        format!("```\n{}", "loop\n".repeat(5_000)),
        "> ".repeat(10_000),
    ];
    let passages: Vec<Passage> = long.iter().map(|text| note("a.md", "Loop", "Phases", text)).collect();
    let mut composer = composer(&question(), found(&question(), &passages));
    let mut terms = Terms::new();
    let mut most = 0;
    let answer = loop {
        let mut budget = Budget::new(1);
        let answer = composer.step(&mut terms, &mut budget);
        most = most.max(budget.overdrawn());
        if let Some(answer) = answer {
            break answer;
        }
    };
    assert!(most <= PIECE_UNITS_MAX, "a piece took {most} units");
    assert_honest(&answer, &passages);
    assert_eq!(composer.step(&mut terms, &mut Budget::new(100)), None, "an answer is given once");
}

#[test]
fn a_passage_whose_range_lies_is_never_quoted() {
    let mut passage = note("a.md", "Loop", "Phases", "The loop polls its phases in order.\n");
    let honest = composed_in_slices(&question(), found(&question(), &[passage.clone()]), 50);
    assert_eq!(honest.sources.len(), 1);
    passage.end += 1;
    let refused = composed_in_slices(&question(), found(&question(), &[passage]), 50);
    assert!(refused.sources.is_empty());
}

#[test]
fn numbers_from_a_broken_record_do_no_harm() {
    let passages = [note("a.md", "Loop", "Phases", "The loop polls its phases in order.\n")];
    let mut findings = found(&question(), &passages);
    findings.passages[0].score = f32::NAN;
    for (term, weight) in findings.terms.iter_mut().zip([f32::NAN, f32::INFINITY, -1.0].iter().cycle()) {
        term.weight = *weight;
    }
    assert_honest(&composed_in_slices(&question(), findings, 7), &passages);
}

#[test]
fn a_search_that_found_nothing_is_a_refusal() {
    let answer = composed_in_slices(&question(), found(&question(), &[]), 1);
    assert_eq!(answer.response, "There are no notes yet, so they hold no answer to this.");
    assert!(answer.sources.is_empty());
}
