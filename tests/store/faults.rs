//! The store with faults does what its script says, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::partition::PartitionId;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{
    AppendFailure, EventStore, OpenStepsRead, ReadFrom, StreamAppend, StreamPage, StreamRead, Unit,
    UnitResult,
};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Rates, Script, StreamReads};
use sidestream::testkit::run;
use sidestream::{AggregateId, Category, ErrorKind};

const ACCOUNT: Category = Category::new("account");

fn stream(number: usize) -> StreamName {
    ACCOUNT.stream(&AggregateId::new(format!("home+{number}")).expect("valid"))
}

fn home(store: &dyn EventStore) -> PartitionId {
    store.properties().partitions.of("home")
}

/// A unit of one event that expects `version`.
fn unit(number: usize, version: u64) -> Unit {
    let record = NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Noted").expect("valid"),
        schema: 1,
        codec: CodecName::new("json").expect("valid"),
        cause: None,
        requester: None,
        payload: Bytes::from_static(b"x"),
    };
    Unit::one(StreamAppend {
        stream: stream(number),
        expected: Version::new(version).into(),
        records: vec![record],
    })
}

async fn append(store: &FaultyStore, units: Vec<Unit>) -> Vec<UnitResult> {
    store.append(home(store), units).await
}

async fn read(store: &dyn EventStore, number: usize, from: ReadFrom) -> sidestream::Result<StreamPage> {
    let read = StreamRead { stream: stream(number), from, limit: 100 };
    store.read_streams(vec![read]).await.remove(0)
}

/// Where a stream really is, past all faults.
async fn head(inner: &Arc<MemoryStore>, number: usize) -> u64 {
    read(&**inner, number, ReadFrom::After(Version::EMPTY)).await.expect("memory").head.get()
}

fn faulty(script: Script) -> (Arc<MemoryStore>, FaultyStore) {
    let inner = Arc::new(MemoryStore::new());
    (inner.clone(), FaultyStore::new(inner, script))
}

fn kind(result: &UnitResult) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(AppendFailure::WrongVersion { .. }) => "wrong version",
        Err(AppendFailure::WrongRow(_)) => "wrong row",
        Err(AppendFailure::Superseded { .. } | AppendFailure::RowSuperseded { .. }) => "superseded",
        Err(AppendFailure::Refused(error)) => error.code(),
        Err(AppendFailure::Unknown(_)) => "lost",
    }
}

/// A list of three units, one a stream, under `fault`: the answers, and what is really there.
async fn three(fault: Fault) -> (Vec<&'static str>, [u64; 3]) {
    let (inner, store) = faulty(Script::new().append(1, fault));
    let answers = append(&store, vec![unit(0, 0), unit(1, 0), unit(2, 0)]).await;
    let heads = [head(&inner, 0).await, head(&inner, 1).await, head(&inner, 2).await];
    (answers.iter().map(kind).collect(), heads)
}

#[test]
fn an_append_meets_each_fault_as_scripted() {
    run(async {
        assert_eq!(three(Fault::Unavailable).await, (vec!["unavailable"; 3], [0, 0, 0]));
        assert_eq!(three(Fault::Unknown(Done::Nothing)).await, (vec!["lost"; 3], [0, 0, 0]));
        assert_eq!(three(Fault::Unknown(Done::Units(2))).await, (vec!["lost"; 3], [1, 1, 0]));
        assert_eq!(three(Fault::Unknown(Done::All)).await, (vec!["lost"; 3], [1, 1, 1]));
        assert_eq!(three(Fault::UnknownFrom(1)).await, (vec!["ok", "lost", "lost"], [1, 0, 0]));
        assert_eq!(three(Fault::Late(1)).await, (vec!["lost"; 3], [0, 0, 0]));
        assert_eq!(three(Fault::Delay(3)).await, (vec!["ok"; 3], [1, 1, 1]));
    });
}

#[test]
fn a_late_append_lands_before_the_call_it_is_due_at() {
    run(async {
        let (inner, store) = faulty(Script::new().append(1, Fault::Late(2)));
        append(&store, vec![unit(0, 0)]).await;
        assert_eq!(store.late(), 1);
        append(&store, vec![unit(1, 0)]).await;
        assert_eq!(head(&inner, 0).await, 0, "one call later");
        // The late one is first: it takes the version.
        assert_eq!(kind(&append(&store, vec![unit(0, 0)]).await[0]), "wrong version");
        assert_eq!((head(&inner, 0).await, store.late()), (1, 0));
    });
}

#[test]
fn a_late_append_may_lose_to_another_that_came_first() {
    run(async {
        let (inner, store) = faulty(Script::new().append(1, Fault::Late(9)));
        append(&store, vec![unit(0, 0)]).await;
        assert_eq!(kind(&append(&store, vec![unit(0, 0)]).await[0]), "ok");
        store.land_late().await;
        assert_eq!((head(&inner, 0).await, store.late()), (1, 0));
    });
}

#[test]
fn a_dead_process_hears_nothing_and_the_next_one_goes_on() {
    run(async {
        for (done, expected) in [(Done::Nothing, 0), (Done::Units(1), 1), (Done::All, 1)] {
            let (inner, store) = faulty(Script::new().call(2, Fault::Crash(done)));
            let other_task = store.clone();
            let work = async {
                append(&store, vec![unit(1, 0)]).await;
                append(&store, vec![unit(0, 0)]).await;
                unreachable!("it is dead");
            };
            assert_eq!(store.until_crash(work).await, None::<()>);
            assert!(other_task.is_dead());
            assert!(other_task.until_crash(append(&other_task, vec![unit(2, 0)])).await.is_none());
            let restarted = store.restart();
            assert_eq!(kind(&append(&restarted, vec![unit(3, 0)]).await[0]), "ok");
            let heads = [head(&inner, 0).await, head(&inner, 2).await, head(&inner, 3).await];
            assert_eq!(heads, [expected, 0, 1], "{done:?}");
            assert_eq!(restarted.calls(), 3, "a dead process makes no calls");
        }
    });
}

#[test]
fn a_call_that_never_ends_is_cut_when_another_task_kills_the_process() {
    run(async {
        let (_, store) = faulty(Script::new());
        let work = async {
            store.kill();
            append(&store, vec![unit(0, 0)]).await
        };
        assert!(store.until_crash(work).await.is_none());
        assert_eq!(store.restart().until_crash(async { 7 }).await, Some(7));
    });
}

#[test]
fn a_late_append_lands_after_its_process_died() {
    run(async {
        let script = Script::new().call(1, Fault::Late(2)).call(2, Fault::Crash(Done::Nothing));
        let (inner, store) = faulty(script);
        let work = async {
            append(&store, vec![unit(0, 0)]).await;
            append(&store, vec![unit(1, 0)]).await
        };
        assert!(store.until_crash(work).await.is_none());
        assert_eq!(head(&inner, 0).await, 0);
        let page = read(&store.restart(), 0, ReadFrom::After(Version::EMPTY)).await.expect("a page");
        assert_eq!(page.head.get(), 1, "it landed before the restarted process's first call");
    });
}

#[test]
fn a_delayed_append_is_overtaken() {
    run(async {
        let (_, store) = faulty(Script::new().append(1, Fault::Delay(5)));
        let (slow, fast) = tokio::join!(append(&store, vec![unit(0, 0)]), append(&store, vec![unit(0, 0)]));
        assert_eq!((kind(&slow[0]), kind(&fast[0])), ("wrong version", "ok"));
    });
}

#[test]
fn each_method_counts_and_fails() {
    run(async {
        let script = (1..=5).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable));
        let (_, store) = faulty(script.call(6, Fault::Unknown(Done::All)));
        let home = home(&store);
        let steps = OpenStepsRead {
            partition: home,
            category: "accountTransaction".to_owned(),
            older_than: std::time::Duration::ZERO,
            after: None,
            limit: 9,
        };
        let errors = [
            read(&store, 0, ReadFrom::After(Version::EMPTY)).await.map(drop),
            store.read_log(home, Position::START, 9).await.map(drop),
            store.read_types(home, &[], Position::START, 9).await.map(drop),
            store.open_steps(steps).await.map(drop),
            store.truncate(&stream(0), Version::EMPTY).await.map(drop),
        ];
        for error in errors {
            assert_eq!(error.expect_err("scripted").kind(), ErrorKind::Unavailable);
        }
        let lost = store.truncate(&stream(0), Version::EMPTY).await.expect_err("scripted");
        assert_eq!(lost.kind(), ErrorKind::Unknown);
        assert_eq!((store.calls(), store.appends()), (6, 0));
        store.truncate(&stream(0), Version::EMPTY).await.expect("the script is over");
    });
}

#[test]
fn reads_are_counted_by_stream() {
    run(async {
        let (_, store) = faulty(Script::new());
        for version in 0..5 {
            append(&store, vec![unit(0, version)]).await;
        }
        assert!(store.reads().is_empty());
        for after in [3, 2, 4] {
            read(&store, 0, ReadFrom::After(Version::new(after))).await.expect("a page");
        }
        read(&store, 1, ReadFrom::SnapshotBefore(Version::MAX)).await.expect("a page");
        let tail = StreamReads { reads: 3, records: 6, snapshots: 0, lowest: Some(Version::new(3)) };
        assert_eq!(store.reads()[&stream(0)], tail);
        assert_eq!(store.reads()[&stream(1)], StreamReads { reads: 1, ..StreamReads::default() });
        store.reset_reads();
        assert!(store.reads().is_empty());
    });
}

/// What happens to 300 appends, restarted after each crash.
async fn story(seed: u64) -> String {
    let (inner, mut store) = faulty(Script::random(seed, Rates::default()));
    let mut story = String::new();
    for number in 0..300 {
        let list = vec![unit(number % 7, head(&inner, number % 7).await), unit(7 + number, 0)];
        match store.until_crash(append(&store, list)).await {
            Some(results) => story.extend(results.iter().map(kind)),
            None => {
                story.push_str("crash");
                store = store.restart();
            }
        }
        story.push(' ');
    }
    store.land_late().await;
    for number in 0..7 {
        story.push_str(&head(&inner, number).await.to_string());
        story.push(' ');
    }
    story
}

#[test]
fn the_same_seed_tells_the_same_story() {
    run(async {
        let first = story(7).await;
        assert_eq!(first, story(7).await);
        assert_ne!(first, story(8).await);
        for fate in ["ok", "lost", "unavailable", "crash"] {
            assert!(first.contains(fate), "no {fate} in {first}");
        }
    });
}
