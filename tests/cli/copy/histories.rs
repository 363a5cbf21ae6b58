//! Random histories, moved through stores of each kind: what comes out is what went in.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sidestream::Timestamp;
use sidestream::partition::PartitionId;
use sidestream::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use sidestream::store::transfer::{Places, copy};
use sidestream::store::{EventStore, Unit};
use sidestream::testkit::effort;

use super::life::{
    account, handler, leave_open, live, note, notes, on_threads, recover, replay, truncate, tx,
};
use super::place::{Dump, Kind, Place};

/// What happens to a store before it is moved.
#[derive(Debug, Clone)]
enum Happening {
    /// Commands on some accounts, and an open step on each.
    Commands(u64, u64),
    /// An account loses what its snapshots stand for.
    Compact(u64),
    /// A stream gets records of a size.
    Notes(u64, usize, usize),
    /// A stream loses its records up to so many before its head.
    Truncate(u64, u64),
    OpenStep(u64),
    Recover,
    /// A row is claimed, or removed.
    Row(u8, bool),
    /// All partitions are closed at that moment.
    Close,
}

fn happening() -> impl Strategy<Value = Happening> {
    // Streams of which nothing is left are what a copy has to take most care of.
    let left = prop_oneof![Just(0), 1_u64..12];
    prop_oneof![
        3 => (1_u64..4, 1_u64..25).prop_map(|(accounts, commands)| Happening::Commands(accounts, commands)),
        2 => (0_u64..4).prop_map(Happening::Compact),
        3 => (0_u64..3, 1_usize..30, 0_usize..200)
            .prop_map(|(stream, notes, bytes)| Happening::Notes(stream, notes, bytes)),
        3 => (0_u64..3, left).prop_map(|(stream, left)| Happening::Truncate(stream, left)),
        1 => (0_u64..4).prop_map(Happening::OpenStep),
        1 => Just(Happening::Recover),
        2 => (0_u8..4, any::<bool>()).prop_map(|(name, is_removed)| Happening::Row(name, is_removed)),
        1 => Just(Happening::Close),
    ]
}

async fn row(store: &dyn EventStore, name: u8, is_removed: bool) {
    let lives = (name > 1).then_some(Duration::from_secs(60));
    let change = match is_removed {
        true => RowChange::Remove,
        false => RowChange::Claim { value: vec![name; usize::from(name)].into(), lives },
    };
    let key = RowKey::new("copied", format!("{name}")).unwrap();
    let write = RowWrite { key, expected: RowExpected::Any, change };
    let partition = PartitionId::new(u16::from(name) % store.properties().partitions.get());
    store.append(partition, vec![Unit::of_rows(vec![write])]).await.remove(0).unwrap();
}

async fn check(kinds: [Kind; 3], history: &[Happening]) {
    let [Some(first), Some(second), Some(third)] = kinds.map(Place::new) else { return };
    let store = first.open().await;
    let mut answered = Vec::new();
    for (at, happening) in history.iter().enumerate() {
        let shared = store.share();
        match happening {
            Happening::Commands(accounts, commands) => {
                answered.extend(live(&store, *accounts, *commands, &format!("{at}-")).await);
            }
            Happening::Compact(number) => {
                handler(&store).compact(&account(number), sidestream::stream::Version::MAX).await.ok();
            }
            Happening::Notes(stream, count, bytes) => note(&*shared, &notes(stream), *count, *bytes).await,
            Happening::Truncate(stream, left) => {
                let head = super::moved::head_of(&*shared, *stream).await;
                truncate(&*shared, &notes(stream), head.saturating_sub(*left)).await;
            }
            Happening::OpenStep(number) => {
                leave_open(&store, &account(number), tx(format!("{at}open"))).await
            }
            Happening::Recover => drop(recover(&store).await),
            Happening::Row(name, is_removed) => row(&*shared, *name, *is_removed).await,
            Happening::Close => {
                let all: Vec<_> = shared.properties().partitions.all().collect();
                shared.close_partitions(&all, Timestamp::MAX).await.unwrap();
            }
        }
    }
    let before = Dump::of(&*store.share()).await;
    store.close().await;
    for [from, to] in [[&first, &second], [&second, &third]] {
        let source = from.open_source().await;
        let target = to.open_copy_of(&*source.share()).await.unwrap();
        let places = Places { source: from.url(), target: to.url() };
        let report = copy(source.share(), target.share(), &places, Arc::new(|_| ())).await.unwrap().unwrap();
        assert!(report.verified && report.open_steps == before.steps.len() as u64);
        assert_eq!(report.rows, before.rows.len() as u64);
        source.close().await;
        target.close().await;
        assert_eq!(to.dump().await, before);
    }
    let store = third.open().await;
    replay(&store, &answered).await;
    assert_eq!(recover(&store).await, before.steps.len() as u64);
    store.close().await;
}

fn any_history(cases: u32, kinds: [Kind; 3]) {
    let mut runner = TestRunner::new(effort::proptest_config(cases, "proptest-regressions/copy.txt"));
    let histories = prop::collection::vec(happening(), 1..16);
    runner
        .run(&histories, |history| {
            on_threads(check(kinds, &history));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_history_goes_through_files() {
    any_history(40, [Kind::Sqlite; 3]);
}

#[test]
fn any_history_goes_through_postgres_and_back() {
    any_history(10, [Kind::Sqlite, Kind::Postgres, Kind::Sqlite]);
    any_history(10, [Kind::Postgres, Kind::Sqlite, Kind::Postgres]);
}
