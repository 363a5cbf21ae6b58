//! Any sequence of joins, leaves and deaths ends in an even spread, and no lease ever has two holders.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

use proptest::prelude::*;

use super::*;
use crate::testkit::effort;

fn processor(number: u8) -> ProcessorId {
    ProcessorId::new(format!("p{number} v1")).unwrap()
}

fn member(id: u128, processors: &[u8], most: Option<usize>) -> Member {
    let processors = processors.iter().map(|number| processor(*number)).collect();
    Member { id: Uuid::from_u128(id), name: id.to_string(), processors, spanning: BTreeSet::new(), most }
}

fn count(number: u16) -> PartitionCount {
    PartitionCount::new(number).unwrap()
}

fn share(shares: &Shares, number: u8, id: u128) -> usize {
    shares.get(&(processor(number), Uuid::from_u128(id))).copied().unwrap_or(0)
}

#[test]
fn shares_are_even_over_each_processor_and_over_all() {
    let members = BTreeSet::from([member(1, &[0, 1], None), member(2, &[0, 1], None), member(3, &[0], None)]);
    let found = shares(count(16), &members);
    assert_eq!([1, 2, 3].map(|id| share(&found, 0, id)), [6, 5, 5]);
    assert_eq!([1, 2, 3].map(|id| share(&found, 1, id)), [8, 8, 0], "without the code");
    let three = BTreeSet::from([1, 2, 3].map(|id| member(id, &[0, 1, 2], None)));
    let found = shares(count(4), &three);
    let totals = [1, 2, 3].map(|id| (0..3).map(|number| share(&found, number, id)).sum::<usize>());
    assert_eq!(totals, [4, 4, 4], "one more of each goes to another worker each time");
}

#[test]
fn a_bound_is_kept_and_what_is_above_it_stays_unowned() {
    let members = BTreeSet::from([member(1, &[0], Some(2)), member(2, &[0], None)]);
    let found = shares(count(16), &members);
    assert_eq!([1, 2].map(|id| share(&found, 0, id)), [2, 14]);
    let bounded = BTreeSet::from([member(1, &[0, 1], Some(20))]);
    let found = shares(count(16), &bounded);
    assert_eq!([0, 1].map(|number| share(&found, number, 1)), [16, 4]);
}

#[test]
fn whoever_joins_last_takes_from_others_what_it_needs_and_moves_nothing_else() {
    let two = BTreeSet::from([1, 2].map(|id| member(id, &[0], None)));
    let mut three = two.clone();
    three.insert(member(3, &[0], None));
    let (before, after) = (shares(count(9), &two), shares(count(9), &three));
    assert_eq!([1, 2].map(|id| share(&before, 0, id)), [5, 4]);
    assert_eq!([1, 2, 3].map(|id| share(&after, 0, id)), [3, 3, 3]);
}

/// What may happen between two rounds.
#[derive(Debug, Clone)]
enum Event {
    Join(Vec<u8>),
    Leave(usize),
    Die(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let processors = prop::collection::vec(0_u8..3, 1..4);
    prop_oneof![
        2 => processors.prop_map(Event::Join),
        1 => any::<usize>().prop_map(Event::Leave),
        1 => any::<usize>().prop_map(Event::Die),
    ]
}

/// Rounds that the leases of a dead worker last.
const TTL: u32 = 4;

/// Workers, and leases by the rules of rows: only a free one is claimed.
#[derive(Debug, Default)]
struct World {
    members: BTreeSet<Member>,
    /// Members that died, still shown for so many rounds.
    dead: BTreeMap<Member, u32>,
    leases: BTreeMap<Assignment, Uuid>,
    next: u128,
    moved: usize,
}

impl World {
    fn happen(&mut self, event: Event) {
        let nth = |number: usize, members: &BTreeSet<Member>| {
            members.iter().nth(number % members.len().max(1)).cloned()
        };
        match event {
            Event::Join(processors) => {
                self.next += 1;
                self.members.insert(member(self.next, &processors, None));
            }
            Event::Leave(number) => {
                if let Some(member) = nth(number, &self.members) {
                    self.leases.retain(|_, holder| *holder != member.id);
                    self.members.remove(&member);
                }
            }
            Event::Die(number) => {
                if let Some(member) = nth(number, &self.members) {
                    self.members.remove(&member);
                    self.dead.insert(member, TTL);
                }
            }
        }
    }

    fn shown(&self) -> BTreeSet<Member> {
        self.members.iter().chain(self.dead.keys()).cloned().collect()
    }

    fn holders(&self, partitions: PartitionCount) -> Holders {
        let all = (0..3).flat_map(|number| {
            partitions.all().map(move |partition| Assignment { processor: processor(number), partition })
        });
        all.map(|assignment| (assignment.clone(), self.leases.get(&assignment).copied())).collect()
    }

    /// One round: all read the same, or each reads what the one before left; then each acts, in some order.
    fn round(&mut self, partitions: PartitionCount, together: bool, backwards: bool) {
        let (shown, read) = (self.shown(), self.holders(partitions));
        let mut order: Vec<_> = self.members.iter().cloned().collect();
        if backwards {
            order.reverse();
        }
        for member in order {
            let holders = if together { read.clone() } else { self.holders(partitions) };
            let mine = self.leases.iter().filter(|(_, holder)| **holder == member.id);
            let held = mine.map(|(assignment, _)| assignment.clone()).collect();
            let plan = plan(member.id, partitions, &shown, &holders, &held);
            assert!(plan.hand_over.iter().all(|assignment| held.contains(assignment)), "only its own");
            for assignment in plan.hand_over {
                self.leases.remove(&assignment);
                self.moved += 1;
            }
            for assignment in plan.claim {
                assert!(member.processors.contains(&assignment.processor), "only what it has the code of");
                if let std::collections::btree_map::Entry::Vacant(free) = self.leases.entry(assignment) {
                    free.insert(member.id);
                    self.moved += 1;
                }
            }
        }
        for rounds in self.dead.values_mut() {
            *rounds -= 1;
        }
        let gone: Vec<_> =
            self.dead.iter().filter(|(_, rounds)| **rounds == 0).map(|(m, _)| m.clone()).collect();
        for member in gone {
            self.dead.remove(&member);
            self.leases.retain(|_, holder| *holder != member.id);
        }
    }

    fn assert_even(&self, partitions: PartitionCount) {
        let shares = shares(partitions, &self.members);
        for number in 0..3 {
            let able: Vec<_> =
                self.members.iter().filter(|m| m.processors.contains(&processor(number))).collect();
            let held = |id| {
                let of = self.leases.iter().filter(|(a, h)| a.processor == processor(number) && **h == id);
                of.count()
            };
            let counts: Vec<_> = able.iter().map(|member| held(member.id)).collect();
            let expected = if able.is_empty() { 0 } else { usize::from(partitions.get()) };
            assert_eq!(counts.iter().sum::<usize>(), expected, "every partition is held");
            assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
            for member in able {
                let due = shares.get(&(processor(number), member.id)).copied().unwrap_or(0);
                assert_eq!(held(member.id), due);
            }
        }
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(256, "proptest-regressions/spread.txt"))]

    /// Within three rounds of the last change, and those that a dead worker's leases last, the spread is even; then
    /// nothing moves any more.
    #[test]
    fn any_coming_and_going_ends_in_an_even_spread_that_stays(
        events in prop::collection::vec((event(), 0_u8..4, any::<bool>(), any::<bool>()), 1..30),
        partitions in 1_u16..24,
    ) {
        let (partitions, mut world) = (count(partitions), World::default());
        for (event, rounds, together, backwards) in events {
            world.happen(event);
            (0..rounds).for_each(|_| world.round(partitions, together, backwards));
        }
        (0..TTL + 3).for_each(|_| world.round(partitions, true, false));
        world.assert_even(partitions);
        let moved = world.moved;
        (0..10).for_each(|number| world.round(partitions, number % 2 == 0, number % 3 == 0));
        prop_assert_eq!(world.moved, moved, "nobody comes or goes, and something moves");
    }
}

#[test]
fn what_spans_all_partitions_has_one_place_and_counts_as_one() {
    let spanning = |id| {
        let member = member(id, &[1, 2], None);
        Member { spanning: [processor(2)].into(), ..member }
    };
    let (partitions, members) = (count(4), [1, 2].map(spanning).into());
    let shares = shares(partitions, &members);
    let of =
        |number| shares.iter().filter(move |((of, _), _)| *of == processor(number)).map(|(_, share)| share);
    assert_eq!((of(1).sum::<usize>(), of(2).sum::<usize>()), (4, 1));
    let free = |number| {
        let at = move |partition| (Assignment { processor: processor(number), partition }, None);
        partitions.all().map(at)
    };
    let holders: Holders = free(1).chain(free(2)).collect();
    let claimed = |id| plan(Uuid::from_u128(id), partitions, &members, &holders, &BTreeSet::new()).claim;
    let claims = [1, 2].map(claimed).concat();
    let of_spanning: Vec<_> = claims.iter().filter(|claim| claim.processor == processor(2)).collect();
    assert!(!of_spanning.is_empty());
    assert!(of_spanning.iter().all(|claim| claim.partition == PartitionId::new(0)), "{of_spanning:?}");
}
