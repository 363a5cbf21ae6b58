//! Keeps the documentation honest: every test that it names exists, every link leads somewhere, every row of
//! the fault list is answered.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page: those at the top, and all below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What stands between backticks, outside of fenced blocks.
fn code_spans(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut spans = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// The tests that a page names, as `path/to/file.rs::name`.
fn named_tests(page: &str) -> Vec<(&str, &str)> {
    code_spans(page).into_iter().filter_map(|span| span.split_once(".rs::")).collect()
}

/// Whether a file defines a test of this name: a function with the attribute, one of a `proptest!` block, or a
/// sentence of the conformance suite, which a macro turns into a test.
fn defines(file: &str, name: &str) -> bool {
    let suite = format!("pub async fn {name}(");
    let starts = [format!("fn {name}("), format!("async fn {name}(")];
    let lines: Vec<_> = file.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let before = lines.get(at.saturating_sub(3)..at).unwrap_or_default();
        let tested = before.iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"));
        let starts = || starts.iter().any(|start| line.trim_start().starts_with(start));
        line.starts_with(&suite) || (tested && starts())
    })
}

#[test]
fn every_named_test_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (path, name) in named_tests(&text(&page)) {
            let path = format!("{path}.rs");
            let found = fs::read_to_string(root().join(&path)).is_ok_and(|file| defines(&file, name));
            if !found {
                wrong.push(format!("{}: {path}::{name}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "named, and not there:\n{}", wrong.join("\n"));
}

#[test]
fn guarantees_and_faults_name_their_tests() {
    for (page, least) in [("docs/guarantees.md", 40), ("docs/faults.md", 40), ("README.md", 9)] {
        let text = text(page);
        let named: BTreeSet<_> = named_tests(&text).into_iter().collect();
        assert!(named.len() >= least, "{page} names {} tests", named.len());
    }
}

/// The row of a table that begins with `key`.
fn row<'t>(page: &'t str, key: &str) -> Option<Vec<&'t str>> {
    let mut rows = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.find(|cells| cells.get(1) == Some(&key))
}

#[test]
fn every_fault_and_every_invariant_has_a_row_that_says_how_far_it_is_covered() {
    let page = text("docs/faults.md");
    let keys = (1..=44).map(|number| number.to_string()).chain((1..=24).map(|number| format!("F{number}")));
    for key in keys {
        let row = row(&page, &key).unwrap_or_else(|| panic!("docs/faults.md has no row {key}"));
        let status = row.get(3).copied().unwrap_or_default();
        let proof = row.get(4).copied().unwrap_or_default();
        match status {
            "covered" | "partly" => {
                assert!(proof.contains(".rs::"), "row {key} is {status} and names no test")
            }
            "not yet" => assert!(!proof.is_empty(), "row {key} does not say where it belongs"),
            other => panic!("row {key}: {other:?} is neither covered, partly nor not yet"),
        }
    }
}

/// The targets of a page's links.
fn links(page: &str) -> Vec<String> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_relative_link_resolves() {
    let mut wrong = Vec::new();
    for page in pages() {
        let folder = page.parent().unwrap_or_else(|| Path::new("")).to_owned();
        for link in links(&text(&page)) {
            let target = link.split('#').next().unwrap_or_default();
            let outside = link.contains("://") || target.is_empty();
            if !outside && !root().join(&folder).join(target).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_anchor_is_a_heading() {
    let mut wrong = Vec::new();
    for page in pages() {
        let folder = page.parent().unwrap_or_else(|| Path::new("")).to_owned();
        for link in links(&text(&page)).iter().filter(|link| !link.contains("://")) {
            let Some((target, wanted)) = link.split_once('#') else { continue };
            let target = if target.is_empty() { page.clone() } else { folder.join(target) };
            let headings = text(target);
            if !headings.lines().any(|line| line.starts_with('#') && anchor(line) == wanted) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such heading:\n{}", wrong.join("\n"));
}

#[test]
fn every_decision_is_in_the_index() {
    let index = text("docs/decisions/README.md");
    for entry in fs::read_dir(root().join("docs/decisions")).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name} is not in the index");
    }
}

#[test]
fn the_readme_names_the_two_commands_of_a_fresh_machine() {
    let readme = text("README.md");
    for command in ["cargo run --release --example payments", "cargo test --workspace"] {
        assert!(readme.contains(command), "{command}");
    }
}

/// The program of the front page and of the README are the same one.
#[test]
fn the_program_is_the_same_on_both_front_pages() {
    let readme = text("README.md");
    let program =
        readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let front: String = text("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    assert!(front.contains(program), "README.md and src/lib.rs show different programs");
}

/// The names of figures in a text.
fn figures(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("sidestream_")).collect()
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let page = text("docs/metrics.md");
    let rows: String = page.lines().filter(|line| line.starts_with("| `sidestream_")).collect();
    let code: BTreeSet<_> = sidestream::metric::ALL.into_iter().collect();
    assert_eq!(figures(&rows), code, "the page's table, and `metric::ALL`");
    assert!(figures(&page).is_subset(&code), "the page's text");
    let named = text("src/metric.rs");
    let named: BTreeSet<_> =
        named.split('"').skip(1).step_by(2).filter(|word| word.starts_with("sidestream_")).collect();
    assert_eq!(named, code, "every name of the file stands in `ALL`");
}
