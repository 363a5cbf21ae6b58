//! What this check found in the machine, so that it stays mended.

use sidestream::event::{AcceptedAt, RecordKind};
use sidestream::protocol::{Action, Answer, Atomicity, Attempt, Observation};
use sidestream::side_stream::{SideStream, Verdict};
use sidestream::stream::{Position, Version};
use sidestream_model_check::check::hold;
use sidestream_model_check::setup::Setup;
use sidestream_model_check::words::Step::{Capture, Hold};
use sidestream_model_check::words::{handle, submit};

/// A submitter whose cache is older than the transaction's last step scans; where a unit of the same list runs
/// ahead, it must not request the step at a version that may never be.
#[test]
fn a_request_never_speaks_of_a_version_that_a_scan_ran_ahead_to() {
    let setup = Setup::batch([handle(Hold), submit(Capture)]).foreign(2).stale().speculative();
    hold("a request after a scan that ran ahead", [setup], 2_000, &[]);
}

/// Two clients ask for the same step; one has an old cache, scans, and finds what the other has just done.
#[test]
fn an_effect_that_came_since_the_side_stream_was_read_is_no_lost_history() {
    for atomicity in [Atomicity::Batch, Atomicity::Stream] {
        let setup = Setup::on(atomicity, [handle(Hold), handle(Capture), handle(Capture)]).stale();
        hold("an effect that came meanwhile", [setup], 1_500, &[]);
    }
}

/// A side stream on which the hold is settled, and a client of the capture that has scanned to an effect of it.
fn scanned_to_an_effect() -> (SideStream, Attempt) {
    let mut side = SideStream::default();
    let accepted = RecordKind::Accepted { version: Version::new(1), at: AcceptedAt::At(Position::START) };
    for kind in [RecordKind::Requested { aggregate_version: Version::EMPTY }, accepted] {
        assert!(side.push(kind, &Hold.name(), Hold.content()));
    }
    let mut attempt = Attempt::new(handle(Capture), Atomicity::Batch);
    attempt.observe(Observation::Side(side.clone()));
    let (committed, version) = (Version::EMPTY, Version::EMPTY);
    attempt.observe(Observation::Loaded { committed, version, fresh: false });
    let (end, found) = (Version::new(2), Some(Verdict::Accepted));
    attempt.observe(Observation::Scanned { end, found, floor: Version::EMPTY });
    assert_eq!(attempt.next(), Action::ReadSide, "the side stream may have moved on");
    (side, attempt)
}

#[test]
fn an_effect_without_a_request_is_lost_history_once_the_side_stream_was_read_again() {
    let (side, mut attempt) = scanned_to_an_effect();
    attempt.observe(Observation::Side(side));
    assert!(matches!(attempt.next(), Action::Reply(Answer::LostHistory { .. })), "{:?}", attempt.next());
}

#[test]
fn an_effect_whose_request_came_meanwhile_is_replayed() {
    let (mut side, mut attempt) = scanned_to_an_effect();
    let accepted = RecordKind::Accepted { version: Version::new(2), at: AcceptedAt::At(Position::START) };
    for kind in [RecordKind::Requested { aggregate_version: Version::new(1) }, accepted] {
        assert!(side.push(kind, &Capture.name(), Capture.content()));
    }
    attempt.observe(Observation::Side(side));
    let replay = Answer::Settled { step: Capture.name(), verdict: Verdict::Accepted, replay: true };
    assert_eq!(attempt.next(), Action::Reply(replay));
}
