//! Units of one list that share a stream form a chain: checked on the admission that every store uses, over
//! the lists of two processes that read the same head.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics by design"
)]

use std::collections::HashMap;

use sidestream::event::NewRecord;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::protocol::Atomicity;
use sidestream::store::admission::{Admission, check};
use sidestream::store::{AppendFailure, LogScope, StoreProperties, StreamAppend, Unit};
use sidestream::stream::{AggregateId, Category, ExpectedVersion, StreamName, Version};
use sidestream::{Result, TransactionId};

const ACCOUNT: Category = Category::new("account");
const FUNDS: i64 = 100;
/// What each transaction adds to the funds, or takes from them if they suffice.
const COMMANDS: [i64; 4] = [100, -200, -100, -60];

/// One transaction's unit, and what its decision rests on.
struct Decided {
    transaction: usize,
    adds: Option<i64>,
    on: Vec<usize>,
    unit: Unit,
}

/// The aggregate stream, as transactions and amounts, and which transactions are settled.
#[derive(Default)]
struct Database {
    log: Vec<(usize, i64)>,
    settled: HashMap<usize, Vec<usize>>,
}

struct Names {
    properties: StoreProperties,
    partition: PartitionId,
    account: StreamName,
    sides: Vec<StreamName>,
}

impl Names {
    fn new() -> Self {
        let id = AggregateId::new("1").expect("an id");
        let partitions = PartitionCount::new(1).expect("a count");
        let zero = TransactionId::derive("store", "").as_uuid();
        let side = |at: usize| ACCOUNT.side_stream(&id, TransactionId::derive("chain", &at.to_string()));
        Self {
            properties: StoreProperties {
                id: zero,
                partitions,
                atomicity: Atomicity::Batch,
                log: LogScope::AllStreams,
            },
            partition: partitions.of(id.cardinal()),
            account: ACCOUNT.stream(&id),
            sides: (0..COMMANDS.len()).map(side).collect(),
        }
    }

    /// What every store checks of a unit by itself.
    fn check(&self, unit: &Unit) -> Result<()> {
        check(unit, self.partition, self.properties)
    }

    /// Without records in it: admission looks at streams and versions only.
    fn unit(&self, transaction: usize, expected: usize) -> Unit {
        let append = |stream: &StreamName, expected: ExpectedVersion| StreamAppend {
            stream: stream.clone(),
            expected,
            records: Vec::<NewRecord>::new(),
        };
        let version = Version::new(u64::try_from(expected).expect("a small number"));
        let account = append(&self.account, ExpectedVersion::Exact(version));
        Unit::of(vec![account, append(&self.sides[transaction], ExpectedVersion::NoStream)])
    }

    fn head(&self, database: &Database, stream: &StreamName) -> Result<Version> {
        if *stream == self.account {
            return Ok(Version::new(u64::try_from(database.log.len()).expect("a small number")));
        }
        let settled = |transaction: &usize| self.sides[*transaction] == *stream;
        let there = database.settled.keys().any(settled);
        Ok(if there { Version::new(2) } else { Version::EMPTY })
    }
}

/// Decides a process's commands in turn, each on the state that the ones before it lead to.
fn decide(names: &Names, commands: &[usize]) -> Vec<Decided> {
    let mut log: Vec<(usize, i64)> = Vec::new();
    let decided = commands.iter().map(|&transaction| {
        let on = log.iter().map(|(of, _)| *of).collect();
        let unit = names.unit(transaction, log.len());
        let left = FUNDS + log.iter().map(|(_, amount)| amount).sum::<i64>();
        let adds = Some(COMMANDS[transaction]).filter(|amount| left + amount >= 0);
        log.extend(adds.map(|amount| (transaction, amount)));
        Decided { transaction, adds, on, unit }
    });
    decided.collect()
}

/// Commits a list. Without the chain, every unit is admitted as if it were alone.
fn commit(names: &Names, database: &mut Database, list: &[Decided], chain: bool) -> (usize, usize) {
    let mut admission = Admission::default();
    let (mut superseded, mut baseless) = (0, 0);
    for decided in list {
        if !chain {
            admission = Admission::default();
        }
        match admission
            .admit(&decided.unit, &names.check(&decided.unit), |stream| names.head(database, stream))
        {
            Ok(()) => baseless += usize::from(!database.settle(decided)),
            Err(AppendFailure::Superseded { .. }) => superseded += 1,
            Err(AppendFailure::WrongVersion { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    (superseded, baseless)
}

impl Database {
    /// Whether the decision stands on the records that it was made on.
    fn settle(&mut self, decided: &Decided) -> bool {
        let stands_on: Vec<usize> = self.log.iter().map(|(of, _)| *of).collect();
        self.log.extend(decided.adds.map(|amount| (decided.transaction, amount)));
        let sound = stands_on == decided.on;
        self.settled.insert(decided.transaction, stands_on);
        sound
    }
}

/// All ordered choices of up to three commands.
fn lists() -> Vec<Vec<usize>> {
    let mut lists: Vec<Vec<usize>> = vec![Vec::new()];
    let mut from = 0;
    while from < lists.len() {
        let list = lists[from].clone();
        from += 1;
        let rest = (0..COMMANDS.len()).filter(|_| list.len() < 3).filter(|next| !list.contains(next));
        lists.extend(rest.map(|next| [list.clone(), vec![next]].concat()));
    }
    lists
}

/// Two processes read the same head; the second list is committed after the first.
fn explore(chain: bool) -> (usize, usize, usize) {
    let names = Names::new();
    let (mut pairs, mut superseded, mut baseless) = (0, 0, 0);
    for first in lists() {
        for second in lists() {
            let mut database = Database::default();
            let lists = [decide(&names, &first), decide(&names, &second)];
            for list in &lists {
                let (more, wrong) = commit(&names, &mut database, list, chain);
                (superseded, baseless) = (superseded + more, baseless + wrong);
            }
            pairs += 1;
        }
    }
    (pairs, superseded, baseless)
}

#[test]
fn every_admitted_decision_stands_on_the_records_that_it_was_made_on() {
    let (pairs, superseded, baseless) = explore(true);
    assert_eq!((pairs, baseless), (41 * 41, 0), "decisions rest on records of others");
    assert!(superseded > 500, "only {superseded} units were superseded: the chain was hardly tried");
}

#[test]
fn without_the_chain_a_decision_stands_on_another_writers_record() {
    let (_, superseded, baseless) = explore(false);
    assert_eq!(superseded, 0);
    assert!(baseless > 0, "the chain rule is taken out and nothing goes wrong");
}

#[test]
fn a_unit_that_could_not_be_written_fails_what_follows_it() {
    let names = Names::new();
    let mut admission = Admission::default();
    admission.fail(&names.unit(0, 0));
    let empty = Database::default();
    let next = admission.admit(&names.unit(1, 0), &Ok(()), |stream| names.head(&empty, stream));
    assert!(matches!(next, Err(AppendFailure::Superseded { .. })), "{next:?}");
}

#[test]
fn a_unit_that_shares_no_stream_with_a_failed_one_is_admitted() {
    let names = Names::new();
    let mut admission = Admission::default();
    admission.fail(&names.unit(0, 0));
    let mut alone = names.unit(1, 0);
    alone.appends.remove(0);
    let empty = Database::default();
    assert!(admission.admit(&alone, &names.check(&alone), |stream| names.head(&empty, stream)).is_ok());
}
