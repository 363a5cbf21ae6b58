//! How long it takes until partitions are run again, in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sidestream::cluster::{Assignment, UnownedCause, retire};
use sidestream::testkit::faults::Script;
use tokio::time::Instant;

use crate::world::{TTL, World, ZERO, processor, simulate};

const ROUND: Duration = Duration::from_secs(3);

#[test]
fn workers_that_join_share_evenly_within_three_rounds() {
    simulate(async {
        let mut world = World::new(1, 16, 3, false);
        for workers in 1..=8 {
            world.join_well();
            let took = world.until(3 * ROUND + ROUND / 2, World::is_even).await;
            assert!(took.is_some(), "{workers} workers: {:?}", world.spread(0));
        }
    });
}

#[test]
fn those_of_a_worker_that_leaves_are_run_again_within_two_rounds() {
    simulate(async {
        let mut world = World::new(2, 16, 2, false);
        (0..4).for_each(|_| world.join_well());
        world.until(4 * ROUND, World::is_even).await.expect("even");
        while world.nodes.len() > 1 {
            world.nodes.remove(0).leave().await;
            world.until(2 * ROUND, World::is_even).await.expect("even again");
        }
    });
}

#[test]
fn those_of_a_worker_that_dies_are_run_again_within_twice_the_lease_time() {
    simulate(async {
        for seed in 0..20 {
            let mut world = World::new(seed, 16, 2, false);
            (0..4).for_each(|_| world.join_well());
            world.until(4 * ROUND, World::is_even).await.expect("even");
            tokio::time::sleep(world.dice.time(ROUND)).await;
            world.nodes.remove(0).kill();
            let is_run = |world: &World| world.assignments().iter().all(|a| world.book.running(a).is_some());
            world.until(2 * TTL, |world| is_run(world) && world.is_even()).await.expect("run again");
        }
    });
}

/// Whoever would be next dies, too, and then the next one: what the first one left waits for none of their seats.
#[test]
fn those_of_workers_that_die_one_after_the_other_are_run_again_within_twice_the_lease_time() {
    simulate(async {
        for seed in 0..30 {
            let mut world = World::new(seed, 16, 2, false);
            (0..5).for_each(|_| world.join_well());
            world.until(4 * ROUND, World::is_even).await.expect("even");
            let mut idle_since: BTreeMap<Assignment, Instant> = BTreeMap::new();
            let mut deaths = (0..3).map(|_| Instant::now() + world.dice.time(TTL)).collect::<Vec<_>>();
            let end = Instant::now() + 4 * TTL;
            while Instant::now() < end {
                for _ in deaths.extract_if(.., |at| *at <= Instant::now()) {
                    world.nodes.remove(0).kill();
                }
                for assignment in world.assignments() {
                    if world.book.running(&assignment).is_some() {
                        idle_since.remove(&assignment);
                        continue;
                    }
                    let since = *idle_since.entry(assignment.clone()).or_insert_with(Instant::now);
                    assert!(since.elapsed() <= 2 * TTL, "{seed}: {assignment:?} for {:?}", since.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(idle_since.is_empty() && world.is_even());
        }
    });
}

/// A worker that is stopped for three lease times comes back: others run its partitions by then, and it gets its share.
#[test]
fn a_worker_that_stood_still_finds_its_partitions_taken_and_gets_others() {
    simulate(async {
        let mut world = World::new(3, 8, 1, false);
        (0..2).for_each(|_| world.join_well());
        world.until(4 * ROUND, World::is_even).await.expect("even");
        world.nodes[0].freeze(true);
        for _ in 0..30 {
            world.write(5).await;
            tokio::time::sleep(TTL / 10).await;
        }
        assert_eq!(world.spread(0)["w2"], 8, "the other one has them all");
        world.nodes[0].freeze(false);
        world.until(3 * ROUND + ROUND / 2, World::is_even).await.expect("even again");
        assert_eq!(world.nodes[0].status.borrow().lost, 4, "it heard of each");
        world.assert_complete().await;
    });
}

/// One processor's code is nowhere any more, and one worker may not hold what falls to it.
#[test]
fn what_nobody_runs_is_an_alarm_that_says_why() {
    simulate(async {
        let mut world = World::new(4, 4, 2, false);
        world.join_well();
        world.until(2 * ROUND, World::is_even).await.expect("even");
        world.join(BTreeSet::from([0]), Script::new(), Some(3));
        world.nodes.remove(0).leave().await;
        let unowned = |world: &World| world.nodes[0].status.borrow().unowned.clone();
        assert!(unowned(&world).is_empty(), "not yet");
        world.until(2 * TTL, |world| unowned(world).len() == 5).await.expect("an alarm");
        let alarms = unowned(&world);
        let of = |number| alarms.iter().filter(move |alarm| alarm.assignment.processor == processor(number));
        assert!(of(1).all(|alarm| alarm.cause == UnownedCause::NoCode), "{alarms:?}");
        assert!(of(0).all(|alarm| alarm.cause == UnownedCause::Bound), "{alarms:?}");
        assert_eq!((of(0).count(), of(1).count()), (1, 4));
        let text = alarms[4].to_string();
        assert!(text.contains("processor scribe1 v1, partition 3, since"), "{text}");
        // Retired, it is no alarm any more; and a worker that may hold the rest ends the other one.
        retire(&*world.store, &processor(1)).await.unwrap();
        assert_eq!(retire(&*world.store, &processor(0)).await.unwrap_err().code(), "invalid");
        world.join(BTreeSet::from([0]), Script::new(), None);
        world.until(3 * ROUND, |world| unowned(world).is_empty()).await.expect("no alarm");
    });
}

/// A store that answers nobody: runs end before their leases could be others', and go on when it answers again.
#[test]
fn runs_end_when_leases_cannot_be_renewed_and_go_on_later() {
    simulate(async {
        let mut world = World::new(5, 4, 1, false);
        world.join_well();
        world.until(2 * ROUND, World::is_even).await.expect("even");
        let first = Assignment { processor: processor(0), partition: ZERO };
        let rates = sidestream::testkit::faults::Rates {
            unavailable: 1_000,
            unknown: 0,
            late: 0,
            delay: 0,
            crash: 0,
        };
        world.nodes[0].store.set_script(Script::random(1, rates));
        let stopped = world.until(TTL, |world| world.book.running(&first).is_none()).await;
        assert!(stopped.is_some(), "before the lease ends");
        world.until(TTL, |world| world.nodes[0].status.borrow().trouble.is_some()).await.expect("it says so");
        world.nodes[0].store.set_script(Script::new());
        world.until(2 * ROUND, World::is_even).await.expect("it goes on");
        world.write(10).await;
        world.assert_complete().await;
    });
}
