//! What a run does about a change of the notes: it is planned, written once that is kept, and told.

use super::{Run, State, fail};
use crate::agent::effect::{Edit, Effect, Findings, NewNote, Unwritten, Wish};
use crate::agent::event::{Action, Answer, KnowledgeUpdate, RunEvent, Stage};
use crate::agent::organise;
use crate::agent::question::Writes;

/// A change of the notes on its way.
#[derive(Debug)]
pub(super) struct Writing {
    wish: Wish,
    planned: Option<Edit>,
    /// How often somebody else was faster.
    overtaken: u32,
    /// What could be done next, once it is written.
    suggested_actions: Vec<String>,
}

impl Run {
    /// What the message wants to be kept, if that is what it wants and it may be.
    pub(super) fn statement(&self) -> Option<&str> {
        if self.question.writes == Writes::Off { None } else { organise::statement(&self.question.message) }
    }

    /// The note that is made of a statement, and what could be done then.
    pub(super) fn keep(&self, statement: &str, findings: &Findings) -> (Wish, Vec<String>) {
        let draft = organise::draft(statement, &findings.passages);
        let mut suggested_actions = Vec::new();
        if let Some(twin) = organise::near_duplicate(statement, &findings.passages) {
            suggested_actions
                .push(format!("Merge it with {} ({}), which says much the same.", twin.title, twin.path));
        }
        let near = findings
            .passages
            .iter()
            .filter(|passage| draft.related.iter().any(|(path, _)| *path == passage.path));
        if let Some((name, passage)) = near.filter_map(|near| Some((near.dangling.first()?, near))).next() {
            suggested_actions.push(format!("Write the note {name}, which {} links to.", passage.title));
        }
        let folder = match self.question.writes {
            Writes::All => draft.category.clone(),
            Writes::Off | Writes::Inbox => String::new(),
        };
        let folder = if folder.is_empty() { organise::INBOX.to_owned() } else { folder };
        (Wish::Create(NewNote { folder, insists: false, draft, taken: 0 }), suggested_actions)
    }

    /// A change begins: how it can be made is found out first.
    pub(super) fn plan(
        &mut self,
        wish: Wish,
        detail: String,
        suggested_actions: Vec<String>,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        told.push(RunEvent::Status { status: Stage::Writing, detail });
        let effect = Effect::Plan(wish.clone());
        self.writing = Some(Box::new(Writing { wish, planned: None, overtaken: 0, suggested_actions }));
        (State::AwaitPlan, effect)
    }

    pub(super) fn planned(
        &mut self,
        planned: Result<Edit, String>,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        match (planned, &mut self.writing) {
            (Ok(planned), Some(writing)) => {
                writing.planned = Some(planned.clone());
                (State::AwaitWrite, Effect::Write(planned))
            }
            (Ok(_), None) => fail("nothing was to be written".to_owned(), told),
            (Err(why), _) => self.not_written(&why, told),
        }
    }

    pub(super) fn wrote(
        &mut self,
        wrote: Result<(), Unwritten>,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        let Some(mut writing) = self.writing.take() else {
            return fail("nothing was to be written".to_owned(), told);
        };
        match (wrote, writing.planned.take()) {
            (Ok(()), Some(planned)) => {
                let id = format!("{}-{}", self.run_id, self.updates.len() + 1);
                let update = update(id, &writing.wish, planned);
                told.push(RunEvent::Update { update: update.clone() });
                let result = result(&update);
                self.updates.push(update);
                match &self.modelled {
                    Some(_) => self.used_to_write(&result, told),
                    None => self.kept(*writing, told),
                }
            }
            (Ok(()), None) => fail("nothing was planned".to_owned(), told),
            (Err(Unwritten::Overtaken), _) if writing.overtaken < self.limits.note_overtaken_max => {
                writing.overtaken += 1;
                if let Wish::Create(note) = &mut writing.wish {
                    note.taken += 1;
                }
                let effect = Effect::Plan(writing.wish.clone());
                self.writing = Some(writing);
                (State::AwaitPlan, effect)
            }
            (Err(Unwritten::Overtaken), _) => {
                let why = match &writing.wish {
                    Wish::Create(_) => "every name for it was taken by others meanwhile",
                    Wish::Append { .. } | Wish::Link { .. } => "others have changed the note all the time",
                };
                self.not_written(why, told)
            }
            (Err(Unwritten::Refused(why)), _) => self.not_written(&why, told),
        }
    }

    /// A statement is kept, and its asker told where.
    fn kept(&mut self, writing: Writing, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let path = self.updates.last().map_or("", |update| &*update.path);
        let mut response = format!("Noted in {path}.");
        if let Wish::Create(NewNote { draft, .. }) = &writing.wish {
            if !draft.category.is_empty() {
                response.push_str(&format!(" Its category is {}.", draft.category));
            }
            let related: Vec<&str> = draft.related.iter().map(|(_, title)| &**title).collect();
            if !related.is_empty() {
                response.push_str(&format!(" It is linked to {}.", related.join(", ")));
            }
        }
        let suggested_actions = writing.suggested_actions;
        let answer = Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions };
        self.complete_from_notes(answer, true, told)
    }

    fn not_written(&mut self, why: &str, told: &mut Vec<RunEvent>) -> (State, Effect) {
        self.writing = None;
        if self.modelled.is_some() {
            // It may find another way, or tell the asker.
            return self.used_to_write(&format!("error: nothing was written, because {why}."), told);
        }
        self.degraded.push(format!("Nothing was written, because {why}."));
        let response = format!("This could not be noted: {why}.");
        let answer =
            Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions: Vec::new() };
        self.complete_from_notes(answer, true, told)
    }
}

/// A change that was made, as it is told.
fn update(id: String, wish: &Wish, planned: Edit) -> KnowledgeUpdate {
    let (action, added) = (wish.action(), planned.added());
    let Edit { path, title, hash, .. } = planned;
    KnowledgeUpdate { id, action, path, title, hash, added }
}

/// The same, as the model is told.
fn result(update: &KnowledgeUpdate) -> String {
    let path = &update.path;
    match update.action {
        Action::Created => format!("The note {path} was created."),
        Action::Appended => format!("It was added at the end of {path}."),
        Action::Linked => format!("The link was added to {path}."),
    }
}
