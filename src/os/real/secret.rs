//! A secret in a file, read once, at start.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest file of a secret, in bytes. Over it: it must be another file, and is refused.
const FILE_BYTES_MAX: u64 = 4096;

/// What is in the file.
///
/// # Errors
/// The system's own, or that it is too long for a secret.
pub fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    let count = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut secret)?;
    if count as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes: no secret")));
    }
    Ok(secret)
}
