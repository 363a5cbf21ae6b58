//! A primary with standbys.

use sidestream::testkit::effort;
use sidestream::testkit::postgres::{Binaries, Quorum, Server, StopMode};

use crate::support::*;

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

fn insert(server: &Server, id: u32) {
    server.psql("postgres", &format!("INSERT INTO kept VALUES ({id})"));
}

fn started(standbys: usize) -> Option<Quorum> {
    let quorum = Quorum::start(&Binaries::found_or_skipped()?, standbys);
    quorum.primary().psql("postgres", "CREATE TABLE kept (id int PRIMARY KEY)");
    Some(quorum)
}

fn count(server: &Server) -> String {
    server.psql("postgres", "SELECT count(*) FROM kept")
}

#[test]
fn a_commit_waits_for_a_standby() {
    let Some(quorum) = started(2) else { return };
    quorum.pause_standbys();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| insert(quorum.primary(), 1));
        wait_for("the commit waits", || quorum.primary().psql("postgres", WAITING) == "1");
        assert!(!commit.is_finished());
        quorum.resume_standbys();
        commit.join().unwrap();
    });
    quorum.wait_in_sync();
    for standby in quorum.standbys() {
        assert_eq!(count(standby), "1");
    }
}

#[test]
fn one_standby_of_two_is_enough() {
    let Some(quorum) = started(2) else { return };
    quorum.standbys()[0].pause();
    insert(quorum.primary(), 1);
    quorum.resume_standbys();
}

#[test]
fn what_was_acknowledged_survives_each_failover() {
    let Some(quorum) = started(2) else { return };
    for row in 0..effort::cases(3) {
        // One of the two never gets it, and must not be the one that is promoted.
        let behind = quorum.standbys()[usize::try_from(row).unwrap() % 2];
        behind.stop(StopMode::Fast);
        insert(quorum.primary(), row);
        let old = quorum.primary().port();
        quorum.primary().kill();
        behind.start_again();
        quorum.fail_over();
        assert_ne!(quorum.primary().port(), old);
        assert_eq!(count(quorum.primary()), (row + 1).to_string());
        quorum.rejoin();
        assert_eq!(quorum.standbys().len(), 2);
    }
}

#[test]
fn a_quorum_of_two_fails_over_and_back() {
    let Some(quorum) = started(1) else { return };
    for row in 0..2 {
        insert(quorum.primary(), row);
        quorum.primary().kill();
        quorum.fail_over();
        assert_eq!(quorum.absent().len(), 1);
        quorum.rejoin();
    }
    insert(quorum.primary(), 2);
    assert_eq!(count(quorum.primary()), "3");
}

#[test]
fn an_old_primary_that_returns_acknowledges_nothing() {
    let Some(quorum) = started(2) else { return };
    quorum.fail_over();
    let old = quorum.absent()[0];
    old.start_again();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| old.try_psql("postgres", "INSERT INTO kept VALUES (1)"));
        wait_for("the commit waits", || old.psql("postgres", WAITING) == "1");
        old.kill();
        assert!(commit.join().unwrap().is_err());
    });
    quorum.rejoin();
    assert_eq!(count(quorum.primary()), "0");
}

#[test]
fn clients_find_the_primary_by_one_url() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let Some(quorum) = started(2) else { return };
    let url = quorum.fresh_database();
    let port = || {
        let mut psql = std::process::Command::new(binaries.folder().join("psql"));
        let output = psql.args(["-X", "-A", "-t", "-c", "SHOW port", &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(port(), quorum.primary().port().to_string());
    quorum.fail_over();
    assert_eq!(port(), quorum.primary().port().to_string());
}
