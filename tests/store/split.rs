//! A store made of two, side streams here and aggregates there: what joins the two, and what each remembers of
//! the other one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidestream::clock::SystemClock;
use sidestream::event::{EventType, NewRecord, RecordKind};
use sidestream::id::{Cause, Fingerprint, StepName};
use sidestream::limits;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::memory::MemoryStore;
use sidestream::store::split::SplitStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{Atomicity, EventStore, LogScope, ReadFrom, StreamRead};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
use sidestream::testkit::{parallel, run};
use sidestream::{AggregateId, Category, Error, ErrorKind, TransactionId};

use crate::several::{Kind, Several, append, event, stream_in};

pub(crate) fn memory(partitions: u16) -> MemoryStore {
    let count = PartitionCount::new(partitions).expect("a count");
    MemoryStore::with(count, Atomicity::Batch, Arc::new(SystemClock))
}

/// A side stream of the first account that lies in a partition, and a first record for it.
fn side_in(partition: PartitionId, count: PartitionCount, number: u32) -> (StreamName, NewRecord) {
    let account = AggregateId::new(stream_in(partition, count).id()).expect("valid");
    let transaction = TransactionId::derive("split", &number.to_string());
    let cause =
        Cause { transaction, step: StepName::new("hold"), fingerprint: Fingerprint::from_bytes([1; 16]) };
    let kind = RecordKind::Requested { aggregate_version: Version::EMPTY };
    let event_type = kind.framework_type().expect("the framework's");
    let record = NewRecord { kind, event_type, cause: Some(cause), ..event("command") };
    (Category::new("account").side_stream(&account, transaction), record)
}

/// Some records in every partition of both halves, from `round` on.
async fn fill(store: &SplitStore, round: u32) {
    let count = store.properties().partitions;
    for partition in count.all() {
        let version = u64::from(round);
        append(store, &stream_in(partition, count), version, vec![event("e")]).await.expect("committed");
        let (side, requested) = side_in(partition, count, round);
        append(store, &side, 0, vec![requested]).await.expect("committed");
    }
}

async fn refused(opened: sidestream::Result<SplitStore>, kind: ErrorKind, parts: &[&str]) {
    let error: Error = opened.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn stores_that_do_not_belong_together_are_refused() {
    run(async {
        let invalid = ErrorKind::Invalid;
        let store = memory(4);
        let id = store.properties().id.to_string();
        refused(SplitStore::open(store.clone(), store).await, invalid, &["are the same store", &id]).await;
        let parts = ["different numbers of partitions", "4 partitions, as in the gateway", "8 in the ledger"];
        refused(SplitStore::open(memory(4), memory(8)).await, invalid, &parts).await;
        let split = SplitStore::open(memory(4), memory(4)).await.expect("opened");
        refused(SplitStore::open(memory(4), split).await, invalid, &["cannot be a split store itself"]).await;

        // Its side streams would be looked for in the gateway, and commands would be done again.
        let used = memory(4);
        append(&used, &stream_in(PartitionId::new(2), used.properties().partitions), 0, vec![event("old")])
            .await
            .expect("committed");
        for (gateway, ledger, which) in
            [(memory(4), used.clone(), "the ledger"), (used.clone(), memory(4), "the gateway")]
        {
            let parts = [which, "was never half of a split store", "copy its streams into two new stores"];
            refused(SplitStore::open(gateway, ledger).await, invalid, &parts).await;
        }
    });
}

#[test]
fn halves_of_different_stores_and_exchanged_halves_are_refused() {
    run(async {
        let (gateway, ledger) = (memory(4), memory(4));
        let store = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
        let again = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
        assert_eq!(store.properties(), again.properties());
        assert_eq!(
            (again.properties().atomicity, again.properties().log),
            (Atomicity::Stream, LogScope::Aggregates)
        );

        let exchanged = SplitStore::open(ledger.clone(), gateway.clone()).await;
        refused(exchanged, ErrorKind::Invalid, &["are exchanged", "exchange the two stores"]).await;
        let other = SplitStore::open(gateway.clone(), memory(4)).await;
        let ids = [ledger.properties().id.to_string(), gateway.properties().id.to_string()];
        let parts = ["the ledger is not the one that the gateway worked with", &ids[0]];
        refused(other, ErrorKind::LostHistory, &parts).await;
        let parts = ["the gateway is not the one that the ledger worked with", &ids[1]];
        let other = SplitStore::open(memory(4), ledger).await;
        refused(other, ErrorKind::LostHistory, &parts).await;
    });
}

/// Two files, closed before they are copied.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn half(&self, name: &str) -> SqliteStore {
        let count = PartitionCount::new(2).expect("a count");
        SqliteStore::builder(self.path(name)).partitions(count).open().expect("opened")
    }

    async fn open(&self) -> sidestream::Result<SplitStore> {
        SplitStore::open(self.half("gateway.db"), self.half("ledger.db")).await
    }

    fn copy(&self, from: &str, to: &str) {
        let wal = self.path(&format!("{from}-wal"));
        assert!(!Path::new(&wal).exists(), "closed");
        std::fs::copy(self.path(from), self.path(to)).expect("copied");
    }
}

#[test]
fn an_older_backup_of_either_half_is_refused_and_not_believed() {
    for (half, other) in [("ledger", "gateway"), ("gateway", "ledger")] {
        run(async {
            let (files, name) = (Files::new(), format!("{half}.db"));
            let store = files.open().await.expect("opened");
            fill(&store, 0).await;
            drop(store);
            files.copy(&name, "backup");
            let store = files.open().await.expect("opened");
            fill(&store, 1).await;
            store.anchor().await.expect("anchored");
            drop(store);
            files.copy(&name, "newest");

            files.copy("backup", &name);
            let parts = [
                format!("the {half} is older than the {other} knows it"),
                "or above, found position".to_owned(),
                format!("bring the newest {half} back"),
            ];
            let parts = parts.each_ref().map(String::as_str);
            refused(files.open().await, ErrorKind::LostHistory, &parts).await;
            refused(files.open().await, ErrorKind::LostHistory, &parts).await;

            files.copy("newest", &name);
            let store = files.open().await.expect("the newest is believed");
            let count = store.properties().partitions;
            for partition in count.all() {
                let page = store.read_log(partition, Position::START, 10).await.expect("the log");
                assert_eq!(page.records.len(), 2);
            }
        });
    }
}

#[test]
fn older_backups_of_both_halves_from_the_same_moment_are_believed() {
    run(async {
        let files = Files::new();
        let store = files.open().await.expect("opened");
        fill(&store, 0).await;
        store.anchor().await.expect("anchored");
        drop(store);
        let both = ["gateway.db", "ledger.db"];
        both.iter().for_each(|name| files.copy(name, &format!("backup of {name}")));
        let store = files.open().await.expect("opened");
        fill(&store, 1).await;
        drop(store);
        both.iter().for_each(|name| files.copy(&format!("backup of {name}"), name));
        let store = files.open().await.expect("opened");
        fill(&store, 1).await;
    });
}

/// It has as many records by now, but others.
#[test]
fn an_older_backup_that_went_on_by_itself_is_refused_too() {
    run(async {
        let files = Files::new();
        let store = files.open().await.expect("opened");
        fill(&store, 0).await;
        let count = store.properties().partitions;
        drop(store);
        files.copy("ledger.db", "backup");
        let store = files.open().await.expect("opened");
        fill(&store, 1).await;
        store.anchor().await.expect("anchored");
        drop(store);
        files.copy("backup", "ledger.db");
        let alone = files.half("ledger.db");
        for partition in count.all() {
            let stream = stream_in(partition, count);
            append(&alone, &stream, 1, vec![event("other"); 10]).await.expect("committed");
        }
        drop(alone);
        let parts = ["the ledger went on from an older copy", "expected checksum", "position"];
        refused(files.open().await, ErrorKind::LostHistory, &parts).await;
    });
}

/// What was written after the last anchor is not covered, and `verify` looks without opening again.
#[test]
fn an_outage_is_followed_by_a_comparison_at_will() {
    run(async {
        let (gateway, ledger) = (memory(2), memory(2));
        let store = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
        fill(&store, 0).await;
        store.anchor().await.expect("anchored");
        store.verify().await.expect("nothing was lost");
        fill(&store, 1).await;
        store.verify().await.expect("more than the anchor says is fine");
        // Records that were removed meanwhile are no lost history.
        let count = store.properties().partitions;
        for partition in count.all() {
            store.truncate(&stream_in(partition, count), Version::new(2)).await.expect("a floor");
        }
        store.verify().await.expect("removed is not lost");
        store.anchor().await.expect("anchored");
        store.verify().await.expect("nothing was lost");
    });
}

#[test]
fn a_first_start_that_was_cut_short_is_done_again() {
    run(async {
        // The gateway has its anchor, and the ledger has none yet.
        for fault in [Fault::Unavailable, Fault::Unknown(Done::Nothing), Fault::Unknown(Done::All)] {
            let gateway = memory(2);
            let ledger = FaultyStore::new(Arc::new(memory(2)), Script::new().append(1, fault));
            SplitStore::open(gateway.clone(), ledger.clone()).await.expect_err("cut short");
            let store = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
            fill(&store, 0).await;
            SplitStore::open(gateway, ledger).await.expect("opened");
        }
    });
}

#[test]
fn anchors_are_few_and_no_log_shows_them() {
    run(async {
        // One partition: anchors and aggregates share its log.
        let store = SplitStore::open(memory(1), memory(1)).await.expect("opened");
        let mut shown = Vec::new();
        for round in 0..30 {
            fill(&store, round).await;
            store.anchor().await.expect("anchored");
            shown.push(u64::from(round) + 1);
        }
        let home = PartitionId::new(0);
        for half in [store.gateway(), store.ledger()] {
            let page = half.read_log(home, Position::START, 1_000).await.expect("the log");
            let anchors = page.records.iter().filter(|record| record.stream.is_reserved()).count();
            assert_eq!(u64::try_from(anchors).expect("few"), limits::KEPT_ANCHORS);
        }
        let types = [EventType::new("Noted").expect("valid"), EventType::stored("$anchor").expect("valid")];
        for limit in [1, 2, 7, 1_000] {
            let (mut log, mut by_type) = (Vec::new(), Vec::new());
            for (records, types) in [(&mut log, None), (&mut by_type, Some(&types))] {
                let mut after = Position::START;
                loop {
                    let page = match types {
                        None => store.read_log(home, after, limit).await,
                        Some(types) => store.read_types(home, types, after, limit).await,
                    };
                    let page = page.expect("a page");
                    let is_full = page.records.len() == limit;
                    assert!(is_full || page.read_to == page.head, "a page that is not full is the last");
                    records.extend(page.records);
                    if page.read_to >= page.head {
                        break;
                    }
                    assert!(page.read_to > after, "it moves on");
                    after = page.read_to;
                }
            }
            let versions: Vec<_> = log.iter().map(|record| record.version.get()).collect();
            assert_eq!(versions, shown, "{limit} a page");
            assert_eq!(log, by_type);
            assert!(log.is_sorted_by(|a, b| a.position < b.position), "positions rise, with holes");
        }
    });
}

#[test]
fn anchors_are_nobody_elses_to_write_or_remove() {
    run(async {
        let store = SplitStore::open(memory(1), memory(1)).await.expect("opened");
        let anchors = StreamName::parse("$anchor-0").expect("valid");
        let head = Version::new(1);
        append(&store, &anchors, 1, vec![event("no")]).await.expect_err("refused");
        assert_eq!(store.truncate(&anchors, head).await.expect_err("refused").kind(), ErrorKind::Invalid);
        let read = StreamRead { stream: anchors, from: ReadFrom::After(Version::EMPTY), limit: 1 };
        let page = store.read_streams(vec![read]).await.remove(0).expect("readable");
        assert_eq!((page.head, page.floor), (head, Version::EMPTY));
    });
}

/// Several processes may add anchors side by side, while others write.
#[test]
fn anchors_are_added_side_by_side() {
    run(async {
        let (gateway, ledger) = (memory(2), memory(2));
        let store = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
        let task = |number: u32| {
            let (store, gateway, ledger) = (store.clone(), gateway.clone(), ledger.clone());
            async move {
                if number == 0 {
                    for round in 0..50 {
                        fill(&store, round).await;
                    }
                    return;
                }
                for _ in 0..25 {
                    let process = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
                    process.anchor().await.expect("anchored");
                    process.verify().await.expect("nothing was lost");
                }
            }
        };
        parallel((0..4).map(task)).await;
        SplitStore::open(gateway, ledger).await.expect("opened");
    });
}

/// An anchor that comes late says less than the one that stands there by then.
#[test]
fn a_late_anchor_does_not_replace_a_newer_one() {
    run(async {
        let gateway = FaultyStore::new(Arc::new(memory(1)), Script::new());
        let store = SplitStore::open(gateway.clone(), memory(1)).await.expect("opened");
        gateway.set_script(Script::new().append(gateway.appends() + 1, Fault::Late(1_000)));
        assert_eq!(store.anchor().await.expect_err("lost").kind(), ErrorKind::Unknown);
        fill(&store, 0).await;
        store.anchor().await.expect("anchored");
        let anchors = async || {
            let page = gateway.read_log(PartitionId::new(0), Position::START, 100).await.expect("the log");
            let of_anchors = page.records.into_iter().filter(|record| record.stream.is_reserved());
            of_anchors.map(|record| record.data.payload).collect::<Vec<_>>()
        };
        let before = anchors().await;
        assert_eq!((before.len(), gateway.late()), (2, 1));
        gateway.land_late().await;
        assert_eq!(anchors().await, before);
    });
}

#[test]
fn a_half_that_is_down_fails_its_own_streams_only() {
    run(async {
        let gateway = FaultyStore::new(Arc::new(memory(1)), Script::new());
        let store = SplitStore::open(gateway.clone(), memory(1)).await.expect("opened");
        fill(&store, 0).await;
        gateway
            .set_script((1..100).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable)));
        let count = store.properties().partitions;
        let (account, (side, requested)) =
            (stream_in(PartitionId::new(0), count), side_in(PartitionId::new(0), count, 0));
        let from = ReadFrom::After(Version::EMPTY);
        let reads =
            [&side, &account, &side].map(|stream| StreamRead { stream: stream.clone(), from, limit: 9 });
        let pages: Vec<_> = store.read_streams(reads.to_vec()).await.iter().map(Result::is_ok).collect();
        assert_eq!(pages, [false, true, false]);
        assert!(append(&store, &side, 1, vec![requested]).await.is_err());
        assert!(append(&store, &account, 1, vec![event("e")]).await.is_ok());
        assert!(store.read_log(PartitionId::new(0), Position::START, 9).await.is_ok());
        assert_eq!(store.verify().await.expect_err("cannot be compared").kind(), ErrorKind::Unavailable);
    });
}

/// Anchors are stored for years: where they stand and what they say may be added to, and not changed.
#[test]
fn anchors_and_ids_are_as_they_were() {
    run(async {
        let [gateway, ledger] = Several::new([Kind::Memory, Kind::Memory], 2, Atomicity::Stream).open();
        let split = SplitStore::open(gateway.clone(), ledger.clone()).await.expect("opened");
        assert_eq!(split.properties().id.to_string(), PINNED_ID);
        let last = PartitionId::new(1);
        for (half, pinned) in [(&gateway, PINNED_GATEWAY), (&ledger, PINNED_LEDGER)] {
            let page = half.read_log(last, Position::START, 10).await.expect("the log");
            let anchor = &page.records[0];
            assert_eq!((anchor.stream.as_str(), anchor.data.kind), ("$anchor-0", RecordKind::Anchor));
            assert_eq!(String::from_utf8_lossy(&anchor.data.payload), pinned);
        }
    });
}

const PINNED_ID: &str = "f7fe072c-0266-5d45-9de3-90fed322cb64";
const PINNED_GATEWAY: &str =
    r#"{"here":"gateway","other":"00000000-0000-0000-0000-000000000002","heads":[[0,null],[0,null]]}"#;
const PINNED_LEDGER: &str =
    r#"{"here":"ledger","other":"00000000-0000-0000-0000-000000000001","heads":[[0,null],[1,687778899]]}"#;
