//! Sessions: conversations that are kept here, so that a client need not send what was said before.
//!
//! ```text
//!                    the end of the one before it is kept
//!   (asked) ─ held ────────────────────────────────────────► waits for a place ─► at work ─► ended ─ kept ─► (out of line)
//! ```
//!
//! The messages of one session are answered one after the other. The rest stand in line here, and not in the queue for a place:
//! a session with many messages takes one place and no more. The next one comes once the answer before it is kept, as that is
//! where it looks up what was said ([`Effect::Recall`](crate::agent::Effect::Recall)).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::respond::{Items, Problem, Reply, write_json};
use super::runs::{Record, Runs};
use crate::agent::{Question, Role, Turn};
use crate::base::{Key, WallTime};
use crate::limits::Limits;
use crate::store::{KeptSaid, KeptSession, Said, SessionBounds, SessionPlace, SessionRow};
use crate::text::excerpt;

/// Runs of sessions whose end is not kept yet, of each session in the order in which they were accepted.
#[derive(Debug, Default)]
pub struct SessionLines {
    by_name: BTreeMap<Box<str>, VecDeque<Key>>,
}

impl SessionLines {
    /// A run stands in line. Answers whether it is the first.
    pub fn enter(&mut self, session: &str, run: Key) -> bool {
        let line = self.by_name.entry(session.into()).or_default();
        line.push_back(run);
        line.len() == 1
    }

    /// A run is over. Answers whose turn it is now.
    pub fn leave(&mut self, session: &str, run: Key) -> Option<Key> {
        let line = self.by_name.get_mut(session)?;
        line.retain(|other| *other != run);
        let next = line.front().copied();
        if next.is_none() {
            self.by_name.remove(session);
        }
        next
    }

    /// Who stands in the line of a session.
    pub fn of(&self, session: &str) -> impl Iterator<Item = Key> {
        self.by_name.get(session).into_iter().flatten().copied()
    }
}

/// What a run says in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The session.
    pub session: Box<str>,
    /// The message, once the run has ended. Until then its machine has it.
    pub message: Box<str>,
}

impl Spoken {
    /// Nothing so far.
    pub fn new(session: Box<str>) -> Spoken {
        Spoken { session, message: "".into() }
    }
}

/// What happens to a message while another of its session is not answered yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBusy {
    /// It waits.
    #[default]
    Queue,
    /// It is refused.
    Reject,
    /// The others are cancelled.
    Cancel,
}

/// A session's name is a part of a path, so it is of those characters that mean nothing there (RFC 3986 §2.3), and of a few
/// more that clients put into ids.
pub fn is_name(text: &str, limits: &Limits) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@+=".contains(&byte);
    // A dot, or two, are steps in a path, and clients take them before they ask.
    let may_begin = text.bytes().next().is_some_and(|byte| byte != b'.');
    may_begin && text.len() <= limits.session_name_bytes_max && text.bytes().all(is_plain)
}

/// How much is kept of sessions.
pub fn bounds(sessions_max: usize, limits: &Limits) -> SessionBounds {
    SessionBounds {
        messages_max: limits.session_messages_max as u64,
        bytes_max: limits.session_bytes_max as u64,
        sessions_max: sessions_max as u64,
    }
}

/// What becomes of the messages of a session that are not answered when another comes: those that are cancelled.
///
/// # Errors
/// 409 if the new one is not to wait; 503 if it would have to, and too many do.
pub fn before(
    question: &Question,
    on_busy: OnBusy,
    runs: &Runs,
    limits: &Limits,
) -> Result<Vec<Key>, Problem> {
    let Some(session) = &question.session else { return Ok(Vec::new()) };
    let open: Vec<Key> = runs.in_session(session).collect();
    match (on_busy, open.first().and_then(|run| runs.at(*run))) {
        (_, None) => Ok(Vec::new()),
        (OnBusy::Cancel, Some(_)) => Ok(open),
        (OnBusy::Reject, Some(first)) => Err(Problem::new(
            409,
            format!("a message of this session is not answered yet: task {}", first.id),
        )),
        (OnBusy::Queue, Some(_)) if open.len() >= limits.session_open_max => Err(Problem::busy(
            format!("{} messages of this session are not answered yet; try again in a moment", open.len()),
            1,
        )),
        (OnBusy::Queue, Some(_)) => Ok(Vec::new()),
    }
}

/// What is to be kept of a run that has ended with an answer.
pub fn said(record: &Record, bounds: SessionBounds) -> Option<Said> {
    #[derive(Deserialize)]
    struct Told {
        response: Box<str>,
    }
    let Spoken { session, message } = record.spoken.as_ref()?;
    // We wrote it ourselves, so it can be read.
    let Told { response } = serde_json::from_str(record.response()?).ok()?;
    Some(Said {
        run: record.id,
        session: session.clone(),
        asked_at: record.created_at,
        answered_at: record.completed_at?,
        message: message.clone(),
        answer: response,
        bounds,
    })
}

/// What a run is told of its session: the newest of it, as much as a client may send as history.
pub fn history(session: Option<&KeptSession>, limits: &Limits) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut bytes = 0;
    for KeptSaid { message, answer, .. } in session.iter().flat_map(|session| session.said.iter().rev()) {
        bytes += message.len() + answer.len();
        if turns.len() + 2 > limits.history_turns_max || bytes > limits.recalled_bytes_max {
            break;
        }
        turns.push(Turn { role: Role::Assistant, content: answer.to_string() });
        turns.push(Turn { role: Role::User, content: message.to_string() });
    }
    turns.reverse();
    turns
}

/// Sessions have no such name, or it was let go of.
pub fn unknown() -> Problem {
    Problem::new(404, "no such session; GET /sessions names those that there are")
}

/// Where a list goes on, as clients get it and give it back.
pub fn place_text(place: &SessionPlace) -> String {
    format!("{}.{}", place.updated_at.as_millis(), place.name)
}

/// The same, read.
pub fn read_place(text: &str, limits: &Limits) -> Option<SessionPlace> {
    let (millis, name) = text.split_once('.')?;
    let millis = millis.parse().ok().filter(|millis| i64::try_from(*millis).is_ok())?;
    let is_right = is_name(name, limits);
    is_right.then(|| SessionPlace { updated_at: WallTime::from_millis(millis), name: name.into() })
}

/// `GET /sessions`: the one that was spoken in last first. `rows` are one more than `limit` if there are as many.
/// A page that is full has no further one.
pub fn list(limit: usize, rows: &[SessionRow], runs: &Runs, limits: &Limits, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Rest {
        /// What `?after=` takes for the next page.
        next: Option<String>,
    }
    #[derive(Serialize)]
    struct View<'r> {
        session_id: &'r str,
        /// How the oldest message that is kept of it begins.
        title: String,
        /// `busy` while a message of it is not answered.
        status: &'static str,
        created_at: String,
        updated_at: String,
        /// Answered ones that are kept.
        messages: u64,
    }
    let mut sessions = Items::default();
    for row in rows.iter().take(limit) {
        sessions.push(&View {
            session_id: &row.name,
            title: excerpt(&row.beginning, limits.session_title_chars_max),
            status: status(&row.name, runs),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
            messages: row.messages,
        });
        if sessions.json.len() >= limits.list_bytes_max {
            break;
        }
    }
    let last = rows[..sessions.count].last().filter(|_| rows.len() > sessions.count);
    let next =
        last.map(|row| place_text(&SessionPlace { updated_at: row.updated_at, name: row.name.clone() }));
    body.extend_from_slice(&sessions.close("sessions", &Rest { next }));
    Reply::OK
}

fn status(name: &str, runs: &Runs) -> &'static str {
    if runs.in_session(name).next().is_some() { "busy" } else { "idle" }
}

/// `GET /sessions/{id}`: what was said, and what is not answered yet.
///
/// # Errors
/// 404 if neither is there.
pub fn show(
    name: &str,
    kept: Option<&KeptSession>,
    runs: &Runs,
    body: &mut Vec<u8>,
) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Session<'s> {
        session_id: &'s str,
        status: &'static str,
        created_at: String,
        /// When the newest answer was there.
        updated_at: Option<String>,
        messages: Vec<Message<'s>>,
        /// Messages that are not answered yet, in their order.
        unanswered: Vec<Unanswered<'s>>,
    }
    #[derive(Serialize)]
    struct Message<'s> {
        role: Role,
        content: &'s str,
        created_at: String,
        /// The run that has answered.
        task_id: uuid::Uuid,
    }
    #[derive(Serialize)]
    struct Unanswered<'s> {
        task_id: uuid::Uuid,
        status: &'static str,
        content: &'s str,
        created_at: String,
    }
    let open: Vec<&Record> =
        runs.in_session(name).filter_map(|run| runs.at(run)).filter(|record| record.is_admitted()).collect();
    let created_at = kept.map(|kept| kept.created_at).or(open.first().map(|record| record.created_at));
    let created_at = created_at.ok_or_else(unknown)?;
    let messages = kept.into_iter().flat_map(|kept| &kept.said).flat_map(|said| {
        let message = |role, content, at: WallTime| Message {
            role,
            content,
            created_at: at.to_string(),
            task_id: said.run,
        };
        [
            message(Role::User, &*said.message, said.asked_at),
            message(Role::Assistant, &*said.answer, said.answered_at),
        ]
    });
    let unanswered = open.iter().map(|record| Unanswered {
        task_id: record.id,
        status: record.shown().name(),
        content: record.message(),
        created_at: record.created_at.to_string(),
    });
    let session = Session {
        session_id: name,
        status: status(name, runs),
        created_at: created_at.to_string(),
        updated_at: kept.map(|kept| kept.updated_at.to_string()),
        messages: messages.collect(),
        unanswered: unanswered.collect(),
    };
    write_json(&session, body);
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    fn run(number: u32) -> Key {
        Key::new(Kind(4), number, 0)
    }

    #[test]
    fn a_line_moves_up_when_its_first_leaves() {
        let mut lines = SessionLines::default();
        assert!(lines.enter("a", run(1)));
        assert!(!lines.enter("a", run(2)));
        assert!(!lines.enter("a", run(3)));
        assert!(lines.enter("b", run(4)));
        assert_eq!(lines.leave("a", run(2)), Some(run(1)));
        assert_eq!(lines.leave("a", run(1)), Some(run(3)));
        assert_eq!(lines.leave("a", run(3)), None);
        assert!(lines.enter("a", run(5)));
        assert_eq!(lines.of("b").collect::<Vec<_>>(), [run(4)]);
    }

    #[test]
    fn a_name_is_what_a_path_can_hold() {
        let limits = Limits { session_name_bytes_max: 8, ..Limits::default() };
        for name in ["a", "A-1.b_~", "u:1@x+=", "a.."] {
            assert!(is_name(name, &limits), "{name}");
        }
        for name in ["", ".", "..", ".a", "a/b", "a b", "a%20", "\u{e4}", "123456789", "a?b"] {
            assert!(!is_name(name, &limits), "{name}");
        }
    }

    #[test]
    fn a_place_in_a_list_comes_back_as_it_was_given() {
        let limits = Limits::default();
        let place = SessionPlace { updated_at: WallTime::from_millis(17), name: "a.b.c".into() };
        assert_eq!(read_place(&place_text(&place), &limits), Some(place));
        for text in ["", "1", "1.", ".a", "x.a", "-1.a", "1.a/b", "18446744073709551615.a"] {
            assert_eq!(read_place(text, &limits), None, "{text}");
        }
    }

    #[test]
    fn a_full_page_ends_and_says_where_the_next_begins() {
        let row = |name: &str| SessionRow {
            name: name.into(),
            created_at: WallTime::default(),
            updated_at: WallTime::from_millis(7),
            messages: 1,
            beginning: "a\t\n b".into(),
        };
        let rows = [row("b"), row("a")];
        let runs = Runs::new(1, 1, 1, &Limits::default());
        let told = |list_bytes_max| -> serde_json::Value {
            let mut body = Vec::new();
            list(2, &rows, &runs, &Limits { list_bytes_max, ..Limits::default() }, &mut body);
            serde_json::from_slice(&body).unwrap()
        };
        let (whole, full) = (told(9999), told(1));
        assert_eq!(
            (&whole["sessions"][1]["title"], &whole["next"]),
            (&"a b".into(), &serde_json::Value::Null)
        );
        assert_eq!((full["sessions"].as_array().unwrap().len(), &full["next"]), (1, &"7.b".into()));
    }

    #[test]
    fn the_newest_of_a_session_is_told_within_the_bounds() {
        let said = |number: u128, answer: &str| KeptSaid {
            run: uuid::Uuid::from_u128(number),
            asked_at: WallTime::default(),
            answered_at: WallTime::default(),
            message: format!("q{number}").into(),
            answer: answer.into(),
        };
        let session = KeptSession {
            created_at: WallTime::default(),
            updated_at: WallTime::default(),
            said: vec![said(1, "a1"), said(2, "a2"), said(3, "a3")],
        };
        let told = |limits: &Limits| -> Vec<String> {
            history(Some(&session), limits).into_iter().map(|turn| turn.content).collect()
        };
        assert_eq!(told(&Limits::default()), ["q1", "a1", "q2", "a2", "q3", "a3"]);
        assert_eq!(told(&Limits { history_turns_max: 5, ..Limits::default() }), ["q2", "a2", "q3", "a3"]);
        assert_eq!(told(&Limits { recalled_bytes_max: 7, ..Limits::default() }), ["q3", "a3"]);
        assert!(history(None, &Limits::default()).is_empty());
    }
}
