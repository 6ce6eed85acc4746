//! The knowledge graph: notes, what they link to, their tags and categories, as nodes and edges.
//!
//! | node | `id` | | edge | from | weight |
//! |---|---|---|---|---|---|
//! | `note` | its path | | `link` | the note that links | 1 |
//! | `missing` | `/missing/` and what a link names that nobody has written | | `dangling` | the note that links | 1 |
//! | `tag` | `/tag/` and the tag | | `tagged` | the note | 0.5 |
//! | `category` | `/category/` and its name | | `in_category` | the note | 0.25 |
//!
//! A path never begins with a slash, so no two ids are the same. An edge weighs as much as it says that two notes have to
//! do with each other: a link is made on purpose, a category may hold half of all notes. A node's weight is the sum of
//! the edges told with it. Both ends of an edge are always told with it, so a page can be drawn by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{NOTE_UNITS, PAGE_BYTES, Page, VIEW_BYTES_MAX, is_complete, no_such_note, written_units};
use crate::app::respond::{Problem, write_json};
use crate::base::Budget;
use crate::notes::{Library, Note};

/// Nodes and edges that were come across.
#[derive(Debug, Default)]
struct Net {
    nodes: BTreeMap<Box<str>, Node>,
    edges: BTreeMap<(Box<str>, Box<str>), EdgeKind>,
    /// About what they come to in JSON.
    bytes: usize,
    /// Something had no room any more.
    is_cut: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    kind: NodeKind,
    label: Box<str>,
    category: Option<Box<str>>,
    weight: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum NodeKind {
    Note,
    Missing,
    Tag,
    Category,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum EdgeKind {
    Link,
    Dangling,
    Tagged,
    InCategory,
}

impl EdgeKind {
    fn weight(self) -> f32 {
        match self {
            EdgeKind::Link | EdgeKind::Dangling => 1.0,
            EdgeKind::Tagged => 0.5,
            EdgeKind::InCategory => 0.25,
        }
    }
}

impl Net {
    fn is_full(&self) -> bool {
        self.bytes > VIEW_BYTES_MAX
    }

    fn note(&mut self, note: &Note) {
        let category = (!note.category.is_empty()).then(|| note.category.clone());
        self.node(&note.path, NodeKind::Note, &note.title, category);
    }

    fn node(&mut self, id: &str, kind: NodeKind, label: &str, category: Option<Box<str>>) {
        if !self.nodes.contains_key(id) {
            self.bytes +=
                id.len() + label.len() + category.as_ref().map_or(0, |name| name.len()) + NODE_BYTES;
            self.nodes.insert(id.into(), Node { kind, label: label.into(), category, weight: 0.0 });
        }
    }

    /// Both ends are there already.
    fn edge(&mut self, source: &str, target: &str, kind: EdgeKind) {
        let ends = (source.into(), target.into());
        if self.edges.contains_key(&ends) {
            return;
        }
        self.bytes += source.len() + target.len() + EDGE_BYTES;
        self.edges.insert(ends, kind);
        for end in [source, target] {
            if let Some(node) = self.nodes.get_mut(end) {
                node.weight += kind.weight();
            }
        }
    }

    /// A note and all that goes out from it. Answers the units that it cost.
    fn note_and_edges(&mut self, note: &Note, library: &Library) -> u32 {
        self.note(note);
        let mut units = NOTE_UNITS;
        if !note.category.is_empty() {
            let id = format!("/category/{}", note.category);
            self.node(&id, NodeKind::Category, &note.category, None);
            self.edge(&note.path, &id, EdgeKind::InCategory);
        }
        for tag in &note.tags {
            units += EDGE_UNITS;
            if self.is_full() {
                self.is_cut = true;
                return units;
            }
            let id = format!("/tag/{tag}");
            self.node(&id, NodeKind::Tag, tag, None);
            self.edge(&note.path, &id, EdgeKind::Tagged);
        }
        for (link, target) in library.links(note) {
            units += EDGE_UNITS;
            if self.is_full() {
                self.is_cut = true;
                return units;
            }
            match target {
                Some(target) if target.path == note.path => {}
                Some(target) => {
                    self.note(target);
                    self.edge(&note.path, &target.path, EdgeKind::Link);
                }
                None => {
                    let id = format!("/missing/{}", link.target);
                    self.node(&id, NodeKind::Missing, &link.target, None);
                    self.edge(&note.path, &id, EdgeKind::Dangling);
                }
            }
        }
        units
    }

    fn tell(&self, next: Option<Box<str>>, library: &Library) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'g> {
            graph: GraphView<'g>,
            /// What `?after=` takes for the next page.
            next: Option<Box<str>>,
            /// Something was left out for want of room, and no page will have it.
            truncated: bool,
            complete: bool,
        }
        #[derive(Serialize)]
        struct GraphView<'g> {
            nodes: Vec<NodeView<'g>>,
            edges: Vec<EdgeView<'g>>,
        }
        #[derive(Serialize)]
        struct NodeView<'g> {
            id: &'g str,
            r#type: NodeKind,
            label: &'g str,
            category: Option<&'g str>,
            weight: f32,
        }
        #[derive(Serialize)]
        struct EdgeView<'g> {
            source: &'g str,
            target: &'g str,
            r#type: EdgeKind,
            weight: f32,
        }
        let nodes = self.nodes.iter().map(|(id, node)| NodeView {
            id,
            r#type: node.kind,
            label: &node.label,
            category: node.category.as_deref(),
            weight: node.weight,
        });
        let edges = self.edges.iter().map(|((source, target), kind)| EdgeView {
            source,
            target,
            r#type: *kind,
            weight: kind.weight(),
        });
        let graph = GraphView { nodes: nodes.collect(), edges: edges.collect() };
        let mut body = Vec::with_capacity(self.bytes);
        write_json(&Body { graph, next, truncated: self.is_cut, complete: is_complete(library) }, &mut body);
        body
    }
}

/// Notes in path order, with all that goes out from them.
#[derive(Debug)]
pub struct Pages {
    page: Page,
    net: Net,
    count: usize,
}

impl Pages {
    pub(super) fn new(page: Page) -> Pages {
        Pages { page, net: Net::default(), count: 0 }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Vec<u8>> {
        loop {
            if slice.is_spent() {
                return None;
            }
            let Some(note) = library.notes_after(self.page.after.as_deref()).next() else {
                return Some(self.tell(None, library, slice));
            };
            if self.count == self.page.limit || self.net.bytes > PAGE_BYTES {
                return Some(self.tell(self.page.after.clone(), library, slice));
            }
            slice.spend(self.net.note_and_edges(note, library));
            self.count += 1;
            self.page.after = Some(note.path.clone());
        }
    }

    fn tell(&self, next: Option<Box<str>>, library: &Library, slice: &mut Budget) -> Vec<u8> {
        slice.spend(written_units(self.net.bytes));
        self.net.tell(next, library)
    }
}

/// The notes within some links of one note, whichever way the links lead, nearest first.
#[derive(Debug)]
pub struct Around {
    depth: u32,
    limit: usize,
    /// Notes to look at, and how far they are from the first.
    to_visit: VecDeque<(Box<str>, u32)>,
    /// Notes that are in the queue or were.
    met: BTreeSet<Box<str>>,
    first: Option<Box<str>>,
    net: Net,
}

impl Around {
    pub(super) fn new(path: Box<str>, depth: u32, limit: usize) -> Around {
        Around {
            depth,
            limit,
            to_visit: VecDeque::new(),
            met: BTreeSet::new(),
            first: Some(path),
            net: Net::default(),
        }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Result<Vec<u8>, Problem>> {
        if let Some(path) = self.first.take() {
            if library.note(&path).is_none() {
                return Some(Err(no_such_note(library)));
            }
            self.meet(&path, 0);
        }
        while let Some((path, depth)) = self.to_visit.pop_front() {
            if slice.is_spent() {
                self.to_visit.push_front((path, depth));
                return None;
            }
            if self.net.is_full() {
                self.net.is_cut = true;
                break;
            }
            if let Some(note) = library.note(&path) {
                slice.spend(self.visit(note, depth, library));
            }
        }
        slice.spend(written_units(self.net.bytes));
        Some(Ok(self.net.tell(None, library)))
    }

    /// Tells one note with its links in both directions. Answers the units that it cost.
    fn visit(&mut self, note: &Note, depth: u32, library: &Library) -> u32 {
        if depth == self.depth {
            self.net.note(note);
            return NOTE_UNITS;
        }
        let mut units = self.net.note_and_edges(note, library);
        for (_, target) in library.links(note) {
            units += EDGE_UNITS;
            if let Some(target) = target {
                self.meet(&target.path, depth + 1);
            }
        }
        let (sources, is_cut) = library.some_backlinks(&note.path, LINKS_LOOKED_AT_MAX);
        self.net.is_cut |= is_cut;
        for source in sources {
            units += BACKLINK_UNITS;
            if self.meet(&source.path, depth + 1) {
                self.net.note(source);
                self.net.edge(&source.path, &note.path, EdgeKind::Link);
            }
        }
        units
    }

    /// Queues a note that was not met before; false if there is no room for it.
    fn meet(&mut self, path: &str, depth: u32) -> bool {
        if self.met.contains(path) {
            return true;
        }
        if self.met.len() >= self.limit {
            self.net.is_cut = true;
            return false;
        }
        self.met.insert(path.into());
        self.to_visit.push_back((path.into(), depth));
        true
    }
}

/// Bytes around a node's and an edge's texts in JSON.
const NODE_BYTES: usize = 70;
const EDGE_BYTES: usize = 70;

/// What an edge costs to find and to keep, in units.
const EDGE_UNITS: u32 = 2;

/// What a link from elsewhere costs: the links of the other note are looked at.
const BACKLINK_UNITS: u32 = 10;

/// Links of other notes that are looked at to find those that lead to one note.
const LINKS_LOOKED_AT_MAX: usize = 1000;
