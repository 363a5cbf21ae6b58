//! The roles that `sidestream migrate --roles` makes: what each may do, and what it hears where it may not.

use std::time::Duration;

use sidestream::command::Settings;
use sidestream::limits::Limits;
use sidestream::store::Unit;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::rows::{RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use sidestream::stream::Version;
use sidestream::{CommandHandler, Decider, ErrorKind, EventStore, Timestamp};

use crate::database::Database;
use crate::rules::{Account, Command};
use crate::support::*;

/// A database with the roles, and the URL of a user who has one of them.
fn with_user(role: &str) -> Option<(Database, String)> {
    let database = Database::new();
    database.server()?;
    on_threads(PostgresStore::builder(database.url()).roles(true).run_migrations()).unwrap();
    let user = format!("{role}_of_{}", database.name());
    database.psql(&format!("CREATE ROLE {user} LOGIN IN ROLE sidestream_{role}"));
    let url = database.url().replace("postgres@", &format!("{user}@"));
    Some((database, url))
}

fn user(url: &str) -> &str {
    url.split("//").nth(1).and_then(|rest| rest.split('@').next()).unwrap()
}

/// What psql says when this user asks.
fn refusal(database: &Database, url: &str, sql: &str) -> String {
    let sql = format!("SET ROLE {}; {sql}", user(url));
    database.server().unwrap().try_psql(database.name(), &sql).unwrap_err()
}

fn row() -> Unit {
    let key = RowKey::new("lease", "7").unwrap();
    let change = RowChange::Claim { value: "me".into(), lives: Some(Duration::from_secs(1)) };
    Unit::of_rows(vec![RowWrite { key, expected: RowExpected::Free, change }])
}

fn forgotten() -> Unit {
    let key = RowKey::new("lease", "7").unwrap();
    Unit::of_rows(vec![RowWrite { key, expected: RowExpected::Any, change: RowChange::Forget }])
}

const DEPOSIT: Command = Command::Deposit { minor: 500 };
const HOLD: Command = Command::Hold { minor: 100 };

#[test]
fn a_writer_handles_commands_and_changes_nothing_that_is_there() {
    let Some((database, url)) = with_user("writer") else { return };
    on_threads(async {
        let store = PostgresStore::open(&url).await.unwrap();
        let accounts = CommandHandler::new(store.clone(), Account);
        let id = account("7");
        let first = accounts.handle(&id, tx("1"), DEPOSIT).await.unwrap();
        assert_eq!(accounts.handle(&id, tx("1"), DEPOSIT).await.unwrap(), first);
        // A decision that fits no bound leaves its step open.
        let limits = Limits { decision_events: 0, ..Limits::default() };
        let failing = CommandHandler::builder(store.clone(), Account);
        let failing = failing.settings(Settings { limits, ..Settings::default() }).build();
        failing.submit(&id, tx("2"), HOLD, None).await.unwrap();
        // A new process hears the same, and settles what is open.
        let again = CommandHandler::new(PostgresStore::open(&url).await.unwrap(), Account);
        assert_eq!(again.recover(Duration::ZERO).await.unwrap().accepted, 1);
        assert_eq!(again.handle(&id, tx("1"), DEPOSIT).await.unwrap(), first);

        let error = store.truncate(&Account::CATEGORY.stream(&id), Version::new(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let told = error.to_string();
        assert!(told.contains("removing records") && told.contains("sidestream_compactor"), "{told}");
        // Under a held partition, too.
        let partition = store.properties().partitions.of("7");
        drop(store.hold(partition).await.unwrap());
        store.append(partition, vec![row()]).await.remove(0).unwrap();
        store.append(partition, vec![forgotten()]).await.remove(0).unwrap();
        store.close_partitions(&[partition], Timestamp::MAX).await.unwrap();
    });
    for sql in [
        "UPDATE sidestream.records SET version = 9",
        "DELETE FROM sidestream.records",
        "TRUNCATE sidestream.records",
        "TRUNCATE sidestream.open_steps",
        "UPDATE sidestream.meta SET value = '1'",
        "DELETE FROM sidestream.migrations",
        "INSERT INTO sidestream.floors VALUES (0, '', 1)",
        "DELETE FROM sidestream.partitions",
        "TRUNCATE sidestream.guarded_rows",
        "CREATE TABLE sidestream.own (id int)",
    ] {
        let told = refusal(&database, &url, sql);
        assert!(told.contains("permission denied"), "{sql}: {told}");
    }
    let told = refusal(&database, &url, "DROP TABLE sidestream.floors");
    assert!(told.contains("must be owner"), "{told}");
}

#[test]
fn a_reader_reads_and_is_told_what_it_lacks() {
    let Some((database, url)) = with_user("reader") else { return };
    on_threads(async {
        let id = account("7");
        let writing = CommandHandler::new(PostgresStore::open(database.url()).await.unwrap(), Account);
        writing.handle(&id, tx("1"), DEPOSIT).await.unwrap();

        let store = PostgresStore::open(&url).await.unwrap();
        let reading = CommandHandler::new(store.clone(), Account);
        assert_eq!(reading.query(&id, |state, _| state.unwrap().available).await.unwrap(), 500);
        let step = Account::step(&DEPOSIT);
        assert!(reading.outcome(&id, tx("1"), &step).await.unwrap().is_some());
        assert_eq!(reading.recover(Duration::ZERO).await.unwrap().settled(), 0);
        let partition = store.properties().partitions.of("7");
        let which = RowSelection::Keys(vec!["7".to_owned()]);
        store.rows(RowsRead { partition, space: "lease".to_owned(), which }).await.unwrap();
        let refused = store.append(partition, vec![row()]).await.remove(0).unwrap_err().to_string();
        assert!(refused.contains("locking rows") && refused.contains("sidestream_writer"), "{refused}");
        let refused = store.close_partitions(&[partition], Timestamp::MAX).await.unwrap_err().to_string();
        assert!(refused.contains("closing partitions") && refused.contains("sidestream_writer"), "{refused}");
        let error = reading.handle(&id, tx("2"), DEPOSIT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let told = error.to_string();
        assert!(told.contains("appending") && told.contains("sidestream_writer"), "{told}");
    });
}

#[test]
fn a_compactor_removes_records() {
    let Some((database, url)) = with_user("compactor") else { return };
    on_threads(async {
        let store = PostgresStore::open(&url).await.unwrap();
        let accounts = CommandHandler::new(store.clone(), Account);
        let id = account("7");
        for number in 0..3 {
            accounts.handle(&id, tx(number), DEPOSIT).await.unwrap();
        }
        let stream = Account::CATEGORY.stream(&id);
        assert_eq!(store.truncate(&stream, Version::new(2)).await.unwrap(), Version::new(2));
    });
    let told = refusal(&database, &url, "UPDATE sidestream.records SET version = 9");
    assert!(told.contains("permission denied"), "{told}");
}

#[test]
fn a_user_without_a_role_sees_nothing() {
    let Some((database, _)) = with_user("reader") else { return };
    let user = format!("nobody_of_{}", database.name());
    database.psql(&format!("CREATE ROLE {user} LOGIN"));
    let url = database.url().replace("postgres@", &format!("{user}@"));
    let told = on_threads(PostgresStore::open(&url)).unwrap_err().to_string();
    assert!(told.contains("sidestream_reader or sidestream_writer"), "{told}");
    let told = refusal(&database, &url, "SELECT sidestream.now_micros()");
    assert!(told.contains("permission denied"), "{told}");
}

#[test]
fn roles_are_made_again_without_harm_and_have_no_more_than_they_need() {
    let Some((database, url)) = with_user("writer") else { return };
    database.psql("GRANT DELETE ON sidestream.records TO sidestream_writer");
    on_threads(PostgresStore::builder(database.url()).roles(true).run_migrations()).unwrap();
    let told = refusal(&database, &url, "DELETE FROM sidestream.records");
    assert!(told.contains("permission denied"), "{told}");
}
