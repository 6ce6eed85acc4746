//! Runs as tasks: what became of one, the list of all, and cancelling.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::callbacks::Callbacks;
use super::respond::{Items, Problem, Reply, write_json};
use super::runs::{Record, Runs, Status};
use crate::base::Key;
use crate::store::{CallState, Row};

/// The body of `GET /chat/task/{id}`.
#[derive(Debug, Serialize)]
struct TaskView<'a> {
    task_id: Uuid,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
    result: Option<&'a RawValue>,
    error: Option<&'a str>,
    created_at: String,
    completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackView<'a>>,
}

/// Where the end of a task is told, and how far that has come.
#[derive(Debug, Serialize)]
struct CallbackView<'a> {
    url: &'a str,
    state: &'static str,
    attempts: u32,
    last_error: Option<&'a str>,
}

/// One row of `GET /tasks`.
#[derive(Debug, Serialize)]
struct TaskRow<'r> {
    task_id: Uuid,
    status: &'static str,
    /// How what was asked begins.
    message: &'r str,
    session_id: Option<&'r str>,
    created_at: String,
    completed_at: Option<String>,
}

/// `GET /chat/task/{id}`, and what `DELETE /tasks/{id}` answers with: the task's true state, as far as it is kept.
///
/// # Errors
/// 410 if the run is not here any more.
pub fn show(run: Key, runs: &Runs, callbacks: &Callbacks, body: &mut Vec<u8>) -> Result<Reply, Problem> {
    let record = runs.at(run).ok_or_else(Problem::expired_task)?;
    let place = runs.place(run);
    let callback = record.callback.as_ref().map(|callback| {
        // While it is outstanding it goes on; that it is over is told once that is kept.
        let outstanding = callbacks.called(record.id);
        let called = outstanding.unwrap_or(&callback.called);
        CallbackView {
            url: &callback.url,
            state: match called.state {
                _ if outstanding.is_some() => "pending",
                CallState::Outstanding => "pending",
                CallState::Delivered => "delivered",
                CallState::GivenUp => "given_up",
            },
            attempts: called.attempts,
            last_error: called.error.as_deref(),
        }
    });
    write_json(&view(record, place, callback), body);
    Ok(Reply::OK)
}

/// What a callback tells of a task that has ended: the same, without what has become of the callback.
pub fn tell(record: &Record, body: &mut Vec<u8>) {
    write_json(&view(record, None, None), body);
}

fn view<'a>(record: &'a Record, place: Option<usize>, callback: Option<CallbackView<'a>>) -> TaskView<'a> {
    let status = record.shown();
    let is_final = status.is_final();
    TaskView {
        task_id: record.id,
        status: status.name(),
        place: place.filter(|_| status == Status::Pending),
        // The log holds it as JSON already; parsing it once more checks nothing that we did not write ourselves.
        result: record
            .response()
            .filter(|_| is_final)
            .and_then(|response| serde_json::from_str(response).ok()),
        error: record.error.as_deref().filter(|_| is_final),
        created_at: record.created_at.to_string(),
        completed_at: record.completed_at.filter(|_| is_final).map(|moment| moment.to_string()),
        callback,
    }
}

/// `GET /tasks`: the newest first. `rows` are what is kept, one more than `limit` if there are as many; a page of `bytes_max`
/// has no further one.
pub fn list(limit: usize, bytes_max: usize, rows: &[Row], runs: &Runs, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Rest {
        /// What `?before=` takes for the next page.
        next: Option<Uuid>,
    }
    let mut tasks = Items::default();
    for row in rows.iter().take(limit) {
        tasks.push(&task_row(row, runs));
        if tasks.json.len() >= bytes_max {
            break;
        }
    }
    let last = rows[..tasks.count].last().filter(|_| rows.len() > tasks.count);
    body.extend_from_slice(&tasks.close("tasks", &Rest { next: last.map(|row| row.run) }));
    Reply::OK
}

/// The body of `202` for `POST /chat/async`.
pub fn accepted(id: Uuid, status: &'static str, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Accepted {
        task_id: Uuid,
        status: &'static str,
        message: &'static str,
    }
    let message = "Accepted. Ask for the result at the address in Location.";
    write_json(&Accepted { task_id: id, status, message }, body);
    Reply { status: 202, location: Some(format!("/chat/task/{id}")) }
}

/// The first event of a stream that was joined: where the run is. It has no number, so the reader's position stays.
pub fn state(run: Key, runs: &Runs) -> Option<String> {
    #[derive(Serialize)]
    struct State {
        r#type: &'static str,
        run_id: Uuid,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<usize>,
    }
    let record = runs.at(run)?;
    let status = record.shown();
    let place = runs.place(run).filter(|_| status == Status::Pending);
    let state = State { r#type: "state", run_id: record.id, status: status.name(), place };
    serde_json::to_string(&state).ok()
}

fn task_row<'r>(row: &'r Row, runs: &Runs) -> TaskRow<'r> {
    // It may have gone on since the row was read.
    let here = runs.find(row.run).and_then(|key| runs.at(key));
    let (status, completed_at) = match (here, row.ended) {
        (_, Some((outcome, at))) => (outcome.into(), Some(at)),
        (Some(record), None) => {
            let status = record.shown();
            (status, record.completed_at.filter(|_| status.is_final()))
        }
        (None, None) => (Status::Pending, None),
    };
    TaskRow {
        task_id: row.run,
        status: status.name(),
        message: &row.subject.message,
        session_id: row.subject.session.as_deref(),
        created_at: row.created_at.to_string(),
        completed_at: completed_at.map(|moment| moment.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::WallTime;
    use crate::limits::Limits;
    use crate::store::{Outcome, Subject};

    fn row(number: u128, message: &str, session: Option<&str>) -> Row {
        let at = WallTime::from_millis(1);
        let subject = Subject { message: message.into(), session: session.map(Into::into) };
        Row { run: Uuid::from_u128(number), created_at: at, ended: Some((Outcome::Completed, at)), subject }
    }

    fn told(limit: usize, bytes_max: usize, rows: &[Row]) -> Value {
        let runs = Runs::new(1, 1, 1, &Limits::default());
        let mut body = Vec::new();
        list(limit, bytes_max, rows, &runs, &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_row_tells_what_was_asked_and_in_which_session() {
        let rows = [row(2, "Why?", Some("s")), row(1, "", None)];
        let page = told(9, 9999, &rows);
        let subject = |row: usize| ["message", "session_id"].map(|field| page["tasks"][row][field].clone());
        assert_eq!(subject(0), [json!("Why?"), json!("s")]);
        assert_eq!(subject(1), [json!(""), Value::Null]);
    }

    #[test]
    fn a_page_ends_at_its_limit_or_when_it_is_full_and_says_where_the_next_begins() {
        let rows = [row(3, "c", None), row(2, "b", None), row(1, "a", None)];
        let shape = |page: &Value| (page["tasks"].as_array().unwrap().len(), page["next"].clone());
        let id = |number| json!(Uuid::from_u128(number));
        assert_eq!(shape(&told(3, 9999, &rows)), (3, Value::Null));
        assert_eq!(shape(&told(2, 9999, &rows)), (2, id(2)));
        assert_eq!(shape(&told(3, 1, &rows)), (1, id(3)));
        assert_eq!(shape(&told(1, 1, &rows[..1])), (1, Value::Null));
        assert_eq!(shape(&told(1, 1, &[])), (0, Value::Null));
    }
}
