//! The database of a run: whether its store is ours to write to, and how large it is.

use crate::cli::bench::runs;
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::store::EventStore;
use crate::store::postgres::{Address, Parameter, PostgresStore, Session, connecting, failed, is_there};
use crate::stream::Position;

/// The schema of a store.
pub(super) const SCHEMA: &str = "sidestream";
const SIZE: &str = include_str!("sql/pg_size.sql");

/// Opens the store, and makes it where there is none. One that holds something must be of an earlier run.
pub(super) async fn open(url: &PostgresUrl) -> Result<PostgresStore, Failure> {
    let is_new = !is_there(&session(url).await?).await?;
    // A schema that is there may be somebody's: it is not brought up to date before it is known to be ours.
    let store = PostgresStore::builder(url.secret()).migrate(is_new).open().await?;
    match runs::count(&store).await? {
        0 if !is_empty(&store).await? => Err(Failure::Call(format!(
            "the store in {url} is no store of an earlier run: it holds no record of one; choose another database"
        ))),
        _ => Ok(store),
    }
}

async fn is_empty(store: &PostgresStore) -> Result<bool, Failure> {
    for partition in store.properties().partitions.all() {
        if store.read_log(partition, Position::START, 1).await?.head > Position::START {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The size of a schema's tables with their indexes, in bytes.
pub(super) async fn size(url: &PostgresUrl, schema: &str) -> Result<u64, Failure> {
    let parameters: [Parameter<'_>; 1] = [(&schema, tokio_postgres::types::Type::TEXT)];
    let rows = session(url).await?.query(SIZE, &parameters).await;
    let rows = rows.map_err(|source| failed("measuring the tables", source))?;
    let bytes = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// A connection of the program's own.
pub(super) async fn session(url: &PostgresUrl) -> Result<Session, Failure> {
    let address = Address::parse(url.secret(), None)?;
    Ok(Session::open(&address).await.map_err(connecting)?)
}
