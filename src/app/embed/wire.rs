//! The words of an embedding server: `POST /v1/embeddings`, as OpenAI has it and others took it over.
//!
//! Vectors come as lists of numbers or, where the server can, as base64 of little-endian floats, which are half as many bytes
//! and far less to read. We ask for the latter and take either.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::notes::UnitVector;

/// The body of a request for the vectors of `texts`.
pub(super) fn request(model: &str, texts: &[&str], as_base64: bool) -> String {
    #[derive(Serialize)]
    struct Request<'r> {
        model: &'r str,
        input: &'r [&'r str],
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding_format: Option<&'static str>,
    }
    let request = Request { model, input: texts, encoding_format: as_base64.then_some("base64") };
    serde_json::to_string(&request).expect("texts can be written as JSON")
}

/// What a server has answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// In the order of the texts, all of one dimension.
    pub(super) vectors: Vec<Vec<f32>>,
    /// Tokens that the server has counted in them; none if it does not tell.
    pub(super) tokens: u64,
}

/// The answer for so many texts.
///
/// # Errors
/// In words that go behind "the embedding server": what it is instead.
pub(super) fn answer(body: &[u8], texts: usize) -> Result<Answer, String> {
    #[derive(Deserialize)]
    struct Fields<'b> {
        data: Vec<Item>,
        #[serde(borrow)]
        usage: Option<&'b RawValue>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: Option<usize>,
        embedding: Components,
    }
    #[derive(Deserialize)]
    struct Usage {
        prompt_tokens: u64,
    }
    let fields: Fields<'_> =
        serde_json::from_slice(body).map_err(|error| format!("answered with no embeddings: {error}"))?;
    let mut found: Vec<Option<Vec<f32>>> = (0..texts).map(|_| None).collect();
    let count = fields.data.len();
    for (place, item) in fields.data.into_iter().enumerate() {
        let Some(slot) = found.get_mut(item.index.unwrap_or(place)) else { continue };
        let Components(components) = item.embedding;
        if components.is_empty() || !components.iter().all(|component| component.is_finite()) {
            return Err(NOWHERE.to_owned());
        }
        *slot = Some(components);
    }
    let vectors: Option<Vec<Vec<f32>>> = found.into_iter().collect();
    let vectors = vectors.ok_or_else(|| format!("answered with {count} vectors for {texts} texts"))?;
    let dimension = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(|vector| vector.len() != dimension) {
        return Err("answered with vectors of different dimensions".to_owned());
    }
    // It is told for the client's information: servers that count otherwise, or not at all, are no worse for it.
    let usage = fields.usage.and_then(|usage| serde_json::from_str::<Usage>(usage.get()).ok());
    Ok(Answer { vectors, tokens: usage.map_or(0, |usage| usage.prompt_tokens) })
}

/// The directions of the vectors in an answer for so many texts.
///
/// # Errors
/// As [`answer`].
pub(super) fn directions(body: &[u8], texts: usize) -> Result<Vec<UnitVector>, String> {
    let Answer { vectors, .. } = answer(body, texts)?;
    let directions = vectors.iter().map(|vector| UnitVector::new(vector).ok_or_else(|| NOWHERE.to_owned()));
    directions.collect()
}

const NOWHERE: &str = "answered with a vector that points nowhere";

/// The components of one vector, however they are written.
struct Components(Vec<f32>);

impl<'de> Deserialize<'de> for Components {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Components, D::Error> {
        deserializer.deserialize_any(EitherForm).map(Components)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a list of at most {DIMENSION_MAX} numbers, or base64 of floats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<f32>, A::Error> {
        let mut components = Vec::new();
        while let Some(component) = items.next_element()? {
            if components.len() == DIMENSION_MAX {
                return Err(A::Error::invalid_length(DIMENSION_MAX + 1, &self));
            }
            components.push(component);
        }
        Ok(components)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<f32>, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || floats.len() > DIMENSION_MAX {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// The longest vector that is taken: twice what the largest models in use give.
const DIMENSION_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str, texts: usize) -> String {
        directions(body.as_bytes(), texts).expect_err("it is no answer")
    }

    #[test]
    fn floats_and_base64_give_the_same_vector() {
        let floats = [0.5_f32, -0.25, 0.0];
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        let both = format!(
            r#"{{"object":"list","data":[{{"embedding":[0.5,-0.25,0]}},{{"embedding":"{}"}}],"usage":{{}}}}"#,
            STANDARD.encode(bytes)
        );
        let found = directions(both.as_bytes(), 2).unwrap();
        assert_eq!(found[0], UnitVector::new(&floats).unwrap());
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn what_the_server_has_counted_is_told_and_what_it_has_not_is_nothing() {
        let counted = |usage: &str| {
            let body = format!(r#"{{"data":[{{"embedding":[2,0]}}]{usage}}}"#);
            answer(body.as_bytes(), 1)
        };
        let answered = |tokens| Ok(Answer { vectors: vec![vec![2.0, 0.0]], tokens });
        assert_eq!(counted(r#","usage":{"prompt_tokens":7,"total_tokens":7}"#), answered(7));
        assert_eq!(counted(r#","usage":{"prompt_tokens":"many"}"#), answered(0));
        assert_eq!(counted(""), answered(0));
    }

    #[test]
    fn vectors_are_put_in_the_order_of_their_numbers() {
        let body = r#"{"data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0]}]}"#;
        let found = directions(body.as_bytes(), 2).unwrap();
        assert_eq!(found[0], UnitVector::new(&[1.0, 0.0]).unwrap());
    }

    #[test]
    fn what_is_no_answer_is_told_as_what_it_is() {
        assert!(said("<html>", 1).starts_with("answered with no embeddings: expected value"));
        assert_eq!(said(r#"{"data":[]}"#, 1), "answered with 0 vectors for 1 texts");
        assert_eq!(
            said(r#"{"data":[{"index":9,"embedding":[1]}]}"#, 1),
            "answered with 1 vectors for 1 texts"
        );
        assert_eq!(
            said(r#"{"data":[{"embedding":[0,0]}]}"#, 1),
            "answered with a vector that points nowhere"
        );
        assert_eq!(
            said(r#"{"data":[{"embedding":[1,0]},{"embedding":[1]}]}"#, 2),
            "answered with vectors of different dimensions"
        );
        assert!(said(r#"{"data":[{"embedding":"AAAA"}]}"#, 1).contains("invalid length 3"));
        assert!(said(r#"{"data":[{"embedding":"?"}]}"#, 1).starts_with("answered with no embeddings"));
        let long = format!(r#"{{"data":[{{"embedding":[{}1]}}]}}"#, "1,".repeat(DIMENSION_MAX));
        assert!(said(&long, 1).contains("invalid length"));
    }

    #[test]
    fn a_request_names_model_texts_and_form() {
        assert_eq!(
            request("m", &["a", "b\n"], true),
            r#"{"model":"m","input":["a","b\n"],"encoding_format":"base64"}"#
        );
        assert_eq!(request("m", &["a"], false), r#"{"model":"m","input":["a"]}"#);
    }
}
