//! Records as rows, and rows as what is asked for.
//!
//! Numbers of ours are `u64` and SQLite's are `i64`. They are converted with a check both ways: one that does not fit
//! into a row is a mistake of ours and refused as such, and one that can't have come from us is a damaged file's.

use rusqlite::{Connection, OptionalExtension, Row as TableRow, params};
use uuid::Uuid;

use super::{Halt, callbacks, sessions};
use crate::base::WallTime;
use crate::store::{
    Admitted, Ending, EventText, Idempotency, InputText, KeptRun, Loaded, Outcome, Record, Row, Subject,
    Sweep, Swept, Trouble, Unfinished,
};

/// Makes one change, in the transaction that is open.
pub(super) fn apply(connection: &Connection, record: &Record) -> Result<(), Halt> {
    if let Record::Admitted(admitted) = record {
        return admit(connection, admitted);
    }
    let Some(kept) = kept(connection, record.run())? else { return Ok(()) };
    match record {
        Record::Admitted(_) => Ok(()),
        Record::Inputs { run, first, inputs } if kept.ending.is_none() => {
            keep_inputs(connection, kept.serial, *run, *first, inputs)
        }
        Record::Events { run, events } => keep_events(connection, kept.serial, *run, events),
        Record::Bounds { run, reserved, attempts } if kept.ending.is_none() => {
            let sql = "UPDATE runs SET reserved = ?2, attempts = ?3 WHERE serial = ?1";
            connection.prepare_cached(sql)?.execute(params![
                kept.serial,
                integer(*reserved, *run)?,
                attempts
            ])?;
            Ok(())
        }
        // They came with the run's end already.
        Record::Inputs { .. } | Record::Bounds { .. } => Ok(()),
        Record::Ended { run, ending } => match &kept.ending {
            Some(kept) if kept != ending => Err(other("another end", *run)),
            Some(_) => Ok(()),
            None => end(connection, kept.serial, *run, ending),
        },
        Record::Said(said) => sessions::keep(connection, said),
        Record::Called { run, called } => {
            callbacks::keep(connection, kept.serial, *run, kept.ending.is_some(), called)
        }
        Record::Forgotten { .. } => remove(connection, kept.serial),
    }
}

fn admit(connection: &Connection, admitted: &Admitted) -> Result<(), Halt> {
    let run = admitted.run;
    let sql =
        "SELECT created_ms, question, ended_ms, idempotency_key, fingerprint, serial FROM runs WHERE id = ?1";
    let kept = connection.prepare_cached(sql)?.query_row([bytes(&run)], |row| {
        let callback = callbacks::find(connection, row.get(5)?)?;
        let is_same = wall(row, 0)? == admitted.created_at
            && idempotency(row, 3)? == admitted.key
            && callback.map(|callback| callback.url) == admitted.callback
            && (row.get::<_, Option<i64>>(2)?.is_some()
                || row.get_ref(1)?.as_str()? == admitted.question.as_ref());
        Ok(is_same)
    });
    match kept.optional()? {
        Some(true) => return Ok(()),
        Some(false) => return Err(other("another run", run)),
        None => {}
    }
    // The id is not kept, so what conflicts can only be the key.
    let sql = "INSERT INTO runs (id, created_ms, question, ends_when_left, idempotency_key, fingerprint, reserved,
        message, session) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING";
    let rows = connection.prepare_cached(sql)?.execute(params![
        bytes(&run),
        integer(admitted.created_at.as_millis(), run)?,
        admitted.question,
        admitted.ends_when_left,
        admitted.key.as_ref().map(|key| &key.key),
        admitted.key.as_ref().map(|key| bytes(&key.fingerprint)),
        integer(admitted.reserved, run)?,
        admitted.subject.message,
        admitted.subject.session,
    ])?;
    if rows == 0 {
        return Err(other("another run under the idempotency key of", run));
    }
    match &admitted.callback {
        Some(url) => Ok(callbacks::admit(connection, connection.last_insert_rowid(), url)?),
        None => Ok(()),
    }
}

fn keep_inputs(
    connection: &Connection,
    serial: i64,
    run: Uuid,
    first: u64,
    inputs: &[InputText],
) -> Result<(), Halt> {
    let sql = "SELECT coalesce(max(number) + 1, 0) FROM inputs WHERE run = ?1";
    let mut next: i64 = connection.prepare_cached(sql)?.query_row([serial], |row| row.get(0))?;
    let mut insert =
        connection.prepare_cached("INSERT INTO inputs (run, number, json) VALUES (?1, ?2, ?3)")?;
    let mut select =
        connection.prepare_cached("SELECT json = ?3 FROM inputs WHERE run = ?1 AND number = ?2")?;
    for (number, input) in (integer(first, run)?..).zip(inputs) {
        let values = params![serial, number, input];
        if number == next {
            insert.execute(values)?;
            next += 1;
        } else if select.query_row(values, |row| row.get(0)).optional()? != Some(true) {
            return Err(other("another input", run));
        }
    }
    Ok(())
}

fn keep_events(connection: &Connection, serial: i64, run: Uuid, events: &[EventText]) -> Result<(), Halt> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (run, number, json) VALUES (?1, ?2, ?3) ON CONFLICT (run, number) DO NOTHING",
    )?;
    let mut select =
        connection.prepare_cached("SELECT json = ?3 FROM events WHERE run = ?1 AND number = ?2")?;
    for EventText { number, json } in events {
        let values = params![serial, integer(*number, run)?, json];
        let is_right = insert.execute(values)? == 1 || select.query_row(values, |row| row.get(0))?;
        if !is_right {
            return Err(other("another event under the same number", run));
        }
    }
    Ok(())
}

fn end(connection: &Connection, serial: i64, run: Uuid, ending: &Ending) -> Result<(), Halt> {
    let sql = "UPDATE runs SET outcome = ?2, ended_ms = ?3, error = ?4, question = '' WHERE serial = ?1";
    connection.prepare_cached(sql)?.execute(params![
        serial,
        outcome_number(ending.outcome),
        integer(ending.at.as_millis(), run)?,
        ending.error,
    ])?;
    connection.prepare_cached("DELETE FROM inputs WHERE run = ?1")?.execute([serial])?;
    Ok(())
}

fn remove(connection: &Connection, serial: i64) -> Result<(), Halt> {
    connection.prepare_cached("DELETE FROM events WHERE run = ?1")?.execute([serial])?;
    connection.prepare_cached("DELETE FROM inputs WHERE run = ?1")?.execute([serial])?;
    callbacks::remove(connection, serial)?;
    connection.prepare_cached("DELETE FROM runs WHERE serial = ?1")?.execute([serial])?;
    Ok(())
}

/// What a new process must know. Only unfinished runs are read; ended ones are counted in their index.
pub(super) fn load(connection: &Connection) -> Result<Loaded, Halt> {
    let ended = connection.query_row(
        "SELECT (SELECT count(*) FROM runs WHERE ended_ms IS NOT NULL) - (SELECT count(*) FROM callbacks
         JOIN runs ON serial = run WHERE state = 0 AND ended_ms IS NOT NULL)",
        (),
        |row| number(row, 0),
    );
    let newest = connection.query_row("SELECT max(id) FROM runs", (), |row| optional_id(row, 0))?;
    Ok(Loaded {
        unfinished: unfinished(connection)?,
        uncalled: callbacks::uncalled(connection)?,
        ended: ended?,
        oldest_end: oldest_end(connection)?,
        swept_to: swept_to(connection)?,
        newest,
    })
}

fn unfinished(connection: &Connection) -> Result<Vec<Unfinished>, Halt> {
    let mut select = connection.prepare_cached(
        "SELECT serial, id, created_ms, question, ends_when_left, idempotency_key, fingerprint, reserved, attempts,
         message, session FROM runs WHERE ended_ms IS NULL ORDER BY id",
    )?;
    let runs = select.query_map((), |row| {
        let admitted = Admitted {
            run: id(row, 1)?,
            created_at: wall(row, 2)?,
            question: row.get(3)?,
            subject: subject(row, 9)?,
            ends_when_left: row.get(4)?,
            key: idempotency(row, 5)?,
            reserved: number(row, 7)?,
            callback: callbacks::find(connection, row.get(0)?)?.map(|callback| callback.url),
        };
        let serial: i64 = row.get(0)?;
        let (inputs, events) = (inputs(connection, serial)?, events(connection, serial)?);
        Ok(Unfinished { admitted, attempts: row.get(8)?, inputs, events })
    })?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// A run with its log.
pub(super) fn find(connection: &Connection, run: Uuid) -> Result<Option<KeptRun>, Halt> {
    let Some(kept) = kept(connection, run)? else { return Ok(None) };
    let events = events(connection, kept.serial)?;
    let callback = callbacks::find(connection, kept.serial)?;
    Ok(Some(KeptRun { run, created_at: kept.created_at, ending: kept.ending, events, callback }))
}

/// Runs, the newest id first.
pub(super) fn list(connection: &Connection, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Halt> {
    // Ids are compared byte by byte, and none has 17 of them.
    let before = before.map_or([0xff; 17].to_vec(), |run| bytes(&run).to_vec());
    let mut select = connection.prepare_cached(
        "SELECT id, created_ms, outcome, ended_ms, message, session FROM runs WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = select.query_map(params![before, at_most(rows_max)], |row| {
        let outcome: Option<u8> = row.get(2)?;
        let ended = outcome.map(|number| Ok::<_, rusqlite::Error>((outcome_of(number, 2)?, wall(row, 3)?)));
        let (ended, subject) = (ended.transpose()?, subject(row, 4)?);
        Ok(Row { run: id(row, 0)?, created_at: wall(row, 1)?, ended, subject })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The run that was accepted under this key.
pub(super) fn find_key(connection: &Connection, key: &str) -> Result<Option<(Uuid, Idempotency)>, Halt> {
    let sql = "SELECT id, idempotency_key, fingerprint FROM runs WHERE idempotency_key = ?1";
    let found =
        connection.prepare_cached(sql)?.query_row([key], |row| Ok((id(row, 0)?, idempotency(row, 1)?)));
    Ok(found.optional()?.and_then(|(run, key)| Some((run, key?))))
}

/// Lets go of ended runs, in the transaction that is open.
pub(super) fn sweep(connection: &Connection, sweep: Sweep) -> Result<Swept, Halt> {
    let mut select = connection.prepare_cached(
        "SELECT serial, id, ended_ms FROM runs WHERE ended_ms IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM callbacks WHERE run = serial AND state = 0)
         ORDER BY ended_ms, id LIMIT ?1",
    )?;
    let oldest = select.query_map([at_most(sweep.runs_max)], |row| {
        Ok((row.get::<_, i64>(0)?, id(row, 1)?, wall(row, 2)?))
    })?;
    let oldest: Vec<_> = oldest.collect::<rusqlite::Result<_>>()?;
    let mut runs = 0;
    let mut newest = swept_to(connection)?;
    for (serial, run, at) in oldest {
        if runs >= sweep.excess && at >= sweep.ended_before {
            break;
        }
        remove(connection, serial)?;
        newest = newest.max(Some(run));
        runs += 1;
    }
    if runs > 0 {
        let newest = newest.as_ref().map(bytes);
        connection.prepare_cached("UPDATE sweeps SET swept_to = ?1")?.execute([newest])?;
    }
    Ok(Swept { runs, swept_to: newest, oldest_end: oldest_end(connection)? })
}

fn oldest_end(connection: &Connection) -> rusqlite::Result<Option<WallTime>> {
    let sql = "SELECT ended_ms FROM runs WHERE ended_ms IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM callbacks WHERE run = serial AND state = 0) ORDER BY ended_ms LIMIT 1";
    connection.prepare_cached(sql)?.query_row((), |row| wall(row, 0)).optional()
}

fn swept_to(connection: &Connection) -> rusqlite::Result<Option<Uuid>> {
    connection.prepare_cached("SELECT swept_to FROM sweeps")?.query_row((), |row| optional_id(row, 0))
}

fn inputs(connection: &Connection, serial: i64) -> rusqlite::Result<Vec<InputText>> {
    let mut select = connection.prepare_cached("SELECT json FROM inputs WHERE run = ?1 ORDER BY number")?;
    select.query_map([serial], |row| row.get(0))?.collect()
}

fn events(connection: &Connection, serial: i64) -> rusqlite::Result<Vec<EventText>> {
    let mut select =
        connection.prepare_cached("SELECT number, json FROM events WHERE run = ?1 ORDER BY number")?;
    select.query_map([serial], |row| Ok(EventText { number: number(row, 0)?, json: row.get(1)? }))?.collect()
}

/// A run's row, without what grows with the run.
struct Kept {
    serial: i64,
    created_at: WallTime,
    ending: Option<Ending>,
}

fn kept(connection: &Connection, run: Uuid) -> rusqlite::Result<Option<Kept>> {
    let sql = "SELECT serial, created_ms, outcome, ended_ms, error FROM runs WHERE id = ?1";
    let kept = connection.prepare_cached(sql)?.query_row([bytes(&run)], |row| {
        let outcome: Option<u8> = row.get(2)?;
        let ending = outcome.map(|number| {
            let outcome = outcome_of(number, 2)?;
            Ok::<_, rusqlite::Error>(Ending { outcome, at: wall(row, 3)?, error: row.get(4)? })
        });
        Ok(Kept { serial: row.get(0)?, created_at: wall(row, 1)?, ending: ending.transpose()? })
    });
    kept.optional()
}

// --- Values -------------------------------------------------------------------------------------------------------

pub(super) fn number(row: &TableRow<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

pub(super) fn id(row: &TableRow<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn optional_id(row: &TableRow<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
}

pub(super) fn wall(row: &TableRow<'_>, column: usize) -> rusqlite::Result<WallTime> {
    number(row, column).map(WallTime::from_millis)
}

/// A message and, in the column behind it, its session.
fn subject(row: &TableRow<'_>, column: usize) -> rusqlite::Result<Subject> {
    Ok(Subject { message: row.get(column)?, session: row.get(column + 1)? })
}

/// A key and, in the column behind it, its fingerprint.
fn idempotency(row: &TableRow<'_>, column: usize) -> rusqlite::Result<Option<Idempotency>> {
    let key: Option<Box<str>> = row.get(column)?;
    let idempotency = key.map(|key| Ok(Idempotency { key, fingerprint: id(row, column + 1)? }));
    idempotency.transpose()
}

/// How outcomes are written. The numbers are part of the file's format.
fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Completed => 0,
        Outcome::Failed => 1,
        Outcome::Cancelled => 2,
    }
}

fn outcome_of(number: u8, column: usize) -> rusqlite::Result<Outcome> {
    match number {
        0 => Ok(Outcome::Completed),
        1 => Ok(Outcome::Failed),
        2 => Ok(Outcome::Cancelled),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(column, i64::from(number))),
    }
}

pub(super) fn integer(number: u64, run: Uuid) -> Result<i64, Halt> {
    i64::try_from(number).map_err(|_| other("no number that is so large", run))
}

pub(super) fn at_most(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn other(what: &str, run: Uuid) -> Halt {
    Halt::Contradiction(Trouble::contradiction(format!("{what} is kept: run {run}")))
}
