//! Vectors of an embedding model, by the names of what they are of.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::Halt;
use crate::store::KeptVector;

/// Each in the place of its name.
pub(super) fn find(connection: &Connection, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Halt> {
    let mut statement = connection.prepare_cached("SELECT vector FROM vectors WHERE name = ?1")?;
    names
        .iter()
        .map(|name| {
            let bytes: Option<Vec<u8>> =
                statement.query_row([name.as_bytes()], |row| row.get(0)).optional()?;
            Ok(bytes.map(Vec::into_boxed_slice))
        })
        .collect()
}

/// Keeps them, and lets go of the first ones that are too many.
pub(super) fn keep(connection: &Connection, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Halt> {
    let mut insert = connection
        .prepare_cached("INSERT INTO vectors (name, vector) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET vector = excluded.vector")?;
    for KeptVector { name, bytes } in vectors {
        insert.execute(params![name.as_bytes(), bytes])?;
    }
    let most = i64::try_from(vectors_max).unwrap_or(i64::MAX);
    connection
        .prepare_cached("DELETE FROM vectors WHERE serial <= (SELECT max(serial) FROM vectors) - ?1")?
        .execute([most])?;
    Ok(())
}

/// Bytes of the file that are in use.
pub(super) fn file_bytes(connection: &Connection) -> Result<u64, Halt> {
    let number = |pragma: &str| connection.prepare_cached(pragma)?.query_row((), |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    let bytes = pages.saturating_mul(number("PRAGMA page_size")?);
    Ok(u64::try_from(bytes).unwrap_or(0))
}
