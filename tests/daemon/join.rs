//! Joins: the order of several selections is the same live, after a restart and in a rebuild.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::ManualClock;
use sidestream::feed::{Join, JoinPositions, Joined, Pauses, Selection};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::protocol::Atomicity;
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::store::placed::PlacedStore;
use sidestream::stream::Position;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{FaultyStore, Rates, Script};
use sidestream::testkit::run;
use sidestream::{Category, ErrorKind, Timestamp};

use crate::support::*;

const CARD: Category = Category::new("card");

/// What happens to the stores, and when the join is asked.
#[derive(Debug, Clone)]
enum Step {
    /// Into an account or a card, so many records.
    Append(bool, u8, u8),
    /// A database's clock is set, back too.
    Clock(bool, u16),
    /// Others go first, so many times.
    Yield(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..12_u8, 1..4_u8).prop_map(|(card, to, records)| Step::Append(card, to, records)),
        2 => (any::<bool>(), 0..400_u16).prop_map(|(other, at)| Step::Clock(other, at)),
        3 => (0..12_u8).prop_map(Step::Yield),
    ];
    prop::collection::vec(step, 1..80)
}

/// Four partitions on two databases, each with a clock of its own.
struct Stores {
    clocks: [Arc<ManualClock>; 2],
    placed: Arc<dyn EventStore>,
}

impl Stores {
    fn new() -> Self {
        let clocks = [10, 20].map(|at| Arc::new(ManualClock::new(Timestamp::from_micros(at))));
        // Two stores have two ids.
        sidestream::clock::Clock::new_id(&*clocks[1]);
        let count = PartitionCount::new(4).unwrap();
        let store = |clock: &Arc<ManualClock>| {
            MemoryStore::with(count, Atomicity::Batch, Arc::clone(clock) as Arc<dyn sidestream::clock::Clock>)
        };
        let all: Vec<PartitionId> = count.all().collect();
        let (here, there) = all.split_at(2);
        let placed = PlacedStore::builder()
            .place(here.to_vec(), store(&clocks[0]))
            .place(there.to_vec(), store(&clocks[1]));
        Self { placed: Arc::new(in_place(placed)), clocks }
    }
}

/// Opens a placement of stores that answer at once.
fn in_place(placement: sidestream::store::placed::Placement) -> PlacedStore {
    run(placement.open()).expect("placed")
}

fn inputs(store: &Arc<dyn EventStore>) -> Vec<(Arc<dyn EventStore>, Selection)> {
    let of = |category| (Arc::clone(store), Selection::all().category(category).unwrap());
    vec![of(ACCOUNT), of(CARD)]
}

type Key = (Timestamp, PartitionId, Position, usize);

fn key(joined: &Joined) -> Key {
    (joined.record.recorded_at, joined.record.partition, joined.record.position, joined.input)
}

/// Reads until `is_enough`, a few records at once; sometimes the join dies and another one goes on from its positions.
struct Reader {
    store: Arc<dyn EventStore>,
    join: Join,
    positions: JoinPositions,
    watermark: Timestamp,
    seen: Vec<Key>,
}

impl Reader {
    fn new(store: &Arc<dyn EventStore>) -> Self {
        let positions = JoinPositions::default();
        let join = Join::new(inputs(store), &positions).unwrap();
        Self { store: Arc::clone(store), join, positions, watermark: Timestamp::MIN, seen: Vec::new() }
    }

    async fn read(&mut self, limit: usize) -> usize {
        // A call that failed is made again.
        let page = loop {
            match self.join.next(limit).await {
                Ok(page) => break page,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        };
        let keys: Vec<Key> = page.records.iter().map(key).collect();
        for key in &keys {
            assert!(key.0 > self.watermark, "{key:?} was said to be handed out at {}", self.watermark);
        }
        assert!(page.watermark >= self.watermark);
        self.seen.extend(&keys);
        (self.watermark, self.positions) = (page.watermark, page.positions);
        keys.len()
    }

    fn restart(&mut self) {
        // The positions as somebody kept them.
        let kept = serde_json::to_string(&self.positions).unwrap();
        self.join = Join::new(inputs(&self.store), &serde_json::from_str(&kept).unwrap()).unwrap();
        self.watermark = Timestamp::MIN;
    }
}

/// What a join has to give, from the logs alone.
async fn expected(store: &dyn EventStore) -> Vec<Key> {
    let mut keys = Vec::new();
    for partition in store.properties().partitions.all() {
        for record in store.read_log(partition, Position::START, 4_096).await.unwrap().records {
            let input = usize::from(record.stream.category() == CARD.as_str());
            keys.push((record.recorded_at, record.partition, record.position, input));
        }
    }
    keys.sort();
    keys
}

async fn write(stores: &Stores, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Append(is_card, to, count) => {
                let category = if *is_card { CARD } else { ACCOUNT };
                let records = (0..*count).map(|at| deposit(i64::from(at))).collect();
                append(&*stores.placed, &category.stream(&id(&to.to_string())), records).await;
                for clock in &stores.clocks {
                    clock.advance(Duration::from_micros(1));
                }
            }
            Step::Clock(other, at) => {
                stores.clocks[usize::from(*other)].set(Timestamp::from_micros(i64::from(*at)));
            }
            Step::Yield(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

async fn check(stores: Stores, steps: Vec<Step>, seed: u64, limits: Vec<usize>, restarts: Vec<bool>) {
    // Calls that wait let others go first; some fail.
    let rates = Rates { delay: 400, unavailable: 50, unknown: 0, late: 0, crash: 0 };
    let slow: Arc<dyn EventStore> =
        Arc::new(FaultyStore::new(Arc::clone(&stores.placed), Script::random(seed, rates)));
    let mut live = Reader::new(&slow);
    let reading = async {
        for (limit, restarts) in limits.iter().zip(&restarts) {
            live.read(*limit).await;
            if *restarts {
                live.restart();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write(&stores, &steps), reading);
    // All clocks come to where the latest record is.
    for clock in &stores.clocks {
        clock.set(Timestamp::from_micros(10_000));
    }
    let all = expected(&*stores.placed).await;
    while live.read(7).await > 0 {}
    assert_eq!(live.seen, all, "live");
    let mut again = Reader::new(&stores.placed);
    while again.read(5).await > 0 {}
    assert_eq!(again.seen, all, "in a rebuild");
}

proptest! {
    #![proptest_config(proptest_config(400, "proptest-regressions/daemon_join.txt"))]

    #[test]
    fn the_order_is_the_same_live_and_in_a_rebuild(
        steps in steps(),
        seed in any::<u64>(),
        limits in prop::collection::vec(1..9_usize, 40),
        restarts in prop::collection::vec(prop::bool::weighted(0.1), 40),
    ) {
        let stores = Stores::new();
        run(check(stores, steps, seed, limits, restarts));
    }
}

#[test]
fn the_last_event_waits_for_no_other_one() {
    let stores = Stores::new();
    run(async {
        for clock in &stores.clocks {
            clock.set(Timestamp::from_micros(1_000));
        }
        let mut reader = Reader::new(&stores.placed);
        assert_eq!(reader.read(9).await, 0);
        pay(&*stores.placed, "1", &[5]).await;
        assert_eq!(reader.read(9).await, 1, "three idle partitions and an idle input hold nothing up");
        assert_eq!(reader.watermark, Timestamp::from_micros(1_000));
        assert_eq!(reader.read(9).await, 0);
    });
}

#[test]
fn a_record_waits_for_the_clock_of_a_database_that_is_behind_and_keeps_its_place() {
    let stores = Stores::new();
    run(async {
        // Of the partitions, two follow the one clock and two the other.
        stores.clocks[0].set(Timestamp::from_micros(500));
        stores.clocks[1].set(Timestamp::from_micros(100));
        for name in 0..12 {
            pay(&*stores.placed, &name.to_string(), &[1]).await;
        }
        let all = expected(&*stores.placed).await;
        let (early, late): (Vec<_>, Vec<_>) =
            all.iter().copied().partition(|key| key.0 < Timestamp::from_micros(500));
        assert!(!early.is_empty() && !late.is_empty());
        let mut reader = Reader::new(&stores.placed);
        while reader.read(9).await > 0 {}
        assert_eq!(reader.seen, early);
        stores.clocks[1].set(Timestamp::from_micros(501));
        while reader.read(9).await > 0 {}
        assert_eq!(reader.seen, all);
    });
}

#[test]
fn a_lag_holds_records_back_and_a_wait_ends_when_it_is_over() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(4));
        pay(&*store, "1", &[5]).await;
        let join = Join::new(inputs(&store), &JoinPositions::default()).unwrap();
        let mut join = join.lag(Duration::from_millis(30));
        let pauses = Pauses { shortest_ms: 60_000, longest_ms: 60_000 };
        assert!(join.next(9).await.unwrap().records.is_empty(), "it has not lain for long enough");
        let read = async {
            loop {
                join.wait(&pauses, 0).await;
                let page = join.next(9).await.unwrap();
                if !page.records.is_empty() {
                    return page.records.len();
                }
            }
        };
        assert_eq!(in_time("the record", read).await, 1);
        // And the store's word wakes whoever waits at the head.
        let (woken, ()) = tokio::join!(in_time("a change", join.wait(&pauses, 0)), pay(&*store, "2", &[1]));
        let () = woken;
    });
}

#[test]
fn positions_of_another_join_are_refused() {
    let (two, three): (Arc<dyn EventStore>, Arc<dyn EventStore>) = (Arc::new(memory(2)), Arc::new(memory(3)));
    let positions = Join::new(inputs(&two), &JoinPositions::default()).unwrap().positions();
    assert_eq!(Join::new(inputs(&three), &positions).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(Join::new(Vec::new(), &JoinPositions::default()).unwrap_err().kind(), ErrorKind::Invalid);
}
