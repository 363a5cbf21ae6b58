//! Each rule of the machine, taken out: the check must find what goes wrong, or it could not find anything.

use sidestream::protocol::Decision::{Events, Nothing, Rejected};
use sidestream_model_check::check::breaks;
use sidestream_model_check::fault::Fault;
use sidestream_model_check::setup::Setup;
use sidestream_model_check::without;
use sidestream_model_check::words::Step::{Capture, Hold};
use sidestream_model_check::words::{handle, handle_other, recover, submit};

#[test]
fn compare_content() {
    let setup = Setup::stream([handle(Hold), handle_other(Hold)]);
    breaks::<without::CompareContent>("COMPARE_CONTENT", setup, &[Fault::ContentIgnored]);
}

#[test]
fn decide_recorded_command() {
    let setup = Setup::stream([submit(Hold), handle(Capture)]);
    breaks::<without::DecideRecordedCommand>("DECIDE_RECORDED_COMMAND", setup, &[Fault::OtherContent]);
}

#[test]
fn settle_earlier_steps() {
    let setup = Setup::stream([submit(Hold), handle(Capture)]);
    breaks::<without::SettleEarlierSteps>("SETTLE_EARLIER_STEPS", setup, &[Fault::OffThePath]);
}

#[test]
fn stop_on_lost_history() {
    let setup = Setup::stream([handle(Hold), recover()]).foreign(1).losses(1);
    breaks::<without::StopOnLostHistory>("STOP_ON_LOST_HISTORY", setup, &[Fault::WroteAfterLoss]);
}

#[test]
fn request_first() {
    let setup = Setup::stream([handle(Hold), handle(Hold)]);
    let faults = [Fault::EffectWithoutRequest, Fault::EffectTwice];
    breaks::<without::RequestFirst>("REQUEST_FIRST", setup, &faults);
}

#[test]
fn request_committed() {
    let setup = Setup::batch([submit(Hold), recover()]).foreign(1).speculative();
    let faults = [Fault::NotRecovered, Fault::FalseAlarm];
    breaks::<without::RequestCommitted>("REQUEST_COMMITTED", setup, &faults);
}

#[test]
fn one_number() {
    let setup = Setup::stream([handle(Hold), recover()]);
    breaks::<without::OneNumber>("ONE_NUMBER", setup, &[Fault::EffectTwice]);
}

#[test]
fn assert_refusals() {
    let setup = Setup::batch([handle(Hold)]).foreign(1).stale();
    breaks::<without::AssertRefusals>("ASSERT_REFUSALS", setup, &[Fault::RefusalTooOld]);
}

#[test]
fn mark_empty() {
    let setup = Setup::stream([handle(Hold), recover()]).decisions([Events, Nothing, Rejected]);
    breaks::<without::MarkEmpty>("MARK_EMPTY", setup, &[Fault::AcceptedWithoutEffect]);
}

#[test]
fn look_first() {
    let setup = Setup::stream([handle(Hold), recover()]);
    breaks::<without::LookFirst>("LOOK_FIRST", setup, &[Fault::EffectTwice]);
}

#[test]
fn try_first() {
    let setup = Setup::stream([submit(Hold), recover()]).always_fails();
    breaks::<without::TryFirst>("TRY_FIRST", setup, &[Fault::ResumedInVain]);
}

#[test]
fn resume() {
    let setup = Setup::stream([handle(Hold), recover()]).foreign(1).unknown(1);
    let faults = [Fault::RejectedWithEffect, Fault::EffectTwice];
    breaks::<without::Resume>("RESUME", setup, &faults);
}

#[test]
fn scan_after_conflict() {
    let setup = Setup::stream([handle(Hold), recover()]);
    breaks::<without::ScanAfterConflict>("SCAN_AFTER_CONFLICT", setup, &[Fault::EffectTwice]);
}

#[test]
fn own_record_is_conflict() {
    let setup = Setup::stream([handle(Hold), handle(Hold)]);
    breaks::<without::OwnRecordIsConflict>("OWN_RECORD_IS_CONFLICT", setup, &[Fault::RejectedWithEffect]);
}

#[test]
fn fence_refusals() {
    let setup = Setup::stream([handle(Hold), recover()]);
    breaks::<without::FenceRefusals>("FENCE_REFUSALS", setup, &[Fault::RejectedWithEffect]);
}

#[test]
fn unknown_ends_first() {
    let setup = Setup::stream([handle(Hold)]).unknown(1);
    breaks::<without::UnknownEndsFirst>("UNKNOWN_ENDS_FIRST", setup, &[Fault::RejectedWithEffect]);
}

#[test]
fn submitted_is_never_first() {
    let setup = Setup::stream([submit(Hold), handle(Hold), recover()]);
    let faults = [Fault::RejectedWithEffect, Fault::EffectTwice];
    breaks::<without::SubmittedIsNeverFirst>("SUBMITTED_IS_NEVER_FIRST", setup, &faults);
}

#[test]
fn confirm_refusals() {
    let setup = Setup::stream([handle(Hold)]).foreign(1).stale();
    breaks::<without::ConfirmRefusals>("CONFIRM_REFUSALS", setup, &[Fault::RefusalTooOld]);
}

#[test]
fn recheck_at_floor() {
    let setup = Setup::stream([handle(Hold), recover()]).truncations(1);
    breaks::<without::RecheckAtFloor>("RECHECK_AT_FLOOR", setup, &[Fault::EffectTwice]);
}

/// A rule that is added to the machine must be taken out here too.
#[test]
fn every_rule_of_the_machine_is_taken_out() {
    let rules = include_str!("../../../src/protocol/rules.rs");
    let named = rules.lines().filter_map(|line| line.trim().strip_prefix("const ")?.split_once(": bool"));
    let named: Vec<_> = named.map(|(name, _)| name).collect();
    assert!(named.len() >= 19, "only {named:?}");
    assert_eq!(named, without::ALL, "a rule without its counterpart in without.rs, or in another order");
    let own = include_str!("rules.rs");
    for name in named {
        assert!(own.contains(&format!(">(\"{name}\", setup")), "{name} has no negative test");
    }
}
