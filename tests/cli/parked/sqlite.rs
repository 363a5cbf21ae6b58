//! A SQLite store has one writing process: others list, and leave requests while it is stopped.

use sidestream::projection::MemoryView;

use super::service::{Bad, Service, book, counts, list, program, until};
use crate::copy::on_threads;
use crate::copy::place::{Kind, Place};

#[test]
fn a_running_service_is_listed_and_requests_are_left_while_it_is_stopped() {
    let place = Place::new(Kind::Sqlite).unwrap();
    on_threads(async {
        let url = place.url();
        let opened = place.open().await;
        let store = opened.share_store();
        let (bad, view) = (Bad::new(&[666]), MemoryView::new());
        let service = Service::start(&store, &bad, &view);
        book(&store, "a", &[1, 666, 2]).await;
        until(&url, |list| counts(list) == (1, 1) && list["aggregates"][0]["waiting"] == 2).await;
        let of = |subject: &str| match subject {
            "a" => ["--projection", "sums"],
            _ => ["--destination", "ledger"],
        };
        let ask = async |what: &str, subject: &str| {
            let base = ["parked", what, subject, "--by", "ada", "--reason", "why not", "--store", &url];
            program(&[&base[..], &of(subject)].concat()).await
        };
        for subject in ["a", "books"] {
            let run = ask("skip", subject).await;
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
            assert!(run.stderr.contains("A SQLite store has one writing process"), "{run:?}");
            assert!(run.stderr.contains("or stop it, call this again, and start it"), "{run:?}");
        }
        assert_eq!(list(&url).await["aggregates"][0]["asked"], serde_json::Value::Null);
        service.stop().await;
        drop(store);
        opened.close().await;

        // What it parked can be seen while it is stopped, and what is asked for is done when it starts.
        assert_eq!(counts(&list(&url).await), (1, 1));
        for subject in ["a", "books"] {
            let told = ask("skip", subject).await.succeeded().stdout;
            assert!(told.starts_with("asked: ") && told.contains("is to be skipped at position"), "{told}");
        }
        let asked = list(&url).await;
        assert_eq!(
            (&asked["aggregates"][0]["asked"], &asked["messages"][0]["asked"]),
            (&"skipped".into(), &"skip".into())
        );
        let opened = place.open().await;
        let store = opened.share_store();
        let service = Service::start(&store, &bad, &view);
        until(&url, |list| counts(list) == (0, 0)).await;
        service.stop().await;
        drop(store);
        opened.close().await;
    });
}
