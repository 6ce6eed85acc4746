//! What a question is like, and what must be true of its answer and of the events that come before it: the same for
//! everybody who asks, over whatever protocol.

use oneloop::os::sim::Random;
use serde_json::{Value, json};

use super::town::{SUBJECTS, Town, code};

/// What is asked in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub message: String,
    /// The notes answer only when the model does not.
    pub wants_model: bool,
}

impl Question {
    /// A question about the code of something, and how it is sent. What is noted is asked of the notes: a model need not
    /// repeat what it reads.
    pub fn draw(town: &Town, random: &mut Random, name: &str, is_noted: bool) -> (Question, Value) {
        let mut message = format!("What is the code of {name}?");
        let mut question = json!({});
        let has_model = town.has_model;
        if has_model && is_noted {
            question["strategy"] = json!("notes");
        } else if has_model {
            message = in_other_words(name, random);
            if random.chance(300) {
                question["strategy"] = json!("fast-first");
            }
        }
        question["message"] = json!(message);
        if random.chance(200) {
            question["conversation_history"] = json!([
                { "role": "user", "content": "Good morning." },
                { "role": "assistant", "content": "Grüße, 日本 ☂" },
            ]);
        }
        if random.chance(200) {
            question["padding"] = json!("x".repeat(random.spread(20_000)));
        }
        (Question { message, wants_model: has_model && !is_noted }, question)
    }
}

/// Other words for the same, which a search passes over: to the model it is another question, unless somebody has just
/// asked in these words.
pub fn in_other_words(name: &str, random: &mut Random) -> String {
    let fillers = random.below(3);
    let fillers: String = (0..fillers).map(|_| format!(" {}", random.pick(&FILLERS))).collect();
    format!("What is the code of {name}{fillers}?")
}

/// Words without a topic.
const FILLERS: [&str; 8] = ["please", "just", "exactly", "very", "also", "would", "could", "should"];

/// Who has written an answer, and whether it says so. Answers what was remarkable about it.
///
/// # Errors
/// In words, what is wrong with it.
pub fn author(town: &Town, question: &Question, json: &Value) -> Result<Vec<&'static str>, String> {
    let Question { message, wants_model } = question;
    let mut seen = Vec::new();
    town.account.borrow().check_answer(Some(message), json)?;
    let author = json["answered_by"].as_str();
    // How the search fell short is told whoever answers.
    let of_search = |reason: &str| {
        reason.starts_with("The notes were searched by words alone, because ")
            || reason.starts_with("Only ") && reason.ends_with("the rest was searched by words alone.")
    };
    let reasons: Vec<&str> =
        json["degraded"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if reasons.iter().any(|reason| of_search(reason)) {
        if !town.embeds {
            return Err(format!("nothing is embedded here, and it is told {reasons:?}"));
        }
        seen.push("an answer said that its search went without vectors");
    }
    let is_degraded = reasons.iter().any(|reason| !of_search(reason));
    if author == Some("notes") && is_degraded != *wants_model {
        return Err(format!("is answered by the notes, which is explained by {}", json["degraded"]));
    }
    match (author, json["cached"] == true) {
        (Some("model"), true) => seen.push("an answer of the model's was given once more"),
        (Some("model"), false) => seen.push("a chat was answered by the model"),
        _ if *wants_model => seen.push("a chat was answered by the notes in the model's place"),
        _ => {}
    }
    Ok(seen)
}

/// An answer that names codes must name the one that was asked for. Answers what was remarkable about it.
///
/// # Errors
/// In words, what is wrong with it.
pub fn answer(
    town: &Town,
    run: &str,
    subject: usize,
    json: &Value,
    is_indexed: bool,
) -> Result<&'static str, String> {
    let answer = json["response"].as_str().ok_or("was sent an answer without words")?;
    town.oracle.borrow_mut().response(run, answer)?;
    for update in json["knowledge_updates"].as_array().ok_or("was sent no list of updates")? {
        town.ledger.borrow_mut().told(update)?;
    }
    // The model says what stands in its prompt, if there is room for it.
    let tells_code = json["answered_by"] != "model" || town.has_roomy_prompts;
    if is_indexed && tells_code && !answer.contains(&code(subject)) {
        return Err(format!("was not told what is in a note that is indexed: {answer}"));
    }
    let others =
        (0..SUBJECTS.len()).filter(|other| *other != subject).any(|other| answer.contains(&code(other)));
    // Every note names one of the subjects, and an answer out of half of them says that it is one.
    let is_partial = answer.contains("notes were indexed so far");
    if others && !answer.contains(&code(subject)) && !is_partial {
        return Err(format!("was told of another subject: {answer}"));
    }
    Ok(if answer.contains(&code(subject)) {
        "a chat was answered out of the right note"
    } else {
        "a chat was asked before its note was indexed"
    })
}

/// Whether this event of a run may come behind the last one that a reader has had. Whoever is ahead of what a crash has kept is
/// told so, and where to go on.
///
/// # Errors
/// In words, if not.
pub fn follows(run: &str, last: u64, number: u64, data: &str) -> Result<(), String> {
    let keep = kept_by_restart(data);
    let goes_on = keep.map_or(number == last + 1, |keep| number > last && keep <= last);
    if goes_on { Ok(()) } else { Err(format!("was sent event {number} of run {run} behind {last}: {data}")) }
}

/// What a `restart` event keeps; `None` for any other.
pub fn kept_by_restart(data: &str) -> Option<u64> {
    data.strip_prefix("{\"type\":\"restart\",\"keep\":")?.strip_suffix('}')?.parse().ok()
}
