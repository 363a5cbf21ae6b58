//! Under all rules, every property holds in every state: every choice of up to three attempts, on both kinds of
//! store.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics by design"
)]

use sidestream::protocol::Atomicity::{self, Batch, Stream};
use sidestream::protocol::Decision::{Events, Nothing, Rejected};
use sidestream::protocol::Goal;
use sidestream_model_check::check::{Effort, Report, hold};
use sidestream_model_check::setup::Setup;
use sidestream_model_check::sight::Sight;
use sidestream_model_check::words::Step::{Capture, Hold, Release};
use sidestream_model_check::words::{handle, handle_other, overrule, recover, submit};

/// Every goal, over the steps of one transaction.
const GOALS: [Goal; 7] = [
    handle(Hold),
    submit(Hold),
    recover(),
    submit(Capture),
    handle(Capture),
    handle_other(Hold),
    overrule(Hold),
];

/// Every choice of `count` goals, with repetition, in one order: four goals while code is written, all else.
fn choices(count: usize) -> Vec<Vec<Goal>> {
    let goals = if Effort::from_env() == Effort::Quick { &GOALS[..4] } else { &GOALS[..] };
    let longer = |chosen: &Vec<usize>| {
        let from = chosen.last().copied().unwrap_or(0);
        (from..goals.len()).map(|next| [chosen.clone(), vec![next]].concat()).collect::<Vec<_>>()
    };
    let chosen = (0..count).fold(vec![Vec::new()], |chosen, _| chosen.iter().flat_map(longer).collect());
    chosen.into_iter().map(|chosen| chosen.into_iter().map(|at| goals[at].clone()).collect()).collect()
}

/// Explores every choice of `count` goals.
fn all(
    name: &str,
    (atomicity, count): (Atomicity, usize),
    least: usize,
    sights: &[Sight],
    with: impl Fn(Setup) -> Setup,
) -> Report {
    let effort = Effort::from_env();
    let setups = choices(count).into_iter().map(|goals| with(Setup::on(atomicity, goals)));
    let setups = setups.map(|setup| if effort == Effort::Long && count < 3 { harder(setup) } else { setup });
    let least = if effort == Effort::Quick { least / 50 } else { least };
    hold(name, setups, least, sights)
}

/// With a crash and an unknown append on top of what else may go wrong.
fn harder(setup: Setup) -> Setup {
    let (crashes, unknown) = (setup.budget.crashes.max(1), setup.budget.unknown.max(1));
    setup.crashes(crashes).unknown(unknown)
}

/// With everything that may go wrong at once.
fn troubled(setup: Setup) -> Setup {
    let setup = setup.crashes(1).foreign(1).unknown(1).failures(1).stale().speculative();
    setup.decisions([Events, Nothing, Rejected])
}

const SETTLING: [Sight; 3] = [Sight::Accepted, Sight::Rejected, Sight::Submitted];
const TAKING_OVER: [Sight; 5] =
    [Sight::Accepted, Sight::Rejected, Sight::Resumed, Sight::Fence, Sight::LostRace];

#[test]
fn alone_with_all_troubles() {
    all("one, batches", (Batch, 1), 1_000, &SETTLING, troubled);
    all("one, per stream", (Stream, 1), 4_000, &SETTLING, troubled);
}

#[test]
fn two_on_a_batch_store_with_all_troubles() {
    let sights =
        [SETTLING.as_slice(), &[Sight::Marker, Sight::Arrived, Sight::LostWithLead, Sight::InProgress]];
    all("two, batches, all troubles", (Batch, 2), 400_000, &sights.concat(), troubled);
}

#[test]
fn two_on_a_stream_store_with_unknown_appends() {
    let sights = [TAKING_OVER.as_slice(), &[Sight::Arrived]].concat();
    all("two, per stream, unknown appends", (Stream, 2), 300_000, &sights, |setup| {
        setup.foreign(1).unknown(1)
    });
}

#[test]
fn two_on_a_stream_store_with_crashes_and_old_caches() {
    let sights = [TAKING_OVER.as_slice(), &[Sight::Marker]].concat();
    all("two, per stream, crashes, old caches", (Stream, 2), 100_000, &sights, |setup| {
        setup.crashes(1).foreign(1).stale().decisions([Events, Nothing, Rejected])
    });
}

#[test]
fn two_with_rules_that_fail_at_times() {
    let sights = [Sight::Failed, Sight::InProgress, Sight::Accepted];
    all("two, batches, failures", (Batch, 2), 2_000, &sights, |setup| setup.crashes(1).failures(2));
    all("two, per stream, failures", (Stream, 2), 20_000, &sights, |setup| setup.crashes(1).failures(2));
}

#[test]
fn two_with_rules_that_always_fail() {
    let goals = |atomicity| {
        let goals = [submit(Hold), handle(Hold), recover()];
        Setup::on(atomicity, goals).always_fails().crashes(2).unknown(1).foreign(1)
    };
    hold("rules that always fail", [goals(Batch), goals(Stream)], 2_000, &[Sight::Failed, Sight::Submitted]);
}

#[test]
fn two_while_old_records_are_removed() {
    let with = |setup: Setup| setup.foreign(1).truncations(1);
    all("two, batches, truncation", (Batch, 2), 40_000, &[Sight::Removed], with);
    all("two, per stream, truncation", (Stream, 2), 200_000, &[Sight::Removed, Sight::Resumed], with);
}

#[test]
fn two_while_history_is_lost() {
    let with = |setup: Setup| setup.foreign(1).losses(1);
    all("two, batches, loss", (Batch, 2), 20_000, &[Sight::LostHistory], with);
    all("two, per stream, loss", (Stream, 2), 200_000, &[Sight::LostHistory], with);
}

#[test]
fn three_on_a_batch_store() {
    let sights = [Sight::Accepted, Sight::Rejected, Sight::LostRace, Sight::LostWithLead, Sight::InProgress];
    all("three, batches", (Batch, 3), 200_000, &sights, |setup| setup.foreign(1).speculative());
}

#[test]
fn three_on_a_stream_store() {
    all("three, per stream", (Stream, 3), 400_000, &TAKING_OVER, |setup| setup);
}

#[test]
fn steps_that_exclude_each_other() {
    let goals = [[handle(Capture), handle(Release)], [submit(Capture), handle(Release)]];
    let setups = [Batch, Stream]
        .into_iter()
        .flat_map(|atomicity| goals.clone().map(|goals| Setup::on(atomicity, goals).foreign(1).unknown(1)));
    hold("capture or release", setups, 20_000, &TAKING_OVER);
}

#[test]
#[ignore = "reason: takes 3 minutes; run with cargo test -p sidestream-model-check -- --ignored"]
fn two_on_a_stream_store_with_all_troubles() {
    all("two, per stream, all troubles", (Stream, 2), 7_000_000, &TAKING_OVER, troubled);
    let with = |setup: Setup| setup.foreign(1).unknown(1);
    all("two, per stream, truncation", (Stream, 2), 4_000_000, &[Sight::Removed], |s| with(s).truncations(1));
    all("two, per stream, loss", (Stream, 2), 7_000_000, &[Sight::LostHistory], |s| with(s).losses(1));
}

#[test]
#[ignore = "reason: takes 5 minutes; run with cargo test -p sidestream-model-check -- --ignored"]
fn three_with_others_writing() {
    let with = |setup: Setup| setup.foreign(1).unknown(1).speculative();
    all("three, batches, unknown appends", (Batch, 3), 6_000_000, &[Sight::Arrived], with);
    all("three, per stream, others write", (Stream, 3), 20_000_000, &TAKING_OVER, |setup| setup.foreign(1));
}

#[test]
#[ignore = "reason: takes 1 minute; run with cargo test -p sidestream-model-check -- --ignored"]
fn three_on_a_stream_store_with_unknown_appends() {
    let goals = [
        [handle(Hold), handle(Hold), recover()],
        [submit(Hold), handle(Hold), recover()],
        [handle(Hold), recover(), recover()],
    ];
    let setups = goals.map(|goals| Setup::stream(goals).foreign(1).unknown(1));
    hold("three, per stream, unknown appends", setups, 2_500_000, &TAKING_OVER);
    let three = Setup::stream([handle(Capture), handle(Release), recover()]).foreign(1);
    hold("capture or release, and a sweep", [three], 1_500_000, &TAKING_OVER);
}
