//! What a link names: from the target as written to a key that a note can be found by.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::note::{Link, LinkKind};

/// The link of `[[target]]` or `![[target]]`: without heading and alias. `None` for the note itself (`[[#Heading]]`)
/// and for attachments.
pub fn wiki_link(target: &str) -> Option<Link> {
    let name =
        target.split(['#', '|']).next().unwrap_or("").trim().trim_end_matches('\\').trim_start_matches('/');
    let is_attachment = extension(name).is_some_and(|extension| {
        ATTACHMENTS.iter().any(|attachment| extension.eq_ignore_ascii_case(attachment))
    });
    (!name.is_empty() && !is_attachment && name.len() <= TARGET_BYTES_MAX)
        .then(|| Link { kind: LinkKind::Name, target: name.into() })
}

/// The link of `[text](destination)` in the note at `from`: percent-decoded, resolved against its folder.
///
/// `None` for other sites, anchors in the note itself, folders, files that are no notes, and paths that leave the folder.
pub fn path_link(from: &str, destination: &str) -> Option<Link> {
    let path = destination.split(['#', '?']).next().unwrap_or("");
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if path.is_empty() || has_scheme || path.starts_with("//") || path.len() > TARGET_BYTES_MAX {
        return None;
    }
    let decoded = percent_decoded(path);
    let mut parts: Vec<&str> = match decoded.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    if !parts.is_empty() {
        parts.pop();
    }
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    let is_folder = decoded.ends_with('/') || decoded.ends_with("..") || parts.is_empty();
    let target = parts.join("/");
    let is_note =
        extension(&target).is_none_or(|found| NOTES.iter().any(|note| found.eq_ignore_ascii_case(note)));
    (!is_folder && is_note).then(|| Link { kind: LinkKind::Path, target: target.into() })
}

/// The key of a name or path: without a note's extension, lower case, composed (macOS stores names decomposed).
pub fn key_of(name: &str) -> String {
    let stem = without_extension(name.trim());
    if stem.is_ascii() {
        return stem.to_ascii_lowercase();
    }
    match is_nfc_quick(stem.chars()) {
        IsNormalized::Yes => stem.to_lowercase(),
        IsNormalized::No | IsNormalized::Maybe => stem.nfc().flat_map(char::to_lowercase).collect(),
    }
}

/// The last part of a path or key: the file name.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `path` without `.md` or `.markdown`.
pub fn without_extension(path: &str) -> &str {
    match extension(path) {
        Some(found) if NOTES.iter().any(|note| found.eq_ignore_ascii_case(note)) => {
            &path[..path.len() - found.len() - 1]
        }
        _ => path,
    }
}

/// A file that is read as a note: `.md` or `.markdown`, and no part of its path hidden (`.obsidian`, `.trash`, `.git`).
pub fn is_note_path(path: &str) -> bool {
    without_extension(path).len() < path.len()
        && path.split('/').all(|part| !part.starts_with('.') && !part.is_empty())
}

fn extension(path: &str) -> Option<&str> {
    let (stem, extension) = file_name(path).rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then_some(extension)
}

/// A `%` that no two hexadecimal digits follow stands for itself; bytes that are no UTF-8 give the path as written.
fn percent_decoded(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = path.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| path.to_owned())
}

const NOTES: [&str; 2] = ["md", "markdown"];

/// Files that Obsidian embeds. A name such as `Version 1.2` ends like an extension and is none, hence a list.
const ATTACHMENTS: [&str; 24] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "avif", "pdf", "mp3", "mp4", "webm", "wav", "ogg",
    "m4a", "flac", "3gp", "mov", "mkv", "zip", "canvas", "base", "csv", "xlsx",
];

/// Longest target, in bytes: the longest path of Linux. A longer one is text.
const TARGET_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(from: &str, destination: &str) -> Option<String> {
        path_link(from, destination).map(|link| link.target.into())
    }

    #[test]
    fn a_wikilink_names_its_note_without_heading_and_alias() {
        for target in ["Event Loop", "Event Loop#Phases", "Event Loop#^block", " Event Loop ", "Event Loop\\"]
        {
            assert_eq!(wiki_link(target).expect("a link").target.as_ref(), "Event Loop");
        }
        assert_eq!(wiki_link("#Phases"), None);
        assert_eq!(wiki_link("image.PNG"), None);
        assert!(wiki_link("Version 1.2").is_some());
    }

    #[test]
    fn a_path_is_resolved_against_the_folder_of_its_note() {
        assert_eq!(path("a/b/c.md", "d.md").as_deref(), Some("a/b/d.md"));
        assert_eq!(path("a/b/c.md", "../x%20y.md#part").as_deref(), Some("a/x y.md"));
        assert_eq!(path("a/b/c.md", "/x.md").as_deref(), Some("x.md"));
        assert_eq!(path("c.md", "./x").as_deref(), Some("x"));
        assert_eq!(path("c.md", "100%.md").as_deref(), Some("100%.md"));
    }

    #[test]
    fn what_is_no_note_is_no_link() {
        for destination in [
            "https://a.example/x.md",
            "mailto:a@b.c",
            "#part",
            "img.png",
            "folder/",
            "../../x.md",
            "//host/x",
            "",
        ] {
            assert_eq!(path("a/b.md", destination), None, "{destination}");
        }
    }

    #[test]
    fn a_key_knows_no_case_no_extension_and_one_composition() {
        assert_eq!(key_of("A/Event Loop.MD"), "a/event loop");
        assert_eq!(key_of("Cafe\u{301}"), key_of("CAFÉ"));
    }

    #[test]
    fn hidden_files_are_no_notes() {
        assert!(is_note_path("a/b.md") && is_note_path("b.Markdown"));
        assert!(
            !is_note_path(".obsidian/x.md")
                && !is_note_path("a/.b.md")
                && !is_note_path("a.txt")
                && !is_note_path(".md")
        );
    }
}
