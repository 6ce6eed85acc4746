//! Callbacks of runs, by the runs' serials.

use rusqlite::{Connection, OptionalExtension, Row as TableRow, params};
use uuid::Uuid;

use super::Halt;
use super::records::{id, integer, number, other, wall};
use crate::base::WallTime;
use crate::store::{CallState, Callback, Called, Uncalled};

/// The run has a callback.
pub(super) fn admit(connection: &Connection, serial: i64, url: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO callbacks (run, url) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute(params![serial, url])?;
    Ok(())
}

/// Keeps what has become of one, unless that is over already.
pub(super) fn keep(
    connection: &Connection,
    serial: i64,
    run: Uuid,
    has_ended: bool,
    called: &Called,
) -> Result<(), Halt> {
    let Some(kept) = find(connection, serial)? else { return Ok(()) };
    if !has_ended {
        return Err(other("a run that has not ended", run));
    }
    if kept.called.state != CallState::Outstanding {
        let is_same = called.state == CallState::Outstanding || *called == kept.called;
        return if is_same { Ok(()) } else { Err(other("another end of the callback", run)) };
    }
    let due = called.due.map(|due| integer(due.as_millis(), run)).transpose()?;
    let sql = "UPDATE callbacks SET state = ?2, attempts = ?3, due_ms = ?4, error = ?5 WHERE run = ?1";
    let values = params![serial, state_number(called.state), called.attempts, due, called.error];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// That of one run.
pub(super) fn find(connection: &Connection, serial: i64) -> rusqlite::Result<Option<Callback>> {
    let sql = "SELECT url, state, attempts, due_ms, error FROM callbacks WHERE run = ?1";
    connection.prepare_cached(sql)?.query_row([serial], |row| callback(row, 0)).optional()
}

pub(super) fn remove(connection: &Connection, serial: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM callbacks WHERE run = ?1")?.execute([serial])?;
    Ok(())
}

/// Those that are outstanding of runs that have ended.
pub(super) fn uncalled(connection: &Connection) -> rusqlite::Result<Vec<Uncalled>> {
    let mut select = connection.prepare_cached(
        "SELECT runs.id, runs.ended_ms, url, state, callbacks.attempts, due_ms, callbacks.error
         FROM callbacks JOIN runs ON serial = run WHERE state = 0 AND ended_ms IS NOT NULL ORDER BY runs.id",
    )?;
    let rows = select.query_map((), |row| {
        Ok(Uncalled { run: id(row, 0)?, ended_at: wall(row, 1)?, callback: callback(row, 2)? })
    })?;
    rows.collect()
}

/// A callback in this column and those behind it.
fn callback(row: &TableRow<'_>, first: usize) -> rusqlite::Result<Callback> {
    let due: Option<i64> = row.get(first + 3)?;
    let due = due.map(|_| number(row, first + 3).map(WallTime::from_millis)).transpose()?;
    let called = Called {
        state: state_of(row.get(first + 1)?, first + 1)?,
        attempts: row.get(first + 2)?,
        due,
        error: row.get(first + 4)?,
    };
    Ok(Callback { url: row.get(first)?, called })
}

/// How states are written. The numbers are part of the file's format.
fn state_number(state: CallState) -> u8 {
    match state {
        CallState::Outstanding => 0,
        CallState::Delivered => 1,
        CallState::GivenUp => 2,
    }
}

fn state_of(number: u8, column: usize) -> rusqlite::Result<CallState> {
    match number {
        0 => Ok(CallState::Outstanding),
        1 => Ok(CallState::Delivered),
        2 => Ok(CallState::GivenUp),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(column, i64::from(number))),
    }
}
