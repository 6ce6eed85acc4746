//! Runs as tasks: what became of one, the list of all, and cancelling.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::callbacks::Callbacks;
use super::respond::{Problem, Reply, write_json};
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
struct TaskRow {
    task_id: Uuid,
    status: &'static str,
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

/// `GET /tasks`: the newest first. `rows` are what is kept, one more than `limit` if there are as many.
pub fn list(limit: usize, rows: &[Row], runs: &Runs, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Page {
        tasks: Vec<TaskRow>,
        /// What `?before=` takes for the next page.
        next: Option<Uuid>,
    }
    let tasks: Vec<TaskRow> = rows.iter().take(limit).map(|row| task_row(row, runs)).collect();
    let next = tasks.last().filter(|_| rows.len() > limit).map(|task| task.task_id);
    write_json(&Page { tasks, next }, body);
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

fn task_row(row: &Row, runs: &Runs) -> TaskRow {
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
        created_at: row.created_at.to_string(),
        completed_at: completed_at.map(|moment| moment.to_string()),
    }
}
