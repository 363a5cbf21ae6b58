//! cqrs-es on sqlite-es, as a good user would write it: an event-sourced aggregate, loaded for each command.
//!
//! What it guarantees: two commands on one account cannot both be decided on the same state; the loser is told
//! (`AggregateConflict`) and begins again. A command's events are one transaction of the database.
//!
//! What it does not, compared to ours: there is no idempotency. What there is of it here is the aggregate's own:
//! the ids of all holds are a part of its state, so that a retry finds its own. That lasts as long as the ids
//! are kept, and costs a load that grows with every hold; a program that forgets old ids would load less, and
//! hold twice when a late retry comes. Another content under a known id is taken for a retry; refusals are not
//! recorded, so a retry may be decided otherwise.
//!
//! Every command is a transaction of its own: commands that wait together do not share a sync.

mod account;

use std::process::ExitCode;

use clap::Parser;
use cqrs_es::AggregateError;
use sidestream_peers_load::words::{Opened, locked};
use sidestream_peers_load::{DEPOSIT, Failure, Hold, Load, MINOR, Peer, account_name, worker};
use sqlite_es::{SqliteCqrs, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Sqlite};

use account::{Account, Command};

/// The versions that this program was built with.
const LOCK: &str = include_str!("../Cargo.lock");
/// `synchronous=FULL`, as the pragma answers.
const FULL: i64 = 2;
/// As many as sqlite-es's own pool has. One, two and four were as fast, within the noise.
const CONNECTIONS: u32 = 10;

#[derive(Parser)]
#[command(about = "One peer's process, which the measuring program starts")]
struct Arguments {
    #[command(flatten)]
    load: Load,
}

fn main() -> ExitCode {
    worker::work(Arguments::parse().load, open)
}

struct CqrsEs {
    pool: Pool<Sqlite>,
    cqrs: SqliteCqrs<Account>,
}

/// Makes the tables and the accounts, and opens the pool that is measured.
async fn open(load: Load) -> Result<(CqrsEs, Opened), Failure> {
    // The accounts are made without syncs; they are no part of what is measured.
    let pool = pool(&load, SqliteSynchronous::Off, 1).await?;
    sqlx::raw_sql(include_str!("init.sql")).execute(&pool).await?;
    let cqrs = sqlite_cqrs::<Account>(pool.clone(), vec![], ());
    for account in 0..load.accounts {
        cqrs.execute(&account_name(account), Command::Deposit { minor: DEPOSIT }).await?;
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&pool).await?;
    pool.close().await;

    let pool = self::pool(&load, SqliteSynchronous::Full, CONNECTIONS).await?;
    let opened = Opened {
        versions: ["cqrs-es", "sqlite-es", "sqlx", "libsqlite3-sys"].map(|name| locked(LOCK, name)).into(),
        notes: durability(&pool).await?,
    };
    let cqrs = sqlite_cqrs(pool.clone(), vec![], ());
    Ok((CqrsEs { pool, cqrs }, opened))
}

/// As `sqlite_es::default_sqlite_pool`, which has `synchronous=NORMAL`: a commit that it answered may be gone
/// after a loss of power.
async fn pool(
    load: &Load,
    synchronous: SqliteSynchronous,
    connections: u32,
) -> Result<Pool<Sqlite>, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(load.directory.join("cqrs-es.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true);
    Ok(SqlitePoolOptions::new().max_connections(connections).connect_with(options).await?)
}

/// Asks a connection of the pool what it was opened with, and refuses anything that would lose commits.
async fn durability(pool: &Pool<Sqlite>) -> Result<Vec<String>, Failure> {
    let mut connection = pool.acquire().await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let sqlite: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *connection).await?;
    if synchronous != FULL || journal != "wal" {
        return Err(format!("expected synchronous {FULL} and wal, found {synchronous} and {journal}").into());
    }
    Ok(vec![format!(
        "read back: synchronous={synchronous} (FULL), journal_mode={journal}; SQLite {sqlite}, {CONNECTIONS} connections"
    )])
}

impl Peer for CqrsEs {
    async fn hold(&self, _: usize, hold: Hold) -> Result<u64, Failure> {
        let account = account_name(hold.account);
        let mut retries = 0;
        loop {
            let command = Command::Hold { transaction: hold.transaction, minor: MINOR };
            match self.cqrs.execute(&account, command).await {
                Ok(()) => return Ok(retries),
                Err(AggregateError::AggregateConflict) => retries += 1,
                // Another connection wrote for longer than the busy timeout. sqlite-es has no kind for it.
                Err(AggregateError::UnexpectedError(error))
                    if error.to_string().contains("database is locked") =>
                {
                    retries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn held(&self) -> Result<u64, Failure> {
        let sum = "SELECT COALESCE(SUM(payload ->> '$.Held.minor'), 0) FROM events WHERE event_type = 'Held'";
        let held: i64 = sqlx::query_scalar(sum).fetch_one(&self.pool).await?;
        Ok(u64::try_from(held)?)
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.cqrs);
        self.pool.close().await;
        Ok(())
    }
}
