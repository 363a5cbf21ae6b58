//! The clients: they send until they are answered, to whichever process lives, and compare what they hear.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::command::{CommandHandler, Outcome};
use crate::decider::Decider;
use crate::error::ErrorKind;
use crate::id::{Fingerprint, StepName, TransactionId};
use crate::stream::{AggregateId, Version};
use crate::testkit::crash::{CrashEverywhere, Schedule, Sent, Violation};
use crate::testkit::faults::FaultyStore;

/// Times that a client sends a command before it leaves it to the end, when faults have stopped.
const TRIES: usize = 12;
/// Queries that one client makes in a row.
const LOOKS: usize = 5;
/// Times that a process is started again.
const LIVES: usize = 40;

type Key = (AggregateId, TransactionId, StepName);

/// What clients heard.
pub(super) struct Answers<D: Decider> {
    sends: Vec<Sent<D::Command>>,
    heard: Mutex<Heard<D::Rejection>>,
    /// How far each aggregate is known to have come, by receipts and by queries.
    seen: Mutex<HashMap<AggregateId, Version>>,
}

/// What each step was first answered with: the content, and the outcome.
type Heard<R> = HashMap<Key, (Fingerprint, Outcome<R>)>;

impl<D> Answers<D>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    pub(super) fn new(sends: &[Sent<D::Command>]) -> Self {
        Self { sends: sends.to_vec(), heard: Mutex::default(), seen: Mutex::default() }
    }

    fn seen(&self, aggregate: &AggregateId) -> Version {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(aggregate).copied().unwrap_or(Version::EMPTY)
    }

    fn see(&self, aggregate: &AggregateId, version: Version) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(aggregate.clone()).or_insert(version);
        *known = version.max(*known);
    }

    /// Compares an outcome with what anybody heard of the step before.
    fn hear(&self, sent: &Sent<D::Command>, outcome: Outcome<D::Rejection>) -> Result<(), Violation> {
        let key = key::<D>(sent);
        let content = content::<D>(sent);
        if let Outcome::Accepted(receipt) = &outcome {
            self.see(&sent.aggregate, receipt.version);
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, before) = heard.entry(key).or_insert_with(|| (content, outcome.clone()));
        if *first != content {
            return Err(Violation::new(format!("two contents were both answered: {sent:?}")));
        }
        if *before != outcome {
            return Err(Violation::new(format!("{sent:?} heard {before:?} first and {outcome:?} later")));
        }
        Ok(())
    }

    /// Whether the step was sent with another content, too: then a conflict is the right answer for one of
    /// them.
    fn has_rival(&self, sent: &Sent<D::Command>) -> bool {
        let (key_of, content_of) = (key::<D>(sent), content::<D>(sent));
        self.sends.iter().any(|other| key::<D>(other) == key_of && content::<D>(other) != content_of)
    }
}

fn key<D: Decider>(sent: &Sent<D::Command>) -> Key {
    (sent.aggregate.clone(), sent.transaction, D::step(&sent.command))
}

fn content<D: Decider>(sent: &Sent<D::Command>) -> Fingerprint {
    Fingerprint::of(&D::step(&sent.command), D::SCHEMAS.command, &sent.command).expect("JSON")
}

/// Runs the schedule's processes side by side to their ends, and returns how often one died.
pub(super) async fn processes<D>(
    kit: &CrashEverywhere<D>,
    network: &FaultyStore,
    answers: &Arc<Answers<D>>,
    schedule: &Schedule,
) -> Result<u64, Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
    D::State: PartialEq + Debug,
{
    let mut running = JoinSet::new();
    for number in 0..schedule.processes {
        let sends = deal(&answers.sends, schedule, number);
        let handler = {
            let (decider, settings) = (Arc::clone(&kit.decider), kit.settings.clone());
            move |store| CommandHandler::builder(store, decider()).settings(settings.clone()).build()
        };
        let (process, answers, schedule) = (network.restart(), Arc::clone(answers), schedule.clone());
        running.spawn(lives(handler, process, answers, sends, schedule));
    }
    let mut crashes = 0;
    while let Some(ended) = running.join_next().await {
        crashes += ended.map_err(|error| Violation::new(format!("a process panicked: {error}")))??;
    }
    Ok(crashes)
}

/// One process and its successors.
async fn lives<D>(
    handler: impl Fn(FaultyStore) -> CommandHandler<D>,
    mut process: FaultyStore,
    answers: Arc<Answers<D>>,
    sends: Vec<Sent<D::Command>>,
    schedule: Schedule,
) -> Result<u64, Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    for crashes in 0..LIVES {
        let life = live(handler(process.clone()), &answers, &sends, &schedule);
        match process.until_crash(life).await {
            Some(ended) => return ended.map(|()| u64::try_from(crashes).expect("few")),
            None => process = process.restart(),
        }
    }
    Ok(u64::try_from(LIVES).expect("few"))
}

async fn live<D>(
    handler: CommandHandler<D>,
    answers: &Arc<Answers<D>>,
    sends: &[Sent<D::Command>],
    schedule: &Schedule,
) -> Result<(), Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    // Recovery runs beside the first commands, as it does in a service that starts under load.
    let mut running = JoinSet::new();
    let sweeper = handler.clone();
    running.spawn(async move { sweeper.recover(Duration::ZERO).await.map_or(Ok(()), |_| Ok(())) });
    for (number, sent) in sends.iter().enumerate() {
        let (handler, answers, sent) = (handler.clone(), Arc::clone(answers), sent.clone());
        let submit = draw(schedule.seed, number, 3) % 1_000 < u64::from(schedule.submitted);
        if draw(schedule.seed, number, 4).is_multiple_of(3) {
            let (handler, answers, id) = (handler.clone(), Arc::clone(&answers), sent.aggregate.clone());
            running.spawn(async move {
                // Again and again, so that queries come between the steps of the commands beside them.
                for _ in 0..LOOKS {
                    look(&handler, &answers, &id).await?;
                }
                Ok(())
            });
        }
        running.spawn(async move { send(&handler, &answers, &sent, submit).await });
        while running.len() >= schedule.at_once.max(1) {
            joined(running.join_next().await)?;
        }
    }
    while let Some(ended) = running.join_next().await {
        joined(Some(ended))?;
    }
    Ok(())
}

fn joined(ended: Option<Result<Result<(), Violation>, tokio::task::JoinError>>) -> Result<(), Violation> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Violation::new(format!("a client panicked: {error}"))),
        None => Ok(()),
    }
}

/// Looks at an aggregate: no process shows it older than any process has shown it before.
async fn look<D>(
    handler: &CommandHandler<D>,
    answers: &Answers<D>,
    aggregate: &AggregateId,
) -> Result<(), Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    let before = answers.seen(aggregate);
    match handler.query(aggregate, |_, version| version).await {
        Ok(version) if version < before => {
            Err(Violation::new(format!("{aggregate} was at {before}, and a later query shows {version}")))
        }
        Ok(version) => {
            answers.see(aggregate, version);
            Ok(())
        }
        Err(error) if error.kind().retry_may_help() => Ok(()),
        Err(error) => Err(Violation::new(format!("a query of {aggregate} was answered: {error}"))),
    }
}

/// Sends a command until it is answered, or for long enough.
async fn send<D>(
    handler: &CommandHandler<D>,
    answers: &Answers<D>,
    sent: &Sent<D::Command>,
    submit: bool,
) -> Result<(), Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    let Sent { aggregate, transaction, command } = sent.clone();
    if submit {
        let submitted = handler.submit(&aggregate, transaction, command.clone(), None).await;
        submitted.or_else(|error| allow(answers, sent, &error))?;
    }
    for _ in 0..TRIES {
        match handler.handle(&aggregate, transaction, command.clone()).await {
            Ok(outcome) => return answers.hear(sent, outcome),
            Err(error) if error.kind().retry_may_help() => tokio::task::yield_now().await,
            Err(error) => return allow(answers, sent, &error),
        }
    }
    Ok(())
}

/// Which errors a client may hear.
fn allow<D>(answers: &Answers<D>, sent: &Sent<D::Command>, error: &crate::Error) -> Result<(), Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    match error.kind() {
        kind if kind.retry_may_help() => Ok(()),
        ErrorKind::Conflict if answers.has_rival(sent) => Ok(()),
        _ => Err(Violation::new(format!("{sent:?} was answered: {error}"))),
    }
}

/// Once faults have stopped, every command is answered, as it was before.
pub(super) async fn send_again<D>(handler: &CommandHandler<D>, answers: &Answers<D>) -> Result<(), Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
{
    for sent in answers.sends.iter().chain(&answers.sends) {
        match handler.handle(&sent.aggregate, sent.transaction, sent.command.clone()).await {
            Ok(outcome) => answers.hear(sent, outcome)?,
            Err(error) if error.kind() == ErrorKind::Conflict && answers.has_rival(sent) => {}
            Err(error) => return Err(Violation::new(format!("without faults, {sent:?} heard: {error}"))),
        }
    }
    Ok(())
}

/// The commands that a process sends: all of them for the first, most for the others; some twice; in an
/// order of its own.
fn deal<C: Clone>(sends: &[Sent<C>], schedule: &Schedule, process: usize) -> Vec<Sent<C>> {
    let mut dealt = Vec::new();
    for (number, sent) in sends.iter().enumerate() {
        let drawn = draw(schedule.seed, number, process + 10) % 10;
        let copies = if process == 0 { 1 + usize::from(drawn < 3) } else { usize::from(drawn < 7) };
        dealt.extend(
            (0..copies).map(|copy| (draw(schedule.seed, number, copy + 20 * (process + 1)), sent.clone())),
        );
    }
    // Half of all runs keep the clients' order.
    if schedule.seed.is_multiple_of(3) || process > 0 {
        dealt.sort_by_key(|(order, _)| *order);
    }
    dealt.into_iter().map(|(_, sent)| sent).collect()
}

/// A number that depends on all three, and on nothing else.
fn draw(seed: u64, number: usize, salt: usize) -> u64 {
    let id = TransactionId::derive(&format!("{seed}/{salt}"), &number.to_string());
    id.as_uuid().as_u64_pair().1 & 0x3fff_ffff_ffff_ffff
}
