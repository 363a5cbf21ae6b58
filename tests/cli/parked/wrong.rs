//! Wrong calls: one clear message each, and nothing written.

use sidestream::projection::MemoryView;

use super::service::{Bad, Service, book, counts, program, until};
use crate::copy::on_threads;
use crate::copy::place::{Kind, Place};
use crate::program::Run;

const STORE: [&str; 2] = ["--store", "sqlite:none.db"];

fn parked(call: &[&str]) -> Run {
    Run::of(crate::bench::folder().path(), &[&["parked"], call].concat())
}

#[test]
fn a_call_that_is_incomplete_or_contradicts_itself_is_refused() {
    let by = ["--by", "ada", "--reason", "why"];
    for (call, part) in [
        (vec!["list"], "--store"),
        (vec!["list", "--store", "mysql:secret"], "--store is no store"),
        (vec!["list", "--store", "sqlite:none.db"], "none.db"),
        (vec!["list", "--projection", "a", "--destination", "b", STORE[0], STORE[1]], "cannot be used with"),
        ([&["retry", "a", "--projection", "p"], &STORE[..]].concat(), "--by"),
        ([&["retry", "a", "--projection", "p", "--by", "ada"], &STORE[..]].concat(), "--reason"),
        ([&["retry", "a"], &by[..], &STORE[..]].concat(), "--projection"),
        ([&["retry", "--projection", "p"], &by[..], &STORE[..]].concat(), "AGGREGATE|KEY"),
        (
            [&["skip", "a", "--destination", "d", "--version", "1"], &by[..], &STORE[..]].concat(),
            "cannot be used with",
        ),
        ([&["skip", "a", "--projection", "p", "--wait", "soon"], &by[..], &STORE[..]].concat(), "--wait"),
        (
            [&["skip", "a", "--projection", "p", "--by", " ", "--reason", "why"], &STORE[..]].concat(),
            "who does it must be said",
        ),
        ([&["skip", "a", "--projection", "p"], &by[..], &STORE[..]].concat(), "none.db"),
    ] {
        let run = parked(&call);
        assert!(!run.stderr.contains("secret"), "{run:?}");
        run.refused_with(&[part]);
    }
    let run = parked(&["list", "--store", "postgres://u:secret@127.0.0.1:1/d"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot be reached") && !run.stderr.contains("secret"), "{run:?}");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let place = Place::new(Kind::Sqlite).unwrap();
    on_threads(async {
        let url = place.url();
        let opened = place.open().await;
        let store = opened.share_store();
        let service = Service::start(&store, &Bad::new(&[666]), &MemoryView::new());
        book(&store, "a", &[666]).await;
        until(&url, |list| counts(list) == (1, 1)).await;
        let by = ["--by", "ada", "--reason", "why", "--store", &url];
        for (call, parts) in [
            (
                vec!["list", "--projection", "totals", "--store", &url],
                ["no projection \"totals\"", "sums v1 have"],
            ),
            (
                vec!["list", "--destination", "bank", "--store", &url],
                ["no destination \"bank\"", "ledger have"],
            ),
            (
                [&["retry", "a", "--projection", "totals"], &by[..]].concat(),
                ["no projection", "sums v1 have"],
            ),
            (
                [&["retry", "a", "--projection", "sums", "--version", "2"], &by[..]].concat(),
                ["no projection", "sums v1"],
            ),
            (
                [&["retry", "b", "--projection", "sums"], &by[..]].concat(),
                ["b is not parked in projection sums", ""],
            ),
            ([&["retry", "+", "--projection", "sums"], &by[..]].concat(), ["cardinal", ""]),
            (
                [&["skip", "books", "--destination", "bank"], &by[..]].concat(),
                ["no destination", "ledger have"],
            ),
            ([&["skip", "b", "--destination", "ledger"], &by[..]].concat(), ["key b is not parked", ""]),
            ([&["skip", "b", "--destination", "l!"], &by[..]].concat(), ["letters, digits", ""]),
        ] {
            program(&[&["parked"], &call[..]].concat()).await.refused_with(&parts);
        }
        service.stop().await;
    });
}

#[test]
fn help_says_what_is_seen() {
    let run = parked(&["--help"]).succeeded();
    for part in
        ["Examples:", "--destination ledger", "What is seen are rows beside the log", "one writing process"]
    {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
}
