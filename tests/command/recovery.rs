//! Recovery: by age, reading only tails, any number of times, inside itself, and loud where history is
//! lost.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::partition::PartitionCount;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{EventStore, ReadFrom, StreamAppend, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, Version};
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
use sidestream::testkit::{controls, effort, run};
use sidestream::{Category, CommandHandler, Decider, ErrorKind, Outcome, StepName};

use crate::rules::{Account, Command, Funds};
use crate::support::{BOTH, account, deposit, funds, leave_open, snapshotting, store, tx};

const CATEGORY: Category = Account::CATEGORY;

#[test]
fn recovery_reads_only_the_tail_and_one_snapshot() {
    run(async {
        for atomicity in BOTH {
            let (inner, id) = (store(atomicity), account("7"));
            let writer = snapshotting(inner.clone(), 50);
            deposit(&writer, &id, 0, 3_000).await;
            let head = writer.query(&id, |_, version| version).await.expect("readable");
            leave_open(inner.clone(), &id, tx("open"), Command::Hold { minor: 7 }).await;
            deposit(&writer, &id, 3_000, 3_020).await;

            let counting = FaultyStore::new(Arc::new(inner.clone()), Script::new());
            let recovery = snapshotting(counting.clone(), 50).recover(Duration::ZERO).await.expect("swept");
            assert_eq!((recovery.accepted, recovery.failed), (1, 0));
            let reads = counting.reads()[&CATEGORY.stream(&id)];
            assert!(reads.records <= 120, "{atomicity:?} read {reads:?} of {head}");
            assert!(reads.lowest >= Some(Version::new(head.get() - 60)), "{atomicity:?} {reads:?}");
            assert!((20..=21).contains(&recovery.scanned), "{recovery:?}");
            assert_eq!(funds(&writer, &id).await, Some(Funds { available: 3_013, held: 7 }));
        }
    });
}

#[test]
fn steps_of_one_account_share_one_scan() {
    run(async {
        let (inner, id) = (store(BOTH[0]), account("7"));
        let writer = CommandHandler::new(inner.clone(), Account);
        deposit(&writer, &id, 0, 500).await;
        for number in 0..300 {
            leave_open(inner.clone(), &id, tx(format!("open {number}")), Command::Hold { minor: 1 }).await;
        }
        deposit(&writer, &id, 500, 600).await;
        let accounts = CommandHandler::new(inner, Account);
        let recovery = accounts.recover(Duration::ZERO).await.expect("swept");
        assert_eq!(recovery.accepted, 300);
        assert_eq!(accounts.stats().scanned, 100 + 1, "the tail of all and its snapshot, read once");
        assert_eq!(funds(&writer, &id).await, Some(Funds { available: 300, held: 300 }));
    });
}

#[test]
fn a_sweep_takes_only_what_is_old_enough() {
    run(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let inner = MemoryStore::with(PartitionCount::default(), BOTH[0], clock.clone());
        let id = account("7");
        let sweeper = || CommandHandler::builder(inner.clone(), Account).clock(clock.clone()).build();
        sweeper().handle(&id, tx("d"), Command::Deposit { minor: 9 }).await.expect("handled");
        leave_open(inner.clone(), &id, tx("h"), Command::Hold { minor: 1 }).await;
        clock.advance(Duration::from_secs(59));
        assert_eq!(sweeper().recover(Duration::from_secs(60)).await.expect("swept").settled(), 0);
        clock.advance(Duration::from_secs(2));
        assert_eq!(sweeper().recover(Duration::from_secs(60)).await.expect("swept").settled(), 1);
        assert_eq!(sweeper().recover(Duration::ZERO).await.expect("swept").settled(), 0);
    });
}

/// A step whose rules keep failing stays open, writes nothing, and an operator's word ends it.
#[test]
fn a_step_that_cannot_be_decided_is_left_open_until_it_is_overruled() {
    run(async {
        for atomicity in BOTH {
            let (inner, id) = (store(atomicity), account("7"));
            let accounts = CommandHandler::new(inner.clone(), Account);
            accounts.handle(&id, tx("d"), Command::Deposit { minor: 9 }).await.expect("handled");
            leave_open(inner.clone(), &id, tx("h"), Command::Hold { minor: 1 }).await;
            let mut settings = sidestream::command::Settings::default();
            settings.limits.decision_events = 0;
            let failing = CommandHandler::builder(inner.clone(), Account).settings(settings).build();
            for _ in 0..5 {
                let recovery = failing.recover(Duration::ZERO).await.expect("swept");
                assert_eq!((recovery.settled(), recovery.failed), (0, 1));
            }
            let side = CATEGORY.side_stream(&id, tx("h"));
            assert_eq!(
                head(&inner, &side).await,
                Version::new(1),
                "{atomicity:?}: attempts filled the stream"
            );

            let hold = StepName::new("hold");
            let ended =
                failing.overrule(&id, tx("h"), hold.clone(), "by Monday's rules").await.expect("overruled");
            assert_eq!(ended, Outcome::Overruled("by Monday's rules".to_owned()));
            // Final, for everybody, for ever.
            let again = accounts.handle(&id, tx("h"), Command::Hold { minor: 1 }).await.expect("handled");
            assert_eq!(again, ended);
            assert_eq!(accounts.outcome(&id, tx("h"), &hold).await.expect("readable"), Some(ended));
            assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 9, held: 0 }));
            let nobody = accounts.overrule(&id, tx("nobody"), hold, "x").await.expect_err("never requested");
            assert_eq!(nobody.kind(), ErrorKind::Invalid);
        }
    });
}

async fn head(store: &impl EventStore, stream: &sidestream::stream::StreamName) -> Version {
    let read = StreamRead { stream: stream.clone(), from: ReadFrom::After(Version::EMPTY), limit: 1 };
    store.read_streams(vec![read]).await.pop().expect("a page").expect("readable").head
}

proptest! {
    #![proptest_config(effort::proptest_config(300, "proptest-regressions/recovery.txt"))]

    /// Recovery dies inside recovery, up to five deep; the next one ends it, and the one after that has
    /// nothing to do.
    #[test]
    fn recovery_inside_recovery(
        batch in any::<bool>(),
        open in 1_u64..4,
        crashes in prop::collection::vec((1_u64..12, any::<bool>()), 1..5),
    ) {
        let atomicity = BOTH[usize::from(batch)];
        run(async {
            let (inner, id) = (store(atomicity), account("7"));
            deposit(&snapshotting(inner.clone(), 4), &id, 0, 10).await;
            for number in 0..open {
                leave_open(inner.clone(), &id, tx(format!("h{number}")), Command::Hold { minor: 2 }).await;
            }
            deposit(&snapshotting(inner.clone(), 4), &id, 10, 13).await;
            for (call, after) in crashes {
                let done = if after { Done::All } else { Done::Nothing };
                let dying = FaultyStore::new(Arc::new(inner.clone()), Script::new().call(call, Fault::Crash(done)));
                let accounts = snapshotting(dying.clone(), 4);
                dying.until_crash(accounts.recover(Duration::ZERO)).await;
            }
            let accounts = snapshotting(inner, 4);
            let recovery = accounts.recover(Duration::ZERO).await.expect("swept");
            assert_eq!(recovery.failed, 0, "{recovery:?}");
            let again = accounts.recover(Duration::ZERO).await.expect("swept");
            assert_eq!((again.settled(), again.failed, again.gone), (0, 0, 0), "{again:?}");
            let held = i64::try_from(open).expect("few") * 2;
            assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 13 - held, held }));
        });
    }

    /// A request that speaks of a version above the head means lost history: loud, and nothing is applied.
    #[test]
    fn a_request_above_the_head_stops_the_account(batch in any::<bool>(), kept in 1_u64..10, lost in 1_u64..10) {
        let atomicity = BOTH[usize::from(batch)];
        run(async {
            // Two stores with the same side stream; in one of them the account's own stream is shorter.
            let (whole, short, id) = (store(atomicity), store(atomicity), account("7"));
            deposit(&CommandHandler::new(whole.clone(), Account), &id, 0, kept + lost).await;
            deposit(&CommandHandler::new(short.clone(), Account), &id, 0, kept).await;
            leave_open(whole.clone(), &id, tx("h"), Command::Hold { minor: 1 }).await;
            copy(&whole, &short, &CATEGORY.side_stream(&id, tx("h"))).await;

            let accounts = CommandHandler::new(short.clone(), Account);
            let before = head(&short, &CATEGORY.stream(&id)).await;
            let recovery = accounts.recover(Duration::ZERO).await.expect("swept");
            assert_eq!((recovery.settled(), recovery.failed), (0, 1));
            assert_eq!(recovery.failures[0].1.kind(), ErrorKind::LostHistory);
            let error = accounts.handle(&id, tx("h"), Command::Hold { minor: 1 }).await.expect_err("lost");
            assert_eq!(error.kind(), ErrorKind::LostHistory, "{error}");
            // Nothing else is decided on it either, and nothing was written; other accounts go on.
            let error = accounts.handle(&id, tx("new"), Command::Deposit { minor: 1 }).await.expect_err("stopped");
            assert_eq!(error.kind(), ErrorKind::LostHistory, "{error}");
            assert_eq!(head(&short, &CATEGORY.stream(&id)).await, before);
            deposit(&accounts, &account("8"), 0, 1).await;
        });
    }
}

async fn copy(from: &impl EventStore, to: &impl EventStore, stream: &sidestream::stream::StreamName) {
    let read = StreamRead { stream: stream.clone(), from: ReadFrom::After(Version::EMPTY), limit: 100 };
    let page = from.read_streams(vec![read]).await.pop().expect("a page").expect("readable");
    let records = page.records.into_iter().map(|record| record.data).collect();
    let append = StreamAppend { stream: stream.clone(), expected: ExpectedVersion::NoStream, records };
    let partition = to.properties().partitions.of(stream.cardinal());
    to.append(partition, vec![Unit::one(append)]).await.pop().expect("a result").expect("appended");
}

/// Each try of a failing store leaves a `Resumed` behind, which makes the step the latest touched: the sweep
/// must not meet it again and again.
#[test]
fn a_sweep_ends_though_steps_are_resumed_in_vain() {
    run(async {
        let (inner, id) = (store(sidestream::protocol::Atomicity::Stream), account("7"));
        CommandHandler::new(inner.clone(), Account)
            .handle(&id, tx("d"), Command::Deposit { minor: 9 })
            .await
            .expect("handled");
        leave_open(inner.clone(), &id, tx("h"), Command::Hold { minor: 1 }).await;
        // From the first `Resumed` on, every second append is refused.
        let script = (2..200)
            .step_by(2)
            .fold(Script::new(), |script, append| script.append(append, Fault::Unavailable));
        let failing = FaultyStore::new(Arc::new(inner.clone()), script);
        let recovery = CommandHandler::new(failing, Account).recover(Duration::ZERO).await.expect("swept");
        assert_eq!((recovery.settled(), recovery.failed), (0, 1));
        let recovery = CommandHandler::new(inner, Account).recover(Duration::ZERO).await.expect("swept");
        assert_eq!((recovery.settled(), recovery.failed), (1, 0));
    });
}

/// The clock was set back after the step was requested.
#[test]
fn a_sweep_of_all_ages_finds_steps_of_the_future() {
    run(async {
        let clock = Arc::new(ManualClock::new(controls::timestamp()));
        let inner = MemoryStore::with(PartitionCount::default(), BOTH[0], clock.clone());
        let id = account("7");
        leave_open(inner.clone(), &id, tx("d"), Command::Deposit { minor: 9 }).await;
        clock.set(Timestamp::from_micros(0));
        let accounts = CommandHandler::builder(inner, Account).clock(clock).build();
        assert_eq!(accounts.recover(Duration::ZERO).await.expect("swept").settled(), 1);
    });
}

/// A transaction with too many steps takes no new one, and its settled ones are heard for ever.
#[test]
fn a_side_stream_at_its_bound_takes_no_new_step_and_forgets_none() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        let accounts = CommandHandler::new(store.clone(), Account);
        accounts.handle(&id, tx("d"), Command::Deposit { minor: 9 }).await.expect("handled");
        let hold = Command::Hold { minor: 50 };
        let refused = accounts.handle(&id, tx("h"), hold.clone()).await.expect("handled");
        fill_up(&store, &CATEGORY.side_stream(&id, tx("h"))).await;

        let error = accounts.handle(&id, tx("h"), Command::Hold { minor: 1 }).await.expect_err("known");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let error = accounts.handle(&id, tx("h"), Command::Release).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("too many steps"), "{error}");
        assert_eq!(accounts.handle(&id, tx("h"), hold.clone()).await.expect("a replay"), refused);
        let outcome = accounts.outcome(&id, tx("h"), &Account::step(&hold)).await.expect("readable");
        assert_eq!(outcome, Some(refused));
    });
}

/// Adds refused steps, as thousands of calls would, until the side stream is at its bound.
async fn fill_up(store: &impl EventStore, side: &sidestream::stream::StreamName) {
    let read = StreamRead { stream: side.clone(), from: ReadFrom::After(Version::EMPTY), limit: 2 };
    let page = store.read_streams(vec![read]).await.pop().expect("a page").expect("readable");
    let bound = sidestream::limits::SIDE_STREAM_RECORDS;
    let partition = store.properties().partitions.of(side.cardinal());
    let mut head = page.head.get();
    while head < bound {
        let steps = 1_000.min((bound - head) / 2);
        let records = (0..steps).flat_map(|number| {
            page.records.iter().cloned().map(move |record| {
                let mut data = record.data;
                let cause = data.cause.as_mut().expect("a step's");
                cause.step = StepName::keyed("capture", head + number);
                data
            })
        });
        let records: Vec<_> = records.collect();
        let expected = ExpectedVersion::Exact(Version::new(head));
        head += u64::try_from(records.len()).expect("few");
        let append = StreamAppend { stream: side.clone(), expected, records };
        store.append(partition, vec![Unit::one(append)]).await.pop().expect("a result").expect("appended");
    }
}
