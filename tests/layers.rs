//! The layers hold: no `use crate::` points the wrong way, and no module reaches for the world behind `os`' back.
#![expect(clippy::disallowed_methods, reason = "a test that reads the sources")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and the layers that it may import. `limits` may be imported by everyone.
const ALLOWED: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("base", &[]),
    ("text", &["base"]),
    ("wire", &["base"]),
    ("notes", &["text", "base"]),
    ("agent", &["text", "base"]),
    ("store", &["base"]),
    ("os", &["store", "base"]),
    ("reactor", &["os", "base"]),
    ("net", &["reactor", "os", "wire", "base"]),
    ("config", &["wire"]),
    ("app", &["config", "net", "wire", "agent", "notes", "store", "text", "reactor", "os", "base"]),
    ("cli", &["app", "config", "agent", "store", "reactor", "os", "wire", "base"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Words that a pure layer does not say: it is given bytes and times, and gives bytes and deadlines back.
const IMPURE: &[&str] = &[
    "mio::",
    "rusqlite::",
    "rustix::",
    "libc::",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "Instant",
    "SystemTime",
    "getrandom",
];
const PURE: &[&str] = &["limits", "base", "text", "wire", "notes", "agent", "store", "config"];

#[test]
fn no_import_points_the_wrong_way() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let layer = layer_of(&path);
        let may = allowed.get(layer.as_str()).unwrap_or_else(|| panic!("{layer} has no place in the layers"));
        for target in imports(&text) {
            seen += 1;
            if target != layer && target != "limits" && !may.contains(&target.as_str()) {
                wrong.push(format!("{}: {layer} must not import {target}", path.display()));
            }
        }
    }
    assert!(seen > 50, "the search for imports found only {seen}: it is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_layers_do_not_touch_the_world() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !PURE.contains(&layer_of(&path).as_str()) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_threads_and_locks_stay_in_os() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if layer_of(&path) == "os" {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in ["unsafe ", "Rc<", "RefCell<", "Mutex<", "thread::spawn", "thread::Builder"] {
                if line.contains(word) {
                    wrong.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the source folder can be listed") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                sources.push((path, text));
            }
        }
    }
    sources
}

/// The first folder or file below `src`.
fn layer_of(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(root).expect("sources lie below src").components().next();
    let first = first.expect("a file has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The layers that a file names behind `crate::`, tests and doc comments aside.
fn imports(text: &str) -> Vec<String> {
    let lines = code_lines(text);
    let mut imports = Vec::new();
    for (_, line) in lines {
        for rest in line.split("crate::").skip(1) {
            let names = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap_or(list));
            let many = rest.starts_with('{');
            for name in names.split(',').take(if many { usize::MAX } else { 1 }) {
                let name: String =
                    name.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if !name.is_empty() {
                    imports.push(name);
                }
            }
        }
    }
    imports
}

/// Lines that are code, up to the tests at a file's end.
fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}
