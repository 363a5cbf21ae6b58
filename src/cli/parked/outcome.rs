//! What became of a request, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use crate::projection::Action;

/// The names of the fields are an interface: programs read them.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// The projection with its version, or the destination.
    pub(super) of: String,
    /// The aggregate's cardinal id, or the key.
    pub(super) subject: String,
    pub(super) partition: u16,
    /// The position of the event or message that it was about.
    pub(super) position: u64,
    /// `retried` or `skipped`.
    pub(super) action: Action,
    pub(super) state: State,
    /// How many events were applied, where that is known.
    pub(super) applied: Option<u64>,
    /// The position that it is parked at now.
    pub(super) parked: Option<u64>,
    /// Why it is parked still or again, or was refused.
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It was carried out, and nothing waits any more.
    Done,
    /// It was carried out, and an event or message failed again.
    Parked,
    /// It was not carried out.
    Refused,
    /// It was left, and nobody waited for an answer.
    Asked,
    /// Nobody answered in time. It stays.
    Waiting,
}

impl Outcome {
    /// What it comes to; an error where nothing was mended.
    pub(super) fn told(&self) -> Result<String, String> {
        let Self { of, subject, partition, position, action, .. } = self;
        let why = self.error.as_deref().unwrap_or("no reason is known");
        match self.state {
            State::Done => {
                let applied = match self.applied {
                    Some(1) => ", 1 event applied".to_owned(),
                    Some(many) => format!(", {many} events applied"),
                    None => String::new(),
                };
                Ok(format!(
                    "{subject} of {of} is no longer parked: position {position} was {action}{applied}"
                ))
            }
            State::Asked => Ok(format!(
                "asked: {subject} of {of} is to be {action} at position {position} by whoever runs partition {partition}"
            )),
            State::Parked => {
                let at = self.parked.map(|at| format!(" at position {at}")).unwrap_or_default();
                Err(format!("{subject} of {of} was {action} and is parked{at}: {why}"))
            }
            State::Refused => Err(format!("{subject} of {of} was not {action}: {why}")),
            State::Waiting => Err(format!(
                "nobody has answered: the request stays until somebody runs {of} in partition {partition}. See that a \
                 service runs it, and call this again to hear what became of it"
            )),
        }
    }
}

/// How long is waited: not at all where nobody can answer.
pub(super) fn patience(no_wait: bool, wait: Duration, can_be_answered: bool) -> Option<Duration> {
    (!no_wait && can_be_answered).then_some(wait)
}
