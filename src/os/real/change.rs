//! Changing one file of the notes folder: all of it or nothing, and never what somebody else has written meanwhile.
//!
//! ```text
//! write a new file   temporary file ─ sync ─► rename, only if the name is free ─────────────────────► sync the folder
//! write over one,    temporary file ─ sync ─► exchange the two ─► is what came out what was expected? ─► sync the folder
//! or a part of it                                    ▲                 │ no
//!                                                    └── exchange back ┘     the change is refused
//! remove             rename to a temporary name ─► is it what was expected? ─► unlink ─────────────► sync the folder
//!                                     ▲                 │ no
//!                                     └─── rename back ─┘
//! ```
//!
//! Looking at a file and then renaming another over it would lose what an editor saves between the two. So the file is
//! taken out of its name in one step (`RENAME_EXCHANGE`), and looked at afterwards: whatever came out is in our hands, and
//! goes back if it is not what the writer knew. Where the file system can't exchange names, the look before has to do.
//!
//! A process that is killed in between leaves a whole file under the name, old or new, and at most a temporary file
//! beside it. Its name begins with a dot, so it is no note, and a later listing removes it.

use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fchmod, fstat, fsync, linkat, mkdirat,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use unicode_normalization::UnicodeNormalization;

use super::helper::open_beneath;
use crate::os::disk::{Change, ChangeProblem, Changed, Deed, Expected, FileHash, hash_of};

/// Makes a change below `root`.
///
/// # Errors
/// [`ChangeProblem`]; then the file is as it was.
pub(super) fn change(root: &OwnedFd, change: &Change) -> Result<Changed, ChangeProblem> {
    let Change { path, deed, expected, .. } = change;
    // Whoever asks has looked at the path already. Here it is what keeps us inside: folders are made one by one.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ChangeProblem::Link);
    }
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (open_folder(root, folder, matches!(deed, Deed::Write(_)))?, name),
        None => (openat(root, ".", FOLDER, Mode::empty()).map_err(problem)?, &**path),
    };
    let before = look(&folder, name)?;
    match (expected, &before) {
        (Expected::Absent, Some(file)) => return Err(ChangeProblem::Exists(file.hash)),
        (Expected::Absent, None) => {
            if let Some(similar) = similar(&folder, name).map_err(problem)? {
                return Err(ChangeProblem::Similar(similar.into()));
            }
        }
        (Expected::Present(_), None) => return Err(ChangeProblem::Absent),
        (Expected::Present(versions), Some(file))
            if !versions.is_empty() && !versions.contains(&file.hash) =>
        {
            return Err(ChangeProblem::Stale(file.hash));
        }
        (Expected::Present(_), Some(_)) => {}
    }
    let after = match (deed, &before) {
        (Deed::Write(bytes), None) => create(&folder, name, bytes)?,
        (Deed::Write(bytes), Some(file)) => replace(&folder, name, bytes, file)?,
        (Deed::Insert { .. } | Deed::Cut { .. }, Some(file)) => {
            let bytes = deed.after(&whole(&folder, name, file)?);
            // A place that it does not have is one in another version.
            replace(&folder, name, &bytes.ok_or(ChangeProblem::Stale(file.hash))?, file)?
        }
        (Deed::Remove, Some(file)) => return remove(&folder, name, file),
        (Deed::Insert { .. } | Deed::Cut { .. } | Deed::Remove, None) => return Err(ChangeProblem::Absent),
    };
    fsync(&folder).map_err(problem)?;
    Ok(Changed { before: before.map(|file| file.hash), after: Some(after) })
}

/// A file as it was found.
struct Before {
    hash: FileHash,
    mode: Mode,
}

fn create(folder: &OwnedFd, name: &str, bytes: &[u8]) -> Result<FileHash, ChangeProblem> {
    let temporary = Temporary::write(folder, bytes, Mode::from_raw_mode(0o666), false)?;
    let mut renamed = renameat_with(folder, &*temporary.name, folder, name, RenameFlags::NOREPLACE);
    if let Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) = renamed {
        // Some file systems can't promise that nothing is replaced, but know hard links, which never replace.
        renamed = linkat(folder, &*temporary.name, folder, name, AtFlags::empty());
    } else if renamed.is_ok() {
        temporary.has_gone();
    }
    match renamed {
        Ok(()) => Ok(hash_of(bytes)),
        // Somebody was faster.
        Err(Errno::EXIST) => match look(folder, name)? {
            Some(file) => Err(ChangeProblem::Exists(file.hash)),
            None => Err(problem(Errno::EXIST)),
        },
        Err(errno) => Err(problem(errno)),
    }
}

fn replace(folder: &OwnedFd, name: &str, bytes: &[u8], before: &Before) -> Result<FileHash, ChangeProblem> {
    let temporary = Temporary::write(folder, bytes, before.mode, true)?;
    let after = hash_of(bytes);
    match renameat_with(folder, &*temporary.name, folder, name, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            renameat(folder, &*temporary.name, folder, name).map_err(problem)?;
            temporary.has_gone();
            return Ok(after);
        }
        // Somebody has removed it since we looked.
        Err(errno) => return Err(problem(errno)),
    }
    let found = look(folder, &temporary.name);
    if matches!(&found, Ok(Some(file)) if file.hash == before.hash) {
        return Ok(after);
    }
    // What came out is not what we knew: it goes back, and what we wrote comes out again.
    renameat_with(folder, &*temporary.name, folder, name, RenameFlags::EXCHANGE).map_err(problem)?;
    let is_ours = matches!(look(folder, &temporary.name), Ok(Some(file)) if file.hash == after);
    if !is_ours {
        // Somebody has saved over ours within that moment. Theirs must not go with our temporary file.
        temporary.keep_beside(name)?;
    }
    Err(what_came_out(found))
}

fn remove(folder: &OwnedFd, name: &str, before: &Before) -> Result<Changed, ChangeProblem> {
    let temporary = Temporary::named(folder);
    renameat(folder, name, folder, &*temporary.name).map_err(problem)?;
    let found = look(folder, &temporary.name);
    if matches!(&found, Ok(Some(file)) if file.hash == before.hash) {
        unlinkat(folder, &*temporary.name, AtFlags::empty()).map_err(problem)?;
        temporary.has_gone();
        fsync(folder).map_err(problem)?;
        return Ok(Changed { before: Some(before.hash), after: None });
    }
    match renameat_with(folder, &*temporary.name, folder, name, RenameFlags::NOREPLACE) {
        Ok(()) => temporary.has_gone(),
        // There is another by now, or names can't be given with care here.
        Err(_) => temporary.keep_beside(name)?,
    }
    Err(what_came_out(found))
}

/// Why a change was refused that found something else than it had looked at.
fn what_came_out(found: Result<Option<Before>, ChangeProblem>) -> ChangeProblem {
    match found {
        Ok(Some(file)) => ChangeProblem::Stale(file.hash),
        Ok(None) => ChangeProblem::Absent,
        Err(problem) => problem,
    }
}

/// A file under a name of ours, which goes when we do.
struct Temporary<'f> {
    folder: &'f OwnedFd,
    name: String,
    is_there: bool,
}

/// What temporary files' names begin and end with.
const TEMPORARY_HEAD: &str = ".oneloop-";
const TEMPORARY_TAIL: &str = ".tmp";

impl<'f> Temporary<'f> {
    /// A name that nobody else has thought of, for a file that is about to be there.
    fn named(folder: &'f OwnedFd) -> Temporary<'f> {
        let name = format!("{TEMPORARY_HEAD}{}{TEMPORARY_TAIL}", unique());
        Temporary { folder, name, is_there: true }
    }

    /// Writes it, down to the disk.
    fn write(
        folder: &'f OwnedFd,
        bytes: &[u8],
        mode: Mode,
        keeps_mode: bool,
    ) -> Result<Temporary<'f>, ChangeProblem> {
        let temporary = Temporary::named(folder);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(folder, &*temporary.name, flags, mode).map_err(problem)?;
        if keeps_mode {
            // Beside the mask of the process, which has no say in what a file already is.
            fchmod(&opened, mode).map_err(problem)?;
        }
        let mut file = std::fs::File::from(opened);
        file.write_all(bytes).map_err(|error| io_problem(&error))?;
        file.sync_all().map_err(|error| io_problem(&error))?;
        Ok(temporary)
    }

    /// It has another name now, or none.
    fn has_gone(mut self) {
        self.is_there = false;
    }

    /// It is somebody else's text: it becomes a note beside the one that it was meant for.
    fn keep_beside(self, name: &str) -> Result<(), ChangeProblem> {
        let stem = name.strip_suffix(".md").unwrap_or(name);
        let kept = format!("{stem} (conflict {}).md", unique());
        let renamed = renameat(self.folder, &*self.name, self.folder, &*kept).map_err(problem);
        // Even if that has failed: what is hidden can be found again, what is removed can't.
        self.has_gone();
        renamed
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.is_there {
            // A later listing removes what can't be removed now.
            let _ = unlinkat(self.folder, &*self.name, AtFlags::empty());
        }
    }
}

/// A text that no other call has given, in this process or another.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{}-{moment}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A name in a listing may be that of a temporary file.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY_HEAD.as_bytes()) && name.ends_with(TEMPORARY_TAIL.as_bytes())
}

/// Removes a temporary file which a process has left behind: long ago enough that none can be at work on it.
pub(super) fn remove_left(folder: &OwnedFd, name: &CStr) {
    let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
    let changed = u64::try_from(stat.st_ctime).unwrap_or(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if now.saturating_sub(Duration::from_secs(changed)) > LEFT_AFTER {
        let _ = unlinkat(folder, name, AtFlags::empty());
    }
}

/// Nobody is at work on a temporary file for so long.
const LEFT_AFTER: Duration = Duration::from_secs(600);

/// All of a file that was looked at, if it is still the same.
fn whole(folder: &OwnedFd, name: &str, known: &Before) -> Result<Vec<u8>, ChangeProblem> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty()).map_err(problem)?;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(opened).take(HASHED_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| io_problem(&error))?;
    let hash = hash_of(&bytes);
    if hash == known.hash { Ok(bytes) } else { Err(ChangeProblem::Stale(hash)) }
}

/// What stands under a name; `None` for nothing.
fn look(folder: &OwnedFd, name: &str) -> Result<Option<Before>, ChangeProblem> {
    // Non-blocking matters for a FIFO only, whose opening would otherwise wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match openat(folder, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(problem(errno)),
    };
    let stat = fstat(&opened).map_err(problem)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ChangeProblem::NotAFile);
    }
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut file = std::fs::File::from(opened);
    let (mut piece, mut bytes) = (vec![0; 64 * 1024], 0);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                bytes += count as u64;
                if bytes > HASHED_BYTES_MAX {
                    return Err(ChangeProblem::TooLong(u64::try_from(stat.st_size).unwrap_or(bytes)));
                }
                digest.update(&piece[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_problem(&error)),
        }
    }
    let hash = digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(Some(Before { hash, mode }))
}

/// A longer file is not read for the sake of its hash. It is no note that somebody edits.
const HASHED_BYTES_MAX: u64 = 64 * 1024 * 1024;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The folder at a path, made on the way if need be.
fn open_folder(root: &OwnedFd, path: &str, make: bool) -> Result<OwnedFd, ChangeProblem> {
    match open_beneath(root, path, FOLDER, ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOENT) if make => {}
        opened => return opened.map_err(problem),
    }
    let mut folder = openat(root, ".", FOLDER, Mode::empty()).map_err(problem)?;
    for name in path.split('/') {
        let flags = FOLDER | OFlags::NOFOLLOW;
        let below = match openat(&folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                if let Some(similar) = similar(&folder, name).map_err(problem)? {
                    return Err(ChangeProblem::Similar(similar.into()));
                }
                match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(problem(errno)),
                }
                fsync(&folder).map_err(problem)?;
                openat(&folder, name, flags, Mode::empty())
            }
            opened => opened,
        };
        folder = below.map_err(problem)?;
    }
    Ok(folder)
}

/// Another entry of the folder that a file system without case or with one composition would take for `name`.
fn similar(folder: &OwnedFd, name: &str) -> Result<Option<String>, Errno> {
    let wanted = folded(name);
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if let Ok(other) = entry.file_name().to_str()
            && other != name
            && folded(other) == wanted
        {
            return Ok(Some(other.to_owned()));
        }
    }
    Ok(None)
}

fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

fn io_problem(error: &io::Error) -> ChangeProblem {
    match error.raw_os_error() {
        Some(number) => problem(Errno::from_raw_os_error(number)),
        None => ChangeProblem::System(error.kind()),
    }
}

pub(super) fn problem(errno: Errno) -> ChangeProblem {
    match errno {
        Errno::NOENT => ChangeProblem::Absent,
        Errno::XDEV | Errno::LOOP => ChangeProblem::Link,
        Errno::NOTDIR | Errno::ISDIR => ChangeProblem::NotAFile,
        Errno::NAMETOOLONG => ChangeProblem::NameTooLong,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => ChangeProblem::Full,
        Errno::ROFS | Errno::ACCESS | Errno::PERM => ChangeProblem::Denied,
        errno => ChangeProblem::System(io::Error::from(errno).kind()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its own folder")]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::{Key, Kind};

    /// A folder that goes with the test.
    struct Notes {
        path: PathBuf,
        root: OwnedFd,
    }

    impl Notes {
        fn new(name: &str) -> Notes {
            let path = std::env::temp_dir().join(format!("oneloop-change-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("the temporary folder can be written");
            let root = rustix::fs::open(&path, FOLDER, Mode::empty()).expect("it is there");
            Notes { path, root }
        }

        fn change(&self, path: &str, deed: Deed, expected: Expected) -> Result<Changed, ChangeProblem> {
            change(&self.root, &Change { asker: Key::new(Kind(2), 0, 0), path: path.into(), deed, expected })
        }

        fn write(&self, path: &str, text: &str, expected: Expected) -> Result<Changed, ChangeProblem> {
            self.change(path, Deed::Write(text.into()), expected)
        }

        fn text(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.path.join(path)).ok()
        }

        /// All names in the folder itself.
        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.path).expect("it is there");
            let names = entries.map(|entry| entry.expect("it can be listed").file_name());
            let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Notes {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.path).expect("it is ours");
        }
    }

    fn version(text: &str) -> Expected {
        Expected::Present(vec![hash_of(text.as_bytes())])
    }

    #[test]
    fn a_note_is_made_with_its_folders_changed_and_removed() {
        let notes = Notes::new("usual");
        let made = notes.write("a/b/c.md", "one", Expected::Absent).expect("it is new");
        assert_eq!(made, Changed { before: None, after: Some(hash_of(b"one")) });
        notes.write("a/b/c.md", "two", version("one")).expect("it is as expected");
        notes.write("a/b/c.md", "three", Expected::Present(Vec::new())).expect("any version will do");
        assert_eq!(notes.text("a/b/c.md").as_deref(), Some("three"));
        let gone = notes.change("a/b/c.md", Deed::Remove, version("three")).expect("it is as expected");
        assert_eq!(gone, Changed { before: Some(hash_of(b"three")), after: None });
        assert_eq!(notes.text("a/b/c.md"), None);
    }

    #[test]
    fn what_comes_into_a_note_goes_out_of_it_again() {
        let notes = Notes::new("parts");
        notes.write("a.md", "one\nthree\n", Expected::Absent).expect("it is new");
        let insert = || Deed::Insert { at: 4, bytes: b"two\n".to_vec() };
        notes.change("a.md", insert(), version("one\nthree\n")).expect("it is as expected");
        assert_eq!(notes.text("a.md").as_deref(), Some("one\ntwo\nthree\n"));
        let stale = notes.change("a.md", insert(), version("one\nthree\n"));
        assert_eq!(stale, Err(ChangeProblem::Stale(hash_of(b"one\ntwo\nthree\n"))));
        notes
            .change("a.md", Deed::Cut { start: 4, end: 8 }, version("one\ntwo\nthree\n"))
            .expect("it is as expected");
        assert_eq!(notes.text("a.md").as_deref(), Some("one\nthree\n"));
        for deed in [Deed::Insert { at: 11, bytes: b"x".to_vec() }, Deed::Cut { start: 4, end: 11 }] {
            assert!(notes.change("a.md", deed, Expected::Present(Vec::new())).is_err(), "no such place");
        }
        assert_eq!(notes.change("b.md", insert(), version("")), Err(ChangeProblem::Absent));
        assert_eq!(notes.names(), ["a.md"]);
    }

    #[test]
    fn what_is_not_as_expected_stays_as_it_is() {
        let notes = Notes::new("stale");
        notes.write("a.md", "one", Expected::Absent).expect("it is new");
        let one = hash_of(b"one");
        assert_eq!(notes.write("a.md", "two", Expected::Absent), Err(ChangeProblem::Exists(one)));
        assert_eq!(notes.write("a.md", "two", version("zero")), Err(ChangeProblem::Stale(one)));
        assert_eq!(notes.change("a.md", Deed::Remove, version("zero")), Err(ChangeProblem::Stale(one)));
        assert_eq!(notes.write("b.md", "two", version("one")), Err(ChangeProblem::Absent));
        assert_eq!(notes.change("b.md", Deed::Remove, version("one")), Err(ChangeProblem::Absent));
        assert_eq!((notes.names(), notes.text("a.md").as_deref()), (vec!["a.md".to_owned()], Some("one")));
    }

    #[test]
    fn what_was_saved_between_the_look_and_the_exchange_goes_back() {
        let notes = Notes::new("race");
        std::fs::write(notes.path.join("a.md"), "saved by an editor").expect("it can be written");
        let looked_at = || Before { hash: hash_of(b"older"), mode: Mode::from_raw_mode(0o644) };
        let editors = hash_of(b"saved by an editor");
        assert_eq!(
            replace(&notes.root, "a.md", b"ours", &looked_at()),
            Err(ChangeProblem::Stale(editors)),
            "written over"
        );
        assert_eq!(remove(&notes.root, "a.md", &looked_at()), Err(ChangeProblem::Stale(editors)), "removed");
        let names = notes.names();
        assert_eq!(
            (names, notes.text("a.md").as_deref()),
            (vec!["a.md".to_owned()], Some("saved by an editor"))
        );
    }

    #[test]
    fn no_link_is_written_through_and_nothing_outside_is_touched() {
        let notes = Notes::new("links");
        let outside = Notes::new("outside");
        std::fs::write(outside.path.join("secret.md"), "secret").expect("it can be written");
        std::os::unix::fs::symlink(&outside.path, notes.path.join("away")).expect("a link can be made");
        std::os::unix::fs::symlink(outside.path.join("secret.md"), notes.path.join("secret.md"))
            .expect("so can another");
        let any = || Expected::Present(Vec::new());
        for path in ["away/secret.md", "secret.md"] {
            assert_eq!(notes.write(path, "x", any()), Err(ChangeProblem::Link), "{path}");
            assert_eq!(notes.write(path, "x", Expected::Absent), Err(ChangeProblem::Link), "{path}");
            assert_eq!(notes.change(path, Deed::Remove, any()), Err(ChangeProblem::Link), "{path}");
        }
        assert_eq!(notes.write("away/new.md", "x", Expected::Absent), Err(ChangeProblem::Link));
        for path in
            ["../new.md", "a/../../new.md", "new/../../../new.md", "/new.md", "a//new.md", "./new.md", "a/.."]
        {
            assert_eq!(notes.write(path, "x", Expected::Absent), Err(ChangeProblem::Link), "{path}");
        }
        assert_eq!(
            (outside.names(), outside.text("secret.md").as_deref()),
            (vec!["secret.md".to_owned()], Some("secret"))
        );
    }

    #[test]
    fn a_name_that_differs_in_case_or_composition_alone_is_not_made() {
        let notes = Notes::new("similar");
        notes.write("Caf\u{e9}/Menu.md", "one", Expected::Absent).expect("it is new");
        for (path, similar) in [
            ("Caf\u{e9}/menu.md", "Menu.md"),
            ("Cafe\u{301}/Other.md", "Caf\u{e9}"),
            ("CAF\u{c9}/Other.md", "Caf\u{e9}"),
        ] {
            let refused = notes.write(path, "x", Expected::Absent);
            assert_eq!(refused, Err(ChangeProblem::Similar(similar.into())), "{path}");
        }
        assert_eq!(notes.names(), ["Caf\u{e9}"]);
    }

    #[test]
    fn a_file_is_no_folder_and_a_long_name_none_at_all() {
        let notes = Notes::new("shapes");
        notes.write("a.md", "one", Expected::Absent).expect("it is new");
        notes.write("folder.md/b.md", "one", Expected::Absent).expect("it is new");
        assert_eq!(notes.write("a.md/b.md", "x", Expected::Absent), Err(ChangeProblem::NotAFile));
        assert_eq!(notes.write("folder.md", "x", Expected::Absent), Err(ChangeProblem::NotAFile));
        let long = format!("{}.md", "x".repeat(253));
        assert_eq!(notes.write(&long, "x", Expected::Absent), Err(ChangeProblem::NameTooLong));
    }

    #[test]
    fn a_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let notes = Notes::new("mode");
        notes.write("a.md", "one", Expected::Absent).expect("it is new");
        let path = notes.path.join("a.md");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).expect("it is ours");
        notes.write("a.md", "two", version("one")).expect("it is as expected");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o604);
    }
}
