//! How partitions are spread over workers: pure rules, which every worker applies to what it reads.
//!
//! How many partitions of a processor a worker should hold depends on nothing but who is there and what each has the code
//! of. So workers that see the same workers agree, whoever holds what at the moment, and while nobody comes or goes no
//! partition moves twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::partition::{PartitionCount, PartitionId};
use crate::processor::ProcessorId;

/// One partition of one processor: what a lease is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The processor.
    pub processor: ProcessorId,
    /// The partition.
    pub partition: PartitionId,
}

/// A worker that is there. Their order is that of their ids, which grow with the time of their start: who joins last
/// changes nothing for those before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Its id, new with every start.
    pub id: Uuid,
    /// Its name, for people.
    pub name: String,
    /// The processors that it has the code of.
    pub processors: BTreeSet<ProcessorId>,
    /// Those of them that run once, in the first partition, for all partitions.
    #[serde(default)]
    pub spanning: BTreeSet<ProcessorId>,
    /// Most partitions that it holds, over all processors.
    pub most: Option<usize>,
}

/// Whether a processor runs in a partition: in all of them, or in the first one for all.
pub(super) fn runs_in(processor: &ProcessorId, partition: PartitionId, members: &BTreeSet<Member>) -> bool {
    partition == PartitionId::new(0) || !members.iter().any(|member| member.spanning.contains(processor))
}

/// Who has which lease, as far as was read: `None` is one that anybody may claim.
pub type Holders = BTreeMap<Assignment, Option<Uuid>>;

/// How many partitions of each processor each worker should hold.
pub type Shares = BTreeMap<(ProcessorId, Uuid), usize>;

/// The shares of all workers. Those of a processor differ by one at most, unless a worker's bound is reached; and who has
/// one more of one processor is later in line for the next one.
#[must_use]
pub fn shares(partitions: PartitionCount, members: &BTreeSet<Member>) -> Shares {
    let processors: BTreeSet<_> = members.iter().flat_map(|member| &member.processors).collect();
    let (mut shares, mut totals) = (Shares::new(), BTreeMap::<Uuid, usize>::new());
    for processor in processors {
        let able = members.iter().filter(|member| member.processors.contains(processor));
        // The one with the fewest partitions of this processor gets the next one; of several, the one with the fewest of all.
        let mut line: BTreeSet<_> = able
            .map(|member| {
                let total = totals.get(&member.id).copied().unwrap_or(0);
                (0_usize, total, member.id, member.most.unwrap_or(usize::MAX))
            })
            .filter(|(_, total, _, most)| total < most)
            .collect();
        for _ in partitions.all().filter(|partition| runs_in(processor, *partition, members)) {
            let Some((share, total, id, most)) = line.pop_first() else { break };
            let (share, total) = (share.saturating_add(1), total.saturating_add(1));
            if total < most {
                line.insert((share, total, id, most));
            }
            shares.insert((processor.clone(), id), share);
            totals.insert(id, total);
        }
    }
    shares
}

/// What a worker does about its share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Free leases that it claims. Workers that read the same claim different ones.
    pub claim: Vec<Assignment>,
    /// Its own leases that it hands over.
    pub hand_over: Vec<Assignment>,
}

/// What the worker `me` does, where these workers are there, these leases were read, and `held` is what it has itself.
#[must_use]
pub fn plan(
    me: Uuid,
    partitions: PartitionCount,
    members: &BTreeSet<Member>,
    holders: &Holders,
    held: &BTreeSet<Assignment>,
) -> Plan {
    let (shares, mut plan) = (shares(partitions, members), Plan::default());
    let Some(own) = members.iter().find(|member| member.id == me) else { return plan };
    for processor in &own.processors {
        let share_of = |id| shares.get(&(processor.clone(), id)).copied().unwrap_or(0);
        let of_processor = |assignment: &&Assignment| assignment.processor == *processor;
        let mine: Vec<_> = held.iter().filter(of_processor).collect();
        let above = mine.len().saturating_sub(share_of(me));
        plan.hand_over.extend(mine.iter().rev().take(above).map(|assignment| (*assignment).clone()));
        let missing = share_of(me).saturating_sub(mine.len());
        let wanting = |member: &&Member| member.id < me && member.processors.contains(processor);
        let before = members.iter().filter(wanting).map(|member| {
            let has = holders
                .iter()
                .filter(|(assignment, holder)| of_processor(assignment) && **holder == Some(member.id));
            share_of(member.id).saturating_sub(has.count())
        });
        let skipped = before.fold(0_usize, usize::saturating_add);
        let free = holders.iter().filter(|(assignment, holder)| {
            of_processor(assignment)
                && holder.is_none()
                && !held.contains(*assignment)
                && runs_in(processor, assignment.partition, members)
        });
        let mut free: Vec<_> = free.map(|(assignment, _)| assignment.clone()).collect();
        // Those before it are served first; where they do not come, because they read something else, the rest is its own.
        let by = skipped.checked_rem(free.len()).unwrap_or(0);
        free.rotate_left(by);
        plan.claim.extend(free.into_iter().take(missing));
    }
    plan
}

#[cfg(test)]
mod tests;
