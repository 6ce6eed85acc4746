//! The built-in answerer (being written).

use std::fmt;

use crate::base::Budget;

use super::effect::Findings;
use super::event::Answer;
use super::question::Asked;

/// Makes an answer out of what a search found, in slices.
pub struct Composer {
    asked: Asked,
    findings: Findings,
}

impl Composer {
    pub(super) fn new(
        asked: Asked,
        findings: Findings,
        _answer_bytes_max: usize,
        _sources_max: usize,
    ) -> Composer {
        Composer { asked, findings }
    }

    /// Works until the budget is spent; gives the answer once, when it stands.
    pub fn step(&mut self, budget: &mut Budget) -> Option<Answer> {
        budget.spend(1);
        let _ = (&self.asked.topic, self.asked.topic_share, self.asked.kind, self.findings.complete);
        Some(Answer {
            response: "The notes hold no answer to this.".to_owned(),
            sources: Vec::new(),
            categories: Vec::new(),
            suggested_actions: Vec::new(),
        })
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composer").finish_non_exhaustive()
    }
}
