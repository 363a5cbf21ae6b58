//! Moves from one kind to the other and back, by the program.

use tempfile::TempDir;

use super::life::{
    account, handler, live, long_effect, note, notes, on_threads, recover, replay, truncate, tx,
};
use super::place::{Kind, Place};
use super::rules::Command;
use crate::program::Run;

/// A store at each place is moved to the next one.
fn moves_and_serves(kinds: [Kind; 3]) {
    let [Some(first), Some(second), Some(third)] = kinds.map(Place::new) else { return };
    let folder = TempDir::new().unwrap();
    let (answered, before) = on_threads(async {
        let store = first.open().await;
        let shared = store.share();
        let answered = live(&store, 7, 200, "a").await;
        for number in 0..6 {
            note(&*shared, &notes(number), 9, 10).await;
        }
        long_effect(&*shared, &notes(7)).await;
        for number in 0..3 {
            let floor =
                handler(&store).compact(&account(number), sidestream::stream::Version::MAX).await.unwrap();
            assert!(floor.get() > 0);
        }
        truncate(&*shared, &notes(1), 4).await;
        truncate(&*shared, &notes(2), 9).await;
        truncate(&*shared, &notes(3), 9).await;
        store.close().await;
        (answered, first.dump().await)
    });
    assert!(before.floors.len() >= 6 && before.steps.len() == 7 && before.records() > 500);

    for [from, to] in [[&first, &second], [&second, &third]] {
        let moved =
            Run::of(folder.path(), &["copy", "--from", &from.url(), "--to", &to.url(), "--json"]).json();
        assert_eq!(moved["records"], before.records(), "{moved}");
        assert_eq!((&moved["verified"], &moved["open_steps"]), (&true.into(), &7.into()));
        let after = on_threads(to.dump());
        assert_eq!(after, before);
    }
    let again =
        Run::of(folder.path(), &["copy", "--from", &second.url(), "--to", &third.url(), "--json"]).json();
    assert_eq!(again["was_moved"], true);

    on_threads(async {
        let store = third.open().await;
        replay(&store, &answered).await;
        assert_eq!(recover(&store).await, 7);
        let heads = store.share().log_heads().await.unwrap();
        let outcome =
            handler(&store).handle(&account(1), tx("new"), Command::Deposit { minor: 1 }).await.unwrap();
        assert!(outcome.is_accepted());
        assert_ne!(store.share().log_heads().await.unwrap(), heads, "it goes on behind what was copied");
        // Streams go on where they were, also those of which nothing is left.
        for (number, head) in [(1, 10), (2, 10), (5, 10)] {
            note(&*store.share(), &notes(number), 1, 1).await;
            assert_eq!(head_of(&*store.share(), number).await, head);
        }
        store.close().await;
        // What a copy derived can be read again from what it wrote.
        let store = third.open().await;
        assert_eq!(head_of(&*store.share(), 2).await, 10);
        replay(&store, &answered).await;
        store.close().await;
    });
}

pub async fn head_of(store: &dyn sidestream::EventStore, number: u64) -> u64 {
    let read = sidestream::store::StreamRead {
        stream: notes(number),
        from: sidestream::store::ReadFrom::After(sidestream::stream::Version::EMPTY),
        limit: 9,
    };
    store.read_streams(vec![read]).await.pop().unwrap().unwrap().head.get()
}

#[test]
fn from_sqlite_to_postgres_and_back() {
    moves_and_serves([Kind::Sqlite, Kind::Postgres, Kind::Sqlite]);
}

#[test]
fn from_postgres_to_sqlite_and_back() {
    moves_and_serves([Kind::Postgres, Kind::Sqlite, Kind::Postgres]);
}

#[test]
fn from_one_file_to_another() {
    moves_and_serves([Kind::Sqlite, Kind::Sqlite, Kind::Sqlite]);
}
