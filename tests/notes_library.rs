//! The library from outside: a folder is handed in, questions are asked, and what comes back is compared exactly.

use std::collections::BTreeMap;

use oneloop::base::{Budget, HashSeed};
use oneloop::limits::Limits;
use oneloop::notes::{Entry, Found, IndexState, Library, Problem, Query, ReadFile, ScanReport};

/// A folder in memory: path → bytes and stamp.
type Folder = BTreeMap<String, (Vec<u8>, i64)>;

fn folder(files: &[(&str, &str)]) -> Folder {
    files.iter().map(|(path, text)| (path.to_string(), (text.as_bytes().to_vec(), 1))).collect()
}

fn library(limits: &Limits) -> Library {
    Library::new(HashSeed(7), limits)
}

/// One whole scan, in slices of `units`.
fn scan(library: &mut Library, folder: &Folder, units: u32) -> ScanReport {
    library.begin_scan();
    library.listed(entries(folder));
    library.list_ended(true);
    settle(library, folder, units)
}

fn entries(folder: &Folder) -> Vec<Entry> {
    let entry = |(path, (bytes, modified_ns)): (&String, &(Vec<u8>, i64))| Entry {
        path: path.as_str().into(),
        bytes: bytes.len() as u64,
        modified_ns: *modified_ns,
    };
    folder.iter().map(entry).collect()
}

/// Reads and indexes until the scan reports.
fn settle(library: &mut Library, folder: &Folder, units: u32) -> ScanReport {
    loop {
        while let Some(paths) = library.next_reads() {
            for path in paths {
                let outcome = folder.get(&*path).map(|(bytes, modified_ns)| ReadFile {
                    bytes: bytes.clone(),
                    total_bytes: bytes.len() as u64,
                    modified_ns: *modified_ns,
                });
                library.read(&path, outcome.ok_or(Problem::Gone));
            }
        }
        let had_work = library.has_work();
        library.index_step(&mut Budget::new(units));
        if let Some(report) = library.take_scan_report() {
            while library.has_work() {
                library.index_step(&mut Budget::new(units));
            }
            return report;
        }
        assert!(had_work, "the scan neither works nor ends");
    }
}

fn ask(library: &Library, text: &str) -> Found {
    ask_in_slices(library, text, u32::MAX)
}

fn ask_in_slices(library: &Library, text: &str, units: u32) -> Found {
    let mut search =
        library.search(Query { text: text.into(), context: String::new(), hits_max: 10, vector: None });
    loop {
        if let Some(found) = search.step(library, &mut Budget::new(units)) {
            return found;
        }
    }
}

fn paths(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.path.as_str()).collect()
}

fn indexed(files: &[(&str, &str)]) -> Library {
    let mut library = library(&Limits::default());
    scan(&mut library, &folder(files), u32::MAX);
    library
}

fn passages<'l>(library: &'l Library, path: &str) -> Vec<&'l str> {
    let note = library.note(path).expect("indexed");
    note.passages.iter().map(|passage| note.passage_text(passage)).collect()
}

fn backlinks(library: &Library, path: &str) -> Vec<String> {
    library.backlinks(path).iter().map(|note| note.path.to_string()).collect()
}

// --- what a note is -------------------------------------------------------------------------------------------------

#[test]
fn a_hit_cites_its_note_heading_and_exact_bytes() {
    let text = "\u{FEFF}---\r\ntitle: The Loop\r\ntags: [io]\r\n---\r\n# Loop\r\n\r\n## Phases\r\n\r\nTimers fire first.\r\n";
    let library = indexed(&[("docs/loop.md", text), ("other.md", "Nothing of it, see [[Ghost]].")]);
    let found = ask(&library, "When do timers fire?");
    let hit = &found.hits[0];
    assert_eq!([&*hit.path, &*hit.title, &*hit.heading], ["docs/loop.md", "The Loop", "Loop > Phases"]);
    assert_eq!(hit.text, "Timers fire first.");
    assert_eq!(&text[hit.start..hit.end], "Timers fire first.");
    assert_eq!((hit.category.as_str(), hit.tags.as_slice()), ("docs", &["io".to_owned()][..]));
    assert_eq!(ask(&library, "nothing of it").hits[0].dangling, ["Ghost"]);
}

#[test]
fn a_long_section_falls_into_passages_at_its_blocks() {
    let paragraph = "word ".repeat(160);
    let table = format!("| a | b |\n|---|---|\n{}", "| cell | cell |\n".repeat(120));
    let library = indexed(&[("a.md", &format!("# A\n\n{paragraph}\n\n{paragraph}\n\n{table}\n\nend\n"))]);
    assert_eq!(passages(&library, "a.md"), [paragraph.trim(), paragraph.trim(), table.trim(), "end"]);
}

#[test]
fn a_heading_with_nothing_under_it_is_a_passage_of_its_own() {
    let library = indexed(&[("a.md", "# Top\n\n## Empty\n\n## Full\n\ntext\n\n### Last\n")]);
    assert_eq!(passages(&library, "a.md"), ["## Empty", "text", "### Last"]);
}

#[test]
fn a_heading_alone_ends_where_its_line_ends_whatever_ends_it() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["# One", "# Two", "# Three", ""].join(end);
        assert_eq!(passages(&indexed(&[("a.md", &text)]), "a.md"), ["# One", "# Two", "# Three"], "{end:?}");
    }
}

#[test]
fn a_heading_that_begins_with_a_blank_line_is_a_passage_all_the_same() {
    let library = indexed(&[("a.md", "\u{a0}\nWords\n---\n")]);
    assert_eq!(passages(&library, "a.md"), ["Words"]);
    assert_eq!(ask(&library, "words").hits[0].heading, "Words");
}

#[test]
fn a_heading_whose_line_is_cut_ends_where_its_rest_begins_a_section() {
    let limits = Limits { note_piece_bytes_max: 8, ..Limits::default() };
    let mut library = library(&limits);
    scan(&mut library, &folder(&[("a.md", "# abcdef# ghi")]), u32::MAX);
    assert_eq!(passages(&library, "a.md"), ["# abcdef", "# ghi"]);
}

#[test]
fn an_empty_note_is_found_by_its_name() {
    let library = indexed(&[("Backpressure.md", ""), ("b.md", "text")]);
    let found = ask(&library, "backpressure");
    assert_eq!((paths(&found), found.hits[0].text.as_str()), (vec!["Backpressure.md"], ""));
}

#[test]
fn tags_are_read_from_text_and_not_from_headings_code_or_urls() {
    let text = "---\ntags: one\n---\n# x #no\n\n#two_b and (#three/deep) a#no `#no` http://x/#no #123\n\n```\n#no\n```\n";
    let library = indexed(&[("a.md", text)]);
    let tags = &library.note("a.md").expect("indexed").tags;
    assert_eq!(tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["one", "two_b", "three/deep"]);
}

// --- the graph ------------------------------------------------------------------------------------------------------

#[test]
fn a_link_is_resolved_by_path_then_ending_then_name_alias_and_title() {
    let library = indexed(&[
        (
            "from/a.md",
            "[[Deep/Target]] [[target]] [[Other Name|x]] [[A Title#part]] [rel](../deep/target.md#x) [[From/B]] \
             ![[b]] [[Nobody]] [[c.png]] [out](https://x.y)",
        ),
        ("from/b.md", "---\naliases: [Other Name]\n---\n"),
        ("deep/target.md", ""),
        ("very/deep/target.md", "# A Title"),
    ]);
    let note = library.note("from/a.md").expect("indexed");
    let found: Vec<(&str, Option<&str>)> =
        library.links(note).map(|(link, note)| (&*link.target, note.map(|note| &*note.path))).collect();
    assert_eq!(
        found,
        [
            ("Deep/Target", Some("deep/target.md")),
            ("target", Some("deep/target.md")),
            ("Other Name", Some("from/b.md")),
            ("A Title", Some("very/deep/target.md")),
            ("deep/target.md", Some("deep/target.md")),
            ("From/B", Some("from/b.md")),
            ("b", Some("from/b.md")),
            ("Nobody", None),
        ]
    );
}

#[test]
fn a_dangling_link_is_answered_by_a_note_that_comes_and_waits_again_when_it_goes() {
    let mut files = folder(&[("a.md", "[[B]] and [c](sub/c.md)"), ("sub/c.md", "[[a]] [[c]]")]);
    let mut library = library(&Limits::default());
    scan(&mut library, &files, 50);
    let dangling = |library: &Library| -> Vec<String> {
        library.dangling(library.note("a.md").expect("indexed")).map(str::to_owned).collect()
    };
    assert_eq!(
        (dangling(&library), backlinks(&library, "a.md")),
        (vec!["B".to_owned()], vec!["sub/c.md".to_owned()])
    );
    files.insert("x/b.md".into(), (b"I am".to_vec(), 1));
    scan(&mut library, &files, 50);
    assert_eq!((dangling(&library), backlinks(&library, "x/b.md")), (vec![], vec!["a.md".to_owned()]));
    files.remove("x/b.md");
    files.remove("sub/c.md");
    scan(&mut library, &files, 50);
    assert_eq!(dangling(&library), ["B", "sub/c.md"]);
    assert_eq!(backlinks(&library, "a.md"), Vec::<String>::new());
}

// --- scanning -------------------------------------------------------------------------------------------------------

#[test]
fn a_scan_reports_what_was_added_changed_and_removed() {
    let mut files = folder(&[
        ("a.md", "one"),
        ("b.md", "two"),
        ("c.md", "three"),
        (".hidden/x.md", "no"),
        ("d.txt", "no"),
    ]);
    let mut library = library(&Limits::default());
    let first = scan(&mut library, &files, 10);
    assert_eq!((first.added, first.changed, first.removed, first.epoch), (3, 0, 0, 1));
    files.insert("a.md".into(), (b"one, changed".to_vec(), 2));
    files.insert("b.md".into(), (b"two".to_vec(), 2));
    files.remove("c.md");
    let second = scan(&mut library, &files, 10);
    assert_eq!((second.added, second.changed, second.removed, second.epoch), (0, 1, 1, 2));
    let third = scan(&mut library, &files, 10);
    assert_eq!((third.changes(), third.epoch, library.counts().notes), (0, 2, 2));
}

#[test]
fn what_is_found_while_notes_are_read_belongs_to_the_epoch_before() {
    let files = folder(&[("a.md", "one"), ("b.md", "two")]);
    let mut library = library(&Limits::default());
    let mut search =
        library.search(Query { text: "two".into(), context: String::new(), hits_max: 10, vector: None });
    assert_eq!(search.step(&library, &mut Budget::new(1)), None);
    scan(&mut library, &files, 10);
    let found = search.step(&library, &mut Budget::new(u32::MAX)).expect("one slice is enough");
    assert_eq!((found.epoch, library.epoch(), found.complete), (0, 1, true));
}

#[test]
fn a_note_is_gone_only_if_a_complete_listing_lacks_it() {
    let files = folder(&[("a/x.md", "one"), ("b/y.md", "two"), ("z.md", "three")]);
    let mut library = library(&Limits::default());
    scan(&mut library, &files, 10);
    library.begin_scan();
    library.list_ended(false);
    assert_eq!(settle(&mut library, &files, 10).removed, 0);
    library.begin_scan();
    library.list_problem("a", Problem::Unreadable(std::io::ErrorKind::PermissionDenied));
    library.list_ended(true);
    let report = settle(&mut library, &files, 10);
    assert_eq!((report.removed, report.problems.len()), (2, 1));
    assert_eq!(library.notes().map(|note| &*note.path).collect::<Vec<_>>(), ["a/x.md"]);
}

#[test]
fn an_unreadable_note_is_reported_and_tried_again() {
    let files = folder(&[("a.md", "text")]);
    let mut library = library(&Limits::default());
    let denied = Problem::Unreadable(std::io::ErrorKind::PermissionDenied);
    library.begin_scan();
    library.listed(entries(&files));
    library.list_ended(true);
    assert_eq!(library.next_reads().map(|paths| paths.len()), Some(1));
    library.read("a.md", Err(denied));
    let report = settle(&mut library, &files, 10);
    assert_eq!((report.added, report.problems), (0, vec![("a.md".into(), denied)]));
    assert_eq!(library.progress().state, IndexState::Ready);
    assert_eq!(scan(&mut library, &files, 10).added, 1);
}

#[test]
fn a_file_that_vanishes_before_it_is_read_is_as_good_as_never_listed() {
    let mut library = library(&Limits::default());
    scan(&mut library, &folder(&[("a.md", "text")]), 10);
    library.begin_scan();
    library.listed(entries(&folder(&[("a.md", "longer text"), ("b.md", "new")])));
    library.list_ended(true);
    let report = settle(&mut library, &Folder::new(), 10);
    assert_eq!((report.added, report.changed, report.removed, report.problems.len()), (0, 0, 1, 0));
    assert_eq!(library.progress().found, 0);
}

#[test]
fn reads_stop_while_enough_bytes_wait() {
    let limits = Limits { note_bytes_waiting_max: 10, notes_per_read_max: 2, ..Limits::default() };
    let mut library = library(&limits);
    let files = folder(&[("a.md", "12345678"), ("b.md", "12345678"), ("c.md", "12345678"), ("d.md", "1")]);
    library.begin_scan();
    library.listed(entries(&files));
    library.list_ended(true);
    assert_eq!(library.next_reads().map(|paths| paths.len()), Some(2));
    assert_eq!(library.next_reads(), None);
    for path in ["a.md", "b.md"] {
        let (bytes, modified_ns) = files[path].clone();
        library.read(path, Ok(ReadFile { total_bytes: bytes.len() as u64, bytes, modified_ns }));
    }
    assert_eq!(settle(&mut library, &files, 10).added, 4);
}

#[test]
fn a_note_beyond_its_bound_is_indexed_up_to_there_and_reported() {
    let limits = Limits { note_bytes_max: 20, ..Limits::default() };
    let mut library = library(&limits);
    let report = scan(&mut library, &folder(&[("a.md", "alpha beta gamma déjà delta")]), 10);
    assert_eq!(report.problems, [("a.md".into(), Problem::TooLong(29))]);
    assert_eq!(&*library.note("a.md").expect("indexed").text, "alpha beta gamma dé");
    assert_eq!(paths(&ask(&library, "gamma")), ["a.md"]);
    assert_eq!(ask(&library, "delta").hits, []);
}

// --- searching ------------------------------------------------------------------------------------------------------

#[test]
fn a_title_counts_more_than_a_heading_and_that_more_than_the_body() {
    let library = indexed(&[
        ("a.md", "# Other\n\nSomething of backpressure and more."),
        ("b.md", "# Other\n\n## Backpressure\n\nSomething of it and more."),
        ("c.md", "# Backpressure\n\nSomething of it and more."),
    ]);
    assert_eq!(paths(&ask(&library, "What is backpressure?")), ["c.md", "b.md", "a.md"]);
}

#[test]
fn a_linked_neighbour_of_a_strong_hit_comes_first_among_equals() {
    let library = indexed(&[
        ("a.md", "The epoll call waits."),
        ("b.md", "The epoll call waits."),
        ("hub.md", "# Epoll\n\nThe epoll page, see [[b]]."),
    ]);
    assert_eq!(paths(&ask(&library, "epoll")), ["hub.md", "b.md", "a.md"]);
}

#[test]
fn a_mistyped_word_is_mended_and_told() {
    let library = indexed(&[("a.md", "Backpressure slows the producers."), ("b.md", "Nothing.")]);
    let found = ask(&library, "what is backpresure");
    let mended: Vec<(&str, Option<&str>)> =
        found.terms.iter().map(|term| (term.text.as_str(), term.corrected_to.as_deref())).collect();
    assert_eq!(mended, [("what", None), ("is", None), ("backpresure", Some("backpressure"))]);
    assert_eq!(paths(&found), ["a.md"]);
}

#[test]
fn a_word_that_no_note_holds_is_told_as_unknown() {
    let library = indexed(&[("a.md", "Backpressure slows the producers.")]);
    let found = ask(&library, "zeppelin");
    assert_eq!((found.hits.len(), found.terms[0].known, found.terms[0].weight > 0.0), (0, false, true));
}

#[test]
fn names_are_found_whole_and_by_their_parts() {
    let library = indexed(&[
        ("a.md", "Set `tick_ms` to 5."),
        ("b.md", "Send `Last-Event-ID` again."),
        ("c.md", "On SIGTERM it ends."),
        ("d.md", "It takes 10ms."),
        ("e.md", "日本語のノートです。"),
        ("f.md", "Der Bär läuft."),
    ]);
    for (question, path) in [
        ("tick_ms", "a.md"),
        ("tick", "a.md"),
        ("last event id", "b.md"),
        ("Last-Event-ID", "b.md"),
        ("sigterm", "c.md"),
        ("10 ms", "d.md"),
        ("日本語", "e.md"),
        ("bar lauft", "f.md"),
    ] {
        assert_eq!(paths(&ask(&library, question)).first(), Some(&path), "{question}");
    }
}

#[test]
fn words_of_earlier_turns_decide_only_what_the_question_leaves_open() {
    let library = indexed(&[
        ("a.md", "The pump gets hot."),
        ("b.md", "The motor gets hot."),
        ("c.md", "A pump and a motor."),
    ]);
    let query = Query {
        text: "how hot does it get?".into(),
        context: "Tell me of the motor".into(),
        hits_max: 2,
        vector: None,
    };
    let found =
        library.search(query).step(&library, &mut Budget::new(u32::MAX)).expect("one slice is enough");
    assert_eq!(paths(&found), ["b.md", "a.md"]);
}

#[test]
fn an_answer_before_the_end_says_that_it_is_not_complete() {
    let files = folder(&[("a.md", "alpha"), ("b.md", "beta")]);
    let mut library = library(&Limits { notes_per_read_max: 1, ..Limits::default() });
    assert!(!ask(&library, "alpha").complete);
    library.begin_scan();
    library.listed(entries(&files));
    library.list_ended(true);
    assert_eq!(library.next_reads().map(|paths| paths.len()), Some(1));
    library.read("a.md", Ok(ReadFile { bytes: b"alpha".to_vec(), total_bytes: 5, modified_ns: 1 }));
    library.index_step(&mut Budget::new(u32::MAX));
    let found = ask(&library, "alpha");
    assert_eq!((paths(&found), found.complete), (vec!["a.md"], false));
    let progress = library.progress();
    assert_eq!((progress.found, progress.done, progress.state), (2, 1, IndexState::Indexing));
    settle(&mut library, &files, 10);
    assert!(ask(&library, "alpha").complete);
}

#[test]
fn a_search_under_way_survives_changes_removals_and_sweeps() {
    let mut files: Folder = many_notes(300, 1);
    let mut library = library(&Limits { dead_postings_min: 0, ..Limits::default() });
    scan(&mut library, &files, u32::MAX);
    let mut search = library.search(Query {
        text: "kappa sigma".into(),
        context: String::new(),
        hits_max: 10,
        vector: None,
    });
    let mut rounds = 0;
    let found = loop {
        if let Some(found) = search.step(&library, &mut Budget::new(1)) {
            break found;
        }
        rounds += 1;
        if rounds % 3 == 0 && rounds < 300 {
            files.pop_first();
            scan(&mut library, &files, u32::MAX);
        }
    };
    assert!(rounds > 10 && !found.hits.is_empty());
    for hit in &found.hits {
        assert_eq!(
            library.note(&hit.path).map(|note| &note.text[hit.start..hit.end]),
            Some(hit.text.as_str())
        );
    }
}

// --- slices, order and history make no difference -------------------------------------------------------------------

#[test]
fn slices_of_one_unit_give_what_one_big_slice_gives() {
    let files = many_notes(120, 2);
    let (mut whole, mut sliced) = (library(&Limits::default()), library(&Limits::default()));
    assert_eq!(scan(&mut whole, &files, u32::MAX), scan(&mut sliced, &files, 1));
    assert!(whole.notes().eq(sliced.notes()));
    for question in QUESTIONS {
        assert_eq!(ask(&whole, question), ask_in_slices(&sliced, question, 1), "{question}");
    }
}

#[test]
fn a_folder_read_with_changes_on_the_way_answers_like_one_read_afresh() {
    for round in 0..4 {
        let dead_postings_min = if round % 2 == 0 { 0 } else { usize::MAX };
        let limits = Limits { dead_postings_min, ..Limits::default() };
        let mut random = Random(round + 11);
        let mut files = many_notes(80, round);
        let mut library = library(&limits);
        scan(&mut library, &files, 30);
        for stamp in 2..8 {
            for _ in 0..25 {
                let path = format!("n/{}.md", random.below(100));
                if random.below(3) == 0 {
                    files.remove(&path);
                } else {
                    files.insert(path, (some_text(&mut random).into_bytes(), stamp));
                }
            }
            scan(&mut library, &files, 30);
        }
        let mut fresh = Library::new(HashSeed(99), &limits);
        scan(&mut fresh, &files, u32::MAX);
        assert!(library.notes().eq(fresh.notes()));
        assert_eq!(library.counts(), fresh.counts());
        for question in QUESTIONS {
            let (one, other) = (ask(&library, question), ask(&fresh, question));
            assert_eq!((one.hits, one.terms), (other.hits, other.terms), "{question} in round {round}");
        }
        for note in fresh.notes() {
            assert_eq!(
                backlinks(&library, &note.path),
                backlinks(&fresh, &note.path),
                "{} in {round}",
                note.path
            );
        }
    }
}

const QUESTIONS: [&str; 6] =
    ["alpha", "kappa and sigma", "omikron", "What is lambda of n-7?", "sgima", "heading tau"];

// --- odd files ------------------------------------------------------------------------------------------------------

#[test]
fn odd_files_are_indexed_all_the_same() {
    let long_line = "lorem ".repeat(3500);
    let many_tags: String = (0..5000).map(|n| format!("#tag{n} ")).collect();
    let code = format!("```\n{}", "line of code\n".repeat(5000));
    let mut files = folder(&[
        ("bom.md", "\u{FEFF}"),
        ("line.md", &long_line),
        ("tags.md", &many_tags),
        ("code.md", &code),
        ("cycle/a.md", "[[b]]"),
        ("cycle/b.md", "[[a]]"),
        ("twin/a.md", "# Same"),
        ("twin/b.md", "# Same"),
    ]);
    files.insert("nul.md".into(), (b"a\0b \0\0 zeta".to_vec(), 1));
    files.insert("latin.md".into(), (b"caf\xE9 noir".to_vec(), 1));
    let mut library = library(&Limits::default());
    let report = scan(&mut library, &files, 200);
    assert_eq!((report.added, report.problems.len()), (files.len(), 0));
    assert_eq!(paths(&ask(&library, "zeta")), ["nul.md"]);
    assert_eq!(ask(&library, "noir").hits[0].text, "caf? noir");
    assert!(ask(&library, "lorem").hits.iter().all(|hit| hit.text.len() <= 4096));
    assert_eq!(library.note("tags.md").expect("indexed").tags.len(), 1024);
}

// --- helpers --------------------------------------------------------------------------------------------------------

/// splitmix64: enough to stir notes, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn many_notes(count: u64, seed: u64) -> Folder {
    let mut random = Random(seed);
    (0..count).map(|n| (format!("n/{n}.md"), (some_text(&mut random).into_bytes(), 1))).collect()
}

fn some_text(random: &mut Random) -> String {
    const WORDS: [&str; 12] =
        ["alpha", "beta", "gamma", "delta", "kappa", "lambda", "sigma", "tau", "omega", "the", "of", "and"];
    let mut text = String::new();
    for section in 0..=random.below(3) {
        text.push_str(&format!("## heading {}\n\n", WORDS[random.below(12) as usize]));
        for _ in 0..random.below(200) {
            text.push_str(WORDS[(random.below(12) * random.below(12) / 11) as usize]);
            text.push(if random.below(20) == 0 { '\n' } else { ' ' });
        }
        text.push_str(&format!("[[{}]] n{section}-{}\n\n", random.below(120), random.below(50)));
    }
    text
}
