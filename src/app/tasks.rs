//! Runs as tasks: what became of one, the list of all, and cancelling.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::respond::{Problem, Reply, write_json};
use super::runs::{Lookup, Record, Runs};
use crate::base::Key;

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
}

/// One row of `GET /tasks`.
#[derive(Debug, Serialize)]
struct TaskRow {
    task_id: Uuid,
    status: &'static str,
    created_at: String,
    completed_at: Option<String>,
}

/// Finds a run by its id.
///
/// # Errors
/// 404 for an id that no run had, 410 for one that is no longer kept.
pub fn find(id: Uuid, runs: &Runs) -> Result<Key, Problem> {
    match runs.lookup(id) {
        Lookup::Known(key) => Ok(key),
        Lookup::Expired => Err(Problem::expired_task()),
        Lookup::Unknown => Err(Problem::unknown_task()),
    }
}

/// `GET /chat/task/{id}`, and what `DELETE /tasks/{id}` answers with: the task's true state.
///
/// # Errors
/// See [`find`].
pub fn show(id: Uuid, runs: &Runs, body: &mut Vec<u8>) -> Result<Reply, Problem> {
    let key = find(id, runs)?;
    let record = runs.at(key).ok_or_else(Problem::unknown_task)?;
    let view = TaskView {
        task_id: record.id,
        status: record.status.name(),
        place: runs.place(key),
        // The log holds it as JSON already; parsing it once more checks nothing that we did not write ourselves.
        result: record.response().and_then(|response| serde_json::from_str(response).ok()),
        error: record.error.as_deref(),
        created_at: record.created_at.to_string(),
        completed_at: completed_at(record),
    };
    write_json(&view, body);
    Ok(Reply::OK)
}

/// `GET /tasks`: the newest first.
pub fn list(limit: usize, before: Option<Uuid>, runs: &Runs, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Page {
        tasks: Vec<TaskRow>,
        /// What `?before=` takes for the next page.
        next: Option<Uuid>,
    }
    let mut tasks: Vec<TaskRow> = runs.newest(before).take(limit + 1).map(row).collect();
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().filter(|_| more).map(|task| task.task_id);
    write_json(&Page { tasks, next }, body);
    Reply::OK
}

/// The body of `202` for `POST /chat/async`.
///
/// # Errors
/// None; in the shape of the others.
pub fn accepted(run: Key, runs: &Runs, body: &mut Vec<u8>) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct Accepted {
        task_id: Uuid,
        status: &'static str,
        message: &'static str,
    }
    let record = runs.at(run).ok_or_else(Problem::unknown_task)?;
    let message = "Accepted. Ask for the result at the address in Location.";
    write_json(&Accepted { task_id: record.id, status: record.status.name(), message }, body);
    Ok(Reply { status: 202, location: Some(format!("/chat/task/{}", record.id)) })
}

fn row(record: &Record) -> TaskRow {
    TaskRow {
        task_id: record.id,
        status: record.status.name(),
        created_at: record.created_at.to_string(),
        completed_at: completed_at(record),
    }
}

fn completed_at(record: &Record) -> Option<String> {
    record.completed_at.map(|moment| moment.to_string())
}
