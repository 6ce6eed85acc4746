//! What is said in sessions, as rows.

use rusqlite::{Connection, OptionalExtension, params};

use super::Halt;
use super::records::{at_most, bytes, id, integer, number, other, wall};
use crate::store::{KeptSaid, KeptSession, Said, SessionPlace, SessionRow, beginning};

/// Keeps a message and its answer, in the transaction that is open, and lets go of what is too much.
pub(super) fn keep(connection: &Connection, said: &Said) -> Result<(), Halt> {
    let Said { run, session, asked_at, answered_at, message, answer, bounds } = said;
    let (asked, answered) = (integer(asked_at.as_millis(), *run)?, integer(answered_at.as_millis(), *run)?);
    // A run that says again what it has said changes nothing, be it that the session was updated since.
    let sql = "SELECT asked_ms = ?3 AND answered_ms = ?4 AND message = ?5 AND answer = ?6 FROM said
        WHERE run = ?1 AND session = (SELECT serial FROM sessions WHERE name = ?2)";
    let kept: Option<bool> = connection
        .prepare_cached(sql)?
        .query_row(params![bytes(run), session, asked, answered, message, answer], |row| row.get(0))
        .optional()?;
    match kept {
        Some(true) => return Ok(()),
        Some(false) => return Err(other("another answer", *run)),
        None => {}
    }
    let sql = "INSERT INTO sessions (name, created_ms, updated_ms) VALUES (?1, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET updated_ms = max(updated_ms, excluded.updated_ms) RETURNING serial";
    let serial: i64 =
        connection.prepare_cached(sql)?.query_row(params![session, asked, answered], |row| row.get(0))?;
    let sql = "INSERT INTO said (session, run, asked_ms, answered_ms, message, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![serial, bytes(run), asked, answered, message, answer])?;
    let_go_of_said(connection, serial, bounds.messages_max, bounds.bytes_max)?;
    keep_beginning(connection, serial)?;
    let_go_of_sessions(connection, bounds.sessions_max.max(1))
}

/// Lets go of the oldest, as far as there is too much; the newest stays.
fn let_go_of_said(
    connection: &Connection,
    serial: i64,
    messages_max: u64,
    bytes_max: u64,
) -> Result<(), Halt> {
    let sql = "SELECT rowid, octet_length(message) + octet_length(answer) FROM said
        WHERE session = ?1 ORDER BY run DESC";
    let mut select = connection.prepare_cached(sql)?;
    let newest_first = select.query_map([serial], |row| Ok((row.get::<_, i64>(0)?, number(row, 1)?)))?;
    let (mut count, mut all) = (0, 0);
    let mut delete = connection.prepare_cached("DELETE FROM said WHERE rowid = ?1")?;
    let mut too_much = Vec::new();
    for said in newest_first {
        let (row, bytes) = said?;
        count += 1;
        all += bytes;
        if count > 1 && (count > messages_max || all > bytes_max) {
            too_much.push(row);
        }
    }
    too_much.into_iter().try_for_each(|row| delete.execute([row]).map(|_| ()))?;
    Ok(())
}

/// Another message may be the oldest now. Whoever lists sessions need not read it for that.
fn keep_beginning(connection: &Connection, serial: i64) -> Result<(), Halt> {
    let sql = "SELECT message FROM said WHERE session = ?1 ORDER BY run LIMIT 1";
    let mut oldest = connection.prepare_cached(sql)?;
    let begins: Box<str> =
        oldest.query_row([serial], |row| Ok(beginning(row.get_ref(0)?.as_str()?).into()))?;
    let sql = "UPDATE sessions SET beginning = ?2 WHERE serial = ?1 AND beginning != ?2";
    connection.prepare_cached(sql)?.execute(params![serial, begins])?;
    Ok(())
}

fn let_go_of_sessions(connection: &Connection, sessions_max: u64) -> Result<(), Halt> {
    let count =
        connection.prepare_cached("SELECT count(*) FROM sessions")?.query_row((), |row| number(row, 0))?;
    let excess = i64::try_from(count.saturating_sub(sessions_max)).unwrap_or(i64::MAX);
    if excess == 0 {
        return Ok(());
    }
    let mut oldest =
        connection.prepare_cached("SELECT serial FROM sessions ORDER BY updated_ms, name LIMIT ?1")?;
    let oldest: Vec<i64> = oldest.query_map([excess], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    oldest.into_iter().try_for_each(|serial| remove(connection, serial))
}

fn remove(connection: &Connection, serial: i64) -> Result<(), Halt> {
    connection.prepare_cached("DELETE FROM said WHERE session = ?1")?.execute([serial])?;
    connection.prepare_cached("DELETE FROM sessions WHERE serial = ?1")?.execute([serial])?;
    Ok(())
}

/// Sessions, the one that was spoken in last first.
pub(super) fn list(
    connection: &Connection,
    after: Option<&SessionPlace>,
    rows_max: usize,
) -> Result<Vec<SessionRow>, Halt> {
    let sql = "SELECT name, created_ms, updated_ms, (SELECT count(*) FROM said WHERE session = serial), beginning
        FROM sessions WHERE (updated_ms, name) < (?1, ?2) OR ?2 IS NULL ORDER BY updated_ms DESC, name DESC LIMIT ?3";
    let mut select = connection.prepare_cached(sql)?;
    let updated = after.map(|place| i64::try_from(place.updated_at.as_millis()).unwrap_or(i64::MAX));
    let name = after.map(|place| &place.name);
    let rows = select.query_map(params![updated, name, at_most(rows_max)], |row| {
        Ok(SessionRow {
            name: row.get(0)?,
            created_at: wall(row, 1)?,
            updated_at: wall(row, 2)?,
            messages: number(row, 3)?,
            beginning: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What was said in it, the oldest first.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<KeptSession>, Halt> {
    let sql = "SELECT serial, created_ms, updated_ms FROM sessions WHERE name = ?1";
    let session = connection
        .prepare_cached(sql)?
        .query_row([name], |row| Ok((row.get::<_, i64>(0)?, wall(row, 1)?, wall(row, 2)?)));
    let Some((serial, created_at, updated_at)) = session.optional()? else { return Ok(None) };
    let mut select = connection.prepare_cached(
        "SELECT run, asked_ms, answered_ms, message, answer FROM said WHERE session = ?1 ORDER BY run",
    )?;
    let said = select.query_map([serial], |row| {
        Ok(KeptSaid {
            run: id(row, 0)?,
            asked_at: wall(row, 1)?,
            answered_at: wall(row, 2)?,
            message: row.get(3)?,
            answer: row.get(4)?,
        })
    })?;
    Ok(Some(KeptSession { created_at, updated_at, said: said.collect::<rusqlite::Result<_>>()? }))
}

/// Lets go of it, in the transaction that is open; answers whether there was one.
pub(super) fn forget(connection: &Connection, name: &str) -> Result<bool, Halt> {
    let serial: Option<i64> = connection
        .prepare_cached("SELECT serial FROM sessions WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(serial) = serial else { return Ok(false) };
    remove(connection, serial)?;
    Ok(true)
}
