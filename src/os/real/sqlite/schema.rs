//! What the tables look like, and how those of an older file become those of today.
//!
//! Each step leads from one version to the next, in one transaction with the version itself (`PRAGMA user_version`). A
//! step that has been released is never changed: files out there have taken it.

use rusqlite::Connection;

/// Says in a file's head that it is ours (`PRAGMA application_id`): "1lup", read as four bytes.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"1lup");

/// Steps from an empty file to the schema of today; the step at index 0 leads to version 1.
pub(super) const STEPS: &[&str] = &[CREATE, VECTORS, SESSIONS, CALLBACKS, SUBJECTS, BEGINNINGS];

/// Events and inputs name their run by `serial`, which is shorter than its id: with 15 events to a run, most of what an
/// index takes is that name. A serial may be used again after its run is gone with all that named it.
///
/// The unique indexes are what makes the database itself refuse a number that is used twice.
const CREATE: &str = "
    CREATE TABLE runs (
        serial INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
        created_ms INTEGER NOT NULL,
        question TEXT NOT NULL,
        ends_when_left INTEGER NOT NULL,
        idempotency_key TEXT,
        fingerprint BLOB CHECK (length(fingerprint) = 16),
        reserved INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        outcome INTEGER CHECK (outcome IN (0, 1, 2)),
        ended_ms INTEGER,
        error TEXT,
        CHECK ((outcome IS NULL) = (ended_ms IS NULL)),
        CHECK ((idempotency_key IS NULL) = (fingerprint IS NULL))
    ) STRICT;
    CREATE INDEX runs_unfinished ON runs (id) WHERE ended_ms IS NULL;
    CREATE INDEX runs_ended ON runs (ended_ms, id) WHERE ended_ms IS NOT NULL;
    CREATE UNIQUE INDEX runs_by_key ON runs (idempotency_key) WHERE idempotency_key IS NOT NULL;

    CREATE TABLE inputs (run INTEGER NOT NULL, number INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX inputs_in_order ON inputs (run, number);

    CREATE TABLE events (run INTEGER NOT NULL, number INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX events_in_order ON events (run, number);

    CREATE TABLE sweeps (swept_to BLOB CHECK (length(swept_to) = 16)) STRICT;
    INSERT INTO sweeps VALUES (NULL);
";

/// The later a vector came, the greater its serial: the first ones make room for those that come.
const VECTORS: &str = "
    CREATE TABLE vectors (
        serial INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE CHECK (length(name) = 16),
        vector BLOB NOT NULL
    ) STRICT;
";

/// What a session has said outlives the runs that have said it.
const SESSIONS: &str = "
    CREATE TABLE sessions (
        serial INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_age ON sessions (updated_ms, name);

    CREATE TABLE said (
        session INTEGER NOT NULL,
        run BLOB NOT NULL CHECK (length(run) = 16),
        asked_ms INTEGER NOT NULL,
        answered_ms INTEGER NOT NULL,
        message TEXT NOT NULL,
        answer TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX said_in_order ON said (session, run);
";

/// One row to a run that has a callback; its state is 0 while it is outstanding. Few runs have one, and a table of its own
/// leaves the others as they are.
const CALLBACKS: &str = "
    CREATE TABLE callbacks (
        run INTEGER PRIMARY KEY,
        url TEXT NOT NULL,
        state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
        attempts INTEGER NOT NULL DEFAULT 0,
        due_ms INTEGER,
        error TEXT
    ) STRICT;
    CREATE INDEX callbacks_outstanding ON callbacks (run) WHERE state = 0;
";

/// What a run is about, for lists. Of runs from before nothing is known: an ended one has no question any more.
const SUBJECTS: &str = "
    ALTER TABLE runs ADD COLUMN message TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN session TEXT;
";

/// How the oldest message of a session begins: of those that there are as many characters as always fit into its bytes.
const BEGINNINGS: &str = "
    ALTER TABLE sessions ADD COLUMN beginning TEXT NOT NULL DEFAULT '';
    UPDATE sessions SET beginning = coalesce((SELECT substr(ltrim(message, char(9, 10, 13, 32)), 1, 256)
        FROM said WHERE session = sessions.serial ORDER BY run LIMIT 1), '');
";

/// Takes the steps that a file of `version` has not taken.
pub(super) fn migrate(connection: &Connection, version: usize, steps: &[&str]) -> rusqlite::Result<()> {
    for (index, step) in steps.iter().enumerate().skip(version) {
        let whole = format!("BEGIN IMMEDIATE; {step}; PRAGMA user_version = {}; COMMIT;", index + 1);
        if let Err(error) = connection.execute_batch(&whole) {
            // If it can't be rolled back now, it is by whoever opens the file next.
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Subject;

    const NEXT: &str = "CREATE TABLE more (a INTEGER) STRICT";

    fn version_and_tables(connection: &Connection) -> (i64, i64) {
        let number = |sql: &str| connection.query_row(sql, (), |row| row.get(0)).expect("it can be asked");
        (number("PRAGMA user_version"), number("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"))
    }

    #[test]
    fn an_older_file_takes_only_the_steps_that_it_lacks() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, 0, STEPS).unwrap();
        let (version, tables) = version_and_tables(&connection);
        migrate(&connection, STEPS.len(), &[STEPS, &[NEXT]].concat()).unwrap();
        assert_eq!(version_and_tables(&connection), (version + 1, tables + 1));
    }

    #[test]
    fn runs_from_before_callbacks_are_ended_runs_like_any_other() {
        let connection = Connection::open_in_memory().unwrap();
        let before = STEPS.iter().position(|step| *step == CALLBACKS).unwrap();
        migrate(&connection, 0, &STEPS[..before]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO runs (id, created_ms, question, ends_when_left, reserved, outcome, ended_ms)
                 VALUES (zeroblob(16), 1, '', 0, 9, 0, 2)",
            )
            .unwrap();
        migrate(&connection, before, STEPS).unwrap();
        let loaded = super::super::records::load(&connection).unwrap();
        assert_eq!((loaded.ended, loaded.oldest_end.map(|end| end.as_millis())), (1, Some(2)));
        assert!(loaded.uncalled.is_empty() && loaded.unfinished.is_empty());
    }

    #[test]
    fn runs_from_before_subjects_are_listed_without_one() {
        let connection = Connection::open_in_memory().unwrap();
        let before = STEPS.iter().position(|step| *step == SUBJECTS).unwrap();
        migrate(&connection, 0, &STEPS[..before]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO runs (id, created_ms, question, ends_when_left, reserved) VALUES (zeroblob(16), 1, 'q', 0, 9)",
            )
            .unwrap();
        migrate(&connection, before, STEPS).unwrap();
        let [unfinished] = &super::super::records::load(&connection).unwrap().unfinished[..] else {
            panic!()
        };
        assert_eq!(
            (&*unfinished.admitted.question, &unfinished.admitted.subject),
            ("q", &Subject::default())
        );
        let rows = super::super::records::list(&connection, None, 9).unwrap();
        assert_eq!(rows.into_iter().map(|row| row.subject).collect::<Vec<_>>(), [Subject::default()]);
    }

    #[test]
    fn sessions_from_before_beginnings_get_that_of_their_oldest_message() {
        let connection = Connection::open_in_memory().unwrap();
        let before = STEPS.iter().position(|step| *step == BEGINNINGS).unwrap();
        migrate(&connection, 0, &STEPS[..before]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO sessions VALUES (7, 's', 1, 2);
                 INSERT INTO said VALUES (7, x'00000000000000000000000000000002', 1, 2, 'the second', 'x'),
                     (7, x'00000000000000000000000000000001', 1, 2, char(10, 32) || 'the first', 'x')",
            )
            .unwrap();
        migrate(&connection, before, STEPS).unwrap();
        let rows = super::super::sessions::list(&connection, None, 9).unwrap();
        assert_eq!(rows.iter().map(|row| &*row.beginning).collect::<Vec<_>>(), ["the first"]);
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_and_the_tables_of_before() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, 0, STEPS).unwrap();
        let before = version_and_tables(&connection);
        let step = format!("{NEXT}; INSERT INTO nowhere VALUES (1)");
        assert!(migrate(&connection, STEPS.len(), &[STEPS, &[&step]].concat()).is_err());
        assert_eq!(version_and_tables(&connection), before);
    }
}
