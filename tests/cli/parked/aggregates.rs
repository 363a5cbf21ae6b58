//! Aggregates that a projection has parked, over a store in PostgreSQL that the service is using.

use serde_json::json;
use sidestream::projection::MemoryView;

use super::service::{Bad, Service, book, counts, program, until};
use crate::copy::on_threads;
use crate::copy::place::{Kind, Place};

#[test]
fn a_service_on_postgres_parks_and_another_process_lists_retries_and_skips() {
    let Some(place) = Place::new(Kind::Postgres) else { return };
    on_threads(async {
        let store: std::sync::Arc<dyn sidestream::EventStore> = place.open().await.share_store();
        let url = place.url();
        let (bad, view) = (Bad::new(&[666, 667]), MemoryView::new());
        let service = Service::start(&store, &bad, &view);
        let none = until(&url, |list| list["projections"].as_array().unwrap().len() == 1).await;
        assert_eq!(
            none["projections"],
            json!([{"projection": "sums", "version": 1, "parked": 0, "listed": 0}])
        );
        let told = program(&["parked", "list", "--projection", "sums", "--store", &url]).await.succeeded();
        assert_eq!(told.stdout, "nothing is parked: sums v1\n");
        book(&store, "a", &[1, 666, 2, 667, 3]).await;
        book(&store, "b", &[4]).await;
        let found = until(&url, |list| list["aggregates"][0]["waiting"] == 4).await;
        let one = &found["aggregates"][0];
        for (field, value) in [
            ("projection", json!("sums")),
            ("version", json!(1)),
            ("aggregate", json!("a")),
            ("event", json!("Booked")),
            ("attempts", json!(2)),
            ("asked", json!(null)),
            ("error", json!("666 cannot be summed")),
        ] {
            assert_eq!(one[field], value, "{field} in {found:#}");
        }
        assert!(one["since"].as_str().unwrap().ends_with('Z'), "{found:#}");
        let told = program(&["parked", "list", "--store", &url]).await.succeeded().stdout;
        for part in ["sums v1", "666 cannot be summed", "Booked", "attempts", "since"] {
            assert!(told.contains(part), "no {part:?} in {told}");
        }

        let ask = async |what: &str, more: &[&str]| {
            let base = ["parked", what, "a", "--projection", "sums", "--by", "ada", "--reason", "why not"];
            program(&[&base[..], &["--store", &url], more].concat()).await
        };
        // In vain: it is parked as before, and that is told.
        let run = ask("retry", &[]).await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.stderr.contains("was retried and is parked at position"), "{run:?}");
        assert!(run.stderr.contains("666 cannot be summed"), "{run:?}");
        // One event is left out, and the next bad one is found; for programs.
        let run = ask("skip", &["--json"]).await;
        let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &told["state"], &told["applied"]), (Some(1), &json!("parked"), &json!(1)));
        assert_eq!(told["error"], "667 cannot be summed");
        bad.mend(667);
        let done = ask("retry", &["--json", "--wait", "2m"]).await.json();
        let expected = [("state", json!("done")), ("action", json!("retried")), ("applied", json!(2))];
        for (field, value) in expected.into_iter().chain([("of", json!("sums v1")), ("subject", json!("a"))])
        {
            assert_eq!(done[field], value, "{field} in {done:#}");
        }
        // It is gone from the list at once; and what became of it is told once more.
        assert_eq!(counts(&until(&url, |_| true).await).0, 0);
        ask("retry", &[]).await.refused_with(&[
            "a is not parked in projection sums",
            "ada asked for",
            "done",
        ]);
        service.stop().await;

        // Nobody runs it: the request stays, and is carried out by who comes.
        let bad = Bad::new(&[668]);
        let service = Service::start(&store, &bad, &view);
        book(&store, "a", &[668]).await;
        until(&url, |list| counts(list).0 == 1).await;
        service.stop().await;
        let run = ask("skip", &["--wait", "100ms"]).await;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("nobody has answered: the request stays"), "{run:?}");
        let asked = until(&url, |_| true).await;
        assert_eq!(asked["aggregates"][0]["asked"], "skipped");
        let told = ask("skip", &["--no-wait"]).await.succeeded().stdout;
        assert!(told.starts_with("asked: a of sums v1 is to be skipped at position"), "{told}");
        let other = ask("retry", &["--no-wait"]).await;
        assert_eq!(other.code, Some(1));
        assert!(other.stderr.contains("wait for its answer first"), "{other:?}");
    });
}
