//! Partitions that nobody runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::cluster::exchange::Answered;
use crate::cluster::spread::{Assignment, Member, runs_in, shares};
use crate::partition::PartitionCount;
use crate::processor::ProcessorId;

/// Why nobody runs a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnownedCause {
    /// No worker that is there has the processor's code.
    NoCode,
    /// The workers that have its code may not hold more partitions.
    Bound,
    /// A worker should have claimed it by now.
    Unclaimed,
}

impl fmt::Display for UnownedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCode => "no live worker has its code: start one, or retire the processor",
            Self::Bound => "all workers with its code hold as many partitions as they may: start another, or raise the bound",
            Self::Unclaimed => "no worker has claimed it: look whether workers reach the partition's database",
        })
    }
}

/// A partition that nobody has run for longer than the lease time: an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unowned {
    /// Which.
    pub assignment: Assignment,
    /// Since when, by the store's clock: when its last lease expired, or when this worker first looked.
    pub since: Timestamp,
    /// Why.
    pub cause: UnownedCause,
}

impl fmt::Display for Unowned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { assignment: Assignment { processor, partition }, since, cause } = self;
        write!(f, "unowned: processor {processor}, partition {partition}, since {since}, because {cause}")
    }
}

/// Watches what nobody runs.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: BTreeMap<Assignment, Timestamp>,
    told: BTreeSet<Assignment>,
}

impl Watch {
    /// Takes in a round, and says what has been unowned for longer than `ttl`. Of partitions that could not be read it says
    /// what it said before.
    pub(super) fn look(
        &mut self,
        answered: &[Answered],
        (members, partitions): (&BTreeSet<Member>, PartitionCount),
        ttl: Duration,
    ) -> Vec<Unowned> {
        let shares = shares(partitions, members);
        let mut unowned = Vec::new();
        for answered in answered {
            let Ok(leases) = &answered.leases else { continue };
            let announced = members.iter().flat_map(|member| &member.processors);
            let announced = announced.filter(|processor| runs_in(processor, answered.partition, members));
            let known: BTreeSet<_> = announced.chain(leases.found.keys()).collect();
            self.since.retain(|assignment, _| {
                assignment.partition != answered.partition || known.contains(&assignment.processor)
            });
            for processor in known {
                let assignment = Assignment { processor: processor.clone(), partition: answered.partition };
                if leases.holder(processor).is_some() {
                    self.since.remove(&assignment);
                    continue;
                }
                let expired = leases.found.get(processor).map(|found| found.expires_at);
                let first = self.since.entry(assignment.clone()).or_insert(expired.unwrap_or(leases.at));
                let since = expired.unwrap_or(*first);
                *first = since;
                if since.after(ttl) < leases.at {
                    let cause = cause(processor, &shares, (members, partitions));
                    unowned.push(Unowned { assignment, since, cause });
                }
            }
        }
        self.tell(&unowned);
        unowned
    }

    /// Logs each once, and again when it was owned in between.
    fn tell(&mut self, unowned: &[Unowned]) {
        for alarm in unowned.iter().filter(|alarm| !self.told.contains(&alarm.assignment)) {
            tracing::error!("{alarm}");
        }
        self.told = unowned.iter().map(|alarm| alarm.assignment.clone()).collect();
    }
}

fn cause(
    processor: &ProcessorId,
    shares: &crate::cluster::spread::Shares,
    (members, partitions): (&BTreeSet<Member>, PartitionCount),
) -> UnownedCause {
    if !members.iter().any(|member| member.processors.contains(processor)) {
        return UnownedCause::NoCode;
    }
    let shared = shares.iter().filter(|((of, _), _)| of == processor).map(|(_, share)| *share);
    let shared = shared.fold(0_usize, usize::saturating_add);
    let all = partitions.all().filter(|partition| runs_in(processor, *partition, members)).count();
    if shared < all { UnownedCause::Bound } else { UnownedCause::Unclaimed }
}
