//! Messages that a destination refused.

use sidestream::projection::MemoryView;

use super::service::{Bad, Service, book, counts, program, until};
use crate::copy::on_threads;
use crate::copy::place::{Kind, Place};

#[test]
fn what_a_destination_refused_is_listed_sent_again_and_left_out() {
    let Some(place) = Place::new(Kind::Postgres) else { return };
    on_threads(async {
        let store: std::sync::Arc<dyn sidestream::EventStore> = place.open().await.share_store();
        let url = place.url();
        let (bad, view) = (Bad::new(&[666, 667]), MemoryView::new());
        let service = Service::start(&store, &bad, &view);
        book(&store, "a", &[1, 666, 2, 667]).await;
        let found = until(&url, |list| counts(list).1 == 1).await;
        let one = &found["messages"][0];
        assert_eq!(
            (&one["destination"], &one["key"], &one["topic"]),
            (&"ledger".into(), &"books".into(), &"booked".into())
        );
        assert_eq!((&one["error"], &one["refusals"]), (&"666 is not taken".into(), &2.into()), "{found:#}");
        let told = program(&["parked", "list", "--destination", "ledger", "--store", &url]).await.succeeded();
        assert!(told.stdout.contains("666 is not taken") && !told.stdout.contains("sums"), "{told:?}");

        let ask = async |what: &str, more: &[&str]| {
            let base =
                ["parked", what, "books", "--destination", "ledger", "--by", "ada", "--reason", "why not"];
            program(&[&base[..], &["--store", &url], more].concat()).await
        };
        let run = ask("retry", &[]).await;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains("books of ledger was retried and is parked"), "{run:?}");
        assert!(run.stderr.contains("666 is not taken"), "{run:?}");
        let run = ask("skip", &[]).await;
        assert!(run.code == Some(1) && run.stderr.contains("667 is not taken"), "{run:?}");
        bad.mend(667);
        let done = ask("retry", &["--json", "--wait", "2m"]).await.json();
        assert_eq!((&done["state"], &done["of"]), (&"done".into(), &"ledger".into()));
        assert_eq!(counts(&until(&url, |_| true).await).1, 0);
        ask("skip", &[]).await.refused_with(&["key books is not parked by destination ledger"]);
        service.stop().await;
    });
}
