//! What a run does about a change of the notes: it is planned, written once that is kept, and told.

use super::{Run, State, fail};
use crate::agent::effect::{Edit, Effect, Findings, Unwritten, Wish};
use crate::agent::event::{Action, Answer, KnowledgeUpdate, RunEvent, Stage};
use crate::agent::organise;
use crate::agent::question::Writes;

/// A change of the notes on its way.
#[derive(Debug)]
pub(super) struct Writing {
    wish: Wish,
    planned: Option<Edit>,
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
        (Wish { folder, draft, taken: 0 }, suggested_actions)
    }

    pub(super) fn plan(
        &mut self,
        wish: Wish,
        suggested_actions: Vec<String>,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        told.push(RunEvent::Status { status: Stage::Writing, detail: "Writing a note.".to_owned() });
        let effect = Effect::Plan(wish.clone());
        self.writing = Some(Box::new(Writing { wish, planned: None, suggested_actions }));
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
                let Edit { path, title, hash, .. } = planned;
                let id = format!("{}-{}", self.run_id, self.updates.len() + 1);
                let update = KnowledgeUpdate { id, action: Action::Created, path, title, hash };
                told.push(RunEvent::Update { update: update.clone() });
                self.updates.push(update);
                self.kept(*writing, told)
            }
            (Ok(()), None) => fail("nothing was planned".to_owned(), told),
            (Err(Unwritten::Overtaken), _) if writing.wish.taken < OVERTAKEN_MAX => {
                writing.wish.taken += 1;
                let effect = Effect::Plan(writing.wish.clone());
                self.writing = Some(writing);
                (State::AwaitPlan, effect)
            }
            (Err(Unwritten::Overtaken), _) => {
                self.not_written("every name for it was taken by others meanwhile", told)
            }
            (Err(Unwritten::Refused(why)), _) => self.not_written(&why, told),
        }
    }

    /// A statement is kept, and its asker told where.
    fn kept(&mut self, writing: Writing, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let path = self.updates.last().map_or("", |update| &*update.path);
        let mut response = format!("Noted in {path}.");
        let draft = &writing.wish.draft;
        if !draft.category.is_empty() {
            response.push_str(&format!(" Its category is {}.", draft.category));
        }
        let related: Vec<&str> = draft.related.iter().map(|(_, title)| &**title).collect();
        if !related.is_empty() {
            response.push_str(&format!(" It is linked to {}.", related.join(", ")));
        }
        let suggested_actions = writing.suggested_actions;
        let answer = Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions };
        self.complete_from_notes(answer, true, told)
    }

    fn not_written(&mut self, why: &str, told: &mut Vec<RunEvent>) -> (State, Effect) {
        self.writing = None;
        self.degraded.push(format!("Nothing was written, because {why}."));
        let response = format!("This could not be noted: {why}.");
        let answer =
            Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions: Vec::new() };
        self.complete_from_notes(answer, true, told)
    }
}

/// How often a note is planned anew because somebody else has taken its name.
const OVERTAKEN_MAX: u32 = 8;
