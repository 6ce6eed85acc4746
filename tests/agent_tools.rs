//! The tools: their schemas are what servers can read, and a call is taken if and only if its schema takes it.

use oneloop::agent::tools::{Lookup, Tool, ToolUse, cap, offered};
use oneloop::agent::{Wish, Writes};
use oneloop::limits::Limits;
use serde_json::Value;

fn parse(name: &str, arguments: &str) -> Result<ToolUse, String> {
    ToolUse::parse(name, arguments, Writes::Off, &Limits::default())
}

fn schema(tool: &Tool) -> Value {
    serde_json::from_str(tool.schema).expect("a schema is JSON")
}

const RULES: [Writes; 3] = [Writes::Off, Writes::Inbox, Writes::All];

/// As much of JSON Schema as ours are written in; panics on a word that it does not know.
fn takes(schema: &Value, value: &Value) -> bool {
    let words = schema.as_object().expect("a schema is an object");
    words.iter().all(|(word, rule)| match word.as_str() {
        "type" => match rule.as_str().expect("one type") {
            "object" => value.is_object(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            other => panic!("an unknown type: {other}"),
        },
        "properties" => rule
            .as_object()
            .expect("schemas by name")
            .iter()
            .all(|(name, schema)| value.get(name).is_none_or(|value| takes(schema, value))),
        "required" => rule
            .as_array()
            .expect("names")
            .iter()
            .all(|name| value.get(name.as_str().expect("a name")).is_some()),
        "additionalProperties" => {
            assert_eq!(rule, false, "no more than the named");
            let known = &schema["properties"];
            value.as_object().is_none_or(|fields| fields.keys().all(|name| known.get(name).is_some()))
        }
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| takes(rule, item))),
        "minLength" => {
            value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().expect("a count"))
        }
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a number")),
        "description" => rule.is_string(),
        other => panic!("an unknown word: {other}"),
    })
}

const ARGUMENTS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "\"query\"",
    "3",
    r#"{"query":"coffee"}"#,
    r#"{"query":""}"#,
    r#"{"query":" "}"#,
    r#"{"query":7}"#,
    r#"{"query":["coffee"]}"#,
    r#"{"query":"coffee","limit":1}"#,
    r#"{"query":"coffee","limit":12}"#,
    r#"{"query":"coffee","limit":13}"#,
    r#"{"query":"coffee","limit":0}"#,
    r#"{"query":"coffee","limit":-1}"#,
    r#"{"query":"coffee","limit":5.0}"#,
    r#"{"query":"coffee","limit":5.5}"#,
    r#"{"query":"coffee","limit":"5"}"#,
    r#"{"query":"coffee","limit":true}"#,
    r#"{"query":"coffee","limit":18446744073709551616}"#,
    r#"{"query":"coffee","path":"a.md"}"#,
    r#"{"limit":5}"#,
    r#"{"path":"a.md"}"#,
    r#"{"path":""}"#,
    r#"{"path":{}}"#,
    r#"{"path":"a.md","start":0}"#,
    r#"{"path":"a.md","start":4096}"#,
    r#"{"path":"a.md","start":-4096}"#,
    r#"{"path":"a.md","start":1e3}"#,
    r#"{"path":"a.md","start":1e30}"#,
    r#"{"path":"a.md","start":0.1}"#,
    r#"{"path":"a.md","start":18446744073709551615}"#,
    r#"{"path":"a.md","start":18446744073709551616}"#,
    r#"{"path":"a.md","begin":1}"#,
    r#"{"path":"../../etc/passwd"}"#,
    r#"{"folder":""}"#,
    r#"{"folder":"kitchen"}"#,
    r#"{"folder":1}"#,
    r#"{"folder":"kitchen","offset":100}"#,
    r#"{"folder":"kitchen","offset":-1}"#,
    r#"{"offset":[]}"#,
    r#"{"":""}"#,
    r#"{"title":"Tea"}"#,
    r#"{"title":"Tea","content":"Green."}"#,
    r##"{"title":"Tea","content":"Green.","tags":["drinks","#hot"]}"##,
    r#"{"title":"Tea","content":"Green.","tags":[]}"#,
    r#"{"title":"Tea","content":"Green.","tags":"drinks"}"#,
    r#"{"title":"Tea","content":"Green.","tags":[1]}"#,
    r#"{"title":"Tea","content":"Green.","folder":"drinks"}"#,
    r#"{"title":"Tea","content":"Green.","folder":""}"#,
    r#"{"title":"Tea","content":"Green.","folder":["drinks"]}"#,
    r#"{"title":"","content":"Green."}"#,
    r#"{"title":"Tea","content":""}"#,
    r#"{"title":"Tea","content":7}"#,
    r#"{"path":"a.md","content":"Green."}"#,
    r#"{"path":"../a.md","content":"\n- Green."}"#,
    r#"{"path":"a.md","content":""}"#,
    r#"{"path":"a.md","content":null,"at":1}"#,
    r#"{"from":"a.md","to":"b.md"}"#,
    r#"{"from":"a.md","to":"b.md","why":"both are hot"}"#,
    r#"{"from":"a.md","to":"b.md","why":""}"#,
    r#"{"from":"a.md","to":["b.md"]}"#,
    r#"{"from":"","to":"b.md"}"#,
    r#"{"from":"a.md"}"#,
];

#[test]
fn a_call_is_taken_exactly_if_its_schema_takes_it() {
    for (writes, tool) in
        RULES.into_iter().flat_map(|rule| offered(rule).iter().map(move |tool| (rule, tool)))
    {
        let schema = schema(tool);
        let mut taken = 0;
        for text in ARGUMENTS {
            let value: Value = serde_json::from_str(text).expect("the examples are JSON");
            let parsed = ToolUse::parse(tool.name, text, writes, &Limits::default());
            assert_eq!(parsed.is_ok(), takes(&schema, &value), "{}({text}): {parsed:?}", tool.name);
            taken += usize::from(parsed.is_ok());
        }
        assert!((2..ARGUMENTS.len() / 2).contains(&taken), "{}: {taken} examples were taken", tool.name);
    }
}

#[test]
fn a_schema_is_an_object_that_takes_nothing_else() {
    for tool in RULES.into_iter().flat_map(offered) {
        let schema = schema(tool);
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema["required"].is_array());
        for argument in schema["properties"].as_object().expect("schemas by name").values() {
            assert!(argument["description"].is_string(), "{}: an argument says what it is", tool.name);
        }
    }
}

#[test]
fn what_is_not_said_is_filled_in() {
    let text = |text: &str| text.to_owned();
    for (name, arguments, expected) in [
        ("search_notes", r#"{"query":"a b"}"#, ToolUse::Search { query: text("a b"), limit: 5 }),
        ("search_notes", r#"{"query":"a","limit":12}"#, ToolUse::Search { query: text("a"), limit: 12 }),
        ("search_notes", r#"{"query":"a","limit":null}"#, ToolUse::Search { query: text("a"), limit: 5 }),
        ("read_note", r#"{"path":"a.md"}"#, ToolUse::Look(Lookup::Read { path: text("a.md"), start: 0 })),
        (
            "read_note",
            r#"{"path":"a.md","start":3.0}"#,
            ToolUse::Look(Lookup::Read { path: text("a.md"), start: 3 }),
        ),
        ("list_links", r#"{"path":"a.md"}"#, ToolUse::Look(Lookup::Links { path: text("a.md") })),
        ("list_notes", "", ToolUse::Look(Lookup::List { folder: text(""), offset: 0 })),
        ("list_notes", " \n", ToolUse::Look(Lookup::List { folder: text(""), offset: 0 })),
        (
            "list_notes",
            r#"{"folder":null,"offset":7}"#,
            ToolUse::Look(Lookup::List { folder: text(""), offset: 7 }),
        ),
    ] {
        assert_eq!(parse(name, arguments), Ok(expected));
    }
}

#[test]
fn a_wrong_call_is_told_in_one_sentence_what_to_do() {
    for (name, arguments, sentence) in [
        (
            "delete_note",
            "{}",
            "There is no tool \"delete_note\"; the tools are search_notes, read_note, list_links, list_notes.",
        ),
        ("read_note", "{}", "read_note needs the argument \"path\" (a string)."),
        ("read_note", "", "read_note needs the argument \"path\" (a string)."),
        ("read_note", "[]", "The arguments of read_note must be a JSON object."),
        ("read_note", r#"{"path":""}"#, "The argument \"path\" of read_note must not be empty."),
        ("read_note", r#"{"path":1}"#, "The argument \"path\" of read_note must be a string."),
        ("read_note", r#"{"path":"a","line\n":1}"#, "read_note has no argument \"line\\n\"."),
        (
            "read_note",
            r#"{"path":"a","start":"b"}"#,
            "The argument \"start\" of read_note must be a whole number of at least 0.",
        ),
        (
            "search_notes",
            r#"{"query":"a","limit":50}"#,
            "The argument \"limit\" of search_notes must be a whole number from 1 to 12.",
        ),
    ] {
        assert_eq!(parse(name, arguments), Err(sentence.to_owned()));
    }
    let cut = parse("read_note", "{\"path\":\"a").expect_err("half a call");
    assert!(cut.starts_with("The arguments of read_note are not valid JSON (EOF"), "{cut}");
    let long = parse(&"n".repeat(100_000), "{}").expect_err("no such tool");
    assert!(long.len() < 200, "a sentence of {} bytes", long.len());
}

#[test]
fn who_may_not_write_is_told_so_and_offered_nothing_that_does() {
    let names = |writes| offered(writes).iter().map(|tool| tool.name).collect::<Vec<_>>();
    assert_eq!(names(Writes::Off), ["search_notes", "read_note", "list_links", "list_notes"]);
    assert_eq!(names(Writes::Inbox)[4..], ["create_note"]);
    assert_eq!(names(Writes::All)[4..], ["create_note", "append_note", "link_notes"]);
    let refused = |name, writes| ToolUse::parse(name, "{}", writes, &Limits::default()).expect_err("refused");
    for name in ["create_note", "append_note", "link_notes"] {
        assert_eq!(refused(name, Writes::Off), format!("{name} can't be used: nothing may be written here."));
    }
    assert_eq!(
        refused("append_note", Writes::Inbox),
        "append_note can't be used: only new notes may be written here, with create_note."
    );
    let told = refused("delete_note", Writes::All);
    assert!(told.ends_with("list_notes, create_note, append_note, link_notes."), "{told}");
}

#[test]
fn what_a_model_writes_is_put_in_order() {
    let wish = |name, arguments, writes| match ToolUse::parse(name, arguments, writes, &Limits::default()) {
        Ok(ToolUse::Write(wish)) => wish,
        other => panic!("{other:?}"),
    };
    let arguments =
        r##"{"title":" Green\n tea ","content":"\n\nHot.\r\nGreen.\n\n","tags":["#hot"," hot","a b",""]}"##;
    for (writes, folder) in [(Writes::Inbox, "Inbox"), (Writes::All, "Inbox")] {
        let Wish::Create(note) = wish("create_note", arguments, writes) else { panic!("another wish") };
        assert_eq!((&*note.draft.title, &*note.draft.body), ("Green tea", "Hot.\nGreen."));
        assert_eq!((note.draft.tags, &*note.folder), (vec!["hot".to_owned(), "a b".to_owned()], folder));
    }
    let elsewhere = r#"{"title":"Tea","content":"Hot.","folder":"./drinks/hot/"}"#;
    let Wish::Create(note) = wish("create_note", elsewhere, Writes::All) else { panic!("another wish") };
    assert_eq!((&*note.folder, note.insists), ("drinks/hot", true));
    assert_eq!(
        wish("append_note", r#"{"path":"a.md","content":"- Hot."}"#, Writes::All),
        Wish::Append { path: "a.md".to_owned(), content: "- Hot.\n".to_owned() }
    );
    let why = "x ".repeat(200);
    let link = wish("link_notes", &format!(r#"{{"from":"a","to":"b","why":"{why}"}}"#), Writes::All);
    let Wish::Link { why, .. } = link else { panic!("another wish") };
    assert!(why.len() <= 200 && why.ends_with('x'), "{why}");
}

#[test]
fn a_tool_asks_for_no_more_than_anyone_may() {
    let limits = Limits { query_bytes_max: 5, passages_max: 2, ..Limits::default() };
    let used = ToolUse::parse("search_notes", r#"{"query":"abcdé","limit":12}"#, Writes::Off, &limits);
    assert_eq!(used, Ok(ToolUse::Search { query: "abcd".to_owned(), limit: 2 }));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse("read_note", &format!("{{\"path\":{deep}}}")).is_err());
}

#[test]
fn a_result_is_cut_between_characters_and_says_so() {
    assert_eq!(cap("short".to_owned(), 5), "short");
    let long = "é".repeat(100);
    let cut = cap(long.clone(), 101);
    assert_eq!(cut, format!("{}\n[{} more bytes are left out]", "é".repeat(35), 130));
    for bytes_max in 0..220 {
        let cut = cap(long.clone(), bytes_max);
        assert!(cut.len() <= bytes_max, "{} bytes of {bytes_max}", cut.len());
        let kept = cut.split_once('\n').map_or(cut.as_str(), |(kept, _)| kept);
        assert!(long.starts_with(kept));
    }
}
