//! The API as it describes itself: an OpenAPI document, and the page that shows it.
//!
//! Both are written by hand and embedded as they are. A test in `routes` holds the document against the routes, in both
//! directions. The page has no data in it: it fetches the document like any other client.

use super::document::Document;

/// `GET /openapi.json`: OpenAPI 3.1.
pub static DESCRIPTION: Document = Document::new("application/json", &[], include_str!("openapi.json"));

/// `GET /docs`: the same, for people.
pub static PAGE: Document = Document::new(
    "text/html; charset=utf-8",
    &[("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff")],
    include_str!("api_page.html"),
);

/// The page runs its own script and wears its own style, as they were when this was built, and asks nobody but us
/// (Content Security Policy Level 3, "script-src", hash-source).
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-CXIqAwq9WDeqmi8Nrc4CkI1zTo03tpdIzLqeYNFDxiY='; \
    style-src 'sha256-WxeLqaOlaSdeC7lqONknGdmtgk6R+BdxhCzoypGcS5k='; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::digest::{SHA256, digest};

    use super::*;

    /// What stands between the only two such tags of the page.
    fn within(name: &str) -> &'static str {
        let (opened, closed) = (format!("<{name}>"), format!("</{name}>"));
        assert_eq!(PAGE.body.matches(&format!("<{name}")).count(), 1, "one {name}");
        let (_, behind) = PAGE.body.split_once(&opened).unwrap();
        behind.split_once(&closed).unwrap().0
    }

    #[test]
    fn the_page_may_run_its_own_script_and_style_alone() {
        for (directive, name) in [("script-src", "script"), ("style-src", "style")] {
            let hash = STANDARD.encode(digest(&SHA256, within(name).as_bytes()));
            let wanted = format!("; {directive} 'sha256-{hash}';");
            assert!(POLICY.contains(&wanted), "the policy needs\n{wanted}\nand is\n{POLICY}");
        }
    }

    #[test]
    fn the_page_makes_no_markup_of_data_and_takes_nothing_from_elsewhere() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "://",
            "style=",
            "onclick=",
        ] {
            assert!(!PAGE.body.contains(word), "{word}");
        }
    }
}
