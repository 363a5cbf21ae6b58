//! F13 and F24: the same schedule gets the same answers from every store, whatever the clock does.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::{Clock, ManualClock, Timestamp};
use sidestream::command::Settings;
use sidestream::event::RecordKind;
use sidestream::partition::PartitionCount;
use sidestream::protocol::Atomicity;
use sidestream::store::memory::MemoryStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::stream::Position;
use sidestream::testkit::crash::Sent;
use sidestream::testkit::{controls, effort, run};
use sidestream::{CommandHandler, Decider, EventStore};

use crate::crash::sent;
use crate::rules::{Account, Command};
use crate::support::snapshotting;

const HOUR: Duration = Duration::from_secs(3_600);

/// What is done, one after the other.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Sent, so many times, each time after the answer to the last.
    Send(Sent<Command>, usize),
    /// Several at once, in one call, each of another transaction: a transaction's second command would wait
    /// for its first, and how long that takes is the store's business.
    Many(Vec<Sent<Command>>),
    /// Submitted, and its outcome asked for once it is settled.
    Submit(Sent<Command>),
    /// Requested by a process that dies before it decides, and then recovered.
    Recover(Vec<Sent<Command>>),
    /// Looked at.
    Query(u32),
    /// The process ends and another one starts; nothing stays in memory.
    Restart,
}

pub fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (sent(), 1_usize..4).prop_map(|(sent, copies)| Deed::Send(sent, copies)),
        2 => prop::collection::vec(sent(), 1..6).prop_map(|sends| Deed::Many(one_of_each(sends))),
        2 => sent().prop_map(Deed::Submit),
        1 => prop::collection::vec(sent(), 1..3).prop_map(Deed::Recover),
        2 => (0_u32..2).prop_map(Deed::Query),
        1 => Just(Deed::Restart),
    ]
}

fn one_of_each(mut sends: Vec<Sent<Command>>) -> Vec<Sent<Command>> {
    let mut seen = HashSet::new();
    sends.retain(|sent| seen.insert((sent.aggregate.clone(), sent.transaction)));
    sends
}

/// What a schedule was answered with, deed by deed, in words: outcomes, versions, positions, states, errors
/// by their kind.
pub type Answers = Vec<String>;

/// Processes at work, in turns: their store, reopened by `open` at each restart.
pub struct Service<S> {
    open: S,
    processes: VecDeque<CommandHandler<Account>>,
    store: Arc<dyn EventStore>,
}

impl<S: AsyncFnMut() -> Arc<dyn EventStore>> Service<S> {
    pub async fn start(mut open: S, processes: usize) -> Self {
        let store = open().await;
        let processes = (0..processes).map(|_| snapshotting(Arc::clone(&store), 3)).collect();
        Self { open, processes, store }
    }

    /// The process whose turn it is. What it has in memory may be older than what the others wrote.
    fn accounts(&self) -> &CommandHandler<Account> {
        &self.processes[0]
    }

    pub async fn answers(&mut self, deeds: &[Deed], mut between: impl FnMut(usize)) -> Answers {
        let mut answers = Vec::new();
        for (number, deed) in deeds.iter().enumerate() {
            between(number);
            self.processes.rotate_left(1);
            answers.push(self.answer(deed).await);
        }
        for account in 0..2 {
            answers.push(self.look(account).await);
        }
        answers
    }

    async fn answer(&mut self, deed: &Deed) -> String {
        match deed {
            Deed::Send(sent, copies) => {
                let mut heard = Vec::new();
                for _ in 0..*copies {
                    let Sent { aggregate, transaction, command } = sent.clone();
                    heard.push(told(self.accounts().handle(&aggregate, transaction, command).await));
                }
                heard.join(", ")
            }
            Deed::Many(sends) => {
                let sends =
                    sends.iter().cloned().map(|sent| (sent.aggregate, sent.transaction, sent.command));
                let heard = self.accounts().handle_many(sends).await;
                heard.into_iter().map(told).collect::<Vec<_>>().join(", ")
            }
            Deed::Submit(sent) => self.submit(sent).await,
            Deed::Recover(sends) => self.recover(sends).await,
            Deed::Query(account) => self.look(*account).await,
            Deed::Restart => {
                self.store = (self.open)().await;
                let again = |_| snapshotting(Arc::clone(&self.store), 3);
                self.processes = (0..self.processes.len()).map(again).collect();
                String::new()
            }
        }
    }

    async fn submit(&self, sent: &Sent<Command>) -> String {
        let Sent { aggregate, transaction, command } = sent.clone();
        let step = Account::step(&command);
        if let Err(error) = self.accounts().submit(&aggregate, transaction, command, None).await {
            return format!("{:?}", error.kind());
        }
        // Asked again, it is answered once it is settled; by whom is nobody's business.
        let again = told(self.accounts().handle(&aggregate, transaction, sent.command.clone()).await);
        let outcome = told(self.accounts().outcome(&aggregate, transaction, &step).await);
        format!("{again}, {outcome}")
    }

    async fn recover(&self, sends: &[Sent<Command>]) -> String {
        // No accepted decision fits this bound: the process dies, as it were, before it settles the step.
        let mut settings = Settings::default();
        settings.limits.decision_events = 0;
        let store = Arc::clone(&self.store);
        let dying = CommandHandler::builder(store, Account).settings(settings).build();
        let mut heard = Vec::new();
        for Sent { aggregate, transaction, command } in sends.iter().cloned() {
            let step = Account::step(&command);
            heard.push(told(dying.submit(&aggregate, transaction, command, None).await));
            let recovery = self.accounts().recover(Duration::ZERO).await.expect("swept");
            assert_eq!(recovery.failed, 0, "{recovery:?}");
            heard.push(told(self.accounts().outcome(&aggregate, transaction, &step).await));
        }
        heard.join(", ")
    }

    async fn look(&self, account: u32) -> String {
        let id = controls::other_aggregate_id(account);
        self.accounts()
            .query(&id, |state, version| format!("{state:?} at {version}"))
            .await
            .expect("readable")
    }
}

fn told<T: std::fmt::Debug>(answer: sidestream::Result<T>) -> String {
    answer.map_or_else(|error| format!("{:?}", error.kind()), |outcome| format!("{outcome:?}"))
}

fn partitions() -> PartitionCount {
    PartitionCount::new(2).expect("within bounds")
}

/// How many refusals were fenced: each takes a version that other stores do not use.
fn fences(store: &MemoryStore) -> usize {
    run(async {
        let mut fences = 0;
        for partition in partitions().all() {
            let page = store.read_log(partition, Position::START, 10_000).await.expect("readable");
            assert_eq!(page.records.last().map_or(Position::START, |last| last.position), page.head);
            fences += page.records.iter().filter(|record| record.data.kind == RecordKind::Fence).count();
        }
        fences
    })
}

/// The answers of a store in memory, with what `jump` does to its clock before each deed.
pub fn in_memory(
    (atomicity, processes): (Atomicity, usize),
    deeds: &[Deed],
    jump: impl Fn(&ManualClock, usize),
) -> (Answers, usize) {
    let clock = Arc::new(ManualClock::new(controls::timestamp()));
    let of_store: Arc<dyn Clock> = clock.clone();
    let store = MemoryStore::with(partitions(), atomicity, of_store);
    let answers = run(async {
        let mut service = Service::start(async || shared(store.clone()), processes).await;
        service.answers(deeds, |number| jump(&clock, number)).await
    });
    (answers, fences(&store))
}

fn on_disk(deeds: &[Deed]) -> Answers {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.db");
    run(async {
        let mut last: Option<SqliteStore> = None;
        let reopen = async || {
            if let Some(store) = last.take() {
                store.close().await.expect("closed");
            }
            let store = SqliteStore::builder(&path).partitions(partitions()).open().expect("a store");
            shared(last.insert(store).clone())
        };
        Service::start(reopen, 1).await.answers(deeds, |_| ()).await
    })
}

pub fn shared(store: impl EventStore) -> Arc<dyn EventStore> {
    Arc::new(store)
}

pub fn still(_: &ManualClock, _: usize) {}

/// Answers without a place: what stands after `before`, up to where the digits end.
fn without(before: &str, answers: Answers) -> Answers {
    let cut = |text: String| {
        let mut parts = text.split(before);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |kept, part| kept + part.trim_start_matches(|c: char| c.is_ascii_digit()))
    };
    answers.into_iter().map(cut).collect()
}

proptest! {
    #![proptest_config(effort::proptest_config(300, "proptest-regressions/differential.txt"))]

    #[test]
    fn stores_that_commit_batches_and_stores_that_commit_streams_answer_the_same(
        deeds in prop::collection::vec(deed(), 1..20),
    ) {
        let answers = |atomicity| {
            let (answers, fences) = in_memory((atomicity, 1), &deeds, still);
            // A position counts what lies before it, and step by step the records come in another order.
            (without("position: Position(", answers), fences)
        };
        let ((mut batch, unfenced), (mut stream, fences)) = (answers(Atomicity::Batch), answers(Atomicity::Stream));
        prop_assert_eq!(unfenced, 0, "a batch needs no fence");
        if fences > 0 {
            for place in ["version: Version(", " at "] {
                (batch, stream) = (without(place, batch), without(place, stream));
            }
        }
        prop_assert_eq!(batch, stream);
    }

    /// F14: whoever is asked, with whatever it has in memory, answers from a state that is no older than the
    /// question.
    #[test]
    fn one_process_or_three_in_turns_answer_the_same(
        deeds in prop::collection::vec(deed(), 1..20),
        batch in any::<bool>(),
    ) {
        let atomicity = if batch { Atomicity::Batch } else { Atomicity::Stream };
        let answers = |processes| {
            let (answers, _) = in_memory((atomicity, processes), &deeds, still);
            // Each process takes its own snapshots, and refusals that another one helps with are fenced.
            ["position: Position(", "version: Version(", " at "].iter().fold(answers, |left, place| without(place, left))
        };
        prop_assert_eq!(answers(1), answers(3));
    }

    #[test]
    fn no_answer_depends_on_the_time_of_day(
        deeds in prop::collection::vec(deed(), 1..20),
        jumps in prop::collection::vec(-1_i64..=1, 20),
        batch in any::<bool>(),
    ) {
        let atomicity = if batch { Atomicity::Batch } else { Atomicity::Stream };
        let hour = i64::try_from(HOUR.as_micros()).expect("fits");
        let jump = |clock: &ManualClock, number: usize| {
            clock.set(Timestamp::from_micros(controls::timestamp().as_micros() + jumps[number] * hour));
        };
        prop_assert_eq!(in_memory((atomicity, 1), &deeds, still), in_memory((atomicity, 1), &deeds, jump));
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(40, "proptest-regressions/differential_sqlite.txt"))]

    /// Versions and positions included.
    #[test]
    fn sqlite_answers_as_the_store_in_memory(deeds in prop::collection::vec(deed(), 1..20)) {
        prop_assert_eq!(on_disk(&deeds), in_memory((Atomicity::Batch, 1), &deeds, still).0);
    }
}
