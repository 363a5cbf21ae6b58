//! Where store and view are.

use std::path::PathBuf;
use std::sync::Arc;

use sidestream::EventStore;
use sidestream::SqliteStore;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::projection::{PostgresView, SqliteView};
use sidestream::store::postgres::PostgresStore;
use sidestream::stream::Position;

use crate::Failure;
use crate::arguments::Arguments;

const PARTITIONS: u16 = 8;

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let store = arguments.store.as_deref().ok_or("no store is named")?;
        if let Some(path) = store.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(path.into()));
        }
        if store.starts_with("postgres:") || store.starts_with("postgresql:") {
            return Ok(Self::Postgres(store.to_owned()));
        }
        Err(format!("--store {store} is neither sqlite:PATH nor postgres://…").into())
    }

    pub(crate) async fn store(&self) -> Result<Arc<dyn EventStore>, Failure> {
        let count = PartitionCount::new(PARTITIONS)?;
        Ok(match self {
            Self::Sqlite(path) => {
                let (path, builder) = (path.clone(), SqliteStore::builder);
                let open = move || builder(path).partitions(count).open();
                Arc::new(tokio::task::spawn_blocking(open).await??)
            }
            Self::Postgres(url) => {
                let builder = PostgresStore::builder(url).partitions(count).migrate(true).notify(true);
                Arc::new(builder.open().await?)
            }
        })
    }

    pub(crate) async fn view(&self) -> Result<Views, Failure> {
        Ok(match self {
            Self::Sqlite(path) => Views::Sqlite(SqliteView::open(path.with_extension("view"))?),
            Self::Postgres(url) => {
                let builder = PostgresView::builder(url).migrate(true).connections(usize::from(PARTITIONS));
                Views::Postgres(builder.open().await?)
            }
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Views {
    Sqlite(SqliteView),
    Postgres(PostgresView),
}

/// How far each partition's log goes.
pub(crate) async fn heads(store: &dyn EventStore) -> Result<Vec<(PartitionId, Position)>, Failure> {
    let mut heads = Vec::new();
    for partition in store.properties().partitions.all() {
        heads.push((partition, store.read_log(partition, Position::START, 1).await?.head));
    }
    Ok(heads)
}

pub(crate) fn sum(heads: &[(PartitionId, Position)]) -> u64 {
    heads.iter().map(|(_, head)| head.get()).sum()
}
