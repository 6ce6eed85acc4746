//! What comes into a note that there is: some text at its end, or a link in its list of related notes.
//!
//! Only where it comes in and what comes in is made up here. All the rest of the note stays, byte for byte; so whoever takes out
//! what came in has the note as it was.

/// Something to come into a text: where, and what.
pub type Addition = (usize, String);

/// `content`, lines that end in `\n`, behind all the rest. It begins with a line of its own, and with a paragraph of its own
/// unless it goes on with a list.
pub fn append(text: &str, content: &str) -> Addition {
    let mut addition = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        addition.push('\n');
    }
    let last = text.lines().next_back().unwrap_or("");
    let goes_on = is_item(last) && is_item(content);
    if !last.trim().is_empty() && !goes_on {
        addition.push('\n');
    }
    addition.push_str(content);
    (text.len(), as_lines_of(text, addition))
}

/// An item of a list.
fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let number = line.trim_start_matches(|character: char| character.is_ascii_digit());
    ["- ", "* ", "+ "].iter().any(|mark| line.starts_with(mark))
        || (number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") ")))
}

/// An item with a link, at the end of the first section of related notes; if there is none, one is made.
pub fn link(text: &str, link: &str, why: &str) -> Addition {
    let item = if why.is_empty() { format!("- {link}\n") } else { format!("- {link}: {why}\n") };
    let Some(section) = related_section(text) else {
        return append(text, &format!("## {RELATED}\n\n{item}"));
    };
    let before = &text[..section];
    let mut addition = String::new();
    if !before.ends_with('\n') {
        addition.push('\n');
    }
    if !is_item(before.lines().next_back().unwrap_or("")) {
        addition.push('\n');
    }
    addition.push_str(&item);
    (section, as_lines_of(text, addition))
}

/// The byte behind the last line of the first section of related notes that is not blank.
fn related_section(text: &str) -> Option<usize> {
    let (mut at, mut end, mut is_code) = (0, None, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            is_code = !is_code;
        }
        let title = heading(line).filter(|_| !is_code);
        match (title, end) {
            (Some(_), Some(_)) => break,
            (Some(title), None) if RELATED_TITLES.contains(&&*title.to_lowercase()) => end = Some(at),
            (None, Some(_)) if !line.is_empty() => end = Some(at),
            (Some(_) | None, _) => {}
        }
    }
    end
}

/// What a line says that is a heading.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let depth = line.len() - rest.len();
    ((1..=6).contains(&depth) && rest.starts_with(' ')).then(|| rest.trim().trim_end_matches([':', ' ', '#']))
}

const RELATED: &str = "Related";

/// What such a section is called, in lower case.
const RELATED_TITLES: [&str; 7] =
    ["related", "related notes", "see also", "further notes", "siehe auch", "verwandt", "verwandte notizen"];

/// How often `addition` stands in a note.
pub fn times(note: &[u8], addition: &str) -> u64 {
    // What parts it from the rest may be another's by now.
    let text = addition.trim_matches(['\n', '\r']);
    if text.is_empty() {
        return 0;
    }
    memchr::memmem::find_iter(note, text.as_bytes()).count() as u64
}

/// With line ends as the first line of the note has them.
fn as_lines_of(text: &str, addition: String) -> String {
    let is_crlf = memchr::memchr(b'\n', text.as_bytes()).is_some_and(|end| text[..end].ends_with('\r'));
    if is_crlf { addition.replace('\n', "\r\n") } else { addition }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The note with what comes in, between two bars.
    fn shown(text: &str, (at, addition): Addition) -> String {
        format!("{}|{addition}|{}", &text[..at], &text[at..])
    }

    #[test]
    fn what_is_added_begins_a_line_and_a_paragraph_or_goes_on_with_a_list() {
        for (text, content, expected) in [
            ("", "It leaks.\n", "|It leaks.\n|"),
            ("A boiler.\n", "It leaks.\n", "A boiler.\n|\nIt leaks.\n|"),
            ("A boiler.\n\n", "It leaks.\n", "A boiler.\n\n|It leaks.\n|"),
            ("A boiler.", "It leaks.\n", "A boiler.|\n\nIt leaks.\n|"),
            ("- tea\n", "- milk\n", "- tea\n|- milk\n|"),
            ("1. tea", "2. milk\n", "1. tea|\n2. milk\n|"),
            ("- tea\n", "Milk.\n", "- tea\n|\nMilk.\n|"),
            ("---\ntags: [a]\n---\n", "It leaks.\n", "---\ntags: [a]\n---\n|\nIt leaks.\n|"),
            ("A boiler.\r\n", "It\nleaks.\n", "A boiler.\r\n|\r\nIt\r\nleaks.\r\n|"),
        ] {
            assert_eq!(shown(text, append(text, content)), expected, "{text:?}");
        }
    }

    #[test]
    fn a_link_goes_to_the_other_related_ones() {
        for (text, expected) in [
            ("# A\n", "# A\n|\n## Related\n\n- [[B]]\n|"),
            ("# A\n\n## Related\n", "# A\n\n## Related\n|\n- [[B]]\n|"),
            (
                "# A\n\n## See also\n\n- [[C]]\n\n## Costs\n\n9 €\n",
                "# A\n\n## See also\n\n- [[C]]\n|- [[B]]\n|\n## Costs\n\n9 €\n",
            ),
            ("### RELATED:\n- [[C]]", "### RELATED:\n- [[C]]|\n- [[B]]\n|"),
            ("## Related\nSee C.\n", "## Related\nSee C.\n|\n- [[B]]\n|"),
            ("```\n# Related\n```\n", "```\n# Related\n```\n|\n## Related\n\n- [[B]]\n|"),
            ("## Related\r\n\r\n- [[C]]\r\n", "## Related\r\n\r\n- [[C]]\r\n|- [[B]]\r\n|"),
        ] {
            assert_eq!(shown(text, link(text, "[[B]]", "")), expected, "{text:?}");
        }
        assert_eq!(link("- [[C]]", "[[B]]", "it is near").1, "\n\n## Related\n\n- [[B]]: it is near\n");
    }

    #[test]
    fn what_was_added_is_found_again_whatever_stands_around_it() {
        assert_eq!(times(b"one\n\ntwo\n\nthree\n", "\n\ntwo\n"), 1);
        assert_eq!(times(b"two\ntwo\n", "two\n"), 2);
        assert_eq!(times(b"one\n", "\n"), 0);
    }
}
