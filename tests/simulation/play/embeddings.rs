//! An embedding server, made up: it checks what it is asked, answers late, wrongly or never as its world has it, and in calm
//! weather at once and well.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};
use serde_json::{Value, json};

use super::model::request::{Request, RequestReader};
use super::town::{SUBJECTS, Shared};

/// Where it listens.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 8)), 8081);
/// What its model is called.
pub const MODEL: &str = "sim-embed";

/// What it does about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Answers,
    AnswersOtherwise,
    AnswersTooFew,
    AnswersNothing,
    Refuses(u16),
    Garbles,
    Resets,
    Hangs,
}

impl Deed {
    const TROUBLES: [Deed; 10] = [
        Deed::AnswersOtherwise,
        Deed::AnswersTooFew,
        Deed::AnswersNothing,
        Deed::Refuses(400),
        Deed::Refuses(413),
        Deed::Refuses(429),
        Deed::Refuses(500),
        Deed::Garbles,
        Deed::Resets,
        Deed::Hangs,
    ];

    fn words(self) -> &'static str {
        match self {
            Deed::Answers => "an embedding server answered",
            Deed::AnswersOtherwise => "an embedding server answered with vectors of another dimension",
            Deed::AnswersTooFew => "an embedding server answered with too few vectors",
            Deed::AnswersNothing => "an embedding server answered with a vector that points nowhere",
            Deed::Refuses(400) => "an embedding server answered 400",
            Deed::Refuses(413) => "an embedding server answered 413",
            Deed::Refuses(429) => "an embedding server answered 429",
            Deed::Refuses(_) => "an embedding server answered 500",
            Deed::Garbles => "an embedding server answered with what is no HTTP",
            Deed::Resets => "an embedding server reset a connection",
            Deed::Hangs => "an embedding server said nothing",
        }
    }
}

/// What it is like in one world.
#[derive(Debug, Clone)]
pub struct Habits {
    pub trouble_per_mille: u16,
    /// Longest pause before an answer.
    pub think: Duration,
}

impl Habits {
    pub fn draw(random: &mut Random) -> Habits {
        Habits {
            trouble_per_mille: random.pick(&[0, 100, 300, 700, 1000]),
            think: Duration::from_millis(random.pick(&[0, 20, 400, 20_000])),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct Embeddings {
    town: Shared,
    habits: Habits,
    random: Random,
    is_listening: bool,
    served: Vec<Served>,
    complaint: Option<String>,
    seen: Vec<&'static str>,
}

#[derive(Debug)]
struct Served {
    line: Line,
    reader: RequestReader,
    /// What is done about the request under way, and when.
    deed: Option<(Deed, Time, Vec<String>)>,
    answer: Vec<u8>,
    is_over: bool,
}

impl Embeddings {
    pub fn new(town: &Shared, habits: Habits, random: Random) -> Embeddings {
        Embeddings {
            town: town.clone(),
            habits,
            random,
            is_listening: false,
            served: Vec::new(),
            complaint: None,
            seen: Vec::new(),
        }
    }

    fn see(&mut self, what: &'static str) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    /// Goes on with one connection; when it wants to again.
    fn serve(&mut self, served: &mut Served, outside: &mut Outside<'_>) -> Result<Option<Time>, String> {
        let (line, now) = (served.line, outside.now());
        if outside.state(line) == State::Reset {
            served.is_over = true;
            outside.close(line);
            return Ok(None);
        }
        loop {
            let mut bytes = Vec::new();
            let received = outside.receive(line, usize::MAX, &mut bytes);
            served.reader.feed(&bytes);
            match received {
                Received::Bytes => continue,
                Received::Nothing => break,
                Received::End | Received::Reset => {
                    served.is_over = true;
                    outside.close(line);
                    return Ok(None);
                }
            }
        }
        loop {
            if !served.answer.is_empty() {
                let sent = outside.send(line, &served.answer);
                served.answer.drain(..sent);
                if !served.answer.is_empty() {
                    return Ok(None);
                }
            }
            if served.deed.is_none() {
                let Some(request) = served.reader.next()? else { return Ok(None) };
                let texts = self.check(&request)?;
                let is_calm = outside.is_calm();
                let deed = match !is_calm && self.random.chance(self.habits.trouble_per_mille) {
                    true => self.random.pick(&Deed::TROUBLES),
                    false => Deed::Answers,
                };
                let think = self.random.spread(self.habits.think.as_millis() as usize + 1) as u64;
                let due = if is_calm { now } else { now.after(Duration::from_millis(think)) };
                outside.say(|| format!("(embeddings) is asked for {} texts: {deed:?}", texts.len()));
                self.see(deed.words());
                served.deed = Some((deed, due, texts));
            }
            let Some((deed, due, texts)) = &served.deed else { return Ok(None) };
            if *deed == Deed::Hangs {
                if outside.is_calm() {
                    served.is_over = true;
                    outside.reset(line);
                }
                return Ok(None);
            }
            if now < *due && !outside.is_calm() {
                return Ok(Some(*due));
            }
            match deed {
                Deed::Resets => {
                    served.is_over = true;
                    outside.reset(line);
                    return Ok(None);
                }
                Deed::Garbles => served.answer = b"HELO there\r\n\r\n".to_vec(),
                Deed::Refuses(status) => {
                    let body = json!({"error": {"message": "not today"}}).to_string();
                    served.answer = response(*status, &body);
                }
                deed => served.answer = response(200, &answer(*deed, texts).to_string()),
            }
            served.deed = None;
        }
    }

    /// What stands in a request, if all of it is as it must be.
    fn check(&self, request: &Request) -> Result<Vec<String>, String> {
        if (request.method.as_str(), request.path.as_str()) != ("POST", "/v1/embeddings") {
            return Err(format!("is asked for {} {}", request.method, request.path));
        }
        let authority = ADDRESS.to_string();
        if request.field("host") != Some(authority.as_str()) {
            return Err(format!("is asked for the host {:?}", request.field("host")));
        }
        if request.field("content-type") != Some("application/json") {
            return Err("is asked with no JSON".to_owned());
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        if body["model"] != MODEL {
            return Err(format!("is asked for the model {}", body["model"]));
        }
        let texts = body["input"].as_array().ok_or("is asked for no list of texts")?;
        let texts: Option<Vec<String>> = texts.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        let texts = texts.ok_or("is asked for a text that is none")?;
        let limits = &self.town.limits;
        if texts.is_empty() || texts.len() > limits.embed_batch_max {
            return Err(format!("is asked for {} texts at once", texts.len()));
        }
        if let Some(text) = texts.iter().find(|text| text.trim().is_empty()) {
            return Err(format!("is asked for a text that says nothing: {text:?}"));
        }
        Ok(texts)
    }
}

/// A direction for each subject that a text names, and one for all else.
fn answer(deed: Deed, texts: &[String]) -> Value {
    let count = if deed == Deed::AnswersTooFew { texts.len() - 1 } else { texts.len() };
    let dimension = SUBJECTS.len() + if deed == Deed::AnswersOtherwise { 3 } else { 1 };
    let data: Vec<Value> = texts
        .iter()
        .take(count)
        .enumerate()
        .map(|(index, text)| {
            let mut vector = vec![0.0; dimension];
            for (subject, name) in SUBJECTS.iter().enumerate() {
                if text.to_lowercase().contains(name) && deed != Deed::AnswersNothing {
                    vector[subject] = 1.0;
                }
            }
            if deed != Deed::AnswersNothing {
                vector[SUBJECTS.len()] = 0.1;
            }
            json!({"index": index, "embedding": vector})
        })
        .collect();
    json!({"object": "list", "data": data})
}

fn response(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

impl Actor for Embeddings {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        if !std::mem::replace(&mut self.is_listening, true) {
            outside.listen(ADDRESS);
        }
        while let Some((line, _)) = outside.accept() {
            let (reader, answer) = (RequestReader::default(), Vec::new());
            self.served.push(Served { line, reader, deed: None, answer, is_over: false });
        }
        let mut wake: Option<Time> = None;
        let mut served = std::mem::take(&mut self.served);
        for served in &mut served {
            match self.serve(served, outside) {
                Ok(next) => wake = wake.into_iter().chain(next).min(),
                Err(wrong) => drop(self.complaint.get_or_insert(wrong)),
            }
        }
        served.retain(|served| !served.is_over);
        self.served = served;
        Some(wake?.since(outside.now()).max(Outside::soon()))
    }

    fn is_done(&self) -> bool {
        true
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        format!("an embedding server, {:?}", self.habits)
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}
