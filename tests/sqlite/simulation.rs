//! The writer on a disk that loses, tears and refuses: nothing acknowledged is ever lost, nothing refused ever
//! appears, and no unit is ever there by half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sidestream::clock::ManualClock;
use sidestream::event::{NewRecord, Record, RecordKind};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::sqlite::{InlineWriter, Options, SqliteStore, WalLimits, wal};
use sidestream::store::{AppendFailure, OpenStepsRead, ReadFrom, StreamRead, Unit};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::{Timestamp, TransactionId};

use crate::disk::{self, Faults, Rng};
use crate::simulated_rows::{check_rows, rows_of};
use crate::support::*;

const ACCOUNTS: u64 = 4;
/// What a piece of the indexes can belong to.
const STAGES: [&str; 5] = ["AddTable", "PublishTable", "AddMerge", "PublishMerge", "Remove"];
/// Batches that leave nearly as many runs as are merged.
const BEFORE: u64 = 9;

/// What is known of a unit, by its number.
#[derive(Debug, Default)]
struct Known {
    /// Answered with success, or seen after a start: there for ever.
    present: BTreeSet<u64>,
    /// Refused, or found missing after a start: never there.
    absent: BTreeSet<u64>,
    /// Answered unknown, or not answered: the next start tells.
    open: BTreeSet<u64>,
    next: u64,
}

/// What happened in all runs, to be sure that the faults struck.
#[derive(Debug, Default)]
struct Counts {
    lives: u64,
    /// Lives that ended with the power.
    cuts: u64,
    acknowledged: u64,
    closed: u64,
    refused: u64,
    unknown: u64,
    stopped: u64,
    starts_failed: u64,
    checkpoints_failed: u64,
    /// Pieces of the indexes that were not written, by the fault and what they belonged to.
    pieces: BTreeMap<(&'static str, String), u64>,
    /// Starts that found blocks of a run that was not published yet.
    half_runs: u64,
    /// Starts that found blocks of a run that was merged already.
    half_removed: u64,
    /// The highest level of a run.
    level: i64,
}

struct Run {
    number: u64,
    rng: Rng,
    /// When partitions are closed is drawn apart: everything else stays as it was drawn.
    closing: Rng,
    known: Known,
    counts: Counts,
    versions: BTreeMap<u64, u64>,
    /// The partition was closed at this time.
    closed: Timestamp,
    /// Whether the next starts make the indexes anew.
    rebuild: bool,
}

impl Run {
    fn new(number: u64, seed: u64) -> Self {
        disk::create(number, seed);
        let rng = Rng(seed ^ 0xabcd);
        let (known, counts, versions) = (Known::default(), Counts::default(), BTreeMap::new());
        let closing = Rng(seed ^ 0x1234);
        Self { number, rng, closing, known, counts, versions, closed: Timestamp::MIN, rebuild: false }
    }

    fn path(&self) -> String {
        format!("/{}/events.db", self.number)
    }

    fn options(&self) -> Options {
        let limits = WalLimits { checkpoint_bytes: 40_000, restart_bytes: 120_000, most_bytes: 1 << 30 };
        SqliteStore::builder(self.path())
            .partitions(PartitionCount::new(1).unwrap())
            .clock(Arc::new(ManualClock::new(Timestamp::from_micros(1))))
            .wal_limits(limits)
            // Tables are written and runs merged all the time.
            .flush_after(3)
            .rebuild_index(self.rebuild)
    }

    /// What the start does with files, on this disk: look through the log, write it anew, and sync it.
    fn recover(&self) -> bool {
        let name = format!("{}-wal", self.path());
        disk::with(self.number, |disk| {
            let bytes = disk.bytes(&name).to_vec();
            if bytes.is_empty() {
                return true;
            }
            let found = wal::scan(&bytes).expect("no acknowledged commit is lost, and none seems to be");
            disk.write(&name, 0, &bytes[..found.valid_bytes]).is_ok()
                && disk.truncate(&name, found.valid_bytes).is_ok()
                && disk.sync(&name).is_ok()
        })
    }

    fn start(&mut self) -> Option<InlineWriter> {
        let recovered = self.recover();
        if recovered {
            self.look_at_runs();
        }
        let writer = if recovered { self.options().simulated_writer(disk::NAME).ok() } else { None };
        self.counts.starts_failed += u64::from(writer.is_none());
        writer
    }

    /// What the last life left of the indexes, before the start cleans it up.
    fn look_at_runs(&mut self) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let Ok(connection) = Connection::open_with_flags_and_vfs(self.path(), flags, disk::NAME) else {
            return;
        };
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        let known = "SELECT coalesce(max(id), 0), coalesce(max(level), 0) FROM runs";
        let known = connection.query_row(known, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let Ok((newest, level)): rusqlite::Result<(i64, i64)> = known else { return };
        let others = "SELECT DISTINCT id >> 32 FROM blocks WHERE id >> 32 NOT IN (SELECT id FROM runs)";
        let mut statement = connection.prepare(others).unwrap();
        let others: Vec<i64> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        self.counts.half_runs += u64::from(others.iter().any(|run| *run > newest));
        self.counts.half_removed += u64::from(others.iter().any(|run| *run < newest));
        self.counts.level = self.counts.level.max(level);
    }

    /// Some pieces of the indexes, and which of them the fault struck.
    fn rest(&mut self, writer: &mut InlineWriter) {
        for _ in 0..self.rng.below(16) {
            let failed_syncs = disk::with(self.number, |disk| disk.failed_syncs);
            writer.rest();
            let is_cut = !disk::with(self.number, |disk| disk.power);
            if is_cut || writer.status().index_error.is_some() {
                let is_sync = disk::with(self.number, |disk| disk.failed_syncs) > failed_syncs;
                let fault = if is_cut {
                    "cut"
                } else if is_sync {
                    "sync"
                } else {
                    "write"
                };
                let text = format!("{writer:?}");
                let stage = text.split("stage: ").nth(1).unwrap();
                let stage = stage.chars().take_while(|c| c.is_alphanumeric()).collect();
                *self.counts.pieces.entry((fault, stage)).or_insert(0) += 1;
            }
            if is_cut || writer.stopped().is_some() {
                break;
            }
        }
    }

    /// One life of the process: start, check, work, and an end.
    fn live(&mut self, faults: Faults, batches: u64) {
        self.counts.lives += 1;
        disk::with(self.number, |disk| disk.set(faults));
        if let Some(mut writer) = self.start() {
            if disk::with(self.number, |disk| disk.power) {
                self.check(&writer);
            }
            for _ in 0..batches {
                if writer.stopped().is_some() || !disk::with(self.number, |disk| disk.power) {
                    break;
                }
                self.batch(&mut writer);
                self.close(&mut writer);
                self.rest(&mut writer);
            }
            self.counts.stopped += u64::from(writer.stopped().is_some());
            self.counts.checkpoints_failed += writer.status().checkpoint_failures;
        }
        self.counts.cuts += u64::from(!disk::with(self.number, |disk| disk.power));
        let cut = self.rng.chance(2);
        disk::with(self.number, |disk| if cut || !disk.power { disk.cut() } else { disk.kill() });
    }

    fn batch(&mut self, writer: &mut InlineWriter) {
        let mut expected = self.versions.clone();
        let mut units = Vec::new();
        for _ in 0..=self.rng.below(6) {
            let account = self.rng.below(ACCOUNTS);
            let number = self.known.next;
            self.known.next += 1;
            let size = if self.rng.chance(8) { 9_000 } else { self.rng.below(600) };
            let version = expected.entry(account).or_insert(0);
            // Now and then a unit that must be refused.
            let wrong = self.rng.chance(10);
            units.push((number, account, two_streams(number, account, *version + u64::from(wrong), size)));
            *version += 2 * u64::from(!wrong);
        }
        let list = (PartitionId::new(0), units.iter().map(|(_, _, unit)| unit.clone()).collect());
        let results = writer.commit(&[list]).remove(0);
        // When the power went meanwhile, nobody heard the answers.
        let heard = disk::with(self.number, |disk| disk.power);
        for ((number, account, _), result) in units.into_iter().zip(results) {
            match result {
                _ if !heard => drop(self.known.open.insert(number)),
                Ok(committed) => {
                    assert!(committed.recorded_at > self.closed, "{committed:?}, closed at {}", self.closed);
                    self.counts.acknowledged += 1;
                    self.known.present.insert(number);
                    *self.versions.entry(account).or_insert(0) += 2;
                }
                Err(AppendFailure::Unknown(_)) => {
                    self.counts.unknown += 1;
                    self.known.open.insert(number);
                }
                Err(_) => {
                    self.counts.refused += 1;
                    self.known.absent.insert(number);
                }
            }
        }
    }

    /// Now and then the partition is closed. The clock stands, so that the time stands in the store only.
    fn close(&mut self, writer: &mut InlineWriter) {
        if !self.closing.chance(4) {
            return;
        }
        let closed = writer.close_partitions(&[PartitionId::new(0)], Timestamp::MAX);
        if let (Ok(times), true) = (closed, disk::with(self.number, |disk| disk.power)) {
            assert!(times[0] >= self.closed, "{} after {}", times[0], self.closed);
            self.closed = times[0];
            self.counts.closed += 1;
        }
    }

    /// Reads all that is stored, after the start's first commit: what is there now stays, and what is not
    /// never comes.
    fn check(&mut self, writer: &InlineWriter) {
        self.check_pages();
        let mut parts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut streams: BTreeMap<StreamName, Vec<Record>> = BTreeMap::new();
        self.versions.clear();
        for (position, record) in (1..).zip(log(writer)) {
            assert_eq!(record.position, Position::new(position), "positions have no gaps");
            let stream = streams.entry(record.stream.clone()).or_default();
            assert_eq!(record.version.get(), stream.len() as u64 + 1, "versions have no gaps");
            let number = u64::from_le_bytes(record.data.payload[..8].try_into().unwrap());
            *parts.entry(number).or_insert(0) += 1;
            if !record.stream.is_side() {
                self.versions.insert(record.stream.id().parse().unwrap(), record.version.get());
            }
            stream.push(record);
        }
        let read = |stream: &StreamName| {
            let from = ReadFrom::After(Version::EMPTY);
            StreamRead { stream: stream.clone(), from, limit: 4_096 }
        };
        let pages = writer.read_streams(&streams.keys().map(read).collect::<Vec<_>>());
        for ((stream, records), page) in streams.iter().zip(pages) {
            assert!(page.unwrap().records == *records, "the index finds all of {stream}");
        }
        self.check_steps(writer, &streams);
        let there: BTreeSet<u64> = parts.keys().copied().collect();
        check_rows(writer, &streams, &there);
        assert!(parts.values().all(|parts| *parts == 3), "units are whole");
        let lost: Vec<_> = self.known.present.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let risen: Vec<_> = self.known.absent.intersection(&there).collect();
        assert!(risen.is_empty(), "refused and there: {risen:?}");
        for number in std::mem::take(&mut self.known.open) {
            let home = if there.contains(&number) { &mut self.known.present } else { &mut self.known.absent };
            home.insert(number);
        }
        let known: BTreeSet<u64> = self.known.present.clone();
        assert_eq!(there, known, "nothing else is there");
    }

    /// The steps that were left open are listed, and no others.
    fn check_steps(&self, writer: &InlineWriter, streams: &BTreeMap<StreamName, Vec<Record>>) {
        let category = ACCOUNT.side().to_string();
        let (older_than, after) = (std::time::Duration::ZERO, None);
        let read =
            OpenStepsRead { partition: PartitionId::new(0), category, older_than, after, limit: 4_096 };
        let listed: BTreeSet<_> =
            writer.open_steps(&read).unwrap().into_iter().map(|step| step.stream).collect();
        let is_open = |records: &Vec<Record>| matches!(records[0].data.kind, RecordKind::Requested { .. });
        let open = streams.iter().filter(|(_, records)| is_open(records)).map(|(stream, _)| stream.clone());
        assert_eq!(listed, open.collect());
    }

    fn check_pages(&self) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags_and_vfs(self.path(), flags, disk::NAME).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

fn log(writer: &InlineWriter) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map_or(Position::START, |record| record.position);
        let page = writer.read_log(PartitionId::new(0), after, 100).unwrap();
        if page.records.is_empty() {
            return records;
        }
        page.records.iter().for_each(|record| record.verify().unwrap());
        records.extend(page.records);
    }
}

/// Two records in the account's stream and one in a side stream; each payload begins with the unit's number. Every
/// second one leaves a step open.
fn two_streams(number: u64, account_number: u64, version: u64, size: u64) -> Unit {
    let id = account_number.to_string();
    let mut payload = number.to_le_bytes().to_vec();
    payload.extend((0..size).map(|n| n as u8));
    let record = || event("Held", &payload);
    let transaction = TransactionId::derive("simulation", &number.to_string());
    let side = side(&id, transaction);
    let requested = RecordKind::Requested { aggregate_version: Version::new(version) };
    let of_side = match number % 2 {
        0 => NewRecord { payload: payload.clone().into(), ..framework(requested, Some(cause(transaction))) },
        _ => record(),
    };
    let appends = vec![
        append(&account(&id), Version::new(version), vec![record(), record()]),
        append(&side, Version::EMPTY, vec![of_side]),
    ];
    Unit { appends, rows: rows_of(number, &id) }
}

fn seeds() -> std::ops::Range<u64> {
    0..u64::from(sidestream::testkit::effort::cases(60))
}

fn random_faults(rng: &mut Rng) -> Faults {
    let at = |rng: &mut Rng| 1 + rng.below(160);
    let times = |rng: &mut Rng| if rng.chance(2) { 1 } else { 1 + rng.below(40) };
    let mut faults = Faults::default();
    match rng.below(8) {
        0 | 1 => faults.cut_at = Some(at(rng)),
        2 => faults.sync_fails = Some((at(rng), times(rng))),
        3 => faults.full = Some((at(rng), times(rng))),
        4 => faults.write_fails = Some((at(rng), times(rng))),
        5 => {
            faults.sync_fails = Some((at(rng), times(rng)));
            faults.cut_at = Some(at(rng));
        }
        6 => {
            faults.sync_fails = Some((at(rng), 1));
            faults.full = Some((at(rng), times(rng)));
            faults.write_fails = Some((at(rng), 1));
        }
        _ => {}
    }
    faults
}

#[test]
fn random_faults_over_many_lives() {
    let mut total = Counts::default();
    // 2148: the cut-off last frame of a commit on a full disk, made whole by older bytes behind the cut.
    for seed in seeds().chain([2_148]) {
        let mut run = Run::new(1_000_000 + seed, seed);
        for _ in 0..6 {
            let faults = random_faults(&mut run.rng);
            let batches = 2 + run.rng.below(25);
            run.rebuild = run.rng.chance(6);
            run.live(faults, batches);
        }
        run.live(Faults::default(), 1);
        run.live(Faults::default(), 0);
        add(&mut total, &run.counts);
    }
    println!("{total:?}");
    assert!(total.closed > 100, "{total:?}");
    assert!(total.acknowledged > 1_000 && total.refused > 100 && total.unknown > 10, "{total:?}");
    assert!(total.level >= 1 && total.half_runs > 10 && total.half_removed > 0, "{total:?}");
    assert!(total.stopped > 0 && total.starts_failed > 0 && total.checkpoints_failed > 0, "{total:?}");
}

#[test]
fn the_power_goes_at_every_single_operation() {
    let total = cut_everywhere(2_000_000, false);
    // With nothing to do for the indexes, a checkpoint is all that is left.
    for stage in STAGES.iter().chain(&["Idle"]) {
        assert!(total.pieces.contains_key(&("cut", (*stage).to_owned())), "{stage}: {total:?}");
    }
    assert!(total.half_runs > 10 && total.half_removed > 0, "{total:?}");
}

/// A rebuild throws the indexes away and makes them anew, piece by piece: the next start goes on behind any of these.
#[test]
fn the_power_goes_at_every_single_operation_of_a_rebuild() {
    let total = cut_everywhere(5_000_000, true);
    assert!(total.half_runs > 2, "{total:?}");
}

/// Cuts the power at each operation of a life in which the indexes are written, merged and cleared of what was
/// merged.
fn cut_everywhere(number: u64, rebuild: bool) -> Counts {
    let mut total = Counts::default();
    for cut_at in 1.. {
        let mut run = Run::new(number + cut_at, cut_at);
        run.rng = Rng(78);
        run.live(Faults::default(), BEFORE);
        run.rng = Rng(77);
        run.rebuild = rebuild;
        run.live(Faults { cut_at: Some(cut_at), ..Faults::default() }, if rebuild { 3 } else { 7 });
        run.rebuild = false;
        let is_reached = run.counts.cuts > 0;
        run.live(Faults::default(), 2);
        run.live(Faults::default(), 0);
        add(&mut total, &run.counts);
        if !is_reached {
            break;
        }
    }
    assert!(total.cuts > 100, "{total:?}");
    total
}

#[test]
fn a_sync_fails_at_every_single_operation_once_and_for_ever() {
    let mut total = Counts::default();
    for times in [1, u64::MAX] {
        for at in 1..200 {
            let mut run = Run::new(3_000_000 + at * 2 + times % 2, at);
            run.rng = Rng(78);
            run.live(Faults::default(), BEFORE);
            run.rng = Rng(77);
            run.live(Faults { sync_fails: Some((at, times)), ..Faults::default() }, 9);
            run.live(Faults::default(), 2);
            run.live(Faults::default(), 0);
            add(&mut total, &run.counts);
        }
    }
    assert!(total.unknown > 50 && total.stopped > 20 && total.refused > 100, "{total:?}");
    for stage in STAGES {
        assert!(total.pieces.contains_key(&("sync", stage.to_owned())), "{stage}: {total:?}");
    }
}

#[test]
fn a_full_disk_never_stops_the_store_and_work_resumes_with_room() {
    let mut total = Counts::default();
    for at in 1..130 {
        let mut run = Run::new(4_000_000 + at, at);
        run.live(Faults::default(), BEFORE);
        let before = run.counts.acknowledged;
        run.live(Faults { full: Some((at, 30)), ..Faults::default() }, 40);
        assert_eq!(run.counts.stopped, 0, "{at}");
        assert!(run.counts.starts_failed > 0 || run.counts.acknowledged > before, "{at}");
        run.live(Faults::default(), 2);
        run.live(Faults::default(), 0);
        add(&mut total, &run.counts);
    }
    assert!(total.refused > 1_000, "{total:?}");
    for stage in STAGES {
        assert!(total.pieces.contains_key(&("write", stage.to_owned())), "{stage}: {total:?}");
    }
}

fn add(total: &mut Counts, one: &Counts) {
    total.lives += one.lives;
    total.acknowledged += one.acknowledged;
    total.closed += one.closed;
    total.refused += one.refused;
    total.unknown += one.unknown;
    total.stopped += one.stopped;
    total.starts_failed += one.starts_failed;
    total.checkpoints_failed += one.checkpoints_failed;
    total.cuts += one.cuts;
    total.half_runs += one.half_runs;
    total.half_removed += one.half_removed;
    total.level = total.level.max(one.level);
    for (piece, count) in &one.pieces {
        *total.pieces.entry(piece.clone()).or_insert(0) += count;
    }
}
