//! What is known of sessions: which messages somebody was told to be answered, and what may have been let go of since.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// All sessions of a world.
#[derive(Debug, Default)]
pub struct Talks(BTreeMap<String, Talk>);

#[derive(Debug, Default)]
struct Talk {
    /// Runs that somebody was told to have ended with an answer, and what was asked.
    answered: BTreeMap<String, String>,
    /// Those who are having it dropped.
    dropping: BTreeSet<String>,
    /// How often somebody has begun to have it dropped.
    drops: u32,
    /// Somebody has wanted others to be cancelled in favour of his own message.
    has_cancels: bool,
}

impl Talks {
    fn at(&mut self, session: &str) -> &mut Talk {
        self.0.entry(session.to_owned()).or_default()
    }

    /// Somebody is about to have others cancelled.
    pub fn will_cancel(&mut self, session: &str) {
        self.at(session).has_cancels = true;
    }

    /// Some message of it may have been cancelled.
    pub fn has_cancels(&mut self, session: &str) -> bool {
        self.at(session).has_cancels
    }

    /// How often somebody has begun to have it dropped; `None` while somebody is about it.
    pub fn drops(&mut self, session: &str) -> Option<u32> {
        let talk = self.at(session);
        talk.dropping.is_empty().then_some(talk.drops)
    }

    /// Somebody was told that a message was answered, which was first asked when so many had had the session dropped.
    pub fn answered(&mut self, session: &str, run: &str, message: &str, drops: Option<u32>) {
        let is_safe = drops.is_some() && drops == self.drops(session);
        let talk = self.at(session);
        if is_safe {
            talk.answered.insert(run.to_owned(), message.to_owned());
        }
    }

    /// Somebody is about to have it dropped: from here on nothing of it need be there.
    pub fn will_drop(&mut self, session: &str, token: &str) {
        let talk = self.at(session);
        talk.dropping.insert(token.to_owned());
        talk.drops += 1;
        talk.answered.clear();
    }

    /// It was dropped, or was not.
    pub fn dropped(&mut self, session: &str, token: &str) {
        let talk = self.at(session);
        talk.dropping.remove(token);
        talk.answered.clear();
    }

    /// What must be there when somebody asks now.
    pub fn wanted(&mut self, session: &str) -> Vec<(String, String)> {
        let answered = &self.at(session).answered;
        answered.iter().map(|(run, message)| (run.clone(), message.clone())).collect()
    }

    /// What somebody was told of a session, who had asked when `wanted` was known. Where `is_all_kept`, nothing was let go of for
    /// want of room. A message may be asked twice only where runs are forgotten, and with them who has asked.
    ///
    /// # Errors
    /// In words, what is missing or out of order.
    pub fn check(
        &mut self,
        session: &str,
        json: &Value,
        wanted: &[(String, String)],
        is_all_kept: bool,
        forgets_runs: bool,
    ) -> Result<(), String> {
        let messages = json["messages"].as_array().ok_or("was told no messages")?;
        let mut runs: Vec<&str> = Vec::new();
        let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
        for pair in messages.chunks(2) {
            let [user, assistant] = pair else { return Err("a message without its answer".to_owned()) };
            let is_pair = user["role"] == "user" && assistant["role"] == "assistant";
            if !is_pair || user["task_id"] != assistant["task_id"] {
                return Err(format!("was told {user} and {assistant} as a message and its answer"));
            }
            let run = user["task_id"].as_str().ok_or("a message of no run")?;
            let message = user["content"].as_str().ok_or("a message without words")?;
            runs.push(run);
            if asked.values().any(|other| *other == message) && !forgets_runs {
                return Err(format!("{message} was answered twice in {session}"));
            }
            asked.insert(run, message);
        }
        if !runs.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(format!("the messages of {session} are out of order: {runs:?}"));
        }
        // Some may have been dropped since.
        let answered = &self.at(session).answered;
        for (run, message) in wanted.iter().filter(|(run, _)| answered.contains_key(run)) {
            match asked.get(run.as_str()) {
                Some(found) if found == message => {}
                None if !is_all_kept => {}
                other => return Err(format!("{message} was answered in {session} by {run}: {other:?}")),
            }
        }
        Ok(())
    }
}
