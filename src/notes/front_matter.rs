//! The lines between `---` at the head of a note: the part of YAML that people use there.
//!
//! ```text
//! ---
//! title: "The loop"          a scalar, quoted or not
//! tags: [io, loops]          an inline list, a block list of `- item` lines, or `io, loops`
//! aliases:
//!   - event loop
//! ---
//! ```
//!
//! Keys we do not know are skipped with what belongs to them. Anchors, multi-line strings and nested maps are not
//! read. Lines that cannot be YAML make the whole of it ordinary text: a note may begin with a thematic break.

/// What a note says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontMatter {
    /// `title`.
    pub title: Option<String>,
    /// `tags` and `tag`, without `#`.
    pub tags: Vec<String>,
    /// `aliases` and `alias`.
    pub aliases: Vec<String>,
    /// `category`.
    pub category: Option<String>,
    /// `created` or `date`, as written.
    pub created: Option<String>,
}

/// The front matter of `text` (which starts behind a byte order mark) and the offset of what follows it.
///
/// `None` if there is none, it does not end within 16 KiB, or a line in it is no YAML.
pub fn front_matter(text: &str) -> Option<(FrontMatter, usize)> {
    let (first, mut at) = line_at(text, 0)?;
    if first.trim_end() != "---" {
        return None;
    }
    let mut found = FrontMatter::default();
    let mut list_of = None;
    while let Some((line, next)) = line_at(text, at) {
        if next > FRONT_MATTER_BYTES_MAX {
            return None;
        }
        at = next;
        let content = line.trim();
        if matches!(line.trim_end(), "---" | "...") {
            return Some((found, at));
        }
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if let Some(item) =
            content.strip_prefix("- ").or(content.strip_prefix('-').filter(|item| item.is_empty()))
        {
            found.add(list_of?, item);
            continue;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let (name, value) =
            content.split_once(':').filter(|(_, value)| value.is_empty() || value.starts_with(' '))?;
        let key = Key::of(name);
        list_of = Some(key);
        found.set(key, value.trim());
    }
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Title,
    Tags,
    Aliases,
    Category,
    Created,
    Other,
}

impl Key {
    fn of(name: &str) -> Key {
        match name.trim_matches(['"', '\'']).to_ascii_lowercase().as_str() {
            "title" => Key::Title,
            "tags" | "tag" => Key::Tags,
            "aliases" | "alias" => Key::Aliases,
            "category" => Key::Category,
            "created" | "date" => Key::Created,
            _ => Key::Other,
        }
    }
}

impl FrontMatter {
    /// Takes the value that stands on the key's own line.
    fn set(&mut self, key: Key, value: &str) {
        match key {
            Key::Tags | Key::Aliases => {
                let (list, is_list) = match value.strip_prefix('[') {
                    Some(list) => (list.rsplit_once(']').map_or(list, |(list, _)| list), true),
                    None => (value, false),
                };
                // `alias: Loops, and more` may be one name; tags never hold a comma.
                if is_list || key == Key::Tags {
                    split_list(list).for_each(|item| self.add(key, item));
                } else {
                    self.add(key, list);
                }
            }
            Key::Title => self.title = scalar(value).or(self.title.take()),
            Key::Category => self.category = scalar(value).or(self.category.take()),
            Key::Created => self.created = scalar(value).or(self.created.take()),
            Key::Other => {}
        }
    }

    /// Takes one item of a list; a list under a scalar key gives its first item.
    fn add(&mut self, key: Key, item: &str) {
        let Some(item) = scalar(item) else { return };
        match key {
            Key::Tags => self.tags.push(item.trim_start_matches('#').to_owned()),
            Key::Aliases => self.aliases.push(item),
            Key::Category => self.category = self.category.take().or(Some(item)),
            Key::Title | Key::Created | Key::Other => {}
        }
    }
}

/// Items between commas; a comma inside quotes is none.
fn split_list(list: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    let mut is_fresh = true;
    list.split(move |c: char| {
        let is_end = quote.is_none() && c == ',';
        quote = match quote {
            // An apostrophe inside a word opens nothing.
            None if is_fresh && matches!(c, '"' | '\'') => Some(c),
            Some(open) if open == c => None,
            other => other,
        };
        is_fresh = is_end || (is_fresh && c == ' ');
        is_end
    })
}

/// A value without its quotes and without a comment; `None` if nothing is left.
fn scalar(value: &str) -> Option<String> {
    let value = value.trim();
    let unquoted = match value.chars().next() {
        Some('"') => value[1..].split_once('"').map_or(value, |(inner, _)| inner).replace("\\\"", "\""),
        Some('\'') => match value[1..].rsplit_once('\'') {
            Some((inner, _)) => inner.replace("''", "'"),
            None => value.to_owned(),
        },
        _ => value.split(" #").next().unwrap_or(value).trim().to_owned(),
    };
    (!unquoted.is_empty() && !matches!(unquoted.as_str(), "null" | "~" | "[]")).then_some(unquoted)
}

/// The line from `start` without its end, and where the next one begins.
fn line_at(text: &str, start: usize) -> Option<(&str, usize)> {
    if start >= text.len() {
        return None;
    }
    match memchr::memchr(b'\n', &text.as_bytes()[start..]) {
        Some(length) => Some((text[start..start + length].trim_end_matches('\r'), start + length + 1)),
        None => Some((&text[start..], text.len())),
    }
}

/// Longest front matter, in bytes. Beyond it the note has none: `---` was a rule.
const FRONT_MATTER_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> FrontMatter {
        front_matter(text).expect("there is front matter").0
    }

    #[test]
    fn every_form_of_a_list_gives_the_same_tags() {
        for text in [
            "---\ntags: [io, loops]\n---\n",
            "---\ntags: io, loops\n---\n",
            "---\r\ntags:\r\n  - io\r\n  - \"loops\"\r\n---\r\n",
            "---\ntags:\n- '#io'\n- #loops\n- loops # why\n---\n",
        ] {
            assert_eq!(read(text).tags[0], "io", "{text}");
            assert_eq!(read(text).tags.last().map(String::as_str), Some("loops"), "{text}");
        }
    }

    #[test]
    fn scalars_lose_their_quotes_and_comments() {
        let found =
            read("---\ntitle: \"A: b\"\ncategory: 'it''s'\ndate: 2026-01-02 # day\nother: {a: 1}\n---\nx");
        assert_eq!(found.title.as_deref(), Some("A: b"));
        assert_eq!(found.category.as_deref(), Some("it's"));
        assert_eq!(found.created.as_deref(), Some("2026-01-02"));
    }

    #[test]
    fn the_body_begins_behind_the_closing_line() {
        assert_eq!(front_matter("---\ntitle: a\n---\nbody").map(|(_, at)| at), Some(17));
        assert_eq!(front_matter("---\n---").map(|(_, at)| at), Some(7));
    }

    #[test]
    fn what_is_no_yaml_is_text() {
        assert_eq!(front_matter("---\nA sentence.\n---\n"), None);
        assert_eq!(front_matter("---\ntitle: never closed\n"), None);
        assert_eq!(front_matter("--- \nkey:value\n---\n"), None);
        assert_eq!(front_matter("---\n- a list under a rule\n---\n"), None);
        assert_eq!(front_matter("text\n---\n"), None);
        assert_eq!(front_matter(""), None);
    }
}
