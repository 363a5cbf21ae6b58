//! Views elsewhere: rows in a system that commits no checkpoint with them, each with the stamp of its last event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sidestream::ErrorKind;
use sidestream::partition::PartitionId;
use sidestream::projection::{
    Action, ElsewhereRows, ElsewhereView, Event, Failure, Projection, Settings, Stamp, State, View,
};
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{Fault, FaultyStore, Rates, Script};
use sidestream::testkit::run;

use crate::crash::{self, fault, units};
use crate::faulty_view::ViewFault;
use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::support::*;

/// The other system: for each stream what it was told, and the stamp of the last event.
type Outside = Arc<Mutex<BTreeMap<String, (Vec<Entry>, Stamp)>>>;

impl Projection<ElsewhereRows<Outside>> for Journal {
    const NAME: &'static str = "journal";

    async fn apply(&self, rows: &mut ElsewhereRows<Outside>, event: &Event<'_>) -> Result<(), Failure> {
        let (entry, stamp) = (Entry::of_record(event.record()), rows.stamp(event));
        self.trouble(entry.minor).await?;
        // Others go first: a handler is in the middle of its write when its process dies.
        tokio::task::yield_now().await;
        {
            let mut outside = rows.client().lock().unwrap();
            let stored = outside.get(&entry.stream).map(|(_, stamp)| *stamp);
            if stamp.is_due(stored.as_ref())? {
                let row = outside.entry(entry.stream.clone()).or_insert((Vec::new(), stamp));
                row.0.push(entry);
                row.1 = stamp;
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// A view, and what is outside.
#[derive(Debug, Clone)]
struct Both(ElsewhereView<Outside>, Outside);

impl Both {
    fn new(store: Arc<dyn EventStore>) -> Self {
        let outside = Outside::default();
        Self(ElsewhereView::new(store, Arc::clone(&outside)), outside)
    }

    fn entries(&self) -> Vec<Entry> {
        let mut all: Vec<_> =
            self.1.lock().unwrap().values().flat_map(|(entries, _)| entries.clone()).collect();
        all.sort();
        all
    }
}

impl Readable for Both {
    async fn journal(&self, _store: &dyn EventStore, _partition: PartitionId) -> Vec<Entry> {
        for (entries, _) in self.1.lock().unwrap().values() {
            assert!(entries.is_sorted_by(|one, other| one.position < other.position), "{entries:?}");
        }
        self.entries()
    }
}

#[async_trait::async_trait]
impl View for Both {
    type Rows = ElsewhereRows<Outside>;

    async fn open(
        &self,
        place: &sidestream::projection::Place,
        epoch: u64,
        definition: &sidestream::projection::Definition<Self::Rows>,
        limits: &sidestream::projection::Limits,
    ) -> Result<sidestream::projection::Opened, sidestream::projection::ViewFailure> {
        self.0.open(place, epoch, definition, limits).await
    }

    async fn run(
        &self,
        place: &sidestream::projection::Place,
        epoch: u64,
        work: sidestream::projection::Work<Self::Rows>,
    ) -> Result<(), sidestream::projection::ViewFailure> {
        self.0.run(place, epoch, work).await
    }

    async fn audit(
        &self,
        place: &sidestream::projection::Place,
        limit: usize,
    ) -> sidestream::Result<Vec<sidestream::projection::Audited>> {
        self.0.audit(place, limit).await
    }

    fn most_parked(&self) -> usize {
        self.0.most_parked()
    }
}

/// A view whose checkpoints lie in a store that loses answers, and does things late.
fn on_a_bad_day(log: &MemoryStore, seed: u64) -> Both {
    let rates = Rates { unavailable: 60, unknown: 80, late: 40, delay: 60, crash: 0 };
    Both::new(Arc::new(FaultyStore::new(Arc::new(log.clone()), Script::random(seed, rates))))
}

proptest! {
    #![proptest_config(proptest_config(150, "proptest-regressions/daemon_elsewhere.txt"))]

    #[test]
    fn its_rows_are_the_fold_of_the_log_through_any_crash(
        units in units(),
        seeds in any::<(u64, u64)>(),
        faults in prop::collection::btree_map(1..40_u64, fault(), 0..10),
        polls in prop::collection::vec(0..24_u32, 0..12),
    ) {
        run(async {
            let log = crash::log(&units).await;
            let view = on_a_bad_day(&log, seeds.0);
            crash::check(log, view, Script::random(seeds.1, Rates::default()), faults, polls).await;
        });
    }
}

#[test]
fn one_crash_or_failure_at_every_single_call_of_the_view_and_of_its_store() {
    run(async {
        let units: Vec<_> = (0..8).map(|number| (number, number)).collect();
        let view =
            |log: &MemoryStore, script| Both::new(Arc::new(FaultyStore::new(Arc::new(log.clone()), script)));
        for at in 1..=12 {
            for fault in [ViewFault::Down, ViewFault::Unknown, ViewFault::CrashBefore, ViewFault::CrashAfter]
            {
                let log = crash::log(&units).await;
                let view = view(&log, Script::new());
                crash::check(log, view, Script::new(), [(at, fault)].into(), Vec::new()).await;
            }
            for fault in
                [Fault::Unavailable, Fault::Unknown(sidestream::testkit::faults::Done::All), Fault::Late(3)]
            {
                let log = crash::log(&units).await;
                let view = view(&log, Script::new().call(at, fault));
                crash::check(log, view, Script::new(), BTreeMap::new(), Vec::new()).await;
            }
        }
    });
}

#[test]
fn an_account_is_parked_and_retried_and_its_rows_are_those_of_the_log() {
    run(async {
        let store = memory(1);
        let log: Arc<dyn EventStore> = Arc::new(store.clone());
        let view = Both::new(Arc::clone(&log));
        pay(&store, "good", &[1, 2]).await;
        pay(&store, "bad", &[3, 666, 4]).await;
        pay(&store, "good", &[5]).await;
        let rules = Journal::with(&[(666, Trouble::Fails)]);
        let mut running = start(Arc::clone(&log), rules.clone(), &view, 1, hurried());
        let status = running.until_caught_up_at(6).await;
        assert_eq!(status.parked["bad"].waiting, 2);
        running.stop().await.unwrap();

        // What is parked is known to the next runner, and so is what was done.
        let mut running = start(Arc::clone(&log), rules.clone(), &view, 2, hurried());
        let status = running.until_caught_up_at(6).await;
        assert_eq!((status.parked["bad"].waiting, status.parked["bad"].position.get()), (2, 4));
        rules.mend();
        let repaired = crate::parking::retry(&running.requests, "bad").await.unwrap();
        assert_eq!((repaired.applied, repaired.parked), (2, None));
        assert_eq!(view.journal(&*log, ONE).await, fold(&*log, ONE).await);
        let audited = view.audit(&place(&*log, ONE), 9).await.unwrap();
        let actions: Vec<_> = audited.iter().map(|audited| audited.action).collect();
        assert_eq!(actions, [Action::Retried, Action::Parked]);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_lower_epoch_and_an_earlier_opening_move_no_checkpoint() {
    run(async {
        let store = memory(1);
        let log: Arc<dyn EventStore> = Arc::new(store.clone());
        let view = Both::new(Arc::clone(&log));
        pay(&store, "1", &[1]).await;
        let mut first = start(Arc::clone(&log), Journal::default(), &view, 2, hurried());
        first.until_caught_up_at(1).await;
        let mut second = start(Arc::clone(&log), Journal::default(), &view, 2, hurried());
        second.until_caught_up_at(1).await;
        let lower = start(Arc::clone(&log), Journal::default(), &view, 1, hurried());
        let error = in_time("its end", lower.task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        pay(&store, "1", &[2]).await;
        let error = in_time("its end", first.task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        second.until_caught_up_at(2).await;
        assert_eq!(view.entries(), fold(&*log, ONE).await);
        second.stop().await.unwrap();
    });
}

#[test]
fn no_more_aggregates_are_parked_than_fit_into_a_unit() {
    run(async {
        let store = memory(1);
        let log: Arc<dyn EventStore> = Arc::new(store.clone());
        let view = Both::new(Arc::clone(&log));
        let most = sidestream::limits::PARKED_ELSEWHERE;
        for number in 0..=most {
            pay(&store, &number.to_string(), &[666]).await;
        }
        let rules = Journal::with(&[(666, Trouble::Fails)]);
        let settings = Settings { attempts: 1, parked: 4_096, ..hurried() };
        let mut running = start(Arc::clone(&log), rules.clone(), &view, 1, settings);
        let status = running.until("full", |status| matches!(status.state, State::Full { .. })).await;
        assert_eq!(status.parked.len(), most);
        // All of them wait for more in one batch: that fits, too.
        rules.mend();
        running.until_caught_up_at(u64::try_from(most).unwrap() + 1).await;
        for number in 0..most {
            pay(&store, &number.to_string(), &[1]).await;
        }
        let head = u64::try_from(most).unwrap() * 2 + 1;
        let status = running.until_caught_up_at(head).await;
        assert!(status.parked.values().all(|parked| parked.waiting == 2), "{status:?}");
        running.stop().await.unwrap();
    });
}

#[test]
fn a_view_of_another_store_is_refused() {
    run(async {
        let (store, other) = (memory(1), memory(1));
        pay(&store, "1", &[1]).await;
        let view = Both::new(Arc::new(other));
        let running = start(Arc::new(store), Journal::default(), &view, 1, hurried());
        let error = in_time("a refusal", running.task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    });
}
