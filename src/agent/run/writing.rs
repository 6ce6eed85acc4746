//! Writing: a statement that is kept, and what a model's tools add, on its way into the notes.
//!
//! ```text
//!  wish ── plan ──► AwaitPlan ── Planned / write ──► AwaitWrite ── Wrote ──► told: an answer, or a tool's result
//!                      ▲                                 │
//!                      └──── Wrote (overtaken) / plan ───┘
//! ```
//!
//! What is planned is an input, and so it is kept before anything is written: whoever takes the run over knows what may stand
//! there already.

use super::super::effect::{Edit, Effect, Findings, NewNote, Unwritten, Wish};
use super::super::event::{Action, Answer, KnowledgeUpdate, RunEvent};
use super::super::head;
use super::super::organise;
use super::super::question::Writes;
use super::super::tools::NoteWrite;
use super::{Run, State, fail};

/// A change of the notes on its way.
#[derive(Debug)]
pub(super) struct Writing {
    wish: Wish,
    planned: Option<Edit>,
    /// How often others were faster.
    overtaken: u32,
    /// What could be done next, once a statement is kept.
    suggested_actions: Vec<String>,
    /// A tool of the model's does it, and the model goes on.
    is_for_model: bool,
}

impl Writing {
    /// A statement is to be kept.
    fn new(note: NewNote, suggested_actions: Vec<String>) -> Writing {
        Writing { suggested_actions, is_for_model: false, ..Writing::for_model(Wish::New(note)) }
    }

    /// A tool of the model's is to do this.
    pub(super) fn for_model(wish: Wish) -> Writing {
        Writing { wish, planned: None, overtaken: 0, suggested_actions: Vec::new(), is_for_model: true }
    }
}

impl Run {
    /// What the message wants to be kept, if that is what it wants and it may be.
    pub(super) fn statement(&self) -> Option<&str> {
        if self.question.writes == Writes::Off { None } else { organise::statement(&self.question.message) }
    }

    /// The note that is made of a statement, and what could be done then.
    pub(super) fn keep(&self, statement: &str, findings: &Findings) -> Writing {
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
        Writing::new(self.new_note(draft), suggested_actions)
    }

    fn new_note(&self, draft: organise::Draft) -> NewNote {
        let folder = match self.question.writes {
            Writes::All => draft.category.clone(),
            Writes::Off | Writes::Inbox => String::new(),
        };
        let folder = if folder.is_empty() { organise::INBOX.to_owned() } else { folder };
        NewNote { folder, draft, taken: 0 }
    }

    /// What a tool of the model's is to write, if that may be written.
    ///
    /// # Errors
    /// One sentence for the model.
    pub(super) fn wish_for_model(&self, write: NoteWrite) -> Result<Wish, String> {
        let writes_max = self.limits.writes_per_run_max;
        if self.updates.len() >= writes_max {
            return Err(format!("No more than {writes_max} changes are made for one question."));
        }
        Ok(match write {
            NoteWrite::Create { title, content } => {
                let findings = self.modelled.as_ref().and_then(|modelled| modelled.findings.as_ref());
                let passages = findings.map_or(&[][..], |findings| &findings.passages);
                let title = head(title.trim(), organise::TITLE_BYTES_MAX).to_owned();
                Wish::New(self.new_note(organise::draft_of(title, &content, passages)))
            }
            NoteWrite::Append { path, content } => Wish::Append { path, text: content },
            NoteWrite::Link { from, to } => Wish::Link { from, to },
        })
    }

    pub(super) fn plan(&mut self, writing: Writing) -> (State, Effect) {
        let effect = Effect::Plan(writing.wish.clone());
        self.writing = Some(Box::new(writing));
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
        let Some(writing) = &mut self.writing else {
            return fail("nothing was to be written".to_owned(), told);
        };
        match (wrote, writing.planned.take()) {
            (Ok(()), Some(planned)) => self.written(planned, told),
            (Ok(()), None) => fail("nothing was planned".to_owned(), told),
            (Err(Unwritten::Overtaken), _) if writing.overtaken < OVERTAKEN_MAX => {
                writing.overtaken += 1;
                if let Wish::New(note) = &mut writing.wish {
                    note.taken += 1;
                }
                (State::AwaitPlan, Effect::Plan(writing.wish.clone()))
            }
            (Err(Unwritten::Overtaken), _) => self.not_written("others were faster again and again", told),
            (Err(Unwritten::Refused(why)), _) => self.not_written(&why, told),
        }
    }

    /// It stands in the notes; whoever asked for it is told where.
    fn written(&mut self, planned: Edit, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let Edit { path, title, hash, action, before, .. } = planned;
        let id = format!("{}-{}", self.run_id, self.updates.len() + 1);
        let bytes_before = before.map(|before| before.bytes);
        let update = KnowledgeUpdate { id, action, path, title, hash, bytes_before };
        told.push(RunEvent::Update { update: update.clone() });
        let done = match action {
            Action::Created => format!("Created {}.", update.path),
            Action::Appended => format!("Added to {}.", update.path),
            Action::Linked => format!("Added the link to {}.", update.path),
        };
        self.updates.push(update);
        match self.writing.take() {
            Some(writing) if writing.is_for_model => {
                self.bring(done);
                self.use_next(told)
            }
            Some(writing) => self.kept(*writing, told),
            None => fail("nothing was to be written".to_owned(), told),
        }
    }

    /// A statement is kept, and its asker told where.
    fn kept(&mut self, writing: Writing, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let path = self.updates.last().map_or("", |update| &*update.path);
        let mut response = format!("Noted in {path}.");
        if let Wish::New(NewNote { draft, .. }) = &writing.wish {
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
        if self.writing.take().is_some_and(|writing| writing.is_for_model) {
            self.bring(format!("error: Nothing was written, because {why}."));
            return self.use_next(told);
        }
        self.degraded.push(format!("Nothing was written, because {why}."));
        let response = format!("This could not be noted: {why}.");
        let answer =
            Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions: Vec::new() };
        self.complete_from_notes(answer, true, told)
    }

    /// What a call of the model's has brought.
    pub(super) fn bring(&mut self, text: String) {
        if let Some(modelled) = &mut self.modelled {
            modelled.bring(text);
        }
    }
}

/// How often something is planned anew because somebody else was faster.
const OVERTAKEN_MAX: u32 = 8;
