//! A command's request and acceptance stand in the row of its last event. Whoever reads records sees nothing of that.

use std::sync::Arc;

use sidestream::clock::SystemClock;
use sidestream::event::{EventType, Record};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::{Atomicity, EventStore, ReadFrom, StreamPage, StreamRead};
use sidestream::stream::StreamName;
use sidestream::{
    AggregateId, CommandHandler, Decider, MemoryStore, Position, Settings, Timestamp, TransactionId, Version,
};

use crate::database::Database;
use crate::rules::{Account, Command};
use crate::support::*;

const HOME: PartitionId = PartitionId::new(0);

/// Both have one partition, so that the positions are the same.
struct Pair {
    memory: Arc<dyn EventStore>,
    postgres: Arc<dyn EventStore>,
}

impl Pair {
    async fn open(database: &Database) -> Self {
        let one = PartitionCount::new(1).unwrap();
        let postgres =
            PostgresStore::builder(database.url()).migrate(true).partitions(one).open().await.unwrap();
        let memory = MemoryStore::with(one, Atomicity::Batch, Arc::new(SystemClock));
        Self { memory: Arc::new(memory), postgres: Arc::new(postgres) }
    }

    fn both(&self) -> [&Arc<dyn EventStore>; 2] {
        [&self.memory, &self.postgres]
    }

    /// The same commands, one after the other: accepted and refused ones, several steps of a transaction, one that is
    /// settled later than it is asked for, and one that comes twice.
    async fn fill(&self) {
        for store in self.both() {
            let snapshots = SnapshotPolicy { every: 4 };
            let handler = CommandHandler::builder(Arc::clone(store), Account);
            let handler = handler.settings(Settings { snapshots, ..Settings::default() }).build();
            let id = subject();
            let deposit = Command::Deposit { minor: 1_000 };
            handler.handle(&id, tx("deposit"), deposit.clone()).await.unwrap();
            handler.handle(&id, tx("hold"), Command::Hold { minor: 300 }).await.unwrap();
            handler.handle(&id, tx("refused"), Command::Hold { minor: 9_000 }).await.unwrap();
            handler.handle(&id, tx("hold"), Command::Capture { part: 1, minor: 100 }).await.unwrap();
            handler.submit(&id, tx("later"), deposit.clone(), Some("here".into())).await.unwrap();
            handler.handle(&id, tx("later"), deposit.clone()).await.unwrap();
            handler.handle(&id, tx("hold"), Command::Release).await.unwrap();
            for number in 0..6 {
                handler.handle(&id, tx(number), deposit.clone()).await.unwrap();
            }
            assert!(handler.handle(&id, tx("deposit"), deposit).await.unwrap().is_accepted());
        }
    }

    /// Pages of several sizes, from everywhere.
    async fn agree(&self) {
        let (log, types) = (self.memory_log().await, types());
        let head = log.last().unwrap().position.get();
        for after in (0..=head + 1).map(Position::new) {
            for limit in [1, 2, 100] {
                let [one, other] = [
                    self.memory.read_log(HOME, after, limit).await.unwrap(),
                    self.postgres.read_log(HOME, after, limit).await.unwrap(),
                ];
                assert_eq!(timeless(other.records), timeless(one.records), "after {after}, {limit}");
                assert_eq!((other.read_to, other.head), (one.read_to, one.head), "after {after}, {limit}");
                for types in &types {
                    let page = self.postgres.read_types(HOME, types, after, limit).await.unwrap();
                    let wanted =
                        |record: &&Record| record.position > after && types.contains(&record.data.event_type);
                    let wanted: Vec<_> = log.iter().filter(wanted).take(limit + 1).cloned().collect();
                    let (first, is_cut) = (&wanted[..wanted.len().min(limit)], wanted.len() > limit);
                    assert_eq!(timeless(page.records), first, "{types:?} after {after}, {limit}");
                    let read_to =
                        first.last().filter(|_| is_cut).map_or(one.head.max(after), |last| last.position);
                    assert_eq!(page.read_to, read_to, "{types:?} after {after}, {limit}");
                }
            }
        }
        let mut streams: Vec<StreamName> = log.iter().map(|record| record.stream.clone()).collect();
        streams.extend([Account::CATEGORY.stream(&subject()), side("hold"), side("nobody")]);
        streams.sort_unstable();
        streams.dedup();
        let longest = streams.iter().map(|of| log.iter().filter(|record| record.stream == *of).count()).max();
        for at in (0..u64::try_from(longest.unwrap()).unwrap() + 4).map(Version::new) {
            for (limit, from) in [0, 1, 2, 100]
                .into_iter()
                .flat_map(|limit| [(limit, ReadFrom::After(at)), (limit, ReadFrom::SnapshotBefore(at))])
            {
                // Side streams and others in one call.
                let read = |stream: &StreamName| StreamRead { stream: stream.clone(), from, limit };
                let reads = || streams.iter().map(read).collect();
                let [one, other] =
                    [self.memory.read_streams(reads()).await, self.postgres.read_streams(reads()).await];
                for ((stream, one), other) in streams.iter().zip(one).zip(other) {
                    let pages = (timeless_page(other.unwrap()), timeless_page(one.unwrap()));
                    assert_eq!(pages.0, pages.1, "{stream} {from:?}, {limit}");
                }
            }
        }
    }

    async fn memory_log(&self) -> Vec<Record> {
        timeless(self.memory.read_log(HOME, Position::START, 1_000).await.unwrap().records)
    }

    async fn truncate(&self, stream: &StreamName, through: u64) {
        for store in self.both() {
            assert_eq!(store.truncate(stream, Version::new(through)).await.unwrap(), Version::new(through));
        }
    }
}

/// Types of users' and of the framework's, by themselves and together.
fn types() -> Vec<Vec<EventType>> {
    let names: [&[&'static str]; 7] = [
        &["Deposited"],
        &["$requested"],
        &["$accepted"],
        &["$rejected", "$requested"],
        &["Held", "$accepted"],
        &["Deposited", "Captured", "$requested", "$accepted"],
        &["$snapshot", "Released"],
    ];
    names.iter().map(|names| names.iter().map(|name| EventType::stored(*name).unwrap()).collect()).collect()
}

fn subject() -> AggregateId {
    account("7")
}

fn side(name: &str) -> StreamName {
    Account::CATEGORY.side_stream(&subject(), tx(name))
}

/// The two stores stamp other times.
fn timeless(mut records: Vec<Record>) -> Vec<Record> {
    records.iter_mut().for_each(|record| record.recorded_at = Timestamp::MIN);
    records
}

fn timeless_page(mut page: StreamPage) -> StreamPage {
    page.snapshot = page.snapshot.map(|snapshot| timeless(vec![snapshot]).remove(0));
    page.records = timeless(page.records);
    page
}

/// Two stores that were filled alike.
fn with_pair(test: impl AsyncFnOnce(&Database, &Pair)) {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let pair = Pair::open(&database).await;
        pair.fill().await;
        test(&database, &pair).await;
    });
}

fn count(database: &Database, sql: &str) -> usize {
    database.psql(sql).trim().parse().unwrap()
}

#[test]
fn an_accepted_command_is_one_row_and_three_records() {
    with_pair(async |database, pair| {
        let log = pair.memory_log().await;
        assert_eq!(count(database, "SELECT count(*) FROM sidestream.log"), log.len());
        let of_type =
            |name: &str| log.iter().filter(|record| record.data.event_type.as_str() == name).count();
        // The step that was submitted was settled by itself; an effect with a snapshot behind it is not the last record.
        let beside = count(database, "SELECT count(*) FROM sidestream.records WHERE outcome IS NOT NULL");
        assert!(beside >= 6 && beside < of_type("$accepted"), "{beside} of {}", of_type("$accepted"));
        assert_eq!(count(database, "SELECT count(*) FROM sidestream.records"), log.len() - 2 * beside);
        pair.agree().await;
    });
}

#[test]
fn the_view_for_people_shows_each_record_where_it_is() {
    with_pair(async |database, pair| {
        let shown = database.psql(
            "SELECT string_agg(concat_ws(' ', position, stream, version, kind, number_1, number_2, type, schema, codec,
                transaction, step, encode(fingerprint, 'hex'), convert_from(requester, 'UTF8'), checksum,
                encode(payload, 'hex')), E'\\n' ORDER BY position) FROM sidestream.log",
        );
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = |record: &Record| {
            let data = &record.data;
            let numbers = data.kind.numbers();
            let mut line = format!(
                "{} {} {} {} {} {} {} {} {}",
                record.position.get(),
                record.stream,
                record.version.get(),
                data.kind.code(),
                numbers.0,
                numbers.1,
                data.event_type,
                data.schema,
                data.codec
            );
            if let Some(cause) = &data.cause {
                line +=
                    &format!(" {} {} {}", cause.transaction, cause.step, hex(cause.fingerprint.as_bytes()));
            }
            line += &data.requester.as_ref().map_or(String::new(), |requester| format!(" {requester}"));
            line + &format!(" {} {}", record.checksum.0.cast_signed(), hex(&data.payload))
        };
        let log: Vec<String> = pair.memory_log().await.iter().map(line).collect();
        let shown: Vec<&str> = shown.trim_end_matches('\n').lines().collect();
        assert_eq!(shown, log.iter().map(|line| line.trim_end()).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_removed_of_one_stream_is_not_removed_of_the_other() {
    with_pair(async |_, pair| {
        pair.truncate(&Account::CATEGORY.stream(&subject()), 3).await;
        pair.agree().await;
        // A request whose acceptance stays, both of them, and those of a row whose event is gone.
        pair.truncate(&side("0"), 1).await;
        pair.agree().await;
        pair.truncate(&side("0"), 2).await;
        pair.truncate(&side("1"), 2).await;
        pair.truncate(&side("deposit"), 1).await;
        pair.truncate(&side("hold"), 3).await;
        pair.agree().await;
        pair.truncate(&side("deposit"), 2).await;
        pair.truncate(&Account::CATEGORY.stream(&subject()), 9).await;
        pair.agree().await;
        // A stream of which all is gone is no new one.
        for store in pair.both() {
            let handler = CommandHandler::new(Arc::clone(store), Account);
            let again = handler.handle(&subject(), tx("1"), Command::Deposit { minor: 1_000 }).await;
            assert!(again.is_err(), "{again:?}");
        }
    });
}

/// Two processes take one transaction for new: one of them is wrong, whichever rows the other left.
#[test]
fn a_transaction_that_is_taken_for_new_is_refuted_by_any_row_of_it() {
    with_pair(async |database, pair| {
        let repeated: [(TransactionId, Command); 4] = [
            (tx("deposit"), Command::Deposit { minor: 1_000 }),
            (tx("refused"), Command::Hold { minor: 9_000 }),
            (tx("hold"), Command::Hold { minor: 300 }),
            (tx("later"), Command::Deposit { minor: 1_000 }),
        ];
        let before = pair.memory_log().await.len();
        for (transaction, command) in repeated {
            // A handler that knows nothing presumes that each transaction is new.
            let handler = CommandHandler::new(Arc::clone(&pair.postgres), Account);
            let first = handler.handle(&subject(), transaction, command.clone()).await.unwrap();
            let second = handler.handle(&subject(), transaction, command).await.unwrap();
            assert_eq!(first, second);
            assert_eq!(count(database, "SELECT count(*) FROM sidestream.log"), before);
        }
    });
}
