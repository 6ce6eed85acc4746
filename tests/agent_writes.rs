//! A model that writes notes: what it may, what becomes of it, and that a run made again writes the same.

mod agent_support;

use agent_support::{found, note};
use oneloop::agent::{
    Action, Added, Before, Edit, Effect, Finish, Input, Message, ModelReply, Outcome, Plan, Question,
    Response, Run, RunEvent, ToolCall, Unwritten, Wish, Writes,
};
use oneloop::limits::Limits;

const CREATE: (&str, &str) = ("create_note", r#"{"title":"Tea","content":"Green."}"#);
const APPEND: (&str, &str) = ("append_note", r#"{"path":"list.md","content":"- milk"}"#);
const LINK: (&str, &str) = ("link_notes", r#"{"from":"list.md","to":"tea.md"}"#);

fn question(writes: Writes) -> Question {
    Question { message: "Put milk on my list, would you?".to_owned(), writes, ..Question::default() }
}

/// A run, and what it has told and wants.
struct Played {
    run: Run,
    told: Vec<RunEvent>,
    effect: Effect,
}

impl Played {
    /// A run whose model was asked.
    fn of(writes: Writes, limits: &Limits) -> Played {
        let question = question(writes);
        let plan =
            Plan { model: "smol".to_owned(), offers_tools: true, falls_back: true, context_tokens: 8192 };
        let findings = found(&question, &[note("list.md", "List", "", "- tea\n")]);
        let mut run = Run::new("0192a6e4".to_owned(), &question, limits);
        let mut told = Vec::new();
        run.resume(Input::StartWith(plan), &mut told).expect("it begins");
        let effect = run.resume(Input::Found(findings), &mut told).expect("it asks");
        Played { run, told, effect }
    }

    /// Gives an input, as it is when it was kept.
    fn give(&mut self, input: Input) -> &mut Played {
        let kept = serde_json::to_string(&input).expect("inputs are plain data");
        let input = serde_json::from_str(&kept).expect("and come back");
        self.effect = self.run.resume(input, &mut self.told).expect("it fits");
        self
    }

    fn wish(&self) -> &Wish {
        match &self.effect {
            Effect::Plan(wish) => wish,
            other => panic!("{other:?}"),
        }
    }

    /// What the model is told of its calls.
    fn results(&self) -> Vec<&str> {
        let Effect::Ask(asking) = &self.effect else { panic!("{:?}", self.effect) };
        let results = asking.request.messages.iter().filter_map(|message| match message {
            Message::Tool { content, .. } => Some(content.as_str()),
            _ => None,
        });
        results.collect()
    }

    fn response(&self) -> &Response {
        let completed = self.told.iter().find_map(|event| match event {
            RunEvent::Complete { response } => Some(&**response),
            _ => None,
        });
        completed.expect("it is completed")
    }
}

fn calling(calls: &[(&str, &str)]) -> Input {
    let calls = calls.iter().enumerate().map(|(place, (name, arguments))| ToolCall {
        id: format!("call-{place}"),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    });
    let tool_calls = calls.collect();
    let reply = ModelReply { content: String::new(), tool_calls, finish: Finish::ToolCalls, usage: None };
    Input::Answered { reply, cached: false }
}

fn answered() -> Input {
    let content = "Done.".to_owned();
    let reply = ModelReply { content, tool_calls: Vec::new(), finish: Finish::Stop, usage: None };
    Input::Answered { reply, cached: false }
}

fn new_note() -> Input {
    Input::Planned(Ok(Edit {
        path: "Inbox/Tea.md".to_owned(),
        title: "Tea".to_owned(),
        text: "# Tea\n\nGreen.\n".to_owned(),
        hash: "aa".to_owned(),
        before: None,
    }))
}

fn addition() -> Input {
    let before = Before { hash: "bb".to_owned(), at: 6, times: 0 };
    Input::Planned(Ok(Edit {
        path: "list.md".to_owned(),
        title: "List".to_owned(),
        text: "- milk\n".to_owned(),
        hash: "cc".to_owned(),
        before: Some(before),
    }))
}

const WROTE: Input = Input::Wrote(Ok(()));

#[test]
fn a_note_that_the_model_writes_is_planned_written_reported_and_told_to_it() {
    let mut played = Played::of(Writes::Inbox, &Limits::default());
    played.give(calling(&[CREATE]));
    let Wish::Create(note) = played.wish() else { panic!("{:?}", played.wish()) };
    assert_eq!((&*note.folder, &*note.draft.body, note.taken), ("Inbox", "Green.", 0));
    played.give(new_note());
    assert!(matches!(&played.effect, Effect::Write(edit) if edit.path == "Inbox/Tea.md"));
    played.give(WROTE);
    assert_eq!(played.results(), ["The note Inbox/Tea.md was created."]);
    played.give(answered());
    assert!(matches!(played.effect, Effect::Finish(Outcome::Completed)));
    let updates = &played.response().knowledge_updates;
    assert_eq!(updates.len(), 1);
    assert_eq!((&*updates[0].id, updates[0].action), ("0192a6e4-1", Action::Created));
    assert_eq!((&*updates[0].path, updates[0].added), ("Inbox/Tea.md", None));
    let streamed = played.told.iter().filter(|event| matches!(event, RunEvent::Update { .. }));
    assert_eq!(streamed.collect::<Vec<_>>(), [&RunEvent::Update { update: updates[0].clone() }]);
}

#[test]
fn what_is_added_to_a_note_is_reported_with_its_place() {
    let mut played = Played::of(Writes::All, &Limits::default());
    played.give(calling(&[APPEND, LINK])).give(addition()).give(WROTE);
    assert!(matches!(played.wish(), Wish::Link { from, .. } if from == "list.md"));
    played.give(addition()).give(WROTE);
    assert_eq!(played.results(), ["It was added at the end of list.md.", "The link was added to list.md."]);
    played.give(answered());
    let updates = &played.response().knowledge_updates;
    let told: Vec<_> = updates.iter().map(|update| (&*update.id, update.action, update.added)).collect();
    let added = Some(Added { start: 6, end: 13 });
    assert_eq!(told, [("0192a6e4-1", Action::Appended, added), ("0192a6e4-2", Action::Linked, added)]);
}

#[test]
fn a_call_that_may_not_write_is_answered_and_the_run_goes_on() {
    for (writes, calls, sentence) in [
        (Writes::Off, [CREATE, APPEND], "error: create_note can't be used: nothing may be written here."),
        (
            Writes::Inbox,
            [APPEND, LINK],
            "error: append_note can't be used: only new notes may be written here, with create_note.",
        ),
    ] {
        let mut played = Played::of(writes, &Limits::default());
        played.give(calling(&calls));
        assert_eq!((played.results().len(), played.results()[0]), (2, sentence));
        played.give(answered());
        assert_eq!(played.response().knowledge_updates, []);
    }
}

#[test]
fn what_can_not_be_written_is_told_to_the_model_and_the_next_call_is_made() {
    for refused in [
        vec![Input::Planned(Err("there is no note \"x\"".to_owned()))],
        vec![addition(), Input::Wrote(Err(Unwritten::Refused("there is no note \"x\"".to_owned())))],
    ] {
        let mut played = Played::of(Writes::All, &Limits::default());
        played.give(calling(&[APPEND, CREATE]));
        refused.into_iter().for_each(|input| {
            played.give(input);
        });
        assert!(matches!(played.wish(), Wish::Create(_)));
        played.give(new_note()).give(WROTE);
        assert_eq!(
            played.results(),
            [
                "error: nothing was written, because there is no note \"x\".",
                "The note Inbox/Tea.md was created."
            ]
        );
        assert_eq!(played.give(answered()).response().degraded, Vec::<String>::new());
    }
}

#[test]
fn who_is_overtaken_plans_anew_so_often_and_no_more() {
    let limits = Limits { note_overtaken_max: 2, ..Limits::default() };
    let mut played = Played::of(Writes::All, &limits);
    played.give(calling(&[APPEND]));
    for _ in 0..2 {
        played.give(addition()).give(Input::Wrote(Err(Unwritten::Overtaken)));
        assert!(matches!(played.wish(), Wish::Append { .. }));
    }
    played.give(addition()).give(Input::Wrote(Err(Unwritten::Overtaken)));
    assert_eq!(
        played.results(),
        ["error: nothing was written, because others have changed the note all the time."]
    );
}

#[test]
fn a_run_makes_so_many_changes_and_no_more() {
    let limits = Limits { note_writes_per_run_max: 1, ..Limits::default() };
    let mut played = Played::of(Writes::All, &limits);
    played.give(calling(&[CREATE, APPEND])).give(new_note()).give(WROTE);
    assert_eq!(played.results()[1], "error: a run makes at most 1 changes, and this one has made them.");
    assert_eq!(played.give(answered()).response().knowledge_updates.len(), 1);
}

#[test]
fn what_was_written_is_reported_although_the_model_fails_then() {
    let mut played = Played::of(Writes::Inbox, &Limits::default());
    played.give(calling(&[CREATE])).give(new_note()).give(WROTE);
    played.give(Input::Unanswered { why: "it fell silent".to_owned(), said: false });
    let Effect::Compose(_) = &played.effect else { panic!("{:?}", played.effect) };
    let (sources, categories, suggested_actions) = (Vec::new(), Vec::new(), Vec::new());
    let response = "The notes do not say.".to_owned();
    played.give(Input::Composed(oneloop::agent::Answer { response, sources, categories, suggested_actions }));
    assert_eq!(played.response().knowledge_updates.len(), 1);
}

#[test]
fn a_run_that_is_made_again_wants_the_same_bytes_written_and_tells_the_same() {
    let inputs = [calling(&[APPEND, CREATE]), addition(), WROTE, new_note(), WROTE];
    for count in 0..=inputs.len() {
        let (mut one, mut other) =
            (Played::of(Writes::All, &Limits::default()), Played::of(Writes::All, &Limits::default()));
        for input in &inputs[..count] {
            one.give(input.clone());
            other.give(input.clone());
        }
        assert_eq!(one.told, other.told);
        assert_eq!(format!("{:?}", one.effect), format!("{:?}", other.effect));
    }
}

#[test]
fn two_runs_that_may_write_otherwise_never_share_a_reply() {
    let identity = |writes| match Played::of(writes, &Limits::default()).effect {
        Effect::Ask(asking) => asking.identity,
        other => panic!("{other:?}"),
    };
    assert_eq!(identity(Writes::All), identity(Writes::All));
    assert_ne!(identity(Writes::Off), identity(Writes::Inbox));
    assert_ne!(identity(Writes::Inbox), identity(Writes::All));
}

#[test]
fn an_edit_that_was_kept_before_there_were_additions_can_still_be_read() {
    let kept = r#"{"planned":{"Ok":{"path":"a.md","title":"A","text":"x","hash":"aa"}}}"#;
    let Ok(Input::Planned(Ok(edit))) = serde_json::from_str(kept) else { panic!("it can't be read") };
    assert_eq!((&*edit.path, edit.before), ("a.md", None));
}
