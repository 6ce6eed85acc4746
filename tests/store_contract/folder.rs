//! The state folder: one process has it, and nobody else reads what is in it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use oneloop::os::real::{Sqlite, StateFolder, StateTrouble};

use crate::support::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_folder_that_is_in_use_is_refused_and_names_the_process() {
    let folder = Folder::new();
    let path = folder.path().join(".oneloop");
    let first = StateFolder::open(&path).unwrap();
    let Err(trouble) = StateFolder::open(&path) else { panic!("two have one state folder") };
    assert!(
        matches!(trouble, StateTrouble::InUse { process: Some(process) } if process == std::process::id())
    );
    assert!(trouble.to_string().contains(&std::process::id().to_string()), "{trouble}");
    drop(first);
    StateFolder::open(&path).unwrap();
}

#[test]
fn a_lock_file_that_a_killed_process_left_does_not_lock() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("lock"), "1234567890\nand more\n").unwrap();
    let _first = StateFolder::open(folder.path()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("lock")).unwrap();
    assert_eq!(written, format!("{}\n", std::process::id()));
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let folder = Folder::new();
    let path = folder.path().join(".oneloop");
    let state = StateFolder::open(&path).unwrap();
    let mut sqlite = Sqlite::open(&state.database(), MANY).unwrap();
    sqlite.commit(vec![admitted(1)]);
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "a lock, a database and its log: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn folders_above_are_not_made() {
    let folder = Folder::new();
    let trouble = StateFolder::open(&folder.path().join("missing/.oneloop")).unwrap_err();
    assert!(matches!(trouble, StateTrouble::NotMade(_)), "{trouble}");
    assert!(!folder.path().join("missing").exists());
}

#[test]
fn a_file_is_no_state_folder() {
    let folder = Folder::new();
    let path = folder.path().join("state");
    std::fs::write(&path, "a file").unwrap();
    let trouble = StateFolder::open(&path).unwrap_err();
    assert!(matches!(trouble, StateTrouble::NotWritable(_)), "{trouble}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
}
