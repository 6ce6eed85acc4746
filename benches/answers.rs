//! Question: does it find and say what a careful reader would?
//!
//! Three folders of notes, made for this, and some 220 questions about them, of eleven kinds. The server as it ships is
//! asked each question over HTTP, as a client would; beside it, as a control, plain BM25 over sections takes the same
//! questions: its answer is its best section, and it never refuses.
//!
//! The questions are split once, every other one of each kind: the constants of the search and of the answerer may be
//! tuned on the first half, and on some more questions that were written for that (`tuning.json`); what counts is the
//! second half, and some more that nobody had seen who tuned (`held.json`). These are what is shown without `--tune`.
//!
//! ```text
//! cargo bench --bench answers                                   # the half that nothing was tuned on
//! cargo bench --bench answers -- --tune --failures              # the other half, with each question that fails
//! cargo bench --bench answers -- --embed-url http://127.0.0.1:9000/v1 --embed-model all-MiniLM-L6-v2
//! cargo bench --bench answers -- --vault wiki --kind table
//! ```
//!
//! A hit@1 is a right note as the first source, a hit@3 one among the first three different notes. A phrase is the heart of
//! the answer as the note writes it. A refusal names no source.
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock and its notes and starts its servers itself"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

type Failed = Box<dyn Error + Send + Sync>;

const VAULTS: [&str; 3] = ["team", "study", "harbour"];
const READY_WITHIN: Duration = Duration::from_secs(600);

fn main() -> Result<(), Failed> {
    let options = Options::read(std::env::args().skip(1))?;
    let mut ours = Table::default();
    let mut control = Table::default();
    for vault in VAULTS.iter().filter(|vault| options.vault.as_deref().is_none_or(|only| only == **vault)) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/answers").join(vault);
        let questions: Vec<Asked> = read_questions(&folder.join("questions.json"))?;
        let more = folder.join(if options.tune { "tuning.json" } else { "held.json" });
        let more = if more.exists() { read_questions(&more)? } else { Vec::new() };
        let server = Server::start(&folder.join("notes"), &options)?;
        let plain = Plain::read(&folder.join("notes"))?;
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let halved = questions.iter().filter(|asked| {
            let number = seen.entry(&asked.kind).or_default();
            *number += 1;
            options.both || (*number % 2 == 1) == options.tune
        });
        for asked in halved.chain(&more) {
            if options.kind.as_ref().is_some_and(|kind| *kind != asked.kind) {
                continue;
            }
            let began = Instant::now();
            let answer = server.ask(asked)?;
            let verdict = asked.judge(&answer, began.elapsed());
            if options.failures && !verdict.is_good(asked) {
                tell_failure(asked, &answer, &verdict);
            }
            ours.add(&asked.kind, asked.is_answerable(), verdict);
            let began = Instant::now();
            let answer = plain.ask(asked);
            control.add(&asked.kind, asked.is_answerable(), asked.judge(&answer, began.elapsed()));
        }
    }
    println!("\nanswers, in %, but length in bytes and ms as median (and greatest)\n");
    ours.print("oneloop");
    control.print("control: plain BM25");
    Ok(())
}

fn read_questions(path: &Path) -> Result<Vec<Asked>, Failed> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

struct Options {
    tune: bool,
    both: bool,
    failures: bool,
    vault: Option<String>,
    kind: Option<String>,
    /// Passed on to the server.
    flags: Vec<String>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failed> {
        let mut options =
            Options { tune: false, both: false, failures: false, vault: None, kind: None, flags: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--tune" => options.tune = true,
                "--both" => options.both = true,
                "--failures" => options.failures = true,
                "--vault" => options.vault = arguments.next(),
                "--kind" => options.kind = arguments.next(),
                "--embed-url" | "--embed-model" => {
                    options.flags.push(argument);
                    options.flags.extend(arguments.next());
                }
                other => return Err(format!("{other} is no option of this bench").into()),
            }
        }
        Ok(options)
    }

    fn embeds(&self) -> bool {
        self.flags.iter().any(|flag| flag == "--embed-url")
    }
}

/// A question with what is known of its answer.
#[derive(Debug, Deserialize)]
struct Asked {
    id: String,
    kind: String,
    question: String,
    #[serde(default)]
    history: Vec<Value>,
    /// Any of these is right; none for a question that can't be answered.
    sources: BTreeSet<String>,
    /// All of these must be in the answer, each in one of its forms.
    phrases: Vec<Vec<String>>,
}

struct Answer {
    text: String,
    /// The notes it names, best first.
    sources: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Verdict {
    first: bool,
    third: bool,
    phrase: bool,
    refused: bool,
    bytes: usize,
    took: Duration,
}

impl Asked {
    fn is_answerable(&self) -> bool {
        !self.sources.is_empty()
    }

    fn judge(&self, answer: &Answer, took: Duration) -> Verdict {
        let mut notes: Vec<&String> = Vec::new();
        for source in &answer.sources {
            if !notes.contains(&source) {
                notes.push(source);
            }
        }
        let text = even(&answer.text);
        let holds = |forms: &Vec<String>| forms.iter().any(|form| text.contains(&even(form)));
        Verdict {
            first: notes.first().is_some_and(|note| self.sources.contains(*note)),
            third: notes.iter().take(3).any(|note| self.sources.contains(*note)),
            phrase: self.phrases.iter().all(holds),
            refused: answer.sources.is_empty(),
            bytes: answer.text.len(),
            took,
        }
    }
}

impl Verdict {
    fn is_good(&self, asked: &Asked) -> bool {
        if asked.is_answerable() { self.first && self.phrase } else { self.refused }
    }
}

/// Small letters, and one space for any white space and for the marks of Markdown.
fn even(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().map(|c| if "*_`|[]".contains(c) { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tell_failure(asked: &Asked, answer: &Answer, verdict: &Verdict) {
    println!("--- {} {} | {}", asked.id, asked.kind, asked.question);
    for turn in &asked.history {
        println!("    before: {}: {}", turn["role"], turn["content"]);
    }
    println!("    wanted {:?} {:?}", asked.sources, asked.phrases);
    println!("    hit@1 {} hit@3 {} phrase {}", verdict.first, verdict.third, verdict.phrase);
    println!("    got    {:?}", answer.sources);
    println!("    said   {}", answer.text.replace('\n', " ⏎ "));
}

// --- The server ---------------------------------------------------------------------------------------------------

/// A process that serves one vault.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Started, and ready: all notes are indexed and, if it embeds, embedded.
    fn start(notes: &Path, options: &Options) -> Result<Server, Failed> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_oneloop"))
            .arg("serve")
            .arg(notes)
            .args(["--listen", "127.0.0.1:0", "--state", "none", "--no-access-log"])
            .args(&options.flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        let address = line.rsplit("http://").next().unwrap_or("").trim().trim_end_matches('/').to_owned();
        let server = Server { child, address };
        let began = Instant::now();
        loop {
            let health = server.call("GET", "/health", "")?;
            let is_embedded = !options.embeds()
                || server.call("GET", "/config/embeddings", "")?["state"].as_str() == Some("ready");
            if health["index"]["state"] == "ready" && is_embedded {
                return Ok(server);
            }
            if began.elapsed() > READY_WITHIN {
                return Err("the server is not ready in time".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, asked: &Asked) -> Result<Answer, Failed> {
        let body = json!({ "message": asked.question, "conversation_history": asked.history });
        let response = self.call("POST", "/chat", &body.to_string())?;
        let text = response["response"].as_str().ok_or_else(|| format!("no answer: {response}"))?;
        let sources = response["sources"].as_array().into_iter().flatten();
        let path = |source: &Value| source["path"].as_str().map(str::to_owned);
        Ok(Answer { text: text.to_owned(), sources: sources.filter_map(path).collect() })
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value, Failed> {
        let mut stream = TcpStream::connect(&self.address)?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no end of a head")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// --- The control --------------------------------------------------------------------------------------------------

/// Plain BM25 over the sections of all notes.
struct Plain {
    sections: Vec<Section>,
    holding: BTreeMap<String, usize>,
    average: f64,
}

struct Section {
    path: String,
    text: String,
    counts: BTreeMap<String, usize>,
    length: usize,
}

impl Plain {
    fn read(folder: &Path) -> Result<Plain, Failed> {
        let mut paths = Vec::new();
        list(folder, &mut paths)?;
        paths.sort();
        let mut plain = Plain { sections: Vec::new(), holding: BTreeMap::new(), average: 0.0 };
        for path in paths {
            let text = std::fs::read_to_string(&path)?;
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            let mut section = String::new();
            for line in text.lines() {
                if line.starts_with('#') && !section.trim().is_empty() {
                    plain.add(&name, std::mem::take(&mut section));
                }
                section.push_str(line);
                section.push('\n');
            }
            plain.add(&name, section);
        }
        let words: usize = plain.sections.iter().map(|section| section.length).sum();
        plain.average = words as f64 / plain.sections.len().max(1) as f64;
        Ok(plain)
    }

    fn add(&mut self, path: &str, text: String) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut length = 0;
        for word in plain_words(&text) {
            *counts.entry(word).or_default() += 1;
            length += 1;
        }
        for word in counts.keys() {
            *self.holding.entry(word.clone()).or_default() += 1;
        }
        self.sections.push(Section { path: path.to_owned(), text, counts, length });
    }

    fn ask(&self, asked: &Asked) -> Answer {
        let all = self.sections.len() as f64;
        let words: BTreeSet<String> = plain_words(&asked.question).collect();
        let score = |section: &Section| {
            words.iter().fold(0.0, |score, word| {
                let count = section.counts.get(word).copied().unwrap_or(0) as f64;
                let holding = self.holding.get(word).copied().unwrap_or(0) as f64;
                let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
                let even = 1.2 * (0.25 + 0.75 * section.length as f64 / self.average);
                score + rarity * count * 2.2 / (count + even)
            })
        };
        let mut ranked: Vec<(f64, &Section)> =
            self.sections.iter().map(|section| (score(section), section)).collect();
        ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let text = ranked.first().map_or(String::new(), |(_, section)| section.text.clone());
        let sources = ranked.iter().take(50).map(|(_, section)| section.path.clone()).collect();
        Answer { text, sources }
    }
}

fn plain_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failed> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else if path.extension().is_some_and(|ending| ending == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

// --- What comes of it ---------------------------------------------------------------------------------------------

#[derive(Default)]
struct Table(BTreeMap<String, Vec<(bool, Verdict)>>);

impl Table {
    fn add(&mut self, kind: &str, is_answerable: bool, verdict: Verdict) {
        self.0.entry(kind.to_owned()).or_default().push((is_answerable, verdict));
    }

    fn print(&self, name: &str) {
        println!("{name}");
        println!(
            "  {:<20}{:>6}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>14}",
            "kind", "asked", "hit@1", "hit@3", "phrase", "refused", "wrongly", "bytes", "ms"
        );
        for (kind, verdicts) in &self.0 {
            print_row(kind, verdicts);
        }
        let all: Vec<(bool, Verdict)> = self.0.values().flatten().copied().collect();
        print_row("all", &all);
        println!();
    }
}

fn print_row(name: &str, verdicts: &[(bool, Verdict)]) {
    let share = |of: bool, is_so: &dyn Fn(&Verdict) -> bool| {
        let (so, all) = verdicts
            .iter()
            .filter(|(is_answerable, _)| *is_answerable == of)
            .fold((0, 0), |(so, all), (_, verdict)| (so + usize::from(is_so(verdict)), all + 1));
        if all == 0 { "-".to_owned() } else { format!("{:.0}", 100.0 * so as f64 / all as f64) }
    };
    let mut took: Vec<f64> = verdicts.iter().map(|(_, verdict)| verdict.took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    let mut bytes: Vec<usize> = verdicts.iter().map(|(_, verdict)| verdict.bytes).collect();
    bytes.sort_unstable();
    println!(
        "  {:<20}{:>6}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>14}",
        name,
        verdicts.len(),
        share(true, &|verdict| verdict.first),
        share(true, &|verdict| verdict.third),
        share(true, &|verdict| verdict.phrase),
        share(false, &|verdict| verdict.refused),
        share(true, &|verdict| verdict.refused),
        bytes.get(bytes.len() / 2).copied().unwrap_or(0),
        format!(
            "{:.1} ({:.0})",
            took.get(took.len() / 2).copied().unwrap_or(0.0),
            took.last().copied().unwrap_or(0.0)
        ),
    );
}
