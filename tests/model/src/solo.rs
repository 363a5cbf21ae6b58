//! P5: recovery alone settles every open step. Searched for in the open: a checker's "eventually" misses
//! cycles.

use sidestream::protocol::{Action, Answer, Atomicity, Attempt, Decision, Goal, Observation, Rules, Written};

use crate::streams::Streams;
use crate::words::Step;

/// Most actions that a lone recovery may take.
const ACTIONS: usize = 24;

/// Whether every run of one recovery, with nobody else there and rules that do not fail, settles the open step.
#[must_use]
pub fn settles<R: Rules>(streams: &Streams, atomicity: Atomicity, decisions: &[Decision]) -> bool {
    let search = Search { decisions };
    search.ends_well(streams.clone(), Attempt::<R>::under(Goal::Recover, atomicity), ACTIONS)
}

struct Search<'a> {
    decisions: &'a [Decision],
}

impl Search<'_> {
    fn ends_well<R: Rules>(&self, mut streams: Streams, mut attempt: Attempt<R>, left: usize) -> bool {
        if left == 0 {
            return false;
        }
        let (head, floor) = (streams.head(), streams.floor);
        let seen = match attempt.next() {
            Action::ReadSide => Observation::Side(streams.side.clone()),
            Action::Load => Observation::Loaded { committed: head, version: head, fresh: true },
            Action::Scan { step, after } => {
                Observation::Scanned { end: head, found: streams.find(Step::of(&step), after), floor }
            }
            Action::Decide { .. } => return self.whatever_is_decided(&streams, &attempt, left),
            Action::Append(plan) if !streams.allow(&plan) => Observation::Appended(Written::Conflict),
            Action::Append(plan) => match streams.write(&plan) {
                Ok(()) => Observation::Appended(Written::Done),
                Err(_) => return false,
            },
            Action::Reply(answer) => {
                return matches!(answer, Answer::Settled { .. }) && streams.side.open.is_none();
            }
        };
        attempt.observe(seen);
        self.ends_well(streams, attempt, left - 1)
    }

    fn whatever_is_decided<R: Rules>(&self, streams: &Streams, attempt: &Attempt<R>, left: usize) -> bool {
        let mut decisions = self.decisions.iter().filter(|decision| **decision != Decision::Failed);
        decisions.all(|decision| {
            let mut attempt = attempt.clone();
            attempt.observe(Observation::Decided(*decision));
            self.ends_well(streams.clone(), attempt, left - 1)
        })
    }
}
