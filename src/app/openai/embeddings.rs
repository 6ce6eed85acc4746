//! `POST /v1/embeddings`: texts as the vectors that the embedding server gives them.
//!
//! ```text
//! {"model":"all-minilm","input":["one","two"]}
//! {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,…]},…],"model":"all-minilm","usage":{…}}
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ask::{given, invalid, model_name, not_found};
use crate::app::chat::{read_object, string};
use crate::app::embed::{Given, Missing, Wanted};
use crate::app::respond::{Invalid, Place, Problem, write_json};
use crate::limits::Limits;

/// How a vector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a list of numbers.
    Numbers,
    /// As base64 of its components, each in four bytes, lowest first.
    Base64,
}

impl Form {
    /// Components that are surely written in so many bytes, in so many vectors.
    fn components_max(self, bytes: usize, vectors: usize) -> usize {
        let left = bytes.saturating_sub(LIST_BYTES + ITEM_BYTES * vectors);
        match self {
            Form::Numbers => left / NUMBER_BYTES_MAX,
            // Three bytes become four characters, and the last of them are filled up.
            Form::Base64 => left.saturating_sub(4 * vectors) / 16 * 3,
        }
    }
}

/// The longest that a component is as a number with its comma: `-1.2345678e-10,`, or 0.00001 to its last digit.
const NUMBER_BYTES_MAX: usize = 16;

/// What stands around a vector.
const ITEM_BYTES: usize = 64;

/// What stands around all of them, with their model's name; generously.
const LIST_BYTES: usize = 512;

/// 404: there is nobody to ask.
pub fn embeddings_off() -> Problem {
    let msg = "embeddings are off: start the server with --embed-url and --embed-model to have them";
    not_found("embeddings_off", "body", msg)
}

/// Reads what is to be embedded by the model of this name, and how it is to be written.
///
/// # Errors
/// 422 with what is missing, wrong or too much, and where; 404 for another model.
pub fn to_embed(body: &[u8], name: &str, limits: &Limits) -> Result<(Wanted, Form), Problem> {
    #[derive(Deserialize)]
    struct Fields<'b> {
        #[serde(borrow)]
        model: Option<&'b RawValue>,
        #[serde(borrow)]
        input: Option<&'b RawValue>,
        #[serde(borrow)]
        encoding_format: Option<&'b RawValue>,
        #[serde(borrow)]
        dimensions: Option<&'b RawValue>,
    }
    let fields: Fields<'_> = read_object(body).map_err(Problem::invalid)?;
    let model = model_name(fields.model).map_err(Problem::invalid)?;
    if model != name {
        let msg = format!(
            "there is no embedding model {model:.100?} here, but there is {name:?}; see GET /v1/models"
        );
        return Err(not_found("model_not_found", "body", msg));
    }
    let form = form(fields.encoding_format).map_err(Problem::invalid)?;
    let dimensions = given::<usize>(fields.dimensions).ok().filter(|dimensions| *dimensions != Some(0));
    let dimensions = dimensions.ok_or_else(|| {
        let place = [Place::Name("dimensions")];
        Problem::invalid(invalid("int_type", &place, "Input should be a valid integer, 1 or more"))
    })?;
    let texts = texts(fields.input, limits).map_err(Problem::invalid)?;
    let components_max = form.components_max(limits.vector_answer_bytes_max, texts.len());
    Ok((Wanted { texts, dimensions, components_max }, form))
}

fn form(text: Option<&RawValue>) -> Result<Form, Invalid> {
    match given::<String>(text).as_ref().map(Option::as_deref) {
        Ok(None | Some("float")) => Ok(Form::Numbers),
        Ok(Some("base64")) => Ok(Form::Base64),
        Ok(Some(_)) | Err(_) => {
            let place = [Place::Name("encoding_format")];
            Err(invalid("literal_error", &place, "Input should be 'float' or 'base64'"))
        }
    }
}

fn texts(input: Option<&RawValue>, limits: &Limits) -> Result<Vec<String>, Invalid> {
    let place = [Place::Name("input")];
    let input = input.ok_or_else(|| invalid("missing", &place, "Field required"))?;
    if let Some(alone) = string(input) {
        return Ok(vec![checked(alone, &place, limits)?]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get())
        .map_err(|_| invalid("string_type", &place, "Input should be a valid string or a list of them"))?;
    if items.is_empty() {
        return Err(invalid("too_short", &place, "there is no text in it"));
    }
    if items.len() > limits.vector_texts_max {
        let msg = format!("it should have at most {} texts", limits.vector_texts_max);
        return Err(invalid("too_long", &place, msg));
    }
    let texts = items.into_iter().enumerate().map(|(index, item)| {
        let place = [Place::Name("input"), Place::Index(index)];
        let text = string(item).ok_or_else(|| {
            if item.get().starts_with(|first: char| first == '[' || first.is_ascii_digit()) {
                let msg = "only text can be embedded here, no tokens: which they are depends on the model";
                return invalid("unsupported_value", &place, msg);
            }
            invalid("string_type", &place, "Input should be a valid string")
        })?;
        checked(text, &place, limits)
    });
    texts.collect()
}

fn checked(text: String, place: &[Place], limits: &Limits) -> Result<String, Invalid> {
    if text.is_empty() {
        return Err(invalid("string_too_short", place, "there is nothing in it"));
    }
    if text.len() > limits.vector_text_bytes_max {
        let msg = format!("it should have at most {} bytes in UTF-8", limits.vector_text_bytes_max);
        return Err(invalid("string_too_long", place, msg));
    }
    Ok(text)
}

/// Why there are no vectors.
pub fn missing(missing: &Missing) -> Problem {
    let refused = |kind, name, msg: String| Problem::invalid(invalid(kind, &[Place::Name(name)], msg));
    match missing {
        Missing::Refused(why) => refused("refused_by_model", "input", format!("the embedding server {why}")),
        Missing::NotNow(why, seconds) => Problem::busy(format!("the embedding server {why}"), *seconds),
        Missing::OtherDimension(dimension) => {
            let msg =
                format!("the vectors of this model have {dimension} components, and no others can be had");
            refused("unsupported_value", "dimensions", msg)
        }
        Missing::TooMany { dimension, vectors_max } => {
            let msg = format!(
                "with {dimension} components each, {vectors_max} vectors find room in one answer: send fewer texts at \
                 once, or ask for base64"
            );
            refused("too_long", "input", msg)
        }
    }
}

/// The vectors, appended to `body`.
pub fn embedded(vectors: &Given, form: Form, model: &str, body: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct List<'v> {
        object: &'static str,
        data: Vec<Item<'v>>,
        model: &'v str,
        usage: Usage,
    }
    #[derive(Serialize)]
    struct Item<'v> {
        object: &'static str,
        index: usize,
        embedding: Written<'v>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Written<'v> {
        Numbers(&'v [f32]),
        Base64(String),
    }
    #[derive(Serialize)]
    struct Usage {
        prompt_tokens: u64,
        total_tokens: u64,
    }
    let written = |vector: &'_ [f32]| {
        let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    };
    let data = vectors.vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = match form {
            Form::Numbers => Written::Numbers(vector),
            Form::Base64 => Written::Base64(written(vector)),
        };
        Item { object: "embedding", index, embedding }
    });
    let usage = Usage { prompt_tokens: vectors.tokens, total_tokens: vectors.tokens };
    write_json(&List { object: "list", data: data.collect(), model, usage }, body);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::app::respond::Detail;

    fn read(rest: &str, limits: &Limits) -> Result<(Wanted, Form), Problem> {
        to_embed(format!("{{\"model\":\"small\",{rest}}}").as_bytes(), "small", limits)
    }

    fn refused(rest: &str, limits: &Limits) -> (u16, &'static str, Vec<Place>) {
        match read(rest, limits).unwrap_err() {
            Problem { status, detail: Detail::Fields(mut fields), .. } => {
                let Invalid { kind, loc, .. } = fields.remove(0);
                (status, kind, loc)
            }
            problem => panic!("{problem:?}"),
        }
    }

    fn written(vectors: &[Vec<f32>], form: Form) -> Vec<u8> {
        let mut body = Vec::new();
        embedded(&Given { vectors: vectors.to_vec(), tokens: 3 }, form, "small", &mut body);
        body
    }

    #[test]
    fn one_text_or_several_are_read_and_what_is_unknown_is_passed_over() {
        let limits = Limits::default();
        let (wanted, form) = read(r#""input":"one","user":"me","whatever":[1]"#, &limits).unwrap();
        assert_eq!((wanted.texts, wanted.dimensions, form), (vec!["one".to_owned()], None, Form::Numbers));
        let all = r#""input":["one","two"],"encoding_format":"base64","dimensions":384"#;
        let (wanted, form) = read(all, &limits).unwrap();
        assert_eq!((wanted.texts.len(), wanted.dimensions, form), (2, Some(384), Form::Base64));
    }

    #[test]
    fn what_is_wrong_or_too_much_is_told_with_its_place() {
        let limits = Limits { vector_texts_max: 2, vector_text_bytes_max: 4, ..Limits::default() };
        let input = |rest: &[Place]| [&[Place::Name("body"), Place::Name("input")], rest].concat();
        for (rest, kind, place) in [
            (r#""x":1"#, "missing", input(&[])),
            (r#""input":{}"#, "string_type", input(&[])),
            (r#""input":[]"#, "too_short", input(&[])),
            (r#""input":"""#, "string_too_short", input(&[])),
            (r#""input":["a","b","c"]"#, "too_long", input(&[])),
            (r#""input":["a","12345"]"#, "string_too_long", input(&[Place::Index(1)])),
            (r#""input":[1,2]"#, "unsupported_value", input(&[Place::Index(0)])),
            (r#""input":[[1,2]]"#, "unsupported_value", input(&[Place::Index(0)])),
            (r#""input":[null]"#, "string_type", input(&[Place::Index(0)])),
            (
                r#""input":"a","encoding_format":"int8""#,
                "literal_error",
                vec![Place::Name("body"), Place::Name("encoding_format")],
            ),
            (
                r#""input":"a","dimensions":0"#,
                "int_type",
                vec![Place::Name("body"), Place::Name("dimensions")],
            ),
        ] {
            assert_eq!(refused(rest, &limits), (422, kind, place), "{rest}");
        }
    }

    #[test]
    fn another_model_is_not_found_and_neither_is_one_while_embeddings_are_off() {
        let other = to_embed(br#"{"model":"oneloop","input":"a"}"#, "small", &Limits::default()).unwrap_err();
        assert_eq!((other.status, embeddings_off().status), (404, 404));
    }

    #[test]
    fn both_forms_say_the_same() {
        let vectors = [vec![0.5_f32, -0.25], vec![1.0, 0.1]];
        let numbers: Value = serde_json::from_slice(&written(&vectors, Form::Numbers)).unwrap();
        assert_eq!(numbers["data"][1], json!({"object":"embedding","index":1,"embedding":[1.0,0.1]}));
        assert_eq!(numbers["usage"], json!({"prompt_tokens":3,"total_tokens":3}));
        let base64: Value = serde_json::from_slice(&written(&vectors, Form::Base64)).unwrap();
        let bytes = STANDARD.decode(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes, [0.5_f32.to_le_bytes(), (-0.25_f32).to_le_bytes()].concat());
    }

    #[test]
    fn as_many_vectors_as_are_taken_find_room() {
        // As long as they get: the least number, and those just before numbers are written with an exponent.
        for component in [-f32::MIN_POSITIVE, -1.234_567_9e-38, -0.000_012_345_678, -1.234_567_8e15, f32::MIN]
        {
            for form in [Form::Numbers, Form::Base64] {
                let (bytes_max, count) = (64 * 1024, 8);
                let dimension = form.components_max(bytes_max, count) / count;
                let body = written(&vec![vec![component; dimension]; count], form);
                assert!(body.len() <= bytes_max, "{component} as {form:?}: {}", body.len());
                assert!(body.len() > bytes_max / 3, "{component} as {form:?}: {}", body.len());
            }
        }
    }
}
