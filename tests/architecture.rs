//! Keeps the layers: a file uses its own folder and lower layers only. A file that is not named here fails the
//! test, and so does an upward or sideways `crate::` path.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the ground up; the names in one layer are modules of the crate. Modules of one layer
/// may use each other only where `WITHIN` says so.
const LAYERS: [(&str, &[&str]); 10] = [
    (
        "words",
        &[
            "limits",
            "error",
            "clock",
            "id",
            "stream",
            "partition",
            "event",
            "codec",
            "fingerprint",
            "hash",
            "message",
            "metric",
        ],
    ),
    ("rules", &["decider", "side_stream", "protocol", "snapshot", "lease"]),
    ("store", &["store"]),
    ("command", &["command", "feed", "processor"]),
    ("processors", &["projection", "buffer"]),
    ("processes", &["process"]),
    ("cluster", &["cluster"]),
    ("runtime", &["runtime"]),
    ("shells", &["testkit", "cli"]),
    ("front page", &["lib", "bin"]),
];

/// Who may use whom inside a layer. It has no cycle: `no_cycles_within_a_layer` makes sure.
const WITHIN: [(&str, &[&str]); 11] = [
    ("clock", &["error"]),
    ("id", &["error", "limits"]),
    ("stream", &["error", "limits", "id"]),
    ("partition", &["error", "limits"]),
    ("event", &["error", "limits", "clock", "id", "partition", "stream"]),
    ("codec", &["error", "limits", "event"]),
    ("fingerprint", &["error", "id"]),
    ("message", &["error", "limits", "clock", "event", "id", "partition", "stream"]),
    ("metric", &["partition"]),
    ("protocol", &["side_stream"]),
    ("snapshot", &["decider"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.ends_with("target") {
            continue; // What cargo made of a crate of its own.
        } else if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module of the crate that a file belongs to: the first part of its path below `src`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix("src").expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The modules that a file names by a `crate::` path, in code: comments, and tests inside the file, may look
/// upwards.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut names = BTreeSet::new();
    for line in lines {
        for part in line.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A re-export at the crate's root is the front page's: nothing below may use it.
            names.insert(if name.is_empty() || name.starts_with(char::is_uppercase) {
                "lib".to_owned()
            } else {
                name
            });
        }
    }
    names
}

#[test]
fn data_flows_one_way() {
    let mut wrong = Vec::new();
    for path in files(Path::new("src")) {
        let from = module(&path);
        // Tests in a file of their own may look upwards, as those inside a file may.
        if from == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let Some(own) = layer(&from) else {
            wrong.push(format!("{} belongs to no layer: name it in tests/architecture.rs", path.display()));
            continue;
        };
        for to in used(&fs::read_to_string(&path).expect("text")) {
            let within = WITHIN.iter().any(|(who, whom)| *who == from && whom.contains(&to.as_str()));
            // The shells stand on everything, the front page's re-exports included.
            let shell = LAYERS[own].0 == "shells";
            match layer(&to) {
                _ if to == from || within || shell => {}
                Some(other) if other < own => {}
                _ => wrong.push(format!("{} uses crate::{to}: upward or sideways", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_cycles_within_a_layer() {
    fn reaches(from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
        let next = WITHIN.iter().filter(|(who, _)| *who == from).flat_map(|(_, whom)| *whom);
        next.copied().any(|name| name == to || (seen.insert(name.to_owned()) && reaches(name, to, seen)))
    }
    for (name, _) in WITHIN {
        assert!(!reaches(name, name, &mut BTreeSet::new()), "{name} reaches itself");
    }
}

/// The file that a `crate::` path leads to: the longest part of it that is one. A folder's own `mod.rs` only
/// passes names on, so it is nobody's goal.
fn file_of(path: &str) -> Option<PathBuf> {
    let mut parts: Vec<&str> = path.split("::").collect();
    while !parts.is_empty() {
        let file = Path::new("src").join(parts.join("/")).with_extension("rs");
        if file.is_file() {
            return Some(file);
        }
        parts.pop();
    }
    None
}

/// The files that a file takes names from, by its `use crate::…` lines: `a::{b, c}` leads to both.
fn taken_from(text: &str) -> BTreeSet<PathBuf> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut files = BTreeSet::new();
    for part in code.split("use crate::").skip(1) {
        let path = part.split(';').next().unwrap_or_default();
        let (stem, names) = path.split_once('{').unwrap_or((path, ""));
        let stem = stem.trim_end_matches("::");
        for name in names.split(',').map(|name| name.trim().trim_end_matches('}')) {
            let whole = if name.is_empty() { stem.to_owned() } else { format!("{stem}::{name}") };
            files.extend(file_of(&whole));
        }
    }
    files
}

#[test]
fn no_circle_of_files() {
    let all = files(Path::new("src"));
    let uses = |file: &Path| taken_from(&fs::read_to_string(file).expect("text"));
    assert!(uses(Path::new("src/store/sqlite/open.rs")).len() > 10, "the reading of paths is broken");
    for start in &all {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(file) = next.pop() {
            for used in uses(&file).into_iter().filter(|used| *used != file) {
                assert_ne!(
                    used,
                    *start,
                    "{} takes from {}, which stands above it",
                    file.display(),
                    start.display()
                );
                if seen.insert(used.clone()) {
                    next.push(used);
                }
            }
        }
    }
}

#[test]
fn files_can_be_read_at_a_glance() {
    let all = ["src", "tests", "examples", "benches"].into_iter().map(Path::new).filter(|path| path.exists());
    let long: Vec<_> = all
        .flat_map(files)
        .map(|path| (fs::read_to_string(&path).expect("text").lines().count(), path))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(long.is_empty(), "files over 500 lines: {long:?}");
}

#[test]
fn time_and_randomness_come_from_one_file() {
    let names = ["SystemTime", "Instant::now", "now_v7", "new_v4", "tokio::time::sleep", "thread::sleep"];
    let wrong: Vec<_> = files(Path::new("src"))
        .into_iter()
        .filter(|path| path != Path::new("src/clock.rs"))
        .flat_map(|path| {
            let text = fs::read_to_string(&path).expect("text");
            let found = names
                .iter()
                .filter(|name| text.contains(**name))
                .map(|name| format!("{}: {name}", path.display()));
            found.collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_sql_file_is_used() {
    fn named(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                named(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                found.push(path);
            }
        }
    }
    let mut all = Vec::new();
    named(Path::new("src"), &mut all);
    assert!(all.len() > 20, "the search is broken");
    let code: String =
        files(Path::new("src")).iter().map(|path| fs::read_to_string(path).expect("text")).collect();
    let name = |path: &PathBuf| format!("sql/{}\"", path.file_name().expect("a name").to_string_lossy());
    let unused: Vec<_> = all.iter().filter(|path| !code.contains(&name(path))).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn sql_stands_in_sql_files() {
    let verbs = ["SELECT ", "INSERT INTO ", "CREATE TABLE", "UPDATE ", "DELETE FROM "];
    let wrong: Vec<_> = files(Path::new("src"))
        .into_iter()
        .filter(|path| {
            let text = fs::read_to_string(path).expect("text");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
            verbs.iter().any(|verb| code.contains(verb))
        })
        .collect();
    assert!(wrong.is_empty(), "SQL outside of .sql files: {wrong:?}");
}
