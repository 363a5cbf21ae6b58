//! What is counted. What a bench makes beforehand is not, and neither is dropping what it returns.
//!
//! A bench takes no doc comments: its macro refuses them.

use std::hint::black_box;
use std::path::Path;

use gungraun::{library_benchmark, library_benchmark_group, main};
use sidestream::event::{Checksum, Record};
use sidestream::id::{Fingerprint, StepName};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::protocol::{Answer, Goal};
use sidestream::side_stream::SideStream;
use sidestream::store::sqlite::{InlineWriter, List};
use sidestream::{AggregateId, Decider, SqliteStore, TransactionId};
use sidestream_pieces::account::{Account, Command, hold};
use sidestream_pieces::attempt;
use sidestream_pieces::holds::Holds;
use sidestream_pieces::memory::{self, Handler};
use tempfile::TempDir;

fn new_command() -> (Goal, SideStream) {
    (attempt::goal(), SideStream::default())
}

fn replay() -> (Goal, SideStream) {
    (attempt::goal(), memory::settled())
}

#[library_benchmark]
#[bench::new_command(new_command())]
#[bench::replay(replay())]
fn protocol_attempt((goal, side): (Goal, SideStream)) -> Answer {
    attempt::drive(goal, side)
}

/// The first fingerprint of a process finds out what the CPU can do; that is not counted.
fn command() -> (StepName, Command) {
    attempt::goal();
    (Account::step(&hold(1)), hold(1))
}

#[library_benchmark]
#[bench::of_a_command(command())]
fn fingerprint((step, command): (StepName, Command)) -> Fingerprint {
    Fingerprint::of(&step, 1, &command).unwrap()
}

fn record() -> Record {
    memory::records().1
}

#[library_benchmark]
#[bench::of_an_event(record())]
fn checksum(record: Record) -> (Checksum, Record) {
    (record.data.checksum(&record.stream, record.version), record)
}

#[library_benchmark]
#[bench::of_two_records(memory::records().0)]
fn side_stream(records: Vec<Record>) -> (SideStream, Vec<Record>) {
    (SideStream::fold(&records).unwrap(), records)
}

type Sent = (Handler, AggregateId, TransactionId, Command);

/// A handler that runs and has the account in memory, and a command that it does not know.
fn handler() -> Sent {
    let (handler, account) = (memory::handler(), memory::account(1));
    handler.handle(&account, memory::transaction(1), hold(1));
    (handler, account, memory::transaction(2), hold(2))
}

/// The same, and the command that it has handled.
fn handled() -> Sent {
    let (handler, account, ..) = handler();
    (handler, account, memory::transaction(1), hold(1))
}

// All of the way: to the lane and back, on one thread.
#[library_benchmark]
#[bench::new(handler())]
#[bench::known(handled())]
fn command_through_memory((handler, account, transaction, command): Sent) -> (Handler, AggregateId) {
    handler.handle(&account, transaction, command);
    (handler, account)
}

/// A new store with its writer on this thread, and the lists that it commits at once. It has committed others.
fn writer(units: usize) -> (InlineWriter, Vec<List>, TempDir) {
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let options = SqliteStore::builder(directory.path().join("events.db"));
    let options = options.partitions(PartitionCount::new(1).unwrap());
    // SQLite's own disk, by its name.
    let mut writer = options.simulated_writer("unix").unwrap();
    let mut holds = Holds::new();
    let mut lists = |units| vec![(PartitionId::new(0), holds.list(units))];
    commit(&mut writer, &lists(1_000));
    writer.rest();
    (writer, lists(units), directory)
}

fn commit(writer: &mut InlineWriter, lists: &[List]) {
    for result in writer.commit(lists).into_iter().flatten() {
        result.unwrap();
    }
}

// What the writer's thread does for a list of units of three records. A copy of the list is counted with it.
#[library_benchmark]
#[bench::of_1_unit(writer(1))]
#[bench::of_128_units(writer(128))]
fn sqlite_commit(
    (mut writer, lists, directory): (InlineWriter, Vec<List>, TempDir),
) -> (InlineWriter, Vec<List>, TempDir) {
    commit(&mut writer, black_box(&lists));
    (writer, lists, directory)
}

library_benchmark_group!(
    name = hot_path,
    benchmarks =
        [protocol_attempt, fingerprint, checksum, side_stream, command_through_memory, sqlite_commit]
);

// It makes a `main` that only this module sees.
main!(library_benchmark_groups = hot_path);

/// Runs all of them, or, under valgrind, the one that the arguments name.
pub fn run() {
    main();
}
