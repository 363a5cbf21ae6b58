//! Fills a store with events, in bulk.

use std::sync::Arc;

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::bench::account::{Account, Event};
use crate::cli::bench::daemon::options::DaemonOptions;
use crate::cli::failure::Failure;
use crate::codec::Codecs;
use crate::decider::Decider;
use crate::event::{CodecName, EventType, NewRecord, RecordKind};
use crate::partition::PartitionId;
use crate::store::{EventStore, StreamAppend, Unit};
use crate::stream::{AggregateId, ExpectedVersion, Position, StreamName};

/// Units of one list.
const LIST: usize = 1_024;
/// An odd number without a pattern (2^64 by the golden ratio): neighbouring counts become distant ones.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Rare events of a log, as long as it has so many.
pub(super) const RARE_EVENTS: u64 = 1_600;
/// The types that are rare.
pub(super) const RARE: [&str; 3] = ["Opened", "Blocked", "Closed"];

/// What is written: the n-th event is a rare one or a hold.
struct Source {
    hold: NewRecord,
    rare: Vec<NewRecord>,
    /// Every so-manieth event is rare.
    every: u64,
    made: u64,
}

/// Fills the log up to so many events, and says how many it has.
pub(super) async fn fill(store: &Arc<dyn EventStore>, options: &DaemonOptions) -> Result<u64, Failure> {
    let mut has = length(store).await?;
    let bar = bar(options, has);
    let accounts = accounts(store, options.accounts)?;
    let mut source = Source::new(has, options.events)?;
    while has < options.events {
        for (partition, streams) in &accounts {
            let left = usize::try_from(options.events.saturating_sub(has)).unwrap_or(usize::MAX);
            let events = usize::try_from(options.unit_events).unwrap_or(usize::MAX).max(1);
            let units = LIST.min(left.div_ceil(events));
            let list: Vec<_> = (0..units).filter_map(|_| source.unit(streams, events)).collect();
            for result in store.append(*partition, list).await {
                result
                    .map_err(|failure| Failure::Run(format!("the store could not be filled: {failure}")))?;
                has = has.saturating_add(u64::try_from(events).unwrap_or(0));
            }
            bar.set_position(has.min(options.events));
        }
    }
    bar.finish_and_clear();
    length(store).await
}

/// How many records the log has.
pub(super) async fn length(store: &Arc<dyn EventStore>) -> Result<u64, Failure> {
    let mut records = 0_u64;
    for partition in store.properties().partitions.all() {
        let head = store.read_log(partition, Position::START, 1).await?.head;
        records = records.saturating_add(head.get());
    }
    Ok(records)
}

/// The accounts' streams, by partition.
fn accounts(store: &Arc<dyn EventStore>, count: u32) -> Result<Vec<(PartitionId, Vec<StreamName>)>, Failure> {
    let partitions = store.properties().partitions;
    let mut all: Vec<(PartitionId, Vec<StreamName>)> = partitions.all().map(|id| (id, Vec::new())).collect();
    for number in 0..count {
        let stream = Account::CATEGORY.stream(&AggregateId::new(format!("acc-{number:08}"))?);
        let place = usize::from(partitions.of(stream.cardinal()).get());
        if let Some((_, streams)) = all.get_mut(place) {
            streams.push(stream);
        }
    }
    Ok(all)
}

fn bar(options: &DaemonOptions, has: u64) -> ProgressBar {
    let target = if options.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(options.events), target).with_position(has);
    let style = ProgressStyle::with_template("events {human_pos}/{human_len} [{bar:40}] {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar
}

impl Source {
    fn new(made: u64, events: u64) -> Result<Self, Failure> {
        let (codec, payload) = Codecs::default().encode(&Event::Held { cents: 1 })?;
        let hold = record("Held", codec.clone(), payload.clone())?;
        let rare = RARE.into_iter().map(|name| record(name, codec.clone(), payload.clone()));
        let every = events.checked_div(RARE_EVENTS).unwrap_or(1).max(1);
        Ok(Self { hold, rare: rare.collect::<Result<_, Failure>>()?, every, made })
    }

    /// Events of one of the accounts, drawn in an order that is none of the accounts' own.
    fn unit(&mut self, streams: &[StreamName], events: usize) -> Option<Unit> {
        let scattered = self.made.wrapping_mul(SCATTER) >> 32;
        let place = scattered.checked_rem(u64::try_from(streams.len()).ok()?)?;
        let stream = streams.get(usize::try_from(place).ok()?)?.clone();
        let records = (0..events).map(|_| self.next()).collect();
        Some(Unit::one(StreamAppend { stream, expected: ExpectedVersion::Any, records }))
    }

    fn next(&mut self) -> NewRecord {
        self.made = self.made.saturating_add(1);
        if !self.made.is_multiple_of(self.every) {
            return self.hold.clone();
        }
        let turn = self.made.checked_div(self.every).and_then(|turn| turn.checked_rem(3)).unwrap_or(0);
        self.rare.get(usize::try_from(turn).unwrap_or(0)).unwrap_or(&self.hold).clone()
    }
}

fn record(name: &'static str, codec: CodecName, payload: Bytes) -> Result<NewRecord, Failure> {
    Ok(NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new(name)?,
        schema: 1,
        codec,
        cause: None,
        requester: None,
        payload,
    })
}
