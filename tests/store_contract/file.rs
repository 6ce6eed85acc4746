//! What a file can be, and what can happen to it.

use std::path::Path;

use oneloop::os::real::{OpenTrouble, Sqlite};
use oneloop::store::{Cause, KeptVector};
use rusqlite::Connection;

use crate::support::*;

impl Talk for Sqlite {
    fn talk(&mut self) -> &mut dyn oneloop::store::Storage {
        self
    }
}

fn refused(file: &Path) -> OpenTrouble {
    let before = std::fs::read(file).unwrap();
    let trouble = Sqlite::open(file, MANY).expect_err("it is not for us");
    assert!(std::fs::read(file).unwrap() == before, "a refused file was changed");
    println!("{trouble}");
    trouble
}

/// A database of ours with something in it, closed.
fn made(folder: &Folder) -> std::path::PathBuf {
    let mut sqlite = Sqlite::open(&folder.file(), MANY).unwrap();
    sqlite.commit((1..=100).flat_map(|run| [admitted(run), event(run, 1, &"a".repeat(1000))]).collect());
    folder.file()
}

// --- Refused ------------------------------------------------------------------------------------------------------

#[test]
fn a_file_of_a_newer_version_is_refused_as_it_is() {
    let folder = Folder::new();
    let file = made(&folder);
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 77").unwrap();
    let trouble = refused(&file);
    assert!(matches!(trouble, OpenTrouble::Newer { found: 77, known: 6 }), "{trouble}");
}

#[test]
fn a_newer_version_that_only_the_log_tells_of_is_refused_too() {
    let folder = Folder::new();
    let file = made(&folder);
    let image = folder.path().join("image.db");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA user_version = 77").unwrap();
    copy_with_log(&file, &image);
    let log = std::fs::read(beside(&image, "-wal")).unwrap();
    let trouble = refused(&image);
    assert!(matches!(trouble, OpenTrouble::Newer { found: 77, known: 6 }), "{trouble}");
    assert!(std::fs::read(beside(&image, "-wal")).unwrap() == log, "its log was changed");
}

#[test]
fn a_database_of_another_program_is_refused_as_it_is() {
    for mode in ["DELETE", "WAL"] {
        let folder = Folder::new();
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE theirs (a)")).unwrap();
        connection.close().unwrap();
        let trouble = refused(&folder.file());
        assert!(matches!(trouble, OpenTrouble::Foreign { application_id: 0 }), "{trouble}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was put beside it");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_as_it_is() {
    for bytes in [&b"# A note\n"[..], &[0; 5000], b"SQLite format 3\0"] {
        let folder = Folder::new();
        std::fs::write(folder.file(), bytes).unwrap();
        let trouble = refused(&folder.file());
        assert!(matches!(trouble, OpenTrouble::NotADatabase), "{trouble}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused_as_it_is() {
    let folder = Folder::new();
    let whole = std::fs::read(made(&folder)).unwrap();
    for kept_bytes in [whole.len() - 4096, whole.len() - 1, 4096, 4095, 512, 100] {
        std::fs::write(folder.file(), &whole[..kept_bytes]).unwrap();
        let trouble = refused(&folder.file());
        assert!(
            matches!(trouble, OpenTrouble::Damaged(_) | OpenTrouble::NotADatabase),
            "{kept_bytes} bytes: {trouble}"
        );
    }
}

#[test]
fn a_garbled_file_is_refused_as_it_is() {
    let folder = Folder::new();
    let file = made(&folder);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let trouble = refused(&file);
    assert!(matches!(trouble, OpenTrouble::Damaged(_)), "{trouble}");
}

#[test]
fn a_file_that_is_open_elsewhere_is_refused_and_stays_usable_there() {
    let folder = Folder::new();
    let mut first = Sqlite::open(&folder.file(), MANY).unwrap();
    first.commit(vec![admitted(1)]);
    let trouble = Sqlite::open(&folder.file(), MANY).unwrap_err();
    assert!(matches!(trouble, OpenTrouble::InUse), "{trouble}");
    first.commit(vec![event(1, 1, "a")]);
    assert_eq!(first.ids(), [1]);
}

#[test]
fn a_folder_in_place_of_the_file_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.file()).unwrap();
    let trouble = Sqlite::open(&folder.file(), MANY).unwrap_err();
    assert!(matches!(trouble, OpenTrouble::System(_)), "{trouble}");
}

// --- Made ---------------------------------------------------------------------------------------------------------

#[test]
fn a_log_whose_database_is_lost_is_not_thrown_away() {
    let folder = Folder::new();
    let file = folder.file();
    std::fs::write(&file, "").unwrap();
    std::fs::write(beside(&file, "-wal"), "the log of one that is gone").unwrap();
    let trouble = Sqlite::open(&file, MANY).unwrap_err();
    assert!(matches!(trouble, OpenTrouble::NotADatabase), "{trouble}");
    assert_eq!(std::fs::read_to_string(beside(&file, "-wal")).unwrap(), "the log of one that is gone");
}

#[test]
fn an_empty_file_and_what_a_killed_process_left_of_a_new_one_are_made_anew() {
    let folder = Folder::new();
    let file = folder.file();
    std::fs::write(&file, "").unwrap();
    std::fs::write(beside(&file, "-new"), "half a database").unwrap();
    std::fs::write(beside(&file, "-wal"), "").unwrap();
    let mut sqlite = Sqlite::open(&file, MANY).unwrap();
    sqlite.commit(vec![admitted(1)]);
    assert_eq!(sqlite.ids(), [1]);
    assert!(!beside(&file, "-new").exists());
}

// --- Full ---------------------------------------------------------------------------------------------------------

#[test]
fn vectors_leave_half_of_the_room_to_runs() {
    let folder = Folder::new();
    let mut sqlite = Sqlite::open(&folder.file(), 512 * 1024).unwrap();
    let vectors = |first: u128| -> Vec<KeptVector> {
        (first..first + 10).map(|name| KeptVector { name: id(name), bytes: vec![1; 1000].into() }).collect()
    };
    let (full_at, trouble) = (0..100)
        .find_map(|batch| {
            sqlite.talk().keep_vectors(&vectors(batch * 10), MANY).err().map(|why| (batch, why))
        })
        .expect("there is room for less");
    println!("batch {full_at}: {trouble}");
    assert_eq!(trouble.cause, Cause::Full, "{trouble}");
    assert!(full_at > 10, "batch {full_at} had no room");
    for run in 1..=50 {
        sqlite.commit(vec![admitted(run), event(run, 1, &"a".repeat(3000))]);
    }
}

#[test]
fn a_full_file_keeps_what_it_has_and_takes_more_after_a_sweep() {
    let folder = Folder::new();
    let bytes_max = 512 * 1024;
    let mut sqlite = Sqlite::open(&folder.file(), bytes_max).unwrap();
    let text = "a".repeat(3000);
    let batch = |run: u128| vec![admitted(run), event(run, 1, &text), event(run, 2, &text), ended(run, 1)];
    let (full_at, trouble) = (1..1000)
        .find_map(|run| sqlite.try_commit(batch(run)).err().map(|trouble| (run, trouble)))
        .expect("there is room for less");
    println!("run {full_at}: {trouble}");
    assert_eq!(trouble.cause, Cause::Full, "{trouble}");
    assert!(full_at > 20, "run {full_at} had no room");
    let kept: Vec<_> = (1..full_at).rev().collect();
    assert_eq!(sqlite.ids(), kept);
    assert_eq!(sqlite.try_commit(batch(full_at)).unwrap_err().cause, Cause::Full);
    assert_eq!(sqlite.sweep(0, 10, 100).runs, 10);
    for run in full_at..full_at + 9 {
        sqlite.commit(batch(run));
    }
    drop(sqlite);
    let bytes = std::fs::metadata(folder.file()).unwrap().len();
    assert!(bytes <= bytes_max, "{bytes}");
    assert_eq!(check(&folder.file()), "ok");
    let mut sqlite = Sqlite::open(&folder.file(), bytes_max).unwrap();
    assert_eq!(sqlite.ids(), (11..full_at + 9).rev().collect::<Vec<_>>());
}

#[test]
fn a_file_above_its_bound_opens_and_can_be_swept() {
    let folder = Folder::new();
    let file = made(&folder);
    let mut sqlite = Sqlite::open(&file, 4096).unwrap();
    assert_eq!(sqlite.ids().len(), 100);
    let trouble = sqlite
        .try_commit((200..300).flat_map(|run| [admitted(run), event(run, 1, &"a".repeat(1000))]).collect());
    assert_eq!(trouble.unwrap_err().cause, Cause::Full);
    sqlite.commit((1..=50).map(|run| ended(run, 1)).collect());
    assert_eq!(sqlite.sweep(2, 0, 100).runs, 50);
    sqlite.commit((200..220).flat_map(|run| [admitted(run), event(run, 1, &"a".repeat(1000))]).collect());
}

// --- Lost and found -----------------------------------------------------------------------------------------------

#[test]
fn an_image_taken_while_a_connection_is_open_holds_every_committed_batch() {
    let folder = Folder::new();
    let image = folder.path().join("image.db");
    let mut sqlite = Sqlite::open(&folder.file(), MANY).unwrap();
    let text = "a".repeat(50_000);
    // Enough that the log is copied into the database now and then, and begun anew.
    for round in 0..30_u64 {
        for number in 0..5 {
            sqlite.commit(vec![admitted(u128::from(round)), event(round.into(), number, &text)]);
        }
        if round >= 4 {
            sqlite.commit(vec![ended(u128::from(round - 4), round)]);
            sqlite.sweep(round - 2, 0, 1);
        }
        copy_with_log(&folder.file(), &image);
        assert_eq!(check(&image), "ok");
        copy_with_log(&folder.file(), &image);
        let mut found = Sqlite::open(&image, MANY).unwrap();
        assert_eq!(found.all(), sqlite.all());
    }
}

#[test]
fn a_log_cut_anywhere_gives_whole_batches_up_to_some_point() {
    let folder = Folder::new();
    let image = folder.path().join("image.db");
    let mut sqlite = Sqlite::open(&folder.file(), MANY).unwrap();
    for run in 1..=10 {
        sqlite.commit(vec![admitted(run), event(run, 1, "a"), event(run, 2, "b")]);
    }
    copy_with_log(&folder.file(), &image);
    let database = std::fs::read(&image).unwrap();
    let log = std::fs::read(beside(&image, "-wal")).unwrap();
    let mut kept = Vec::new();
    for cut in (0..log.len()).step_by(3000).chain([log.len()]) {
        std::fs::write(&image, &database).unwrap();
        std::fs::write(beside(&image, "-wal"), &log[..cut]).unwrap();
        let mut found = Sqlite::open(&image, MANY).unwrap();
        let ids = found.ids();
        assert!(ids.iter().all(|run| found.find(*run).unwrap().events.len() == 2), "{cut}: {ids:?}");
        assert_eq!(ids, (1..=ids.len() as u128).rev().collect::<Vec<_>>());
        kept.push(ids.len());
    }
    assert!(kept.is_sorted(), "{kept:?}");
    assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&10)));
}

#[test]
fn a_call_that_fails_is_followed_by_one_that_opens_the_file_again() {
    let folder = Folder::new();
    let file = made(&folder);
    let whole = std::fs::read(&file).unwrap();
    let mut sqlite = Sqlite::open(&file, MANY).unwrap();
    // Cut short under the connection, which has read little so far.
    std::fs::write(&file, &whole[..4096]).unwrap();
    let trouble = sqlite.talk().load().unwrap_err();
    println!("{trouble}");
    assert_eq!(trouble.cause, Cause::Failed);
    let trouble = sqlite.talk().load().unwrap_err();
    println!("{trouble}");
    assert!(trouble.words.contains("damaged"), "{trouble}");
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(sqlite.ids().len(), 100);
}

#[test]
fn a_file_that_was_taken_away_is_not_made_anew_by_a_later_call() {
    let folder = Folder::new();
    let file = made(&folder);
    let mut sqlite = Sqlite::open(&file, MANY).unwrap();
    std::fs::write(&file, "").unwrap();
    assert!(sqlite.talk().load().is_err());
    std::fs::remove_file(&file).unwrap();
    let trouble = sqlite.try_commit(vec![admitted(1)]).unwrap_err();
    assert_eq!(trouble.cause, Cause::Failed, "{trouble}");
    assert!(!file.exists());
}

#[test]
fn numbers_that_no_row_holds_are_refused_as_a_mistake() {
    let folder = Folder::new();
    let mut sqlite = Sqlite::open(&folder.file(), MANY).unwrap();
    sqlite.commit(vec![admitted(1)]);
    sqlite.refuses(vec![event(1, u64::MAX, "a")]);
    sqlite.refuses(vec![bounds(1, u64::MAX, 1)]);
    sqlite.refuses(vec![ended(1, u64::MAX)]);
    sqlite.refuses(vec![inputs(1, u64::MAX, &["x"])]);
    let largest = u64::try_from(i64::MAX).unwrap();
    sqlite.commit(vec![event(1, largest, "a"), bounds(1, largest, 1)]);
    assert_eq!(sqlite.find(1).unwrap().events[0].number, largest);
}

// --- Helpers ------------------------------------------------------------------------------------------------------

fn beside(file: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is on the disk now, under another name.
fn copy_with_log(file: &Path, image: &Path) {
    for suffix in ["", "-wal"] {
        let _ = std::fs::remove_file(beside(image, suffix));
        if beside(file, suffix).exists() {
            std::fs::copy(beside(file, suffix), beside(image, suffix)).unwrap();
        }
    }
}

fn check(file: &Path) -> String {
    let connection = Connection::open(file).unwrap();
    connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap()
}
