//! What became of a request to rebuild, for people and for programs.

use serde::Serialize;

use crate::projection::{RebuildAnswer, RebuildAsked, RebuildStand};

/// The names of the fields are an interface: programs read them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// How the view stands.
    pub(super) view: RebuildStand,
    /// What was asked last, with its answer.
    pub(super) asked: Option<RebuildAsked>,
    /// Whether an answer was waited for in vain.
    pub(super) timed_out: bool,
}

impl Report {
    /// What it comes to; an error where that is not what was asked for.
    pub(super) fn told(&self) -> Result<String, String> {
        let view = &self.view.name;
        let Some(asked) = &self.asked else { return Ok(self.stands()) };
        match &asked.answer {
            None if self.timed_out => Err(format!(
                "{} of {view} is not done: the request stays. {}. See that a service runs it, and call this again",
                asked.action,
                self.stands()
            )),
            None => Ok(format!(
                "asked: {} of {view}, by whoever holds its lease. {}",
                asked.action,
                self.stands()
            )),
            Some(RebuildAnswer::Built(number)) => Ok(format!(
                "generation {number} of {view} is built and follows generation {}: look at it, and switch",
                self.view.live
            )),
            Some(RebuildAnswer::Switched { from, to }) => {
                Ok(format!("readers of {view} were switched from generation {from} to {to}"))
            }
            Some(RebuildAnswer::GivenUp) => Ok(format!("what was being built of {view} is gone")),
            Some(RebuildAnswer::Dropped(1)) => Ok(format!("1 former generation of {view} is gone")),
            Some(RebuildAnswer::Dropped(many)) => Ok(format!("{many} former generations of {view} are gone")),
            Some(RebuildAnswer::Refused(why)) => {
                Err(format!("{} of {view} was refused: {why}", asked.action))
            }
        }
    }

    /// How the view stands.
    pub(super) fn stands(&self) -> String {
        let RebuildStand { name, live, building, done, to_do, parked, trouble, .. } = &self.view;
        let mut told = format!("generation {live} of {name} is live");
        match building {
            Some(number) => {
                told.push_str(&format!(
                    "; generation {number} is being built: {done} positions done, {to_do} to do"
                ));
            }
            None => told.push_str(", and none is being built"),
        }
        if *parked > 0 {
            told.push_str(&format!("; {parked} aggregates are parked in it"));
        }
        if let Some(trouble) = trouble {
            told.push_str(&format!("; {trouble}"));
        }
        told
    }
}
