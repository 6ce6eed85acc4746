//! What stands in a database: looked at without the server's code.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;

/// Each run, and how it has ended.
pub fn runs(file: &Path) -> BTreeMap<String, Option<&'static str>> {
    let connection = Connection::open(file).expect("the file is there");
    let mut select = connection.prepare("SELECT id, outcome FROM runs").expect("the table is there");
    let rows = select.query_map((), |row| {
        let outcome = row.get::<_, Option<u8>>(1)?.map(|number| match number {
            0 => "completed",
            1 => "failed",
            2 => "cancelled",
            _ => panic!("no outcome has the number {number}"),
        });
        Ok((Uuid::from_bytes(row.get(0)?).to_string(), outcome))
    });
    rows.expect("it can be asked").collect::<rusqlite::Result<_>>().expect("it can be read")
}

/// Every page and every index is as it should be.
pub fn check_integrity(file: &Path) {
    let connection = Connection::open(file).expect("the file is there");
    let found: String =
        connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).expect("it can be asked");
    assert_eq!(found, "ok");
}
