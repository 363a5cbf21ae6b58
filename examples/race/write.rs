//! Writers: transactions that are committed, delayed, undone, or dropped half way.

use std::sync::Arc;
use std::time::Duration;

use sidestream::clock::sleep;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::store::{AppendFailure, StreamAppend, Unit};
use sidestream::stream::{ExpectedVersion, StreamName, Version};
use sidestream::{AggregateId, Category, ErrorKind, EventStore};

use crate::Failure;
use crate::arguments::Arguments;
use crate::chance::Chance;
use crate::place::Place;

const ACCOUNTS: u64 = 1_000;
const TASKS: u32 = 8;

/// A process that writes until it is killed.
pub(crate) async fn process(arguments: &Arguments) -> Result<(), Failure> {
    let store = Place::of(arguments)?.store().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(write(Arc::clone(&store), arguments.clone(), arguments.writers * TASKS));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Writes for ever, as one of so many tasks.
pub(crate) async fn write(
    store: Arc<dyn EventStore>,
    arguments: Arguments,
    tasks: u32,
) -> Result<(), Failure> {
    let mut chance = Chance::new();
    let pace =
        arguments.rate.map(|rate| Duration::from_secs(1) * tasks / u32::try_from(rate.max(1)).unwrap_or(1));
    // Each at a moment of its own: a thousand a second are no thirty every thirty milliseconds.
    let mut ticks = pace.map(|pace| {
        let first =
            Duration::from_micros(chance.below(u64::try_from(pace.as_micros()).unwrap_or(u64::MAX).max(1)));
        tokio::time::interval_at(tokio::time::Instant::now() + first, pace)
    });
    loop {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        if chance.is(arguments.kill) {
            println!("kill");
        }
        let aborts = chance.is(arguments.abort);
        match transaction(&*store, &mut chance, aborts).await {
            Ok(()) | Err(AppendFailure::Unknown(_)) => {}
            Err(AppendFailure::Refused(error))
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded) =>
            {
                sleep(Duration::from_millis(20)).await;
            }
            Err(failure) => return Err(failure.to_string().into()),
        }
    }
}

async fn transaction(store: &dyn EventStore, chance: &mut Chance, aborts: bool) -> Result<(), AppendFailure> {
    let unit = unit(chance, ExpectedVersion::Any)?;
    let partition =
        store.properties().partitions.of(unit.appends.first().map_or("", |a| a.stream.cardinal()));
    let append = |unit| async move {
        let results = store.append(partition, vec![unit]).await;
        results.into_iter().next().map_or(Ok(()), |result| result.map(drop))
    };
    match (aborts, chance.below(3)) {
        (true, 0) => {
            let never = ExpectedVersion::Exact(Version::new(1 << 40));
            let unit = self::unit(chance, never)?;
            let home =
                store.properties().partitions.of(unit.appends.first().map_or("", |a| a.stream.cardinal()));
            match store.append(home, vec![unit]).await.into_iter().next() {
                Some(Err(AppendFailure::WrongVersion { .. })) => Ok(()),
                Some(Err(failure)) => Err(failure),
                _ => Err(AppendFailure::Refused(sidestream::Error::corrupt("what must fail was committed"))),
            }
        }
        (true, 1) => {
            // It goes away in the middle: nobody knows what became of it.
            let after = Duration::from_micros(chance.below(3_000));
            tokio::time::timeout(after, append(unit)).await.unwrap_or(Ok(()))
        }
        (aborts, _) if aborts || chance.is(0.02) => {
            let Some(held) = store.hold(partition).await.map_err(AppendFailure::Refused)? else {
                return append(unit).await;
            };
            sleep(Duration::from_millis(chance.below(20))).await;
            if aborts {
                return Ok(());
            }
            held.append(vec![unit]).await.into_iter().next().map_or(Ok(()), |result| result.map(drop))
        }
        _ => append(unit).await,
    }
}

fn unit(chance: &mut Chance, expected: ExpectedVersion) -> Result<Unit, AppendFailure> {
    let name = chance.below(ACCOUNTS).to_string();
    let stream = stream(&name).map_err(AppendFailure::Refused)?;
    let records = (0..=chance.below(4)).map(|_| record()).collect::<Result<_, _>>();
    let records = records.map_err(AppendFailure::Refused)?;
    Ok(Unit::one(StreamAppend { stream, expected, records }))
}

fn stream(name: &str) -> sidestream::Result<StreamName> {
    Ok(Category::new("race").stream(&AggregateId::new(name)?))
}

fn record() -> sidestream::Result<NewRecord> {
    Ok(NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Moved")?,
        schema: 1,
        codec: CodecName::new("json")?,
        cause: None,
        requester: None,
        payload: "{}".into(),
    })
}
