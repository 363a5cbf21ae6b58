//! The auditor: reads the raw log and checks what must be true of any.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use crate::codec::Codecs;
use crate::command::CommandHandler;
use crate::decider::Decider;
use crate::event::{AcceptedAt, Record, RecordKind};
use crate::id::{StepName, TransactionId};
use crate::limits;
use crate::message::RecordedMessage;
use crate::side_stream::{SideStream, Verdict};
use crate::store::{EventStore, LogScope, ReadFrom, StreamRead};
use crate::stream::{AggregateId, Position, StreamName, Version};
use crate::testkit::crash::{Sent, Violation, messages};

/// What is in the store in the end.
pub struct Books<D: Decider> {
    /// Each aggregate's state, folded from its first event on.
    pub states: BTreeMap<AggregateId, D::State>,
    /// The commands that took effect.
    pub accepted: Vec<Sent<D::Command>>,
    /// The commands that were refused.
    pub rejected: Vec<Sent<D::Command>>,
    /// The messages that are to be sent, by stream, as they were recorded.
    pub messages: Vec<RecordedMessage>,
}

impl<D: Decider> Debug for Books<D>
where
    D::State: Debug,
    D::Command: Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").field("states", &self.states).field("accepted", &self.accepted).finish()
    }
}

impl<D: Decider> Books<D> {
    fn empty() -> Self {
        Self { states: BTreeMap::new(), accepted: Vec::new(), rejected: Vec::new(), messages: Vec::new() }
    }
}

type Streams = BTreeMap<StreamName, Vec<Record>>;

/// Reads the books, and checks them.
pub(super) async fn read<D>(
    store: &impl EventStore,
    handler: &CommandHandler<D>,
    sends: &[Sent<D::Command>],
) -> Result<Books<D>, Violation>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::State: PartialEq + Debug,
{
    let mut streams = streams(store).await?;
    if store.properties().log == LogScope::Aggregates {
        side_streams::<D>(store, sends, &mut streams).await?;
    }
    let mut books = Books::empty();
    for (name, records) in &streams {
        match name.side_parts() {
            _ if name.category() == D::CATEGORY.messages().as_str() => {
                books.messages.extend(messages::read(records).map_err(Violation::new)?);
            }
            Some((aggregate, transaction)) => {
                let effects = streams.get(&D::CATEGORY.stream(&aggregate)).map_or(&[][..], Vec::as_slice);
                settle::<D>(&mut books, (&aggregate, transaction), (records, effects))?;
            }
            None => {
                every_effect_is_accepted(records, &streams)?;
                let id = AggregateId::new(name.id()).map_err(|error| Violation::new(error.to_string()))?;
                let state = fold::<D>(records)?;
                same_as_query::<D>(handler, &id, &state).await?;
                books.states.insert(id, state);
            }
        }
    }
    messages::belong_to_what_happened(&books.messages, &streams).map_err(Violation::new)?;
    for sent in sends {
        books.states.entry(sent.aggregate.clone()).or_default();
    }
    Ok(books)
}

/// All records by stream; positions and versions are without gaps, and no record was altered.
async fn streams(store: &impl EventStore) -> Result<Streams, Violation> {
    let mut streams = Streams::new();
    for partition in store.properties().partitions.all() {
        let mut after = Position::START;
        // Records that a store keeps for itself leave holes.
        let has_holes = store.properties().log == LogScope::Aggregates;
        let is_next = |after: Position, next: Position| {
            if has_holes { next > after } else { next == after.next() }
        };
        loop {
            let page = store.read_log(partition, after, 1_000).await;
            let page = page.map_err(|error| Violation::new(error.to_string()))?;
            if page.records.is_empty() {
                break;
            }
            for record in page.records {
                record.verify().map_err(|error| Violation::new(error.to_string()))?;
                demand(is_next(after, record.position), || format!("a gap before {record:?}"))?;
                after = record.position;
                let stream = streams.entry(record.stream.clone()).or_default();
                let next = stream.last().map_or(Version::EMPTY, |last| last.version).next();
                demand(record.version == next, || format!("expected version {next}, found {record:?}"))?;
                stream.push(record);
            }
        }
    }
    Ok(streams)
}

/// The side streams of all that was sent: no log of this store shows them.
async fn side_streams<D: Decider>(
    store: &impl EventStore,
    sends: &[Sent<D::Command>],
    streams: &mut Streams,
) -> Result<(), Violation> {
    let broken = |error: crate::Error| Violation::new(error.to_string());
    for sent in sends {
        let stream = D::CATEGORY.side_stream(&sent.aggregate, sent.transaction);
        let from = ReadFrom::After(Version::EMPTY);
        let read = StreamRead { stream: stream.clone(), from, limit: limits::PAGE_RECORDS };
        let page = store.read_streams(vec![read]).await.remove(0).map_err(broken)?;
        demand(!page.has_more(), || format!("{stream} is too long to be audited"))?;
        page.records.iter().try_for_each(Record::verify).map_err(broken)?;
        if !page.records.is_empty() {
            streams.insert(stream, page.records);
        }
    }
    Ok(())
}

/// Checks one transaction: each step settled once, accepted exactly where the aggregate holds its effect,
/// after the version that it was requested at.
fn settle<D: Decider>(
    books: &mut Books<D>,
    (aggregate, transaction): (&AggregateId, TransactionId),
    (side, effects): (&[Record], &[Record]),
) -> Result<(), Violation> {
    let folded = SideStream::fold(side).map_err(|error| Violation::new(error.to_string()))?;
    demand(folded.open.is_none(), || format!("{aggregate} {transaction}: still open: {:?}", folded.open))?;
    for settled in &folded.settled {
        let of_step = |record: &&Record| {
            let cause = record.data.cause.as_ref();
            cause.is_some_and(|cause| cause.transaction == transaction && cause.step == settled.step)
        };
        let mine: Vec<&Record> = effects.iter().filter(of_step).collect();
        let fences = mine.iter().filter(|record| record.data.kind == RecordKind::Fence).count();
        let effect: Vec<_> = mine.iter().filter(|record| record.data.kind != RecordKind::Fence).collect();
        let about = || format!("{aggregate} {transaction} {}: {settled:?}, {mine:#?}", settled.step);
        let adjacent = effect.windows(2).all(|pair| pair[1].version == pair[0].version.next());
        demand(adjacent, || format!("took effect twice: {}", about()))?;
        let right = match settled.verdict {
            Verdict::Accepted => !effect.is_empty() && fences == 0,
            Verdict::Rejected => effect.is_empty() && fences <= 1,
        };
        demand(right, || format!("the verdict and the aggregate differ: {}", about()))?;
        let same = mine.iter().all(|record| {
            record.data.cause.as_ref().is_some_and(|cause| cause.fingerprint == settled.fingerprint)
        });
        demand(same, || format!("another content took effect: {}", about()))?;
        points_at_effect(side, &settled.step, &effect)?;
        let sent =
            Sent { aggregate: aggregate.clone(), transaction, command: command::<D>(side, &settled.step)? };
        match settled.verdict {
            Verdict::Accepted => books.accepted.push(sent),
            Verdict::Rejected => books.rejected.push(sent),
        }
    }
    Ok(())
}

/// `Requested` lies before the effect, and `Accepted` points at its last record.
fn points_at_effect(side: &[Record], step: &StepName, effect: &[&&Record]) -> Result<(), Violation> {
    let of_step = |record: &&Record| record.data.cause.as_ref().is_some_and(|cause| cause.step == *step);
    for record in side.iter().filter(of_step) {
        match record.data.kind {
            RecordKind::Requested { aggregate_version } => {
                let after = effect.iter().all(|effect| effect.version > aggregate_version);
                demand(after, || format!("the effect is not after its request: {record:?}, {effect:#?}"))?;
            }
            RecordKind::Accepted { version, at } => {
                let position = match at {
                    AcceptedAt::At(position) => position,
                    AcceptedAt::Back(records) => record.position.minus(u64::from(records)),
                };
                let last = effect.last().map(|last| (last.version, last.position));
                let right = last == Some((version, position));
                demand(right, || format!("{record:?} does not point at its effect: {effect:#?}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn command<D: Decider>(side: &[Record], step: &StepName) -> Result<D::Command, Violation> {
    let requested = side.iter().find(|record| {
        matches!(record.data.kind, RecordKind::Requested { .. })
            && record.data.cause.as_ref().is_some_and(|cause| cause.step == *step)
    });
    let requested = requested.ok_or_else(|| Violation::new(format!("step {step} has no request")))?;
    Codecs::default().open(&requested.data).decode().map_err(|error| Violation::new(error.to_string()))
}

/// Nothing takes effect without its side stream saying so.
fn every_effect_is_accepted(records: &[Record], streams: &Streams) -> Result<(), Violation> {
    let mut accepted: HashMap<(&StreamName, TransactionId, &StepName), bool> = HashMap::new();
    for (name, side) in streams {
        let Some((_, transaction)) = name.side_parts() else { continue };
        for record in side.iter().filter(|record| matches!(record.data.kind, RecordKind::Accepted { .. })) {
            if let Some(cause) = &record.data.cause {
                accepted.insert((name, transaction, &cause.step), true);
            }
        }
    }
    for record in records {
        let Some(cause) = record.data.cause.as_ref().filter(|_| record.data.kind != RecordKind::Fence) else {
            continue;
        };
        let found = accepted.keys().any(|(name, transaction, step)| {
            *transaction == cause.transaction
                && **step == cause.step
                && name.side_parts().is_some_and(|(id, _)| id.as_str() == record.stream.id())
        });
        demand(found, || format!("took effect without being accepted: {record:?}"))?;
    }
    Ok(())
}

/// Folds from the first event on, and checks every snapshot on the way.
fn fold<D: Decider>(records: &[Record]) -> Result<D::State, Violation>
where
    D::State: PartialEq + Debug,
{
    let (codecs, mut state) = (Codecs::default(), D::State::default());
    let broken = |error: crate::Error| Violation::new(error.to_string());
    for record in records {
        match record.data.kind {
            RecordKind::Event => {
                let event = codecs.open(&record.data).decode().map_err(broken)?;
                D::evolve(&mut state, &event);
            }
            RecordKind::Snapshot => {
                let snapshot: D::State = crate::snapshot::read::<D>(record, &codecs).map_err(broken)?;
                demand(snapshot == state, || format!("snapshot {snapshot:?}, fold {state:?}: {record:?}"))?;
            }
            _ => {}
        }
    }
    Ok(state)
}

async fn same_as_query<D: Decider>(
    handler: &CommandHandler<D>,
    id: &AggregateId,
    expected: &D::State,
) -> Result<(), Violation>
where
    D::State: PartialEq + Debug,
{
    let seen = handler.query(id, |state, _| serde_json::to_value(state).map_err(|error| error.to_string()));
    let seen = seen.await.map_err(|error| Violation::new(error.to_string()))?;
    let expected = serde_json::to_value(expected).map_err(|error| error.to_string());
    demand(seen == expected, || format!("{id}: a query says {seen:?}, a fold from the start {expected:?}"))
}

fn demand(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(what())) }
}
