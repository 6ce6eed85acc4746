//! A note as it is kept: its text, what it says of itself, and where its sections and passages lie.

use super::source::NoteHash;

/// One Markdown file, read and taken apart. All offsets are bytes of the file as stored on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Path below the folder, parts joined by `/`.
    pub path: Box<str>,
    /// Front matter `title`, else the first heading of level 1, else the file name.
    pub title: Box<str>,
    /// Other names to link to it.
    pub aliases: Box<[Box<str>]>,
    /// Tags of the front matter and of the text, without `#`, each once.
    pub tags: Box<[Box<str>]>,
    /// Front matter `category`, else the first folder, else empty.
    pub category: Box<str>,
    /// Front matter `created` or `date`, as written.
    pub created: Option<Box<str>>,
    /// In the order of the text.
    pub headings: Box<[Heading]>,
    /// In the order of the text; at least one, which is empty if the note has no text.
    pub passages: Box<[Passage]>,
    /// In the order of the text, each target once.
    pub links: Box<[Link]>,
    /// The whole file, a byte order mark included; each byte that is not UTF-8 is a `?`.
    pub text: Box<str>,
    /// Of the file's bytes, as many of them as are kept.
    pub hash: NoteHash,
    /// What could not be kept, if anything.
    pub cut: Cut,
}

/// What of a note went beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// The file was longer than `note_bytes_max`.
    pub text: bool,
    /// It has more links than `links_per_note_max`.
    pub links: bool,
}

/// One heading of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// Its words, without Markdown marks.
    pub text: Box<str>,
    /// Index of the heading it stands under, if any.
    pub parent: Option<u32>,
    /// Where its line begins.
    pub start: u32,
}

/// A stretch of one section that is found and cited as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Index of the heading it stands under, if any.
    pub heading: Option<u32>,
}

/// One link of a note to another, found or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// By name or by path.
    pub kind: LinkKind,
    /// What it names: as written for a name; resolved against the note's folder for a path.
    pub target: Box<str>,
}

/// How a link names its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// `[[Name]]`: a path, the end of a path, a file name, an alias or a title.
    Name,
    /// `[text](../path.md)`: exactly this file, with or without its extension.
    Path,
}

impl Note {
    /// The hash in hexadecimal, as `sha256sum` prints it.
    pub fn hash_text(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The text of one passage.
    pub fn passage_text(&self, passage: &Passage) -> &str {
        &self.text[passage.start as usize..passage.end as usize]
    }

    /// Texts of the headings that a passage stands under, innermost first.
    pub fn heading_path<'n>(&'n self, passage: &Passage) -> impl Iterator<Item = &'n str> {
        let first = passage.heading.and_then(|index| self.headings.get(index as usize));
        std::iter::successors(first, |heading| {
            heading.parent.and_then(|index| self.headings.get(index as usize))
        })
        .map(|heading| &*heading.text)
    }

    /// The same, outermost first, joined by ` > `.
    pub fn heading_line(&self, passage: &Passage) -> String {
        let mut path: Vec<&str> = self.heading_path(passage).collect();
        path.reverse();
        path.join(" > ")
    }
}
