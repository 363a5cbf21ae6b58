//! `sidestream rebuild` and `sidestream switch`: a service makes a view anew, asked by another process.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sidestream::feed::Pauses;
use sidestream::partition::PartitionId;
use sidestream::processor::Processor;
use sidestream::projection::{Demands, Generational, MemoryContent, MemoryView, Rebuilder, Settings};
use sidestream::store::EventStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::copy::on_threads;
use crate::copy::place::{Kind, Place};
use crate::parked::service::{Bad, Service, Sums, book, program};
use crate::program::Run;

/// What of a service makes its view anew.
struct Holder {
    stop: watch::Sender<bool>,
    task: JoinHandle<sidestream::Result<()>>,
}

impl Holder {
    fn start(store: &Arc<dyn EventStore>, bad: &Bad, view: &MemoryView<i64>) -> Self {
        let demands = || Demands::same(MemoryContent::new(|sum: &i64| sum.to_le_bytes().to_vec()));
        let pauses = Pauses { shortest_ms: 1, longest_ms: 20 };
        let settings = Settings { attempts: 2, retry: pauses, polling: pauses, ..Settings::default() };
        let rebuilder = Rebuilder::new(Arc::clone(store), ("sums", view.clone()), demands).unwrap();
        let rebuilder = rebuilder.settings(settings).project(Sums(bad.clone())).unwrap();
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(rebuilder.run(PartitionId::new(0), 1, stop.subscribe()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }
}

async fn ask(url: &str, what: &str, more: &[&str]) -> Run {
    let base = [what, "sums", "--by", "ada", "--reason", "rules changed", "--store", url];
    program(&[&base[..], more].concat()).await
}

async fn status(url: &str) -> Value {
    program(&["rebuild", "sums", "--status", "--json", "--store", url]).await.json()["view"].clone()
}

async fn until(url: &str, is_so: impl Fn(&Value) -> bool) {
    let found = async {
        loop {
            // The name is not known before the service has told it.
            let run = program(&["rebuild", "sums", "--status", "--json", "--store", url]).await;
            if run.code == Some(0) && is_so(&run.json()["view"]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), found).await.expect("it comes to be so");
}

#[test]
fn a_service_on_postgres_builds_and_switches_when_another_process_asks() {
    let Some(place) = Place::new(Kind::Postgres) else { return };
    on_threads(async {
        let store: Arc<dyn EventStore> = place.open().await.share_store();
        let (url, bad, view) = (place.url(), Bad::new(&[]), MemoryView::new());
        book(&store, "a", &[1, 2, 3]).await;
        book(&store, "b", &[4]).await;
        ask(&url, "rebuild", &[]).await.refused_with(&["no view \"sums\"", "there is none"]);
        let service = Service::start(&store, &bad, &view);
        let holder = Holder::start(&store, &bad, &view);
        until(&url, |view| view["live"] == 1).await;
        let told = ask(&url, "rebuild", &[]).await.succeeded();
        let expected = "generation 2 of sums is built and follows generation 1: look at it, and switch\n";
        assert_eq!((told.stdout.as_str(), told.stderr.as_str()), (expected, ""));
        until(&url, |view| view["building"] == 2 && view["to_do"] == 0 && view["done"] != 0).await;
        let told = program(&["rebuild", "sums", "--status", "--store", &url]).await.succeeded().stdout;
        assert!(told.starts_with("generation 1 of sums is live; generation 2 is being built: "), "{told}");
        let switched = ask(&url, "switch", &["--json", "--wait", "2m"]).await.json();
        assert_eq!(switched["asked"]["answer"], json!({"switched": {"from": 1, "to": 2}}));
        assert_eq!((&switched["view"]["live"], &switched["view"]["building"]), (&json!(2), &json!(null)));
        assert_eq!(switched["asked"]["by"], json!({"who": "ada", "why": "rules changed"}));
        let run = ask(&url, "switch", &[]).await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.stderr.contains("a switch of sums was refused: nothing is being built"), "{run:?}");

        let told = ask(&url, "rebuild", &["--switch"]).await.succeeded().stdout;
        assert_eq!(told, "readers of sums were switched from generation 2 to 3\n");
        let told = ask(&url, "rebuild", &["--drop-former"]).await.succeeded().stdout;
        assert_eq!(told, "2 former generations of sums are gone\n");
        assert_eq!(view.generations().await.unwrap().former, Vec::<u32>::new());
        holder.stop().await;

        // Nobody runs it: the request stays, nothing else is taken but its end.
        let run = ask(&url, "rebuild", &["--wait", "100ms"]).await;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("is not done: the request stays"), "{run:?}");
        let run = ask(&url, "switch", &["--no-wait"]).await;
        assert!(
            run.code == Some(1) && run.stderr.contains("a rebuild of sums waits, asked for by ada"),
            "{run:?}"
        );
        let told = ask(&url, "rebuild", &["--give-up", "--no-wait"]).await.succeeded().stdout;
        assert!(told.starts_with("asked: a rebuild's end of sums, by whoever holds its lease"), "{told}");
        service.stop().await;
    });
}

#[test]
fn on_sqlite_a_request_is_left_while_the_service_is_stopped() {
    let place = Place::new(Kind::Sqlite).unwrap();
    on_threads(async {
        let (url, bad, view) = (place.url(), Bad::new(&[]), MemoryView::new());
        let opened = place.open().await;
        let store = opened.share_store();
        book(&store, "a", &[1, 2, 3]).await;
        let service = Service::start(&store, &bad, &view);
        let holder = Holder::start(&store, &bad, &view);
        until(&url, |view| view["live"] == 1).await;
        let run = ask(&url, "rebuild", &["--switch"]).await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.stderr.contains("A SQLite store has one writing process"), "{run:?}");
        holder.stop().await;
        service.stop().await;
        drop(store);
        opened.close().await;

        let told = ask(&url, "rebuild", &["--switch"]).await.succeeded().stdout;
        assert!(told.starts_with("asked: a rebuild with a switch of sums"), "{told}");
        let opened = place.open().await;
        let store = opened.share_store();
        let service = Service::start(&store, &bad, &view);
        let holder = Holder::start(&store, &bad, &view);
        until(&url, |view| view["live"] == 2).await;
        holder.stop().await;
        service.stop().await;
        assert_eq!(status(&url).await["building"], json!(null));
        drop(store);
        opened.close().await;
    });
}

#[test]
fn a_wrong_call_is_told_by_one_message() {
    let store = ["--store", "sqlite:none.db"];
    let by = ["--by", "ada", "--reason", "why"];
    for (call, part) in [
        (vec!["rebuild"], "NAME"),
        (vec!["rebuild", "sums"], "--store"),
        ([&["rebuild", "sums"], &store[..]].concat(), "--by"),
        ([&["switch", "sums", "--by", "ada"], &store[..]].concat(), "--reason"),
        (
            [&["rebuild", "sums", "--switch", "--give-up"], &by[..], &store[..]].concat(),
            "cannot be used with",
        ),
        ([&["rebuild", "sums", "--status", "--drop-former"], &store[..]].concat(), "cannot be used with"),
        (
            [&["switch", "sums", "--no-wait", "--wait", "1s"], &by[..], &store[..]].concat(),
            "cannot be used with",
        ),
        ([&["rebuild", "sums"], &by[..], &store[..]].concat(), "there is no store at none.db"),
        (vec!["rebuild", "sums", "--status", "--store", "redis:secret"], "--store is no store"),
    ] {
        let run = Run::of(crate::bench::folder().path(), &call);
        assert!(!run.stderr.contains("secret"), "{run:?}");
        run.refused_with(&[part]);
    }
    let run = Run::of(crate::bench::folder().path(), &["rebuild", "--help"]).succeeded();
    for part in ["Examples:", "--drop-former", "one writing process"] {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
}
