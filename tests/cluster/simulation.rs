//! Random comings and goings, with everything that may fail.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::testkit::effort;
use sidestream::testkit::faults::{Rates, Script};

use crate::world::{TTL, World, simulate};

/// A time within which any change has led to an even spread: the leases of the dead expire, then three rounds, and one more
/// for what was under way.
const SETTLED: Duration = Duration::from_secs(10 + 4 * 3);

#[derive(Debug, Clone, Copy)]
struct Case {
    seed: u64,
    partitions: u16,
    processors: u8,
    /// Whether the store's clock jumps, by up to an hour either way.
    jumps: bool,
}

fn faults(world: &World) -> Script {
    let rates = Rates { unavailable: 60, unknown: 60, late: 30, delay: 60, crash: 0 };
    Script::random(world.dice.below(u64::MAX), rates)
}

fn some(world: &World, processors: u8) -> BTreeSet<u8> {
    let all = 0..processors;
    let chosen: BTreeSet<u8> = all.clone().filter(|_| world.dice.below(4) > 0).collect();
    if chosen.is_empty() { all.collect() } else { chosen }
}

async fn happen(world: &mut World, case: Case) {
    let (count, chance) = (world.nodes.len() as u64, world.dice.below(100));
    let any = world.dice.below(count) as usize;
    // Whatever happens, happens while events are being applied.
    world.write(world.dice.below(20)).await;
    tokio::time::sleep(world.dice.time(Duration::from_secs(1))).await;
    match chance {
        0..35 if count < 6 => {
            let (processors, script) = (some(world, case.processors), faults(world));
            world.join(processors, script, None);
        }
        35..43 if count > 0 => world.nodes.swap_remove(any).leave().await,
        43..52 if count > 0 => world.nodes.swap_remove(any).kill(),
        52..88 if count > 0 => world.nodes[any].freeze(chance < 77),
        88..100 if case.jumps => {
            let hour = 3_600_000_000;
            world.clock.jump(world.dice.below(2 * hour) as i64 - hour as i64);
        }
        _ => {}
    }
    tokio::time::sleep(world.dice.time(2 * TTL)).await;
}

/// Everything random, then nothing fails any more; then all is as it should be. Says how many commits were fenced.
async fn live(case: Case) -> u64 {
    let mut world = World::new(case.seed, case.partitions, case.processors, case.jumps);
    (0..2).for_each(|_| world.join_well());
    for _ in 0..25 {
        happen(&mut world, case).await;
    }
    for node in &world.nodes {
        node.freeze(false);
        node.store.set_script(Script::new());
    }
    world.join_well();
    if case.jumps {
        // A clock that went back has left leases that live on for hours.
        world.clock.jump(48 * 3_600_000_000);
    }
    tokio::time::sleep(SETTLED).await;
    if !world.is_even() {
        let spread: Vec<_> = (0..case.processors).map(|number| world.spread(number)).collect();
        let status: Vec<_> = world.nodes.iter().map(|node| node.status.borrow().clone()).collect();
        panic!("{case:?} does not settle: {spread:?} {status:#?}");
    }
    // And it stays so: nothing moves.
    let openings = world.book.seen().openings;
    tokio::time::sleep(3 * TTL).await;
    assert_eq!(world.book.seen().openings, openings, "nobody comes or goes, and something moves");
    world.write(20).await;
    world.assert_complete().await;
    world.book.seen().fenced
}

proptest! {
    #![proptest_config(effort::proptest_config(96, "proptest-regressions/cluster.txt"))]

    /// Workers join, leave, die, stand still for longer than their leases, with clocks up to an hour wrong and a store that
    /// fails, answers nothing and does things late: no two runs of a partition are there at a time, no epoch is given
    /// twice, every view is the fold of its log; and once nothing fails any more, partitions are spread evenly.
    #[test]
    fn one_runner_a_partition_whatever_happens(seed in any::<u64>(), partitions in 1_u16..9, processors in 1_u8..3) {
        simulate(live(Case { seed, partitions, processors, jumps: false }));
    }

    /// The store's own clock jumps, so that leases end too early or much too late: runs overlap, and the epoch keeps every
    /// view right all the same.
    #[test]
    fn a_store_whose_clock_jumps_harms_no_view(seed in any::<u64>(), partitions in 1_u16..5) {
        simulate(live(Case { seed, partitions, processors: 1, jumps: true }));
    }
}

/// The simulation does what it is for: commits of workers that stood still arrive, and are refused.
#[test]
fn commits_that_come_too_late_are_refused() {
    let mut fenced = 0;
    for seed in 0..u64::from(effort::cases(60)) {
        fenced += simulate(live(Case { seed, partitions: 4, processors: 1, jumps: false }));
    }
    assert!(fenced > 0, "no commit was ever fenced: the simulation tries too little");
}
