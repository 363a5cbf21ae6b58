//! The same program on PostgreSQL: one argument switches. Several processes share a database there.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use sidestream::testkit::effort::Effort;
use sidestream::testkit::postgres::{Binaries, Server};

use crate::berka::{self, ROWS, totals};
use crate::program::{Run, command, folder, run};

/// A server and the URL of a fresh database on it.
fn database() -> Option<(&'static Server, String)> {
    let server = Server::shared(&Binaries::found_or_skipped()?);
    Some((server, server.fresh_database()))
}

fn replay<'a>(file: &'a Path, url: &'a str) -> [&'a str; 5] {
    ["replay", file.to_str().expect("UTF-8"), "--store", url, "--check"]
}

/// Events in the database, and the transactions that they are of.
fn events(server: &Server, url: &str) -> (i64, i64) {
    let sql = "SELECT count(*), count(DISTINCT transaction) FROM sidestream.records WHERE kind = 1";
    let told = server.psql(url.rsplit('/').next().unwrap(), sql);
    let (events, transactions) = told.split_once('|').unwrap();
    (events.parse().unwrap(), transactions.parse().unwrap())
}

#[test]
fn every_balance_of_a_real_bank_is_the_banks() {
    let Some((server, url)) = database() else { return };
    let Some(file) = berka::file() else { return };
    let folder = folder();
    let first = run(folder.path(), &replay(&file, &url)).succeeded();
    assert_eq!((first.figure("rows"), first.figure("balances that differ")), (ROWS, 0));
    let (told, commands) = (totals(&first), berka::commands(&file));
    assert_eq!((told.applied, told.refused, told.mismatches), (commands, 0, 0), "{told:?}");
    assert_eq!(events(server, &url), (commands, ROWS));
}

const PROCESSES: usize = 4;
/// Rows that the processes replay: a repeated command reads, so the whole file takes minutes.
const ROWS_OF_A_STORM: usize = 2_000;

/// How often a process is killed, of which rows.
fn storm(folder: &Path) -> Option<(u32, PathBuf)> {
    match Effort::from_env() {
        Effort::Quick => Some((4, berka::beginning(folder, ROWS_OF_A_STORM / 4)?)),
        Effort::Ci => Some((12, berka::beginning(folder, ROWS_OF_A_STORM)?)),
        Effort::Long => Some((120, berka::file()?)),
    }
}

#[test]
fn four_processes_share_a_database_and_are_killed_at_random() {
    let Some((server, url)) = database() else { return };
    let folder = folder();
    let Some((kills, file)) = storm(folder.path()) else { return };
    let start = || {
        let mut program = command(folder.path(), &replay(&file, &url));
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let mut running: Vec<Started> = (0..PROCESSES).map(|_| Started(Some(start()))).collect();
    let mut draws = Draws(7);
    let mut killed = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(50 + draws.below(350)));
        let mut child = running.swap_remove(usize::try_from(draws.below(4)).unwrap()).taken();
        // One that came to its end is started again, too: it finds nothing to do.
        if child.try_wait().unwrap().is_some() {
            Run::of(&child.wait_with_output().unwrap()).succeeded();
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        running.push(Started(Some(start())));
    }
    for mut child in running {
        let told = totals(&Run::of(&child.taken().wait_with_output().unwrap()).succeeded());
        assert_eq!((told.refused, told.mismatches), (0, 0), "{told:?}");
    }
    assert!(killed > 0, "all ended before one was killed");
    let last = totals(&run(folder.path(), &replay(&file, &url)).succeeded());
    let commands = berka::commands(&file);
    let found = (last.applied, last.replayed, last.refused, last.recovered, last.mismatches);
    assert_eq!(found, (0, commands, 0, 0, 0));
    assert_eq!(events(server, &url).0, commands, "each command took effect once");
}

/// A process that does not outlive a test that fails.
struct Started(Option<Child>);

impl Started {
    fn taken(&mut self) -> Child {
        self.0.take().expect("a process")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Numbers that are the same in each run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_payroll_day_crashes_and_recovers_there_too() {
    let Some((_, url)) = database() else { return };
    let folder = folder();
    for generation in 2..4 {
        let told = run(folder.path(), &["payroll", "--store", &url]).succeeded();
        assert!(told.stdout.contains("money in = money out"), "{told:?}");
        assert_eq!(told.figure("money in"), told.figure("money out: paid + left + held"));
        assert_eq!(told.figure("available") + told.figure("held"), told.figure("money in"));
        assert!(told.stdout.contains("both views = themselves made anew"), "{told:?}");
        assert_eq!(told.figure("live generation"), generation);
    }
}

#[test]
fn an_account_ages_there_too() {
    let Some((_, url)) = database() else { return };
    let told = run(folder().path(), &["age", "--events", "300", "--store", &url]).succeeded();
    assert!(told.stdout.contains("records read"), "{told:?}");
}

#[test]
fn a_database_that_cannot_be_used_is_named_without_the_password() {
    let Some((_, url)) = database() else { return };
    let url = url.replace("postgres@", "postgres:secret@").replace("fresh_", "no_such_");
    let told = run(folder().path(), &["payroll", "--store", &url]);
    assert!(!told.stdout.contains("secret") && !told.stderr.contains("secret"), "{told:?}");
    told.failed_with(&[
        "cannot open the store postgres://127.0.0.1",
        "create the database",
        "nothing was sent",
    ]);
}
