//! Each rule that lies outside the machine, in whoever drives it, taken out.

use sidestream::protocol::{Atomicity, Sound};
use sidestream_model_check::check::{breaks, breaks_alone};
use sidestream_model_check::fault::Fault;
use sidestream_model_check::setup::{Habits, Setup};
use sidestream_model_check::words::Step::{Capture, Hold, Release};
use sidestream_model_check::words::{handle, recover, submit};

#[test]
fn atomicity_never_changes() {
    let batch = Setup::batch([handle(Hold)]);
    let setup = batch.and(submit(Hold), Atomicity::Stream).and(recover(), Atomicity::Stream);
    let faults = [Fault::RejectedWithEffect, Fault::EffectTwice, Fault::EffectAndFence];
    breaks_alone::<Sound>("a store's atomicity that never changes", setup, &faults);
}

#[test]
fn a_unit_on_a_stream_store_is_for_one_stream() {
    let setup = Setup::stream([recover()]).and(handle(Hold), Atomicity::Batch);
    breaks_alone::<Sound>("one stream in a unit", setup, &[Fault::TwoStreams]);
}

#[test]
fn a_decision_sees_the_accepted_steps_of_its_transaction() {
    for setup in
        [Setup::batch([handle(Capture), handle(Release)]), Setup::stream([handle(Capture), handle(Release)])]
    {
        let blind = setup.habits(Habits { see_steps: false, ..Habits::SOUND });
        breaks::<Sound>("decisions that see accepted steps", blind, &[Fault::BothOfTwo]);
    }
}

#[test]
fn truncation_picks_its_target_first() {
    let setup = Setup::stream([handle(Hold), recover()]).truncations(1);
    let late = setup.habits(Habits { target_first: false, ..Habits::SOUND });
    breaks::<Sound>("a target picked before the open steps are read", late, &[Fault::EffectTwice]);
}

#[test]
fn units_of_a_list_form_a_chain() {
    let setup = Setup::batch([handle(Hold)]).foreign(2).speculative();
    let apart = setup.habits(Habits { chain: false, ..Habits::SOUND });
    breaks::<Sound>("the chain of units in one list", apart, &[Fault::OtherBasis]);
}

#[test]
fn nothing_speculative_outlives_a_failed_list() {
    let setup = Setup::batch([handle(Hold)]).foreign(2).speculative();
    let kept = setup.habits(Habits { drop_speculation: false, ..Habits::SOUND });
    breaks::<Sound>("dropping what ran ahead with a failed list", kept, &[Fault::OtherBasis]);
}

#[test]
fn replies_wait_for_durability_on_a_batch_store() {
    let setup = Setup::batch([handle(Hold), handle(Hold)]).foreign(1);
    let early = setup.habits(Habits { reply_when_durable: false, ..Habits::SOUND });
    breaks::<Sound>("replies that wait", early, &[Fault::ToldOtherwise]);
}

#[test]
fn replies_wait_for_durability_on_a_stream_store() {
    let setup = Setup::stream([handle(Hold), recover()]);
    let early = setup.habits(Habits { reply_when_durable: false, ..Habits::SOUND });
    breaks::<Sound>("replies that wait", early, &[Fault::ToldOtherwise]);
}

#[test]
fn an_append_that_finds_its_own_records_is_a_conflict() {
    let setup = Setup::stream([submit(Hold), handle(Hold), recover()]).unknown(1);
    let trusting = setup.habits(Habits { own_is_conflict: false, ..Habits::SOUND });
    let faults = [Fault::RejectedWithEffect, Fault::AcceptedWithoutEffect];
    breaks::<Sound>("looking into an append that finds its own records", trusting, &faults);
}
