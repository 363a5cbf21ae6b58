//! The contract and the suite say the same: each sentence is a test, and each test is run.

use std::fs;
use std::path::Path;

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn suite() -> Vec<String> {
    let folder = "src/testkit/conformance";
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("the suite");
    files.map(|file| source(&format!("{folder}/{}", file.expect("a file").file_name().display()))).collect()
}

/// Words only: links, quotes and line breaks have no part in a sentence.
fn words(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("](") {
        plain.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let plain: String = plain.chars().filter(|c| !matches!(c, '[' | ']' | '`' | '*' | '>')).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The items below each "An implementation must" of the trait.
fn sentences() -> Vec<String> {
    let (mut found, mut listing): (Vec<String>, bool) = (Vec::new(), false);
    for line in source("src/store/mod.rs").lines().map(str::trim) {
        let Some(text) = line.strip_prefix("///") else {
            listing = false;
            continue;
        };
        if text.trim() == "An implementation must" {
            listing = true;
        } else if let (true, Some(item)) = (listing, text.trim().strip_prefix("- ")) {
            found.push(item.to_owned());
        } else if listing {
            found.last_mut().expect("an item").push_str(text);
        }
    }
    found.iter().map(|text| words(text).trim_end_matches([';', '.']).to_owned()).collect()
}

#[test]
fn each_sentence_of_the_contract_is_quoted_by_a_test() {
    let doc_comments = |file: &String| -> String {
        file.lines().filter_map(|line| line.trim().strip_prefix("///")).collect::<Vec<_>>().join(" ")
    };
    let quoted: String = suite().iter().map(doc_comments).map(|text| words(&text)).collect();
    let sentences = sentences();
    assert!(sentences.len() >= 24, "the sentences are not found any more: {sentences:?}");
    let missing: Vec<_> = sentences.iter().filter(|sentence| !quoted.contains(*sentence)).collect();
    assert!(missing.is_empty(), "no test of the suite quotes {missing:#?}");
}

#[test]
fn each_function_of_the_suite_is_run_by_the_macro() {
    let listed = source("src/testkit/conformance/mod.rs");
    let list: Vec<_> = listed.split_whitespace().collect();
    let mut count = 0;
    for line in suite().iter().flat_map(|file| file.lines()) {
        let Some(name) = line.strip_prefix("pub async fn ").and_then(|rest| rest.split_once('(')) else {
            continue;
        };
        assert!(list.contains(&name.0), "{} is not in the list of `conformance!`", name.0);
        count += 1;
    }
    assert!(count >= 30, "{count} functions");
}
