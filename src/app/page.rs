//! The page for people: what `GET /` answers, and the modules, the style and the picture that it asks for.
//!
//! There is one HTML file and one file for each idea of the page; browsers put them together (`import`), so nothing is built
//! and what a reader finds in the browser's tools is what stands here. All of it lies in the binary. The page knows nothing
//! that any other client could not ask for, and it is held to that by its policy.

use super::document::Document;

/// `GET /`.
pub static PAGE: Document = Document::new(
    "text/html; charset=utf-8",
    &[
        ("Content-Security-Policy", POLICY),
        NO_SNIFFING,
        FRESH,
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ],
    include_str!("page/index.html"),
);

/// What the page may do: run and wear what this server has, ask this server, and nothing else. A note that has markup in it
/// can't get past `require-trusted-types-for`: no text is ever made into elements, by whatever mistake of the page's
/// (Content Security Policy Level 3; Trusted Types, "require-trusted-types-for").
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const NO_SNIFFING: (&str, &str) = ("X-Content-Type-Options", "nosniff");

/// A server that was replaced by another version must not be met by the page of the one before.
const FRESH: (&str, &str) = ("Cache-Control", "no-cache");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// `GET /page/{file}`.
static FILES: [(&str, Document); 20] = [
    ("page.css", file("text/css; charset=utf-8", include_str!("page/page.css"))),
    ("icon.svg", file("image/svg+xml", include_str!("page/icon.svg"))),
    ("main.mjs", file(SCRIPT, include_str!("page/main.mjs"))),
    ("dom.mjs", file(SCRIPT, include_str!("page/dom.mjs"))),
    ("api.mjs", file(SCRIPT, include_str!("page/api.mjs"))),
    ("reading.mjs", file(SCRIPT, include_str!("page/reading.mjs"))),
    ("markdown.mjs", file(SCRIPT, include_str!("page/markdown.mjs"))),
    ("blocks.mjs", file(SCRIPT, include_str!("page/blocks.mjs"))),
    ("inlines.mjs", file(SCRIPT, include_str!("page/inlines.mjs"))),
    ("render.mjs", file(SCRIPT, include_str!("page/render.mjs"))),
    ("links.mjs", file(SCRIPT, include_str!("page/links.mjs"))),
    ("ask.mjs", file(SCRIPT, include_str!("page/ask.mjs"))),
    ("answer.mjs", file(SCRIPT, include_str!("page/answer.mjs"))),
    ("tasks.mjs", file(SCRIPT, include_str!("page/tasks.mjs"))),
    ("notes.mjs", file(SCRIPT, include_str!("page/notes.mjs"))),
    ("edit.mjs", file(SCRIPT, include_str!("page/edit.mjs"))),
    ("difference.mjs", file(SCRIPT, include_str!("page/difference.mjs"))),
    ("layout.mjs", file(SCRIPT, include_str!("page/layout.mjs"))),
    ("graph.mjs", file(SCRIPT, include_str!("page/graph.mjs"))),
    ("status.mjs", file(SCRIPT, include_str!("page/status.mjs"))),
];

const fn file(media_type: &'static str, body: &'static str) -> Document {
    Document::new(media_type, &[NO_SNIFFING, FRESH], body)
}

/// The file of the page that has this name.
pub fn find(name: &str) -> Option<&'static Document> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, document)| document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::document::Packed;

    /// Bytes of the whole page as they go over the wire to a browser, heads apart.
    const PAGE_BYTES_MAX: usize = 80_000;

    fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        std::iter::once(("index.html", PAGE.body)).chain(FILES.iter().map(|(name, file)| (*name, file.body)))
    }

    #[test]
    fn the_whole_page_stays_below_its_bound() {
        let mut packed = Packed::default();
        let documents = std::iter::once(&PAGE).chain(FILES.iter().map(|(_, file)| file));
        let bytes: usize = documents.map(|document| packed.of(document).len()).sum();
        assert!(bytes < PAGE_BYTES_MAX, "{bytes} bytes");
    }

    #[test]
    fn the_page_makes_no_markup_of_data_and_takes_nothing_from_elsewhere() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=\"",
            "onclick=",
        ];
        for (name, body) in all() {
            for word in forbidden {
                assert!(!body.contains(word), "{name}: {word}");
            }
        }
        for (_, address) in PAGE.body.match_indices("://").map(|(at, _)| PAGE.body.split_at(at)) {
            assert!(!address.starts_with("://"), "{address}");
        }
    }

    #[test]
    fn every_file_is_asked_for_and_every_one_that_is_asked_for_is_there() {
        for (name, _) in &FILES {
            let is_asked_for = all().any(|(_, body)| {
                body.contains(&format!("\"/page/{name}\"")) || body.contains(&format!("\"./{name}\""))
            });
            assert!(is_asked_for, "{name}");
        }
        for (file, body) in all() {
            for imported in body.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(find(imported).is_some(), "{file} imports {imported}");
            }
            for linked in body.split("=\"/page/").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(find(linked).is_some(), "{file} links to {linked}");
            }
        }
    }
}
