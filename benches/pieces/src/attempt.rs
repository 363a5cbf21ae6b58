//! An attempt of the protocol, driven by hand.

use sidestream::decider::Decider;
use sidestream::id::Fingerprint;
use sidestream::protocol::{Action, Answer, Atomicity, Attempt, Decision, Goal, Observation, Written};
use sidestream::side_stream::SideStream;
use sidestream::stream::Version;

use crate::account::{Account, hold};

/// A step's fingerprint that a side stream of [`settled`](crate::memory::settled) knows.
pub fn goal() -> Goal {
    let (step, command) = (Account::step(&hold(1)), hold(1));
    let fingerprint = Fingerprint::of(&step, Account::SCHEMAS.command, &command).unwrap();
    Goal::Handle { step, fingerprint }
}

/// Drives one attempt on an atomic store from its start to its reply. Everything goes well: an aggregate in memory,
/// events, no conflict.
pub fn drive(goal: Goal, side: SideStream) -> Answer {
    let mut attempt = Attempt::new(goal, Atomicity::Batch);
    let (mut side, version) = (Some(side), Version::new(100));
    loop {
        attempt.observe(match attempt.next() {
            Action::ReadSide => Observation::Side(side.take().unwrap_or_default()),
            Action::Load => Observation::Loaded { committed: version, version, fresh: false },
            Action::Scan { .. } => Observation::Scanned { end: version, found: None, floor: Version::EMPTY },
            Action::Decide { .. } => Observation::Decided(Decision::Events),
            Action::Append(_) => Observation::Appended(Written::Done),
            Action::Reply(answer) => return answer,
        });
    }
}
