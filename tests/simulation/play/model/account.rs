//! What a model was asked and what it told, for everybody who wants to know whether an answer is one of them.

use serde_json::Value;

use super::request::tag;

/// One call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The question.
    pub tag: String,
    /// The answer's text.
    pub text: String,
    /// It wants tools to be used first: its text is no answer.
    pub wants_tools: bool,
    /// The model has sent as much of it as whoever reads can take for the whole.
    pub is_told: bool,
}

/// All calls of a world.
#[derive(Debug, Default)]
pub struct Account {
    calls: Vec<Call>,
}

impl Account {
    /// A call begins; answers its number.
    pub fn begin(&mut self, call: Call) -> usize {
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// The number of the next.
    pub fn next(&self) -> usize {
        self.calls.len()
    }

    /// The call with this number was told.
    pub fn told(&mut self, number: usize) {
        if let Some(call) = self.calls.get_mut(number) {
            call.is_told = true;
        }
    }

    /// All calls, in the order in which they came.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Looks at an answer, the object that `POST /chat` answers with. `question` is what was asked, where that is known.
    ///
    /// # Errors
    /// It says that the model has written it, which has not, or not in answer to this question.
    pub fn check_answer(&self, question: Option<&str>, answer: &Value) -> Result<(), String> {
        let text = answer["response"].as_str().ok_or("an answer without words")?;
        match answer["answered_by"].as_str() {
            Some("notes") => return Ok(()),
            Some("model") => {}
            author => return Err(format!("is answered by {author:?}: {text}")),
        }
        if text.trim().is_empty() {
            return Err("is told nothing, by the model".to_owned());
        }
        let plain = plain(text);
        let call = self.calls.iter().rfind(|call| call.is_told && self::plain(&call.text) == plain);
        let Some(call) = call else {
            return Err(format!("is told what the model has not said: {text}"));
        };
        match question.map(tag) {
            Some(tag) if tag != call.tag => {
                Err(format!("asked {tag} and is told the answer to {}", call.tag))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A text without the marks that cite a source, some of which our server takes out, and without white space.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, bracket) = rest.split_at(at);
        plain += before;
        let digits = bracket[1..].bytes().take_while(u8::is_ascii_digit).count();
        let is_mark = digits > 0 && bracket[1 + digits..].starts_with(']');
        let past = if is_mark { digits + 2 } else { 1 };
        plain += if is_mark { "" } else { "[" };
        rest = &bracket[past..];
    }
    plain += rest;
    plain.retain(|letter| !letter.is_whitespace());
    plain
}
