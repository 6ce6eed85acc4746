//! Answers that are always the same: files that lie in the binary, packed for clients that take them so.
//!
//! A file is packed when it is first asked for, not when the server starts, and stays packed: most clients never ask.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::limits::{HEAD_BYTES_MAX, OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX};
use crate::wire::http1::Head;

/// An answer that is always the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub media_type: &'static str,
    /// Fields of its head.
    pub fields: &'static [(&'static str, &'static str)],
    /// All of it.
    pub body: &'static str,
}

impl Document {
    /// A document. It must fit into an outbox, which is known when this is compiled.
    pub const fn new(
        media_type: &'static str,
        fields: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Document {
        assert!(
            body.len() + OUTBOX_BYTES_HIGH + HEAD_BYTES_MAX <= OUTBOX_BYTES_MAX,
            "a document must fit into an outbox"
        );
        Document { media_type, fields, body }
    }
}

/// Documents as they are sent to clients that take gzip (RFC 1952). There are as many as documents, so this is bounded.
#[derive(Debug, Default)]
pub struct Packed {
    /// By where the bodies lie in memory, which is always the same place.
    by_body: BTreeMap<usize, Box<[u8]>>,
}

impl Packed {
    /// A document's body, packed.
    pub fn of(&mut self, document: &'static Document) -> &[u8] {
        self.by_body.entry(document.body.as_ptr().addr()).or_insert_with(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(document.body.as_bytes())
                .and_then(|()| encoder.finish())
                .expect("a Vec takes every write")
                .into()
        })
    }
}

/// The client takes gzip. It has to say so: what says nothing may be a program that saves what it gets (RFC 9110 §12.5.3).
pub fn takes_gzip(head: &Head<'_>) -> bool {
    let fields = head.fields("accept-encoding").filter_map(|field| std::str::from_utf8(field).ok());
    let mut codings = fields.flat_map(|field| field.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = |weight: &str| weight.parse().is_ok_and(|weight: f32| weight <= 0.0);
        is_gzip && !parts.filter_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('=')).any(is_refused)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::limits::Limits;
    use crate::wire::http1::{RequestEvent, Server};

    static TEXT: Document = Document::new("text/plain", &[], "round and round and round and round and round");

    #[test]
    fn a_document_is_packed_once_and_unpacked_it_is_the_same() {
        let mut packed = Packed::default();
        let bytes = packed.of(&TEXT).to_vec();
        assert_eq!(packed.of(&TEXT), bytes);
        assert_eq!(packed.by_body.len(), 1);
        let mut text = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        assert_eq!(text, TEXT.body);
    }

    #[test]
    fn gzip_is_sent_to_those_who_have_asked_for_it() {
        let takes = |field: &str| {
            let mut server = Server::new();
            let bytes = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
            let step = server.receive(bytes.as_bytes(), &Limits::default()).unwrap();
            let Some(RequestEvent::Head(head)) = step.event else { panic!("no head with {field}") };
            takes_gzip(&head)
        };
        for field in ["gzip", "gzip, deflate, br", "br;q=1, GZIP;q=0.5", "gzip ; q=1.0"] {
            assert!(takes(&format!("Accept-Encoding: {field}\r\n")), "{field}");
        }
        for field in ["", "br", "gzip;q=0", "gzip; q=0.000", "gzip;Q=0", "identity", "xgzip"] {
            assert!(!takes(&format!("Accept-Encoding: {field}\r\n")), "{field}");
        }
        assert!(!takes(""));
    }
}
