//! Asking for a parked message to be sent again or left out.

use std::time::Duration;

use crate::buffer::{Asked, DestinationName, ParkedKey, ParkedMessages, Remedy};
use crate::cli::failure::Failure;
use crate::cli::parked::list::unknown;
use crate::cli::parked::options::Ask;
use crate::cli::parked::outcome::{Outcome, State, patience};
use crate::cli::place::Place;
use crate::clock;
use crate::error::Result as Done;
use crate::partition::PartitionId;
use crate::projection::{Action, Operator};

/// How often it is looked what became of it.
const LOOK: Duration = Duration::from_millis(100);

/// Asks, and waits until the key is no longer parked or its message was refused again.
pub(super) async fn ask(
    options: &Ask,
    (place, action): (&Place, Action),
    by: Operator,
) -> Result<Outcome, Failure> {
    let name = DestinationName::new(options.destination.as_deref().unwrap_or_default());
    let name = name.map_err(Failure::of)?;
    let reader = place.read().await?;
    let (partition, parked) = find(options, &ParkedMessages::new(reader.store()), &name).await?;
    let store = reader.into_writer(place).await?;
    let messages = ParkedMessages::new(store.store());
    let asked = messages.ask(&name, (partition, &parked), asks(action, by)).await;
    let wait = patience(options.no_wait, options.wait, store.is_shared());
    let answer = match (asked, wait) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(wait)) => {
            clock::within(wait, answered(&messages, &name, (partition, &parked))).await.transpose()
        }
        (Ok(()), None) => Ok(None),
    };
    store.close().await?;
    let answer = answer.map_err(Failure::of)?;
    let state = state(answer.as_ref().map(Option::as_ref), wait.is_some());
    let now = answer.flatten();
    Ok(Outcome {
        of: name.to_string(),
        subject: parked.key,
        partition: partition.get(),
        position: parked.position.get(),
        action,
        state,
        applied: None,
        parked: now.as_ref().map(|now| now.position.get()),
        error: now.map(|now| now.error),
    })
}

/// What became of it, by what the key is parked with.
fn state(answer: Option<Option<&ParkedKey>>, has_waited: bool) -> State {
    match answer {
        None if has_waited => State::Waiting,
        None => State::Asked,
        Some(None) => State::Done,
        Some(Some(_)) => State::Parked,
    }
}

fn asks(action: Action, by: Operator) -> Asked {
    let remedy = if action == Action::Skipped { Remedy::Skip } else { Remedy::Retry };
    Asked { remedy, who: by.who, why: by.why }
}

async fn find(
    options: &Ask,
    messages: &ParkedMessages,
    name: &DestinationName,
) -> Result<(PartitionId, ParkedKey), Failure> {
    let known = messages.destinations().await?;
    if !known.contains(name) {
        return Err(unknown("destination", name.as_str(), known.iter().map(ToString::to_string)));
    }
    let is_it = |(partition, parked): &(PartitionId, ParkedKey)| {
        parked.key == options.subject && options.partition.is_none_or(|wanted| wanted == partition.get())
    };
    let mut found = messages.list(name).await?.into_iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some((one, _)), Some((other, _))) => Err(Failure::Call(format!(
            "{} is parked in partition {one} and in {other}: say which by --partition",
            options.subject
        ))),
        (None, _) => {
            Err(Failure::Call(format!("key {} is not parked by destination {name}", options.subject)))
        }
    }
}

/// What the key is parked with once nothing is asked for any more; `None` when it is not.
async fn answered(
    messages: &ParkedMessages,
    name: &DestinationName,
    (partition, parked): (PartitionId, &ParkedKey),
) -> Done<Option<ParkedKey>> {
    loop {
        let listed = messages.list(name).await?;
        let now = listed.into_iter().find(|(at, found)| (*at, &found.key) == (partition, &parked.key));
        match now {
            None => return Ok(None),
            Some((_, found)) if found.asked.is_none() => return Ok(Some(found)),
            Some(_) => clock::sleep(LOOK).await,
        }
    }
}
