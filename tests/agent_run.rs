//! A run's events and effects: the exact sequences, every input in every state, and replay.

mod agent_support;

use agent_support::{composed_in_slices, found, note, request_of, run_of};
use oneloop::agent::{
    Answer, Effect, Findings, Input, Outcome, Question, Role, Run, RunEvent, Source, Turn, Unexpected,
};
use oneloop::limits::Limits;

fn question() -> Question {
    Question { message: "Who cleans the espresso machine?".to_owned(), ..Question::default() }
}

fn findings() -> Findings {
    let text = "Mira cleans the espresso machine on Fridays.\n";
    found(&question(), &[note("kitchen/coffee.md", "Espresso machine", "", text)])
}

fn answer() -> Answer {
    composed_in_slices(&question(), findings(), u32::MAX)
}

/// What a run told, each event as its JSON without the bulky parts.
fn names(told: &[RunEvent]) -> Vec<String> {
    told.iter()
        .map(|event| match event {
            RunEvent::Status { status, .. } => format!("status {status:?}"),
            RunEvent::Sources { sources } => format!("sources {}", sources.len()),
            RunEvent::Token { text } => format!("token {text}"),
            RunEvent::Reasoning { text } => format!("reasoning {text}"),
            RunEvent::Revision { detail } => format!("revision {detail}"),
            RunEvent::Update { update } => format!("update {}", update.path),
            RunEvent::Complete { response } => format!("complete {}", response.run_id),
            RunEvent::Error { detail } => format!("error {detail}"),
            RunEvent::Done { status } => format!("done {status:?}"),
        })
        .collect()
}

/// A run that has taken `inputs`, with what it told.
fn resumed(inputs: &[Input]) -> (Run, Vec<RunEvent>) {
    let mut run = run_of(&question());
    let mut told = Vec::new();
    for input in inputs {
        run.resume(input.clone(), &mut told).expect("the inputs fit");
    }
    (run, told)
}

#[test]
fn a_run_searches_composes_and_completes() {
    let (run, told) = resumed(&[Input::Start, Input::Found(findings()), Input::Composed(answer())]);
    assert!(run.is_ended());
    assert_eq!(
        names(&told),
        [
            "status Searching",
            "status Composing",
            "sources 1",
            "token Mira cleans the espresso machine ",
            "token on Fridays. [1]",
            "complete run-1",
            "done Completed"
        ]
    );
}

#[test]
fn a_failure_is_told_and_ends_the_run_in_every_state() {
    let paths: [&[Input]; 3] = [&[], &[Input::Start], &[Input::Start, Input::Found(findings())]];
    for path in paths {
        let (mut run, mut told) = resumed(path);
        let before = told.len();
        let effect = run.resume(Input::Failed("The disk is gone.".to_owned()), &mut told);
        assert!(matches!(effect, Ok(Effect::Finish(Outcome::Failed))));
        assert_eq!(names(&told[before..]), ["error The disk is gone.", "done Failed"]);
    }
}

#[test]
fn a_cancel_ends_the_run_in_every_state() {
    let paths: [&[Input]; 3] = [&[], &[Input::Start], &[Input::Start, Input::Found(findings())]];
    for path in paths {
        let (mut run, mut told) = resumed(path);
        let before = told.len();
        assert!(matches!(run.resume(Input::Cancel, &mut told), Ok(Effect::Finish(Outcome::Cancelled))));
        assert_eq!(names(&told[before..]), ["done Cancelled"]);
    }
}

#[test]
fn an_input_that_does_not_fit_changes_nothing() {
    let start: &[Input] = &[];
    let searching: &[Input] = &[Input::Start];
    let composing: &[Input] = &[Input::Start, Input::Found(findings())];
    let ended: &[Input] = &[Input::Cancel];
    let unfit = [
        (start, Input::Found(findings()), Unexpected::NotStarted),
        (start, Input::Composed(answer()), Unexpected::NotStarted),
        (searching, Input::Start, Unexpected::AlreadyStarted),
        (searching, Input::Composed(answer()), Unexpected::NotComposing),
        (composing, Input::Start, Unexpected::AlreadyStarted),
        (composing, Input::Found(findings()), Unexpected::NotSearching),
        (ended, Input::Start, Unexpected::Ended),
        (ended, Input::Found(findings()), Unexpected::Ended),
        (ended, Input::Composed(answer()), Unexpected::Ended),
        (ended, Input::Failed(String::new()), Unexpected::Ended),
        (ended, Input::Cancel, Unexpected::Ended),
    ];
    for (path, input, expected) in unfit {
        let (mut run, mut told) = resumed(path);
        let before = told.clone();
        let state = format!("{run:?}");
        assert_eq!(run.resume(input, &mut told).expect_err("it does not fit"), expected);
        assert_eq!((told, format!("{run:?}")), (before, state));
    }
}

#[test]
fn recorded_inputs_rebuild_the_run() {
    let inputs = [Input::Start, Input::Found(findings()), Input::Composed(answer())];
    let kept = serde_json::to_string(&inputs).expect("inputs are plain data");
    let replayed: Vec<Input> = serde_json::from_str(&kept).expect("and come back");
    assert_eq!(replayed, inputs);
    let ((one, first), (other, second)) = (resumed(&inputs), resumed(&replayed));
    assert_eq!(first, second);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn the_tokens_joined_are_the_response_whatever_is_in_it() {
    for response in
        ["", " ", "one", "a b c d e f g h i j k l m n o p q r s t u v w x y z\n\n- ü", &"水".repeat(500)]
    {
        let told_answer = Answer { response: response.to_owned(), ..answer() };
        let (_, told) = resumed(&[Input::Start, Input::Found(findings()), Input::Composed(told_answer)]);
        let joined: String = told
            .iter()
            .filter_map(|event| if let RunEvent::Token { text } = event { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(joined, response);
    }
}

#[test]
fn events_carry_their_type_inside() {
    let (_, told) = resumed(&[Input::Start, Input::Found(findings()), Input::Composed(answer())]);
    let types: Vec<String> = told
        .iter()
        .map(|event| serde_json::to_value(event).expect("plain data")["type"].to_string())
        .collect();
    let expected = ["status", "status", "sources", "token", "token", "complete", "done"];
    assert_eq!(types, expected.map(|name| format!("\"{name}\"")));
    let complete = serde_json::to_value(&told[5]).expect("plain data");
    assert_eq!(complete["response"]["answered_by"], "notes");
    assert_eq!(complete["response"]["knowledge_updates"], serde_json::json!([]));
    assert_eq!(
        serde_json::to_string(&told[6]).expect("plain data"),
        r#"{"type":"done","status":"completed"}"#
    );
}

#[test]
fn a_source_serialises_with_the_names_of_the_route() {
    let Source { path, start, end, text, .. } = answer().sources.remove(0);
    assert_eq!((path.as_str(), start, end), ("kitchen/coffee.md", 0, 44));
    assert_eq!(text, "Mira cleans the espresso machine on Fridays.");
}

#[test]
fn a_message_of_any_length_is_searched_by_its_first_words() {
    let limits = Limits::default();
    let distinct: String = (0..20_000).map(|number| format!("w{number} ")).collect();
    for message in [distinct, "x".repeat(128 * 1024), "水".repeat(40_000), "same ".repeat(25_000)] {
        let text = request_of(&Question { message: message.clone(), ..Question::default() }).text;
        assert!(text.len() <= limits.query_bytes_max && message.starts_with(&text));
        assert!(oneloop::text::words(&text).next().is_some());
    }
}

#[test]
fn a_follow_up_carries_the_topic_and_a_question_that_stands_alone_does_not() {
    let history = vec![
        Turn { role: Role::User, content: "Where is the espresso machine?".to_owned() },
        Turn { role: Role::Assistant, content: "It is the Rancilio in the kitchen. [1]".to_owned() },
        Turn { role: Role::User, content: "And how old is it?".to_owned() },
    ];
    let context = |message: &str| {
        request_of(&Question { message: message.to_owned(), history: history.clone(), ..Question::default() })
            .context
    };
    assert_eq!(context("and how hot does it get?"), "old espresso machine Rancilio");
    assert_eq!(context("how hot?"), "old espresso machine Rancilio");
    assert_eq!(context("What is the idle timeout of a connection?"), "");
    assert_eq!(request_of(&Question { message: "and it?".to_owned(), ..Question::default() }).context, "");
}

fn in_session(message: &str) -> Question {
    Question { message: message.to_owned(), session: Some("talk".to_owned()), ..Question::default() }
}

fn said_before() -> Vec<Turn> {
    vec![
        Turn { role: Role::User, content: "Where is the espresso machine?".to_owned() },
        Turn { role: Role::Assistant, content: "It is in the kitchen. [1]".to_owned() },
    ]
}

#[test]
fn a_message_of_a_session_follows_up_what_was_said_there_before() {
    let mut run = Run::new("run-1".to_owned(), &in_session("and how hot does it get?"), &Limits::default());
    let mut told = Vec::new();
    let Ok(Effect::Recall(session)) = run.resume(Input::Start, &mut told) else { panic!("no recall") };
    assert_eq!((session.as_str(), told.len()), ("talk", 0));
    let unfit = run.resume(Input::Found(findings()), &mut told);
    assert!(unfit.is_err());
    let Ok(Effect::Search(request)) = run.resume(Input::Recalled(Ok(said_before())), &mut told) else {
        panic!("no search")
    };
    assert_eq!(request.context, "espresso machine");
    assert_eq!(names(&told), ["status Searching"]);
}

#[test]
fn a_history_that_the_asker_tells_counts_instead_of_the_session() {
    let question = Question { history: said_before(), ..in_session("and how hot does it get?") };
    let mut run = Run::new("run-1".to_owned(), &question, &Limits::default());
    assert!(matches!(run.resume(Input::Start, &mut Vec::new()), Ok(Effect::Search(_))));
}

#[test]
fn a_session_that_can_not_be_read_fails_the_run() {
    let mut run = Run::new("run-1".to_owned(), &in_session("and?"), &Limits::default());
    let mut told = Vec::new();
    run.resume(Input::Start, &mut told).expect("it fits");
    let effect = run.resume(Input::Recalled(Err("the disk has failed".to_owned())), &mut told);
    assert!(matches!(effect, Ok(Effect::Finish(Outcome::Failed))));
    let why = "error what was said in this session can't be read: the disk has failed";
    assert_eq!(names(&told), [why, "done Failed"]);
}
