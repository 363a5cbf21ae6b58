//! Every property is seen to fail on a state that was made to break it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics by design"
)]

use sidestream::protocol::{Action, Atomicity, Plan, SideWrite, Sound};
use sidestream::side_stream::Verdict;
use sidestream::stream::Version;
use sidestream_model_check::fault::Fault;
use sidestream_model_check::model::{Move, Protocol};
use sidestream_model_check::setup::Setup;
use sidestream_model_check::streams::{Entry, Streams};
use sidestream_model_check::words::Step::{self, Capture, Hold, Release};
use sidestream_model_check::words::{recover, submit};
use sidestream_model_check::world::World;
use stateright::Model;

fn plan(step: Step, side: &[SideWrite]) -> Plan {
    let side = (!side.is_empty()).then(|| (Version::EMPTY, side.to_vec()));
    Plan { step: step.name(), fingerprint: step.content(), side, aggregate: None }
}

fn settled(verdict: Verdict) -> Plan {
    plan(Hold, &[SideWrite::Requested(Version::EMPTY), SideWrite::Settled(verdict)])
}

/// Streams with this aggregate stream, and the hold as `plan` leaves it.
fn streams(aggregate: &[Entry], plan: &Plan) -> Streams {
    let mut streams = Streams { aggregate: aggregate.to_vec(), ..Streams::default() };
    assert_eq!(streams.write(plan), Ok(()));
    streams
}

#[test]
fn faults_of_the_streams_are_seen() {
    let requested = plan(Hold, &[SideWrite::Requested(Version::EMPTY)]);
    let (accepted, rejected) = (settled(Verdict::Accepted), settled(Verdict::Rejected));
    let effect = Entry::Effect(Hold, Hold.content());
    let (marker, fence) = (Entry::Marker(Hold, Hold.content()), Entry::Fence(Hold, Hold.content()));
    let other = Entry::Effect(Hold, Hold.other_content());
    let cases = [
        (vec![effect, effect], &requested, Some(Fault::EffectTwice)),
        (vec![effect, marker], &requested, Some(Fault::EffectTwice)),
        (vec![effect, fence], &requested, Some(Fault::EffectAndFence)),
        (vec![fence, fence], &requested, Some(Fault::EffectAndFence)),
        (vec![], &accepted, Some(Fault::AcceptedWithoutEffect)),
        (vec![fence], &accepted, Some(Fault::AcceptedWithoutEffect)),
        (vec![effect], &rejected, Some(Fault::RejectedWithEffect)),
        (vec![marker], &rejected, Some(Fault::RejectedWithEffect)),
        (vec![other], &accepted, Some(Fault::OtherContent)),
        (vec![Entry::Effect(Release, Release.content())], &requested, Some(Fault::EffectWithoutRequest)),
        (vec![effect], &accepted, None),
        (vec![marker], &accepted, None),
        (vec![fence], &rejected, None),
        (vec![Entry::Foreign(0)], &requested, None),
    ];
    for (aggregate, plan, fault) in cases {
        assert_eq!(streams(&aggregate, plan).fault(), fault, "{aggregate:?} {plan:?}");
    }
}

#[test]
fn records_off_the_path_are_seen() {
    let mut streams = streams(&[], &plan(Hold, &[SideWrite::Requested(Version::EMPTY)]));
    let again = plan(Capture, &[SideWrite::Requested(Version::EMPTY)]);
    assert_eq!(streams.write(&again), Err(Fault::OffThePath));
}

#[test]
fn a_step_that_recovery_cannot_settle_is_seen() {
    let model = Protocol::<Sound>::new(Setup::batch([submit(Hold), recover()]));
    let mut world = World::new(&model.setup);
    world.streams = streams(&[], &plan(Hold, &[SideWrite::Requested(Version::new(3))]));
    assert_eq!(model.fault(&world), Some(Fault::NotRecovered));
}

#[test]
fn a_scan_that_reads_too_far_is_seen() {
    let model = Protocol::<Sound>::new(Setup::on(Atomicity::Stream, [recover()]));
    let mut world = World::new(&model.setup);
    world.streams = streams(&[Entry::Foreign(0)], &plan(Hold, &[SideWrite::Requested(Version::EMPTY)]));
    let mut world = model.next_state(&world, Move::Read(0)).expect("a state");
    assert!(matches!(world.runs[0].attempt.next(), Action::Scan { .. }));
    world.runs[0].clear_to = Version::new(1);
    let scanned = model.next_state(&world, Move::Scan(0, None)).expect("a state");
    assert_eq!(model.fault(&scanned), Some(Fault::ScanTooFar));
}

#[test]
fn a_reply_that_the_streams_contradict_is_seen() {
    let model = Protocol::<Sound>::new(Setup::batch([recover()]));
    let mut world = World::new(&model.setup);
    world.streams = streams(&[], &settled(Verdict::Rejected));
    world.tell(Hold, Verdict::Accepted);
    assert_eq!(model.fault(&world), Some(Fault::ToldOtherwise));
}
