//! Which note links to which.
//!
//! Nothing resolved is stored: a link is looked up by name when someone asks, so it is right whenever notes come
//! and go, and a new note answers the links that have been waiting for it. Two tables carry it all:
//!
//! ```text
//! names   "event loop" → the notes that go by this name, the one that a link means first
//! wanted  "event loop" → the notes that link by this name, whether it exists or not
//! ```

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::link::{file_name, key_of};
use super::note::{Link, LinkKind, Note};
use super::shelf::{NoteId, Shelf};

/// Names and wants of all published notes.
#[derive(Debug, Default)]
pub struct Graph {
    /// By the key of the whole path.
    paths: BTreeMap<Box<str>, Vec<NoteId>>,
    /// By the keys of file name, aliases and title.
    names: BTreeMap<Box<str>, Vec<Name>>,
    wanted: BTreeMap<Box<str>, Vec<NoteId>>,
}

/// One note that goes by a name; the smallest is what a link means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    rank: Rank,
    id: NoteId,
}

/// Obsidian looks for a file name first, then for an alias; we add the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    File,
    Alias,
    Title,
}

impl Graph {
    /// From now on links find this note. It must be on the shelf.
    pub fn publish(&mut self, id: NoteId, shelf: &Shelf) {
        let Some(note) = shelf.note(id) else { return };
        let by_path = |one: &NoteId, other: &NoteId| path_order(shelf, *one, *other);
        insert_by(self.paths.entry(key_of(&note.path).into()).or_default(), id, by_path);
        for (key, rank) in names_of(note) {
            let order = |one: &Name, other: &Name| {
                one.rank.cmp(&other.rank).then_with(|| path_order(shelf, one.id, other.id))
            };
            insert_by(self.names.entry(key.into()).or_default(), Name { rank, id }, order);
        }
    }

    /// From now on no link finds this note.
    pub fn withdraw(&mut self, id: NoteId, shelf: &Shelf) {
        let Some(note) = shelf.note(id) else { return };
        remove(&mut self.paths, &key_of(&note.path), |found| *found == id);
        for (key, _) in names_of(note) {
            remove(&mut self.names, &key, |name| name.id == id);
        }
    }

    /// Some note has this path, as far as names are compared here.
    pub fn has_path(&self, path: &str) -> bool {
        self.paths.contains_key(key_of(path).as_str())
    }

    /// Remembers one link of a note, so that it can be found from the other end.
    pub fn want(&mut self, id: NoteId, link: &Link) {
        let key = key_of(&link.target);
        for key in wanted_keys(&key) {
            let wanting = self.wanted.entry(key.into()).or_default();
            if let Err(at) = wanting.binary_search(&id) {
                wanting.insert(at, id);
            }
        }
    }

    /// Forgets one link of a note.
    pub fn forget(&mut self, id: NoteId, link: &Link) {
        let key = key_of(&link.target);
        for key in wanted_keys(&key) {
            remove(&mut self.wanted, key, |wanting| *wanting == id);
        }
    }

    /// The note that a link means, if there is one.
    pub fn resolve(&self, link: &Link, shelf: &Shelf) -> Option<NoteId> {
        let key = key_of(&link.target);
        if let Some(found) = self.paths.get(key.as_str()).and_then(|found| found.first()) {
            return Some(*found);
        }
        if link.kind == LinkKind::Path {
            return None;
        }
        let (_, last) = key.rsplit_once('/').unwrap_or(("", &key));
        let by_ending = || {
            let files = self.names.get(last)?.iter().take_while(|name| name.rank == Rank::File);
            let ends = |name: &&Name| {
                shelf.note(name.id).is_some_and(|note| {
                    key_of(&note.path).strip_suffix(key.as_str()).is_some_and(|lead| lead.ends_with('/'))
                })
            };
            files.take(NAMESAKES_MAX).find(ends)
        };
        let by_name = || self.names.get(key.as_str())?.first();
        let found = if last.len() < key.len() { by_ending().or_else(by_name) } else { by_name() };
        found.map(|name| name.id)
    }

    /// The notes that link to `id`, in path order. Looks at each note that links by one of its names, all at once.
    pub fn backlinks<'s>(&self, id: NoteId, shelf: &'s Shelf) -> Vec<&'s Note> {
        let Some(note) = shelf.note(id) else { return Vec::new() };
        let wanting: BTreeSet<NoteId> = names_of(note)
            .into_keys()
            .filter_map(|key| self.wanted.get(key.as_str()))
            .flatten()
            .copied()
            .filter(|other| *other != id)
            .collect();
        let mut found: Vec<&Note> = wanting
            .into_iter()
            .filter_map(|other| shelf.note(other).filter(|note| self.is_published(other, note)))
            .filter(|other| other.links.iter().any(|link| self.resolve(link, shelf) == Some(id)))
            .collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// Some of them, in no order, and whether there may be more: looks at so many links of others at most.
    pub fn some_backlinks<'s>(
        &self,
        id: NoteId,
        shelf: &'s Shelf,
        links_max: usize,
    ) -> (Vec<&'s Note>, bool) {
        let Some(note) = shelf.note(id) else { return (Vec::new(), false) };
        let (mut found, mut looked_at): (Vec<&Note>, usize) = (Vec::new(), 0);
        for other in names_of(note).into_keys().filter_map(|key| self.wanted.get(key.as_str())).flatten() {
            let Some(other_note) = shelf.note(*other).filter(|_| *other != id) else { continue };
            looked_at += other_note.links.len() + 1;
            if looked_at > links_max {
                return (found, true);
            }
            let is_known = found.iter().any(|known| known.path == other_note.path);
            let links_here = || other_note.links.iter().any(|link| self.resolve(link, shelf) == Some(id));
            if !is_known && self.is_published(*other, other_note) && links_here() {
                found.push(other_note);
            }
        }
        (found, false)
    }

    fn is_published(&self, id: NoteId, note: &Note) -> bool {
        self.paths.get(key_of(&note.path).as_str()).is_some_and(|found| found.contains(&id))
    }
}

/// What a note goes by: its file name, its aliases, its title; each key once, by its best rank.
fn names_of(note: &Note) -> BTreeMap<String, Rank> {
    let mut names = BTreeMap::new();
    let title = (&*note.title, Rank::Title);
    let aliases = note.aliases.iter().map(|alias| (&**alias, Rank::Alias));
    // Later ones win, so the best rank comes last.
    for (name, rank) in std::iter::once(title).chain(aliases).chain([(file_name(&note.path), Rank::File)]) {
        names.insert(key_of(name), rank);
    }
    names.remove("");
    names
}

/// A path is wanted by its last part, which is the file name; as a whole it may be an alias (`TCP/IP`).
fn wanted_keys(key: &str) -> impl Iterator<Item = &str> {
    let last = file_name(key);
    [Some(last), (last != key).then_some(key)].into_iter().flatten()
}

/// Shortest path first, as Obsidian shortens links; then by name.
fn path_order(shelf: &Shelf, one: NoteId, other: NoteId) -> Ordering {
    let path = |id| shelf.note(id).map_or("", |note| &*note.path);
    let depth = |path: &str| path.matches('/').count();
    let (one_path, other_path) = (path(one), path(other));
    (depth(one_path), one_path, one).cmp(&(depth(other_path), other_path, other))
}

fn insert_by<T>(list: &mut Vec<T>, item: T, order: impl Fn(&T, &T) -> Ordering) {
    let at = list.partition_point(|other| order(other, &item) == Ordering::Less);
    list.insert(at, item);
}

fn remove<T>(table: &mut BTreeMap<Box<str>, Vec<T>>, key: &str, is_it: impl Fn(&T) -> bool) {
    if let Some(list) = table.get_mut(key) {
        list.retain(|item| !is_it(item));
        if list.is_empty() {
            table.remove(key);
        }
    }
}

/// Files of one name that are compared with a link such as `folder/README`. Beyond it the link dangles.
const NAMESAKES_MAX: usize = 1024;
