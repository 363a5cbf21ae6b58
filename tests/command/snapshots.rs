//! In-band snapshots: bounded, believed only where they can be, and never in the way.

use proptest::prelude::*;
use sidestream::command::Settings;
use sidestream::event::RecordKind;
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::{EventStore, StreamPage};
use sidestream::stream::{Position, Version};
use sidestream::testkit::changed::Changed;
use sidestream::testkit::{effort, run};
use sidestream::{CommandHandler, ErrorKind};

use crate::rules::{Account, Command, Funds};
use crate::support::{BOTH, account, deposit, funds, snapshotting, store, tx};

/// Flips a bit in every snapshot.
fn altered(page: &mut StreamPage) {
    if let Some(snapshot) = &mut page.snapshot {
        let mut bytes = snapshot.data.payload.to_vec();
        bytes[0] ^= 1;
        snapshot.data.payload = bytes.into();
    }
}

/// Makes every snapshot one of a schema version that is not this program's.
fn of_another_schema(page: &mut StreamPage) {
    if let Some(snapshot) = &mut page.snapshot {
        snapshot.data.schema += 1;
        snapshot.checksum = snapshot.data.checksum(&snapshot.stream, snapshot.version);
    }
}

/// Makes every snapshot's codec unknown.
fn of_another_codec(page: &mut StreamPage) {
    if let Some(snapshot) = &mut page.snapshot {
        snapshot.data.codec = sidestream::event::CodecName::new("future").expect("valid");
        snapshot.checksum = snapshot.data.checksum(&snapshot.stream, snapshot.version);
    }
}

/// Alters the latest snapshot only: the one before it is good.
pub fn latest_altered(page: &mut StreamPage) {
    let latest = page.records.iter().all(|record| record.data.kind != RecordKind::Snapshot);
    if latest {
        altered(page);
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(200, "proptest-regressions/snapshots.txt"))]

    /// State from snapshot and tail = state from the first event on, whatever is wrong with snapshots; and a
    /// snapshot that cannot be read never moves a version.
    #[test]
    fn snapshot_and_tail_are_the_full_replay(
        amounts in prop::collection::vec((1_i64..100, any::<bool>()), 1..60),
        every in 1_u64..20,
        batch in any::<bool>(),
    ) {
        let atomicity = BOTH[usize::from(batch)];
        run(async {
            let (store, id) = (store(atomicity), account("7"));
            let writer = snapshotting(store.clone(), every);
            for (number, (minor, hold)) in amounts.iter().enumerate() {
                let minor = *minor;
                let command = if *hold { Command::Hold { minor } } else { Command::Deposit { minor } };
                writer.handle(&id, tx(number), command).await.expect("handled");
            }
            let seen = |accounts: CommandHandler<Account>| {
                let id = id.clone();
                async move { accounts.query(&id, |state, version| (*state, version)).await.expect("readable") }
            };
            let expected = seen(writer.clone()).await;
            assert_eq!(seen(snapshotting(store.clone(), every)).await, expected);
            for (number, change) in [altered, of_another_schema, of_another_codec, latest_altered].into_iter().enumerate() {
                let expected = seen(writer.clone()).await;
                let reader = snapshotting(Changed(store.clone(), change), every);
                assert_eq!(seen(reader.clone()).await, expected);
                // What is decided on it lands where it must.
                let outcome = reader.handle(&id, tx(format!("next {number}")), Command::Deposit { minor: 5 }).await.expect("handled");
                assert!(outcome.is_accepted());
            }
        });
    }
}

#[test]
fn a_load_reads_no_more_than_a_snapshot_and_its_tail() {
    run(async {
        for atomicity in BOTH {
            let (store, id) = (store(atomicity), account("7"));
            deposit(&snapshotting(store.clone(), 10), &id, 0, 995).await;
            let reader = snapshotting(store, 10);
            assert_eq!(funds(&reader, &id).await, Some(Funds { available: 995, held: 0 }));
            assert!(reader.stats().loaded <= 11, "{:?}", reader.stats());
        }
    });
}

#[test]
fn unusable_snapshots_are_counted_and_stepped_over_to_an_older_one() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        deposit(&snapshotting(store.clone(), 10), &id, 0, 105).await;
        let reader = snapshotting(Changed(store.clone(), latest_altered), 10);
        assert_eq!(funds(&reader, &id).await, Some(Funds { available: 105, held: 0 }));
        assert_eq!(reader.stats().snapshots_unusable, 1);
        assert!(reader.stats().loaded <= 25, "not from an older snapshot: {:?}", reader.stats());

        let reader = snapshotting(Changed(store, altered), 10);
        assert_eq!(funds(&reader, &id).await, Some(Funds { available: 105, held: 0 }));
        assert!(reader.stats().snapshots_unusable >= 3, "{:?}", reader.stats());
    });
}

/// Nobody should have to step over the same snapshot twice: the next command takes a new one.
#[test]
fn a_snapshot_is_due_once_a_load_stepped_over_one() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        deposit(&snapshotting(store.clone(), 100), &id, 0, 110).await;
        let reader = snapshotting(Changed(store.clone(), of_another_schema), 100);
        deposit(&reader, &id, 110, 112).await;
        assert_eq!((reader.stats().snapshots_unusable, reader.stats().snapshots), (1, 1));
    });
}

#[test]
fn a_state_that_is_too_large_is_counted_and_not_written() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        let mut settings = Settings { snapshots: SnapshotPolicy { every: 10 }, ..Settings::default() };
        settings.limits.snapshot_bytes = 1;
        let accounts = CommandHandler::builder(store.clone(), Account).settings(settings).build();
        deposit(&accounts, &id, 0, 95).await;
        assert_eq!((accounts.stats().snapshots, accounts.stats().snapshots_too_large), (0, 9));
        let partition = store.properties().partitions.of("7");
        let log = store.read_log(partition, Position::START, 4_096).await.expect("readable");
        assert!(log.records.iter().all(|record| record.data.kind != RecordKind::Snapshot));
        assert_eq!(
            funds(&CommandHandler::new(store, Account), &id).await,
            Some(Funds { available: 95, held: 0 })
        );
    });
}

#[test]
fn an_altered_event_stops_its_account_and_no_other() {
    fn altered_event(page: &mut StreamPage) {
        for record in page.records.iter_mut().filter(|record| record.stream.as_str() == "account-bad") {
            record.data.schema ^= 2;
        }
    }
    run(async {
        let store = store(BOTH[0]);
        let writer = CommandHandler::new(store.clone(), Account);
        for name in ["bad", "good"] {
            deposit(&writer, &account(name), 0, 5).await;
        }
        let reader = CommandHandler::new(Changed(store, altered_event), Account);
        let error = reader
            .handle(&account("bad"), tx("x"), Command::Deposit { minor: 1 })
            .await
            .expect_err("altered");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("account-bad"), "{error}");
        let outcome =
            reader.handle(&account("good"), tx("x"), Command::Deposit { minor: 1 }).await.expect("handled");
        assert!(outcome.is_accepted());
        let version = reader.query(&account("good"), |_, version| version).await.expect("readable");
        assert_eq!(version, Version::new(6));
    });
}
