//! What cannot be used is refused with one clear message that says what to do, and never shows a password.

use std::time::Duration;

use sidestream::partition::PartitionCount;
use sidestream::store::postgres::{Options, PostgresStore};
use sidestream::testkit::postgres::{Binaries, Quorum, Server, ServerOptions};

use crate::database::Database;
use crate::support::*;

/// What is done to a database that is in order, how it is opened then, and what is told.
struct Case {
    /// SQL, after the store was made. `USER` is a user of the case's own.
    damage: &'static str,
    /// What of the URL is replaced by what.
    url: (&'static str, &'static str),
    options: fn(Options) -> Options,
    told: &'static [&'static str],
}

const AS_IT_IS: fn(Options) -> Options = |options| options;
const NOTHING: (&str, &str) = ("", "");

const CASES: [Case; 12] = [
    Case {
        damage: "DROP SCHEMA sidestream CASCADE",
        url: NOTHING,
        options: AS_IT_IS,
        told: &["no schema `sidestream`", "run `sidestream migrate"],
    },
    Case {
        damage: "DELETE FROM sidestream.migrations",
        url: NOTHING,
        options: AS_IT_IS,
        told: &["older than this program needs", "expected 3 steps", "run `sidestream migrate"],
    },
    Case {
        damage: "INSERT INTO sidestream.migrations VALUES (4, '\\x00')",
        url: NOTHING,
        options: AS_IT_IS,
        told: &["newer than this program knows", "use the version of sidestream"],
    },
    Case {
        damage: "INSERT INTO sidestream.migrations VALUES (4, '\\x00')",
        url: NOTHING,
        options: |options| options.migrate(true),
        told: &["newer than this program knows", "nothing was changed"],
    },
    Case {
        damage: "UPDATE sidestream.migrations SET checksum = '\\x00'",
        url: NOTHING,
        options: AS_IT_IS,
        told: &["step 1 of the schema", "not the one this program knows", "nothing was changed"],
    },
    Case {
        damage: "DELETE FROM sidestream.meta",
        url: NOTHING,
        options: AS_IT_IS,
        told: &["sidestream.meta does not say what the store is"],
    },
    Case {
        damage: "",
        url: NOTHING,
        options: |options| options.partitions(PartitionCount::new(4).unwrap()),
        told: &["another number of partitions", "expected 4", "16", "fixed for ever"],
    },
    Case {
        damage: "",
        url: NOTHING,
        options: |options| options.migrate(true).partitions(PartitionCount::new(4).unwrap()),
        told: &["another number of partitions", "expected 4", "16", "fixed for ever"],
    },
    Case {
        damage: "",
        url: ("fresh_", "no_such_"),
        options: AS_IT_IS,
        told: &["PostgreSQL refuses the connection", "create the database"],
    },
    Case {
        damage: "",
        url: ("postgres@", "no_such_user:secret@"),
        options: AS_IT_IS,
        told: &["PostgreSQL refuses the connection", "right user and password"],
    },
    Case {
        damage: "CREATE ROLE USER LOGIN PASSWORD 'secret'",
        url: ("postgres@", "USER:secret@"),
        options: AS_IT_IS,
        told: &["may not do what is needed", "sidestream_reader or sidestream_writer", "docs/operations.md"],
    },
    Case {
        damage: "DROP SCHEMA sidestream CASCADE; CREATE ROLE USER LOGIN PASSWORD 'secret'",
        url: ("postgres@", "USER:secret@"),
        options: |options| options.migrate(true),
        told: &["may not do what is needed while migrating the schema", "as the owner of the database"],
    },
];

#[track_caller]
fn refused(what: &str, options: Options, parts: &[&str]) {
    let told = on_threads(options.patience(Duration::from_millis(300)).open()).unwrap_err().to_string();
    for part in parts {
        assert!(told.contains(part), "{what}: no {part:?} in {told}");
    }
    assert!(!told.contains("secret") && !told.contains('\n'), "{what}: {told}");
}

#[test]
fn what_does_not_fit_is_named_with_what_to_do() {
    for case in CASES {
        let database = Database::new();
        if database.server().is_none() {
            return;
        }
        let user = format!("user_of_{}", database.name());
        on_threads(PostgresStore::builder(database.url()).run_migrations()).unwrap();
        database.psql(&case.damage.replace("USER", &user));
        let before = database.psql("SELECT count(*) FROM pg_class");
        let url = database.url().replacen(case.url.0, &case.url.1.replace("USER", &user), 1);
        refused(case.told[0], (case.options)(PostgresStore::builder(url)), case.told);
        assert_eq!(
            database.psql("SELECT count(*) FROM pg_class"),
            before,
            "{:?} changed something",
            case.told
        );
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start_with(&binaries, ServerOptions::default().password("right"));
    let url = server.url("postgres").replace("right", "secret");
    refused(
        "a password",
        PostgresStore::builder(url),
        &["refuses the connection", "right user and password"],
    );
}

#[test]
fn a_standby_alone_is_no_place_to_write() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Quorum::start(&binaries, 1);
    let url = quorum.standbys()[0].url("postgres");
    let parts = ["takes writes", "hosts"];
    refused("a standby", PostgresStore::builder(&url), &parts);
    refused("a standby", PostgresStore::builder(&url).migrate(true), &parts);
}

#[test]
fn nobody_there_is_told_so() {
    let url = "postgres://u:secret@127.0.0.1:1/d";
    refused("nobody", PostgresStore::builder(url), &["cannot be reached", "see that a server"]);
}

#[test]
fn a_server_that_does_not_sync_is_refused() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start_with(&binaries, ServerOptions::default().setting("fsync", "off"));
    let options = PostgresStore::builder(server.url("postgres")).migrate(true);
    refused("fsync", options, &["fsync = on", "postgresql.conf"]);
}
