//! What is sent: the n-th command can be computed again at any time, so nobody has to remember it.

use uuid::{Builder, Uuid};

use crate::cli::bench::options::{Ids, Options};
use crate::clock::{Clock, SystemClock};
use crate::id::TransactionId;

/// Commands a millisecond by the timestamps of version 7 ids.
const PER_MILLISECOND: u64 = 100;
/// Amounts are 1 to this, in cents.
const MOST_CENTS: u64 = 100_000;
/// The golden ratio's fraction: what splitmix64 counts by.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// Which account, from 0.
    pub(super) account: usize,
    pub(super) transaction: TransactionId,
    pub(super) cents: i64,
    /// Whether it was sent, and answered, before.
    pub(super) duplicate: bool,
}

/// All commands of one run, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    seed: u64,
    /// What tells this run's ids from those of every other run.
    run: u64,
    /// Milliseconds since 1970 when the run began.
    began: u64,
    ids: Ids,
    accounts: u64,
}

impl Plan {
    /// A plan whose ids no other plan has.
    pub(super) fn new(options: &Options) -> Self {
        let began = u64::try_from(SystemClock.now().as_micros()).unwrap_or(0).wrapping_div(1_000);
        Self {
            seed: options.seed,
            run: SystemClock.new_id().as_u64_pair().1,
            began,
            ids: options.ids,
            accounts: u64::from(options.used_accounts()),
        }
    }

    /// What tells this run from every other one.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// The command of this number.
    pub(super) fn order(&self, number: u64, duplicate: bool) -> Order {
        let account = below(hash(self.seed, 1, number), self.accounts);
        let cents = below(hash(self.seed, 2, number), MOST_CENTS).saturating_add(1);
        Order {
            account: usize::try_from(account).unwrap_or(0),
            transaction: self.transaction(number),
            cents: i64::try_from(cents).unwrap_or(1),
            duplicate,
        }
    }

    fn transaction(&self, number: u64) -> TransactionId {
        let key = self.seed ^ self.run;
        let (high, low) = (hash(key, 3, number), hash(key, 4, number));
        TransactionId::new(match self.ids {
            Ids::V4 => v4(high, low),
            Ids::V7 => v7(self.began.wrapping_add(number.wrapping_div(PER_MILLISECOND)), high, low),
        })
    }
}

fn v4(high: u64, low: u64) -> Uuid {
    Builder::from_u128(u128::from(high) << 64 | u128::from(low))
        .with_version(uuid::Version::Random)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

fn v7(milliseconds: u64, high: u64, low: u64) -> Uuid {
    let mut random = [0; 10];
    let bytes = high.to_le_bytes().into_iter().take(2).chain(low.to_le_bytes());
    random.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

/// Cheap random numbers for one client.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    pub(super) fn new(plan: &Plan, client: u64) -> Self {
        Self { key: hash(plan.seed, 5, client), drawn: 0 }
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        below(hash(self.key, 6, self.drawn), bound)
    }

    /// True as often as `share` says.
    pub(super) fn is_in(&mut self, share: f64) -> bool {
        share > 0.0
            && f64::from(u32::try_from(self.below(1 << 32)).unwrap_or(0)) < share * f64::from(u32::MAX)
    }
}

/// The end of splitmix64: every bit of the input moves half of the output.
fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn hash(key: u64, purpose: u64, number: u64) -> u64 {
    let stream = mix(key.wrapping_add(purpose.wrapping_mul(STRIDE)));
    mix(stream ^ mix(number.wrapping_add(STRIDE)))
}

/// A hash as a number below `bound`, evenly.
fn below(hash: u64, bound: u64) -> u64 {
    let wide = u128::from(hash).wrapping_mul(u128::from(bound)) >> 64;
    u64::try_from(wide).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn plan(ids: Ids, run: u64) -> Plan {
        Plan { seed: 7, run, began: 1_700_000_000_000, ids, accounts: 100 }
    }

    #[test]
    fn a_command_can_be_computed_again() {
        for ids in [Ids::V4, Ids::V7] {
            let (first, again) = (plan(ids, 1).order(12_345, false), plan(ids, 1).order(12_345, false));
            assert_eq!(first, again);
            let other_run = plan(ids, 2).order(12_345, false);
            assert_eq!((other_run.account, other_run.cents), (first.account, first.cents));
            assert_ne!(other_run.transaction, first.transaction);
        }
    }

    #[test]
    fn ids_are_of_their_version_and_differ() {
        for (ids, version) in [(Ids::V4, 4), (Ids::V7, 7)] {
            let all: HashSet<_> = (0..100_000).map(|n| plan(ids, 3).transaction(n).as_uuid()).collect();
            assert_eq!(all.len(), 100_000);
            assert!(all.iter().all(|id| id.get_version_num() == version));
            assert!(all.iter().all(|id| id.get_variant() == uuid::Variant::RFC4122));
        }
    }

    #[test]
    fn ids_of_version_7_grow_with_time() {
        let plan = plan(Ids::V7, 3);
        let id = |n| plan.transaction(n).as_uuid();
        assert!((0..100_000).step_by(100).all(|n| id(n) < id(n + 100)));
        let (seconds, nanos) = id(250).get_timestamp().expect("a time").to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_700_000_000, 2));
    }

    #[test]
    fn accounts_are_drawn_evenly() {
        let mut counts = vec![0_u32; 100];
        let plan = plan(Ids::V7, 3);
        (0..100_000).for_each(|n| counts[plan.order(n, false).account] += 1);
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        let mut draws = Draws::new(&plan, 1);
        let hits = (0..100_000).filter(|_| draws.is_in(0.3)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
    }
}
