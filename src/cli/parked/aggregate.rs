//! Asking for a parked aggregate to be retried or skipped.

use crate::cli::failure::Failure;
use crate::cli::parked::list::{self, unknown};
use crate::cli::parked::options::Ask;
use crate::cli::parked::outcome::{Outcome, State, patience};
use crate::cli::place::{Open, Place};
use crate::clock;
use crate::partition::PartitionId;
use crate::projection::{
    Action, Answer, Asked, Operator, Parked, ParkedAggregates, ProjectionId, RequestRows,
};
use crate::stream::AggregateId;

/// A parked aggregate, and who parked it.
struct Found {
    projection: ProjectionId,
    /// Where it is listed.
    place: PartitionId,
    parked: Parked,
}

/// Asks, and waits for the answer.
pub(super) async fn ask(
    options: &Ask,
    (place, action): (&Place, Action),
    by: Operator,
) -> Result<Outcome, Failure> {
    let aggregate = AggregateId::new(options.subject.as_str()).map_err(Failure::of)?;
    let reader = place.read().await?;
    let found = find(options, &reader, &aggregate).await?;
    let store = reader.into_writer(place).await?;
    let requests = RequestRows::new(store.store(), found.projection.clone());
    let asked = requests.ask(&aggregate, found.parked.position, action, by).await;
    let wait = patience(options.no_wait, options.wait, store.is_shared());
    let answer = match (asked, wait) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(wait)) => clock::within(wait, requests.answer(&aggregate)).await.transpose(),
        (Ok(()), None) => Ok(None),
    };
    let outcome = match answer {
        Ok(answer) => Ok(outcome(&store, &found, (action, wait.is_some()), answer).await?),
        Err(error) => Err(Failure::of(error)),
    };
    store.close().await?;
    outcome
}

/// The one that is meant.
async fn find(options: &Ask, store: &Open, aggregate: &AggregateId) -> Result<Found, Failure> {
    let name = options.projection.as_deref().unwrap_or_default();
    let listed = ParkedAggregates::new(store.store());
    let all = listed.places().await?;
    let is_meant = |projection: &ProjectionId| {
        projection.name() == name && options.version.is_none_or(|version| projection.version() == version)
    };
    if !all.iter().any(|(_, listing)| is_meant(&listing.projection)) {
        return Err(unknown("projection", name, all.iter().map(|(_, found)| found.projection.to_string())));
    }
    let of = store.store().properties().partitions.of(aggregate.cardinal());
    let mut found = Vec::new();
    let mut unlisted = 0_u64;
    for (place, listing) in all.into_iter().filter(|(_, listing)| is_meant(&listing.projection)) {
        let is_here = listing.is_join || place == of;
        if !is_here || listing.parked == 0 {
            continue;
        }
        let parked = listed.list(place, &listing.projection).await?;
        let more = listing.parked.saturating_sub(u64::try_from(parked.len()).unwrap_or(u64::MAX));
        unlisted = unlisted.saturating_add(more);
        let is_it = |parked: &Parked| parked.cardinal == aggregate.cardinal();
        let projection = listing.projection;
        found.extend(parked.into_iter().find(is_it).map(|parked| Found { projection, place, parked }));
    }
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => Err(Failure::Call(format!(
            "{} is parked in {} and in {}: say which by --version",
            aggregate.cardinal(),
            one.projection,
            other.projection
        ))),
        (None, _) => not_parked(options, store, (aggregate, unlisted)).await,
    }
}

/// It is not parked, and what became of the last request about it.
async fn not_parked(
    options: &Ask,
    store: &Open,
    (aggregate, unlisted): (&AggregateId, u64),
) -> Result<Found, Failure> {
    let name = options.projection.as_deref().unwrap_or_default();
    let mut told = format!("{} is not parked in projection {name}", aggregate.cardinal());
    if unlisted > 0 {
        told.push_str(&format!(", as far as is listed: {unlisted} more are parked in its partition"));
    }
    let version = options.version.unwrap_or(list::newest(store, name).await?);
    let requests = RequestRows::new(store.store(), ProjectionId::new(name, version).map_err(Failure::of)?);
    if let Some(Asked { action, position, by, answer: Some(answer), .. }) = requests.find(aggregate).await? {
        let answer = match answer {
            Answer::Done { .. } => "done".to_owned(),
            Answer::Refused(why) => format!("refused: {why}"),
        };
        told.push_str(&format!("; {} asked for position {position} to be {action}: {answer}", by.who));
    }
    Err(Failure::Call(told))
}

async fn outcome(
    store: &Open,
    found: &Found,
    (action, has_waited): (Action, bool),
    answer: Option<Answer>,
) -> Result<Outcome, Failure> {
    let (state, applied, at, error) = match answer {
        None if has_waited => (State::Waiting, None, None, None),
        None => (State::Asked, None, None, None),
        Some(Answer::Refused(why)) => (State::Refused, None, None, Some(why)),
        Some(Answer::Done { applied, parked: None }) => (State::Done, applied, None, None),
        Some(Answer::Done { applied, parked: Some(at) }) => {
            let listed = ParkedAggregates::new(store.store()).list(found.place, &found.projection).await?;
            let now = listed.into_iter().find(|parked| parked.cardinal == found.parked.cardinal);
            (State::Parked, applied, Some(at.get()), now.map(|parked| parked.error))
        }
    };
    let partition = store.store().properties().partitions.of(&found.parked.cardinal);
    Ok(Outcome {
        of: found.projection.to_string(),
        subject: found.parked.cardinal.clone(),
        partition: partition.get(),
        position: found.parked.position.get(),
        action,
        state,
        applied,
        parked: at,
        error,
    })
}
