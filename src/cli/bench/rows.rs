//! What the bare loop over PostgreSQL writes for a command: the very columns that the store writes for its three
//! records.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::cli::bench::account::{AGE_EVENTS, Account, Command};
use crate::cli::bench::database;
use crate::cli::bench::floor_queue::Stamp;
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::clock::{Clock, SystemClock};
use crate::command::CommandHandler;
use crate::id::TransactionId;
use crate::store::EventStore;
use crate::store::postgres::{Parameter, PostgresStore, failed};
use crate::stream::AggregateId;

const LAST_ROWS: &str = include_str!("sql/pg_last_rows.sql");
/// An account as long as the others that no command goes to.
const NOBODYS: &str = "99999999";

/// A row, as the store keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) partition: i32,
    pub(super) version: i64,
    pub(super) recorded_at: i64,
    pub(super) numbers: (i64, i64),
    pub(super) checksum: i32,
    pub(super) kind: i16,
    pub(super) schema: i32,
    pub(super) is_effect: bool,
    pub(super) key: Vec<u8>,
    pub(super) stream: String,
    pub(super) event_type: String,
    pub(super) codec: String,
    pub(super) step: Option<String>,
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) requester: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    /// Whether it lies in the transaction's own stream.
    pub(super) is_side: bool,
}

impl Kept {
    fn read(row: &Row, transaction: Uuid) -> Result<Self, Error> {
        let stream: String = row.try_get(10)?;
        Ok(Self {
            partition: row.try_get(0)?,
            version: row.try_get(1)?,
            recorded_at: row.try_get(2)?,
            numbers: (row.try_get(3)?, row.try_get(4)?),
            checksum: row.try_get(5)?,
            kind: row.try_get(6)?,
            schema: row.try_get(7)?,
            is_effect: row.try_get(8)?,
            key: row.try_get(9)?,
            is_side: stream.contains(&transaction.to_string()),
            stream,
            event_type: row.try_get(11)?,
            codec: row.try_get(12)?,
            step: row.try_get(13)?,
            fingerprint: row.try_get(14)?,
            requester: row.try_get(15)?,
            payload: row.try_get(16)?,
        })
    }
}

/// The three rows of one command, to be stamped with other transactions' ids.
#[derive(Debug)]
pub(super) struct Rows {
    transaction: Uuid,
    pub(super) kept: Vec<Kept>,
}

/// What another transaction's rows have of their own: its id, and the side stream's key and name.
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) transaction: Uuid,
    pub(super) key: Vec<u8>,
    pub(super) stream: String,
}

impl Rows {
    /// Has the store handle one command, on an account of nobody's, and reads what it wrote.
    pub(super) async fn record(store: &PostgresStore, url: &PostgresUrl) -> Result<Self, Failure> {
        let account = AggregateId::new(NOBODYS)?;
        let handler = CommandHandler::new(store.clone(), Account);
        let id = || TransactionId::new(SystemClock.new_id());
        // Its versions are no small numbers then.
        handler.handle(&account, id(), Command::Age { events: AGE_EVENTS }).await?;
        let transaction = id();
        handler.handle(&account, transaction, Command::Hold { cents: 50_000 }).await?;
        let partition = i32::from(store.properties().partitions.of(account.as_str()).get());
        let transaction = transaction.as_uuid();
        let parameters: [Parameter<'_>; 2] = [(&partition, Type::INT4), (&transaction, Type::UUID)];
        let session = database::session(url).await?;
        let rows = session.query(LAST_ROWS, &parameters).await;
        let rows = rows.map_err(|source| failed("reading a command's records", source))?;
        let kept: Vec<_> = rows.iter().map(|row| Kept::read(row, transaction)).collect::<Result<_, _>>()?;
        if kept.len() != 3 {
            return Err(Failure::Run(format!("a command has {} records, 3 were expected", kept.len())));
        }
        Ok(Self { transaction, kept })
    }
}

impl Stamp for Rows {
    type Rows = Stamped;

    fn of(&self, transaction: TransactionId) -> Stamped {
        let id = transaction.as_uuid();
        let side = self.kept.iter().find(|row| row.is_side);
        let stream = side.map_or_else(String::new, |row| {
            row.stream.replace(&self.transaction.to_string(), &id.to_string())
        });
        let mut key = side.map_or_else(Vec::new, |row| row.key.clone());
        let place = key.windows(16).position(|window| window == self.transaction.as_bytes());
        let rest = place.and_then(|place| key.get_mut(place..)).and_then(|rest| rest.first_chunk_mut::<16>());
        if let Some(rest) = rest {
            *rest = *id.as_bytes();
        }
        Stamped { transaction: id, key, stream }
    }
}
