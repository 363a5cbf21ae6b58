//! Under all rules, every property holds in every state: every choice of up to three attempts, on both kinds of
//! store.

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
    handle_other(Hold),
    submit(Hold),
    recover(),
    overrule(Hold),
    handle(Capture),
    submit(Capture),
];

/// Every choice of `count` goals, with repetition, in one order.
fn choices(count: usize) -> Vec<Vec<Goal>> {
    let longer = |chosen: &Vec<usize>| {
        let from = chosen.last().copied().unwrap_or(0);
        (from..GOALS.len()).map(|next| [chosen.clone(), vec![next]].concat()).collect::<Vec<_>>()
    };
    let start = vec![Vec::new()];
    let chosen = (0..count).fold(start, |chosen, _| chosen.iter().flat_map(longer).collect());
    chosen.into_iter().map(|chosen| chosen.into_iter().map(|at| GOALS[at].clone()).collect()).collect()
}

fn setups(atomicity: Atomicity, count: usize, with: impl Fn(Setup) -> Setup) -> Vec<Setup> {
    choices(count).into_iter().map(|goals| with(Setup::on(atomicity, goals))).collect()
}

#[test]
fn exp() {
    let all = |s: Setup| {
        s.crashes(1)
            .foreign(1)
            .unknown(1)
            .failures(1)
            .stale()
            .speculative()
            .decisions([Events, Nothing, Rejected])
    };
    hold("pairs batch", setups(Batch, 2, all), 0, &[]);
    hold("pairs stream", setups(Stream, 2, all), 0, &[]);
    hold(
        "pairs stream nostale",
        setups(Stream, 2, |s| s.crashes(1).foreign(1).unknown(1).failures(1)),
        0,
        &[],
    );
    hold("trunc stream", setups(Stream, 2, |s| s.foreign(1).unknown(1).truncations(1)), 0, &[]);
    hold("trunc batch", setups(Batch, 2, |s| s.foreign(1).unknown(1).truncations(1)), 0, &[]);
    hold("loss stream", setups(Stream, 2, |s| s.foreign(1).unknown(1).losses(1)), 0, &[]);
    hold("loss batch", setups(Batch, 2, |s| s.foreign(1).unknown(1).losses(1)), 0, &[]);
    hold("triples batch", setups(Batch, 3, |s| s.foreign(1).unknown(1).speculative()), 0, &[]);
    hold("triples stream 0", setups(Stream, 3, |s| s), 0, &[]);
    hold("triples stream f", setups(Stream, 3, |s| s.foreign(1)), 0, &[]);
}
