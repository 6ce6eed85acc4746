//! What the built-in answerer picks from realistic passages, and when it refuses.

mod agent_support;

use agent_support::{ask, ask_with_history, composed_in_slices, found, note, passage_of};
use oneloop::agent::{Answer, Findings, FoundTerm, Passage, Question, Role, Turn};

const LOOP: &str = "## Phases of a turn\n\nThe loop never sleeps while work is queued. A turn runs its phases in this \
order:\n\n1. **pending**: readiness carried over\n2. **poll**: waits for [[Sockets|sockets]]\n3. **check**: runs \
tasks in slices\n4. **close**: lets keys go\n5. **timers**: fires what is due\n\nA budget bounds each of them.\n";

const LIMITS: &str = "# Limits\n\nEvery bound has a reason.\n\n| Bound | Value | Beyond it |\n|---|---|---|\n\
| request head | 16 KiB | 431 and close |\n| request target | 8 KiB | 414 and close |\n| idle connection | 65 s | \
closed without a word |\n";

const COFFEE: &str = "# Espresso machine\n\nThe espresso machine stands in the kitchen on the second floor. It heats \
the water to 93 °C before each shot.\n\nMira cleans the espresso machine every Friday after lunch. The beans come \
from a roaster in Leipzig.\n";

const BUILD: &str = "# Building\n\nTo build the server, run the release profile:\n\n```sh\ncargo build --release\n```\n\n\
The binary lands in `target/release`.\n";

fn vault() -> Vec<Passage> {
    vec![
        note("loop.md", "Event loop", "Phases of a turn", LOOP),
        note("limits.md", "Limits", "Limits", LIMITS),
        note("kitchen/coffee.md", "Espresso machine", "Espresso machine", COFFEE),
        note("build.md", "Building", "Building", BUILD),
    ]
}

fn texts(answer: &Answer) -> Vec<&str> {
    answer.sources.iter().map(|source| source.text.as_str()).collect()
}

#[test]
fn an_ordered_list_comes_whole_with_the_sentence_that_opens_it() {
    let answer = ask("In which order does a turn run its phases?", &vault());
    assert!(
        answer.response.starts_with("A turn runs its phases in this order:\n\n1. pending: readiness carried over\n2. poll: waits for sockets\n"),
        "{}",
        answer.response
    );
    assert!(answer.response.contains("5. timers: fires what is due [1]"), "{}", answer.response);
    assert!(answer.sources[0].text.contains("[[Sockets|sockets]]"), "the source stays as it is stored");
}

#[test]
fn a_table_row_is_shown_with_the_names_of_its_columns() {
    let answer = ask("How long may a request target be?", &vault());
    assert_eq!(answer.response, "Bound: request target — Value: 8 KiB — Beyond it: 414 and close [1]");
    assert_eq!(texts(&answer), ["| request target | 8 KiB | 414 and close |"]);
}

#[test]
fn when_finds_the_day() {
    let answer = ask("When is the espresso machine cleaned?", &vault());
    assert_eq!(answer.response, "Mira cleans the espresso machine every Friday after lunch. [1]");
    assert_eq!(answer.sources[0].path, "kitchen/coffee.md");
}

#[test]
fn who_finds_the_name() {
    let answer = ask("Who cleans the espresso machine?", &vault());
    assert_eq!(texts(&answer), ["Mira cleans the espresso machine every Friday after lunch."]);
}

#[test]
fn how_to_brings_the_code() {
    let answer = ask("How do I build the server?", &vault());
    assert!(
        answer.response.starts_with(
            "To build the server, run the release profile:\n\n```sh\ncargo build --release\n```\n[1]"
        ),
        "{}",
        answer.response
    );
}

#[test]
fn a_sentence_that_leans_back_brings_the_one_before() {
    let answer = ask("To how many degrees does the espresso machine heat water?", &vault());
    assert!(
        texts(&answer)[0].starts_with("The espresso machine stands in the kitchen"),
        "{}",
        answer.response
    );
    assert!(texts(&answer)[0].ends_with("93 °C before each shot."), "{}", answer.response);
}

#[test]
fn a_far_question_is_refused_in_plain_words() {
    let answer = ask("What is the capital of Mongolia?", &vault());
    assert_eq!(
        answer.response,
        "The notes hold no answer to this. No note mentions \"capital\" or \"Mongolia\"."
    );
    assert_eq!((answer.sources.len(), answer.categories.len()), (0, 0));
    assert_eq!(answer.suggested_actions, ["Add a note about capital Mongolia."]);
}

#[test]
fn a_near_question_is_refused_when_its_heart_is_unknown() {
    let answer = ask("What did the espresso machine's warranty cost?", &vault());
    assert!(answer.sources.is_empty(), "{}", answer.response);
}

#[test]
fn a_follow_up_is_answered_from_the_earlier_topic() {
    let history = [
        Turn { role: Role::User, content: "Where is the espresso machine?".to_owned() },
        Turn { role: Role::Assistant, content: "The espresso machine stands in the kitchen. [1]".to_owned() },
    ];
    let oven = "# Oven\n\nThe oven gets hot: 250 °C in ten minutes.\n";
    let mut passages = vec![note("oven.md", "Oven", "Oven", oven)];
    passages.extend(vault());
    let answer = ask_with_history("and how hot does it get?", &history, &passages);
    assert!(answer.response.contains("93 °C"), "{}", answer.response);
    assert!(answer.sources.iter().all(|source| source.path != "oven.md"), "{}", answer.response);
}

#[test]
fn a_follow_up_is_not_answered_by_its_topic_alone() {
    let history = [Turn { role: Role::User, content: "Where is the espresso machine?".to_owned() }];
    let text = "The espresso machine was bought on Monday.\n\nThe radio came in May.\n\n\
                The lease of the flat ends in June.\n";
    let passages = [note("home.md", "Home", "", text)];
    let answer = ask_with_history("And when does its lease end?", &history, &passages);
    assert!(!answer.response.contains("Monday"), "{}", answer.response);
}

#[test]
fn an_unfinished_index_is_said_so_with_and_without_an_answer() {
    for (message, held) in [("Who cleans the espresso machine?", true), ("Who discovered penicillin?", false)]
    {
        let question = Question { message: message.to_owned(), ..Question::default() };
        let findings = found(&question, &vault());
        let unfinished = Findings { complete: false, notes_indexed: 4, notes_found: 90, ..findings };
        let answer = composed_in_slices(&question, unfinished, u32::MAX);
        assert_eq!(answer.sources.is_empty(), !held);
        assert!(answer.response.ends_with("Only 4 of 90 notes were indexed so far."), "{}", answer.response);
        assert!(!answer.response.contains("No note mentions"), "an unfinished index cannot know that");
    }
}

#[test]
fn a_repeat_is_quoted_once_and_a_contradiction_twice() {
    let first = "The gateway listens on port 8000 for plain requests.\n";
    let other = "The gateway listens on port 9000 for plain requests.\n";
    let same = [note("a.md", "A", "", first), note("b.md", "B", "", first)];
    let differ = [note("a.md", "A", "", first), note("b.md", "B", "", other)];
    // The repeat is still a source, without a mark.
    let question = "Which port does the gateway listen on?";
    for (notes, marks) in [(&same, 1), (&differ, 2)] {
        let answer = ask(question, notes);
        assert_eq!((answer.response.matches('[').count(), answer.sources.len()), (marks, 2), "{answer:?}");
    }
}

#[test]
fn of_a_long_item_the_sentence_comes_and_of_a_short_one_the_whole() {
    let filler = "Nothing of note happened in the yard that week, as the log book says. ".repeat(8);
    let text = format!(
        "- {filler}The gateway restarts nightly. {filler}\n- Backups run weekly.\n  They are kept.\n"
    );
    let passages = [note("log.md", "Log", "", &text)];
    assert_eq!(
        ask("Which gateway restarts nightly?", &passages).response,
        "The gateway restarts nightly. [1]"
    );
    assert_eq!(
        ask("What about backups weekly?", &passages).response,
        "Backups run weekly. They are kept. [1]"
    );
}

#[test]
fn a_note_that_asks_the_same_is_no_answer() {
    let passages = [
        note("faq.md", "To do", "", "Who cleans the espresso machine?\n"),
        note("coffee.md", "Espresso machine", "Espresso machine", COFFEE),
    ];
    let answer = ask("Who cleans the espresso machine?", &passages);
    assert_eq!(texts(&answer), ["Mira cleans the espresso machine every Friday after lunch."]);
}

#[test]
fn an_example_that_holds_the_question_is_not_quoted() {
    let manual = "# Manual\n\nAsk in which order a turn runs its phases:\n\n```sh\noneloop ask docs \
                  \"In which order does a turn run its phases?\"\n```\n";
    let mut passages = vec![note("manual.md", "Manual", "Manual", manual)];
    passages.extend(vault());
    let answer = ask("in which order does a turn run its phases", &passages);
    assert!(answer.response.starts_with("A turn runs its phases"), "{}", answer.response);
    assert!(!answer.response.contains("oneloop ask"), "{}", answer.response);
}

#[test]
fn what_follows_a_question_in_a_note_answers_it() {
    let faq = note("faq.md", "FAQ", "", "**Who waters the plants?**\nJonas does so on Mondays.\n");
    assert_eq!(ask("Who waters the plants?", &[faq]).response, "Jonas does so on Mondays. [1]");
}

const RUNS: &str = "## The states of a run\n\nA run goes through these states:\n\n```text\npending ──► running ──► \
done\n   └── cancel ──┴── run is cancelled\n```\n\nTo cancel a run, send `DELETE /tasks/{id}`.\n";

#[test]
fn a_drawing_is_no_instruction() {
    let answer = ask("How do I cancel a run?", &[note("runs.md", "Runs", "The states of a run", RUNS)]);
    assert_eq!(answer.response, "To cancel a run, send `DELETE /tasks/{id}`. [1]");
}

#[test]
fn a_drawing_comes_where_looks_are_asked_for() {
    let question = "What does a diagram of the states of a run look like?";
    let answer = ask(question, &[note("runs.md", "Runs", "Diagram of the states of a run", RUNS)]);
    assert!(answer.response.contains("pending ──► running"), "{}", answer.response);
}

#[test]
fn of_a_table_the_row_comes_whose_cells_are_asked_for() {
    let statuses = "# Status of what is too long\n\n| What is limited | Value | Status |\n|---|---|---|\n\
                    | target too long | 8 KiB | 414 |\n| head too large | 16 KiB | 431 |\n\
                    | body too large | 1 MiB | 413 |\n";
    let passages = [note("limits.md", "Limits", "Status of what is too long", statuses)];
    let answer = ask("Which status does a target that is too long get?", &passages);
    assert_eq!(answer.response, "What is limited: target too long — Value: 8 KiB — Status: 414 [1]");
    let answer = ask("Which statuses are there?", &passages);
    assert_eq!(answer.response.lines().count(), 3, "{}", answer.response);
}

#[test]
fn what_is_asks_for_the_definition() {
    let text = "# Connections\n\nThe inbox and the outbox are two fields of it. A full outbox is no error.\n\n\
                ## The outbox\n\nIts bytes leave in order. An **outbox** is the queue of bytes that wait to be sent.\n";
    let answer = ask("What is an outbox?", &[note("a.md", "Connections", "", text)]);
    assert_eq!(answer.response, "An outbox is the queue of bytes that wait to be sent. [1]");
    let glossary = "# Words\n\n- **Inbox**: bytes that came in.\n- **Outbox**: bytes that wait.\n";
    let answer = ask("What is an outbox?", &[note("words.md", "Words", "", glossary)]);
    assert_eq!(answer.response, "Outbox: bytes that wait. [1]");
}

#[test]
fn the_best_piece_comes_first_and_a_common_word_supports_nothing() {
    let text = "# Gateway\n\nThe gateway has a blue cover. The gateway and its proxy share a room.\n\nThe gateway \
                restarts nightly at 03:00.\n\nA nightly restart of the gateway takes a minute.\n";
    let answer = ask("When does the gateway restart nightly?", &[note("a.md", "Gateway", "", text)]);
    assert!(answer.response.starts_with("The gateway restarts nightly at 03:00. [1]"), "{}", answer.response);
    assert!(!answer.response.contains("blue cover"), "{}", answer.response);
    assert!(!answer.response.contains("proxy"), "{}", answer.response);
    let first =
        "# Gateway\n\nThe gateway that restarts nightly hums.\n\nThe gateway restarts nightly at 03:00.\n";
    let answer = ask("When does the gateway restart nightly?", &[note("a.md", "Gateway", "", first)]);
    assert!(answer.response.starts_with("The gateway restarts nightly at 03:00. [1]"), "{}", answer.response);
}

#[test]
fn a_refusal_names_few_whole_words_as_they_were_typed() {
    let named = |message: &str| ask(message, &vault()).response;
    assert!(named("How many GPUs are there?").ends_with("No note mentions \"GPUs\"."));
    assert!(named("Who sells the Foo-Bar42?").ends_with("No note mentions \"sells\" or \"Foo-Bar42\"."));
    assert!(
        named("Who won the chess olympiad in Budapest?")
            .ends_with("No note mentions \"chess\", \"olympiad\" or \"Budapest\".")
    );
}

#[test]
fn a_drawing_that_nobody_asked_for_must_hold_most_of_the_question() {
    let drawing =
        "# Layers\n\n```text\nmain ──► files ──► index\n```\n\nA setting may come from the environment.\n";
    let passages = [note("layers.md", "Layers", "Layers", drawing)];
    let answer = ask("Which environment has settings files?", &passages);
    assert!(!answer.response.contains("main ──►"), "{}", answer.response);
}

#[test]
fn the_sentence_that_opens_code_answers_and_brings_it() {
    let text = "# Deployment\n\nWe deploy on Mondays.\n\nA rollback takes about three minutes:\n\n\
                ```sh\n./deploy.sh --previous\n```\n";
    let answer = ask("How long does a rollback take?", &[note("a.md", "Deployment", "Deployment", text)]);
    assert!(answer.response.starts_with("A rollback takes about three minutes:"), "{}", answer.response);
}

#[test]
fn a_drawing_below_a_heading_shows_what_the_heading_names() {
    let drawing =
        "# Architecture\n\n```text\nclient ──► gateway ──► orders\n```\n\nThe gateway faces the internet.\n";
    let passages = [
        note("start.md", "Start", "First week", "- Read [[architecture]].\n- Pair with somebody.\n"),
        note("architecture.md", "Architecture", "Architecture", drawing),
    ];
    let answer = ask("What does the architecture look like?", &passages);
    assert!(answer.response.starts_with("```text\nclient ──► gateway"), "{}", answer.response);
    let answer = ask("What does the entrance of the gateway look like?", &passages);
    assert!(!answer.response.contains("client"), "{}", answer.response);
}

#[test]
fn a_first_thing_is_no_step() {
    let text =
        "Start the server with `oneloop serve`.\n\nA timer is set before the server starts its first turn.\n";
    let answer = ask("How do I start the server?", &[note("a.md", "Running", "", text)]);
    assert_eq!(answer.response, "Start the server with `oneloop serve`. [1]");
}

#[test]
fn what_a_link_points_to_is_no_text_of_its_sentence() {
    let text = "The kitchen list is kept by [[people#Who repairs the espresso machine|Ada]].\n\n\
                Mira repairs the espresso machine.\n";
    let answer = ask("Who repairs the espresso machine?", &[note("a.md", "Kitchen", "", text)]);
    assert_eq!(texts(&answer), ["Mira repairs the espresso machine."]);
}

#[test]
fn a_heading_that_names_the_question_lends_it_to_the_list_below() {
    let drinks = "## Drinks we have\n\n- Tea\n- Coffee\n- Water\n";
    let answer = ask("Which drinks do we have?", &[note("bar.md", "Bar", "Drinks we have", drinks)]);
    assert_eq!(answer.response, "- Tea\n- Coffee\n- Water [1]");
}

#[test]
fn a_misspelt_word_counts_by_its_correction() {
    let question =
        Question { message: "Who cleans the esspresso machine?".to_owned(), ..Question::default() };
    let mut findings = found(&question, &vault());
    for term in findings.terms.iter_mut().filter(|term| term.text == "esspresso") {
        term.known = true;
        term.corrected = Some("espresso".to_owned());
    }
    let answer = composed_in_slices(&question, findings, u32::MAX);
    assert_eq!(texts(&answer), ["Mira cleans the espresso machine every Friday after lunch."]);
}

#[test]
fn corrected_words_alone_carry_no_answer() {
    let question = Question { message: "How do I bake sourdough bread?".to_owned(), ..Question::default() };
    let read = note("read.md", "Read", "Read", "You take the socket, and then you read from it.\n");
    let mut findings = found(&question, &[read]);
    for (word, other) in [("bake", "take"), ("bread", "read")] {
        for term in findings.terms.iter_mut().filter(|term| term.text == word) {
            *term = FoundTerm { known: true, corrected: Some(other.to_owned()), ..term.clone() };
        }
    }
    let answer = composed_in_slices(&question, findings, u32::MAX);
    assert!(answer.sources.is_empty(), "{}", answer.response);
}

#[test]
fn links_to_missing_notes_become_suggestions() {
    let mut passages = vault();
    passages[2].dangling = vec!["Descaling".to_owned(), "Beans".to_owned()];
    let answer = ask("Who cleans the espresso machine?", &passages);
    assert_eq!(
        answer.suggested_actions,
        [
            "Write the missing note \"Descaling\", which \"Espresso machine\" links to.",
            "Write the missing note \"Beans\", which \"Espresso machine\" links to."
        ]
    );
}

#[test]
fn german_and_chinese_questions_find_their_sentence() {
    let passages = [
        note(
            "ofen.md",
            "Ofen",
            "",
            "Der Ofen steht im Keller. Er wird jeden Montag gereinigt und läuft mit Gas.\n",
        ),
        note("水.md", "水", "", "水的沸点是100度。冰的熔点是0度。\n"),
    ];
    let german = ask("Wo steht der Ofen?", &passages);
    assert_eq!(texts(&german), ["Der Ofen steht im Keller."]);
    let chinese = ask("水的沸点是多少？", &passages);
    assert_eq!(texts(&chinese)[0], "水的沸点是100度。");
}

#[test]
fn sources_are_exact_bytes_of_the_file_also_with_line_breaks_of_windows() {
    let file =
        "# Title\r\n\r\nFirst line of\r\nthe gateway's story. The gateway restarts\r\nnightly at 03:00.\r\n";
    let answer = ask("When does the gateway restart?", &[passage_of("a.md", "Title", "Title", file, 9)]);
    assert_eq!(answer.response, "The gateway restarts nightly at 03:00. [1]");
    let source = &answer.sources[0];
    assert_eq!(&file[source.start as usize..source.end as usize], source.text);
}
