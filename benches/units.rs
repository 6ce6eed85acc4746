//! Is a unit of work about a microsecond, does no slice run away, and what does a folder of notes cost?
//!
//! ```text
//! cargo bench --bench units                 5,000 notes of 2 KB
//! cargo bench --bench units -- 50000        as many as you say
//! ```
//!
//! Times are of this thread's CPU, so a busy machine disturbs little. The control runs each search in one slice:
//! it must be slower than any slice, or the folder was too small to show anything. Fails if nothing was found.
#![allow(clippy::disallowed_methods, reason = "a bench measures the world")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use oneloop::base::{Budget, HashSeed};
use oneloop::limits::Limits;
use oneloop::notes::{Entry, Found, Library, Nearest, PassageId, Query, ReadFile, UnitVector, Vectors};
use rustix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5000);
    let mut words = Words::new();
    let notes: Vec<String> = (0..count).map(|number| words.note(number, count)).collect();
    let bytes: usize = notes.iter().map(String::len).sum();
    println!("{count} notes, {:.1} MB", mega(bytes));

    let files = notes.into_iter().enumerate().map(|(n, text)| (path(n), text.into_bytes())).collect();
    let memory = resident_bytes();
    let mut library = Library::new(HashSeed(1), &Limits::default());
    let indexing = index(&mut library, &files);
    let counts = library.counts();
    println!("{} passages, {} links, {} terms", counts.passages, counts.links, library.terms());
    indexing.print("index, slices of 200 units");
    let held = resident_bytes().saturating_sub(memory);
    println!("  memory {:.1} MB, of it text {:.1} MB", mega(held), mega(counts.text_bytes));

    let mut whole_slowest = Duration::ZERO;
    let mut slice_slowest = Duration::ZERO;
    for (name, questions) in words.questions() {
        let mut sliced = Measure::default();
        let mut whole = Measure::default();
        for question in &questions {
            let found = ask(&library, question, 200, &mut sliced);
            if found.hits.is_empty() || ask(&library, question, u32::MAX, &mut whole) != found {
                eprintln!("{question}: found nothing, or something else in slices");
                return ExitCode::FAILURE;
            }
        }
        sliced.print(&format!("search, {name}, slices of 200 units"));
        whole.print(&format!("search, {name}, each in one slice (control)"));
        slice_slowest = slice_slowest.max(sliced.slowest());
        whole_slowest = whole_slowest.max(whole.slowest());
    }

    for (name, text) in floods() {
        let mut library = Library::new(HashSeed(1), &Limits::default());
        index(&mut library, &[("flood.md".to_owned(), text)].into())
            .print(&format!("512 KiB of {name}, slices of 200 units"));
    }
    let vectors = directions();
    println!("{} vectors of {} components", vectors.len(), vectors.dimension());
    let mut sliced = Measure::default();
    for number in 0..10 {
        // Of a direction that is held the likest is that one.
        let found = nearest(&vectors, direction(number * 7919), 200, &mut sliced);
        if found != Some(PassageId(number * 7919)) {
            eprintln!("vector {}: {found:?} was found", number * 7919);
            return ExitCode::FAILURE;
        }
    }
    sliced.print("the likest vectors, slices of 200 units");

    if whole_slowest < slice_slowest * 2 {
        eprintln!("the control is as fast as a slice: more notes are needed to show anything");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Times and units of many slices.
#[derive(Default)]
struct Measure {
    slices: Vec<Duration>,
    units: u64,
}

impl Measure {
    fn slice<T>(&mut self, units: u32, work: impl FnOnce(&mut Budget) -> T) -> T {
        let mut budget = Budget::new(units);
        let began = cpu_time();
        let result = work(&mut budget);
        self.slices.push(cpu_time() - began);
        self.units += u64::from(units - budget.left()) + u64::from(budget.overdrawn());
        result
    }

    fn slowest(&self) -> Duration {
        self.slices.iter().max().copied().unwrap_or_default()
    }

    fn print(&self, name: &str) {
        let mut sorted = self.slices.clone();
        sorted.sort();
        let total: Duration = sorted.iter().sum();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("{name}");
        println!(
            "  {:.3} s CPU in {} slices: min {:.3} median {:.3} p99 {:.3} max {:.3} ms; {:.2} us a unit",
            total.as_secs_f64(),
            sorted.len(),
            at(0.0),
            at(0.5),
            at(0.99),
            at(1.0),
            total.as_secs_f64() * 1e6 / self.units.max(1) as f64,
        );
    }
}

fn index(library: &mut Library, files: &BTreeMap<String, Vec<u8>>) -> Measure {
    let mut measure = Measure::default();
    library.begin_scan();
    for (path, bytes) in files {
        library.listed(vec![Entry { path: path.as_str().into(), bytes: bytes.len() as u64, modified_ns: 0 }]);
    }
    library.list_ended(true);
    while library.take_scan_report().is_none() {
        for path in library.next_reads().unwrap_or_default() {
            let bytes = files[&*path].clone();
            library.read(&path, Ok(ReadFile { total_bytes: bytes.len() as u64, bytes, modified_ns: 0 }));
        }
        measure.slice(200, |budget| library.index_step(budget));
    }
    measure
}

fn ask(library: &Library, question: &str, units: u32, measure: &mut Measure) -> Found {
    let mut search =
        library.search(Query { text: question.into(), context: String::new(), hits_max: 8, vector: None });
    loop {
        if let Some(found) = measure.slice(units, |budget| search.step(library, budget)) {
            return found;
        }
    }
}

/// As many vectors as a large folder has passages.
fn directions() -> Vectors {
    let mut vectors = Vectors::default();
    for number in 0..VECTORS {
        vectors.put(PassageId(number), &direction(number)).expect("all are of one dimension");
    }
    vectors
}

/// A direction of its own for each number, always the same.
fn direction(number: u32) -> UnitVector {
    let mut state = u64::from(number) + 1;
    let components: Vec<f32> = (0..DIMENSION)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        })
        .collect();
    UnitVector::new(&components).expect("it points somewhere")
}

fn nearest(vectors: &Vectors, wanted: UnitVector, units: u32, measure: &mut Measure) -> Option<PassageId> {
    let mut nearest = Nearest::new(wanted, 64);
    while !measure.slice(units, |budget| nearest.step(vectors, budget)) {}
    nearest.best().first().map(|(_, passage)| *passage)
}

/// The vectors of a large folder, from a small model.
const VECTORS: u32 = 100_000;
const DIMENSION: usize = 384;

/// A made-up language with the frequencies of a real one (Zipf), and notes written in it.
struct Words {
    words: Vec<String>,
    random: u64,
}

impl Words {
    fn new() -> Words {
        const COMMON: &str =
            "the of and to in a is that for it as with on by this be are at from or an which not";
        let mut language = Words { words: COMMON.split(' ').map(str::to_owned).collect(), random: 1 };
        for _ in 0..100_000 {
            let word = (0..2 + language.below(3)).map(|_| language.syllable()).collect();
            language.words.push(word);
        }
        language
    }

    fn syllable(&mut self) -> &'static str {
        const SYLLABLES: [&str; 40] = [
            "ba", "ker", "tion", "lo", "mi", "stra", "ne", "pul", "ver", "ing", "do", "sen", "ta", "ri",
            "con", "ge", "ment", "fa", "qui", "ur", "sol", "ple", "den", "ka", "ho", "ble", "wen", "cha",
            "zy", "tor", "ly", "ex", "pre", "sub", "ous", "ine", "ate", "gra", "mon", "il",
        ];
        SYLLABLES[self.below(40)]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % bound
    }

    /// Of rank r with a chance of about 1/r.
    fn word(&mut self) -> usize {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((self.words.len() as f64).powf(share) - 1.0) as usize
    }

    fn note(&mut self, number: usize, count: usize) -> String {
        let mut text =
            format!("---\ntitle: {} {}\ntags: [t{}]\n---\n", self.pick(), self.pick(), number % 50);
        while text.len() < 2000 {
            text.push_str(&format!("\n## {} {}\n\n", self.pick(), self.pick()));
            for line in 0..6 {
                if line > 3 {
                    text.push_str("- ");
                }
                for _ in 0..12 {
                    text.push_str(&self.pick());
                    text.push(' ');
                }
                text.push_str(".\n");
            }
            text.push_str(&format!("- see [[n{}]]\n", self.below(count)));
        }
        text
    }

    fn pick(&mut self) -> String {
        let word = self.word();
        self.words[word].clone()
    }

    fn questions(&mut self) -> [(&'static str, Vec<String>); 4] {
        let of = |ranks: &[usize], lead: &str| -> Vec<String> {
            (0..20)
                .map(|n| {
                    let words: Vec<&str> =
                        ranks.iter().map(|rank| self.words[rank + 7 * n].as_str()).collect();
                    format!("{lead} {}?", words.join(" "))
                })
                .collect()
        };
        let mistyped = of(&[200, 900, 3000], "what is the")
            .into_iter()
            .map(|question| question + " consenx wervrix")
            .collect();
        [
            ("ordinary", of(&[100, 400, 1500, 6000], "what is the use of")),
            ("common words only", of(&[25, 30, 40], "which of the")),
            ("twelve words", of(&[30, 40, 60, 80, 120, 200, 300, 500, 900, 1500, 3000, 8000], "how does")),
            ("mistyped", mistyped),
        ]
    }
}

/// Notes at their bound, of the shapes that cost most.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let of = |piece: &str| piece.repeat(512 * 1024 / piece.len()).into_bytes();
    vec![
        ("prose", of("Some plain words of a sentence that goes on for a while. ")),
        ("headings", of("# a\n")),
        ("brackets", of("[[a")),
        ("links", of("[[ab|c]] ")),
        ("quotes", of("> ")),
        ("lists", of("- a\n")),
        ("emphasis", of("*a **b ")),
        ("tags", of("#ab ")),
        ("tables", of("|a|b|\n|-|-|\n")),
        ("hyphens", of("a-b_c.")),
        ("camels", of("aB")),
        ("Japanese", of("日本語の")),
        ("accents", of("é̈à ")),
        ("bad bytes", vec![0xFF; 512 * 1024]),
        ("zeros", vec![0; 512 * 1024]),
    ]
}

fn path(number: usize) -> String {
    format!("folder{}/n{number}.md", number % 20)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
