//! Where the accounts are: partitions, placed on SQLite files or on databases in PostgreSQL.

use std::sync::Arc;

use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::postgres::PostgresStore;
use sidestream::{EventStore, PlacedStore, Position, SqliteStore};

use crate::Failure;
use crate::options::Options;

const PARTITIONS: u16 = 8;

/// Opens all stores, and makes those that are not there.
pub(crate) async fn open(options: &Options) -> Result<PlacedStore, Failure> {
    let stores =
        if options.postgres.is_empty() { usize::from(options.stores) } else { options.postgres.len() };
    let count = PartitionCount::new(PARTITIONS.max(u16::try_from(stores)?))?;
    let mut placement = PlacedStore::builder();
    for number in 0..stores {
        let mine: Vec<PartitionId> =
            count.all().filter(|partition| usize::from(partition.get()) % stores == number).collect();
        let store: Arc<dyn EventStore> = match options.postgres.get(number) {
            Some(url) => {
                let builder = PostgresStore::builder(url).partitions(count).migrate(true);
                Arc::new(builder.writers(2).readers(2).open().await?)
            }
            None => {
                let folder = options.folder.as_ref().ok_or("no folder is named")?;
                let path = folder.join(format!("transfers-{number}.db"));
                let open = move || SqliteStore::builder(path).partitions(count).open();
                Arc::new(tokio::task::spawn_blocking(open).await??)
            }
        };
        placement = placement.place(mine, store);
    }
    Ok(placement.open().await?)
}

/// How many records there are.
pub(crate) async fn heads(store: &dyn EventStore) -> Result<u64, Failure> {
    let mut sum = 0;
    for partition in store.properties().partitions.all() {
        sum += store.read_log(partition, Position::START, 1).await?.head.get();
    }
    Ok(sum)
}
