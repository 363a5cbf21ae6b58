//! What is parked, for people and for programs.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::buffer::{DestinationName, ParkedKey, ParkedMessages};
use crate::cli::failure::Failure;
use crate::cli::parked::options::List;
use crate::cli::place::{Open, Place};
use crate::clock::Timestamp;
use crate::partition::PartitionId;
use crate::projection::{Listing, Parked, ParkedAggregates, RequestRows};
use crate::stream::AggregateId;

/// The names of the fields are an interface: programs read them.
#[derive(Debug, Serialize)]
struct Report {
    /// Projections that ever ran over the store, with how many aggregates are parked.
    projections: Vec<Projection>,
    aggregates: Vec<Aggregate>,
    destinations: Vec<String>,
    messages: Vec<Message>,
}

#[derive(Debug, Serialize)]
struct Projection {
    projection: String,
    version: u16,
    parked: u64,
    /// Those of them that are listed.
    listed: u64,
}

#[derive(Debug, Serialize)]
struct Aggregate {
    projection: String,
    version: u16,
    partition: u16,
    aggregate: String,
    position: u64,
    event: String,
    attempts: u32,
    since: String,
    /// How many events wait.
    waiting: u64,
    /// `retried` or `skipped`, where that is asked for and not done.
    asked: Option<String>,
    error: String,
}

#[derive(Debug, Serialize)]
struct Message {
    destination: String,
    partition: u16,
    key: String,
    position: u64,
    id: String,
    topic: String,
    refusals: u32,
    since: String,
    /// `retry` or `skip`, where that is asked for and not done.
    asked: Option<String>,
    error: String,
}

/// Reads and shows it.
pub(super) async fn list(options: &List) -> Result<String, Failure> {
    let place = Place::parse(&options.store, "--store")?;
    let destination = options.destination.as_deref().map(DestinationName::new).transpose();
    let destination = destination.map_err(Failure::of)?;
    let store = place.read().await?;
    let mut report =
        Report { projections: vec![], aggregates: vec![], destinations: vec![], messages: vec![] };
    if destination.is_none() {
        report.aggregates(&store, options.projection.as_deref()).await?;
    }
    if options.projection.is_none() {
        report.messages(&store, destination.as_ref()).await?;
    }
    store.close().await?;
    if options.json { Ok(serde_json::to_string(&report)?) } else { Ok(report.told()) }
}

/// The highest version of a projection that ran.
pub(super) async fn newest(store: &Open, name: &str) -> Result<u16, Failure> {
    let all = ParkedAggregates::new(store.store()).places().await?;
    let of_name = all.iter().filter(|(_, listing)| listing.projection.name() == name);
    Ok(of_name.map(|(_, listing)| listing.projection.version()).max().unwrap_or(1))
}

/// There is none of that name, and which there are.
pub(super) fn unknown(what: &str, name: &str, known: impl Iterator<Item = String>) -> Failure {
    let known: Vec<_> = known.collect::<BTreeSet<_>>().into_iter().collect();
    let known = if known.is_empty() { "none has".to_owned() } else { format!("{} have", known.join(", ")) };
    Failure::Call(format!("no {what} {name:?} has run over this store; {known}"))
}

impl Report {
    async fn aggregates(&mut self, store: &Open, name: Option<&str>) -> Result<(), Failure> {
        let listed = ParkedAggregates::new(store.store());
        let all = listed.places().await?;
        if let Some(name) = name.filter(|name| all.iter().all(|(_, found)| found.projection.name() != *name))
        {
            return Err(unknown(
                "projection",
                name,
                all.iter().map(|(_, found)| found.projection.to_string()),
            ));
        }
        for (place, listing) in all {
            let id = listing.projection.clone();
            if name.is_some_and(|name| name != id.name()) {
                continue;
            }
            let parked = listed.list(place, &id).await?;
            self.count(&listing, u64::try_from(parked.len()).unwrap_or(u64::MAX));
            let requests = RequestRows::new(store.store(), id);
            for parked in parked {
                let partition = store.store().properties().partitions.of(&parked.cardinal);
                let aggregate = AggregateId::new(parked.cardinal.as_str())?;
                let asked = requests.find(&aggregate).await?.filter(|asked| asked.answer.is_none());
                let asked = asked.map(|asked| asked.action.to_string());
                self.aggregates.push(Aggregate::of((&listing, partition), parked, asked));
            }
        }
        Ok(())
    }

    fn count(&mut self, listing: &Listing, listed: u64) {
        let (name, version) = (listing.projection.name(), listing.projection.version());
        let is_it = |one: &&mut Projection| (one.projection.as_str(), one.version) == (name, version);
        match self.projections.iter_mut().find(is_it) {
            Some(one) => {
                one.parked = one.parked.saturating_add(listing.parked);
                one.listed = one.listed.saturating_add(listed);
            }
            None => self.projections.push(Projection {
                projection: name.to_owned(),
                version,
                parked: listing.parked,
                listed,
            }),
        }
    }

    async fn messages(&mut self, store: &Open, only: Option<&DestinationName>) -> Result<(), Failure> {
        let messages = ParkedMessages::new(store.store());
        let all = messages.destinations().await?;
        if let Some(only) = only.filter(|only| !all.contains(*only)) {
            return Err(unknown("destination", only.as_str(), all.iter().map(ToString::to_string)));
        }
        for destination in all.into_iter().filter(|one| only.is_none_or(|only| only == one)) {
            for (partition, parked) in messages.list(&destination).await? {
                self.messages.push(Message::of(&destination, partition, parked));
            }
            self.destinations.push(destination.to_string());
        }
        Ok(())
    }

    fn told(&self) -> String {
        let mut parts = Vec::new();
        if !self.aggregates.is_empty() {
            parts.push(self.aggregates_table().to_string());
        }
        for one in self.projections.iter().filter(|one| one.parked > one.listed) {
            let more = one.parked.saturating_sub(one.listed);
            parts.push(format!("{} v{}: {more} more are parked and not listed", one.projection, one.version));
        }
        if !self.messages.is_empty() {
            parts.push(self.messages_table().to_string());
        }
        if parts.is_empty() {
            let projections =
                self.projections.iter().map(|one| format!("{} v{}", one.projection, one.version));
            let ran: Vec<_> = projections.chain(self.destinations.iter().cloned()).collect();
            let ran = if ran.is_empty() { "nothing ran over this store".to_owned() } else { ran.join(", ") };
            parts.push(format!("nothing is parked: {ran}"));
        }
        parts.join("\n")
    }

    fn aggregates_table(&self) -> Table {
        let mut table = table(&[
            "projection",
            "partition",
            "aggregate",
            "position",
            "event",
            "attempts",
            "since",
            "waiting",
            "asked",
            "error",
        ]);
        for one in &self.aggregates {
            table.add_row([
                format!("{} v{}", one.projection, one.version),
                one.partition.to_string(),
                one.aggregate.clone(),
                one.position.to_string(),
                one.event.clone(),
                one.attempts.to_string(),
                one.since.clone(),
                one.waiting.to_string(),
                one.asked.clone().unwrap_or_default(),
                one.error.clone(),
            ]);
        }
        table
    }

    fn messages_table(&self) -> Table {
        let mut table = table(&[
            "destination",
            "partition",
            "key",
            "position",
            "topic",
            "refusals",
            "since",
            "asked",
            "error",
        ]);
        for one in &self.messages {
            table.add_row([
                one.destination.clone(),
                one.partition.to_string(),
                one.key.clone(),
                one.position.to_string(),
                one.topic.clone(),
                one.refusals.to_string(),
                one.since.clone(),
                one.asked.clone().unwrap_or_default(),
                one.error.clone(),
            ]);
        }
        table
    }
}

impl Aggregate {
    fn of((listing, partition): (&Listing, PartitionId), parked: Parked, asked: Option<String>) -> Self {
        Self {
            projection: listing.projection.name().to_owned(),
            version: listing.projection.version(),
            partition: partition.get(),
            aggregate: parked.cardinal,
            position: parked.position.get(),
            event: parked.event_type,
            attempts: parked.attempts,
            since: time(parked.since),
            waiting: parked.waiting,
            asked,
            error: parked.error,
        }
    }
}

impl Message {
    fn of(destination: &DestinationName, partition: PartitionId, parked: ParkedKey) -> Self {
        let asked = parked.asked.map(|asked| format!("{:?}", asked.remedy).to_lowercase());
        Self {
            destination: destination.to_string(),
            partition: partition.get(),
            key: parked.key,
            position: parked.position.get(),
            id: parked.id.to_string(),
            topic: parked.topic.to_string(),
            refusals: parked.refusals,
            since: time(parked.since),
            asked,
            error: parked.error,
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// A time for people and programs: RFC 3339, in seconds.
fn time(at: Timestamp) -> String {
    let since = Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)).to_string()
}
