//! One server.

use std::process::Command;

use sidestream::testkit::postgres::{Binaries, Server, ServerOptions, StopMode};

use crate::support::*;

const TABLE: &str = "CREATE TABLE kept (id int PRIMARY KEY)";

fn kept(server: &Server) -> String {
    server.psql("postgres", "SELECT id FROM kept ORDER BY id")
}

#[test]
fn a_server_is_as_durable_as_one_in_production() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::shared(&binaries);
    for (name, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(server.psql("postgres", &format!("SHOW {name}")), value, "{name}");
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    let (process, folder) = (server.process_id().unwrap(), server.folder().to_owned());
    assert!(is_alive(process) && folder.exists());
    drop(server);
    assert!(!is_alive(process) && !folder.exists());
}

#[test]
fn a_paused_server_is_gone_when_it_is_dropped() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    let (process, folder) = (server.process_id().unwrap(), server.folder().to_owned());
    server.pause();
    drop(server);
    assert!(!is_alive(process) && !folder.exists());
}

#[test]
fn what_was_committed_is_there_after_each_way_to_end() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    let port = server.port();
    server.psql("postgres", TABLE);
    let ends: [&dyn Fn(); 4] =
        [&|| server.kill(), &|| server.stop(StopMode::Immediate), &|| server.stop(StopMode::Fast), &|| {
            server.stop(StopMode::Smart)
        }];
    for (row, end) in ends.iter().enumerate() {
        server.psql("postgres", &format!("INSERT INTO kept VALUES ({row})"));
        end();
        assert_eq!(server.process_id(), None);
        assert!(server.try_psql("postgres", "SELECT 1").is_err());
        server.start_again();
    }
    assert_eq!(kept(&server), "0\n1\n2\n3");
    assert_eq!(server.port(), port);
}

#[test]
fn a_paused_server_answers_when_it_goes_on() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    server.pause();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| server.psql("postgres", "SELECT 1"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!answer.is_finished());
        server.resume();
        assert_eq!(answer.join().unwrap(), "1");
    });
}

#[test]
fn fresh_databases_know_nothing_of_each_other() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::shared(&binaries);
    let urls = [server.fresh_database(), server.fresh_database()];
    assert_ne!(urls[0], urls[1]);
    for url in urls {
        let database = url.rsplit('/').next().unwrap();
        server.psql(database, TABLE);
    }
}

#[test]
fn a_server_with_a_password_lets_in_who_knows_it() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start_with(&binaries, ServerOptions::default().password("it's a secret: 50 %"));
    let ask = |url: &str| {
        let mut psql = Command::new(binaries.folder().join("psql"));
        psql.args(["-X", "-w", "-A", "-t", "-c", "SELECT 1", url]).output().unwrap()
    };
    let url = server.url("postgres");
    assert_eq!(ask(&url).stdout, b"1\n", "{url}");
    let nobody = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
    assert!(!ask(&nobody).status.success());
    assert!(!ask(&url.replace("secret", "guess")).status.success());
}

#[test]
fn settings_are_a_servers_own_and_can_change() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start_with(&binaries, ServerOptions::default().setting("statement_timeout", "7s"));
    let timeout = || server.psql("postgres", "SHOW statement_timeout");
    assert_eq!(timeout(), "7s");
    server.set("statement_timeout", "8s");
    wait_for("the new setting", || timeout() == "8s");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    server.stop(StopMode::Fast);
    server.set("no_such_setting", "1");
    let error = server.try_start_again().unwrap_err();
    assert!(error.contains("unrecognized configuration parameter \"no_such_setting\""), "{error}");
}

#[test]
fn sql_that_fails_is_told_in_psqls_words() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::shared(&binaries);
    let error = server.try_psql("postgres", "SELECT 1; SELECT 1 / 0; SELECT 2").unwrap_err();
    assert!(error.contains("division by zero"), "{error}");
}
