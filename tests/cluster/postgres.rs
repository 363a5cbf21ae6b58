//! Services with stores of their own on one PostgreSQL database, as processes have.

use std::cell::Cell;
use std::sync::Arc;

use sidestream::EventStore;
use sidestream::partition::PartitionCount;
use sidestream::projection::SqliteView;
use sidestream::runtime::Runtime;
use sidestream::store::postgres::PostgresStore;
use sidestream::testkit::run;

use crate::database::Database;
use crate::real::{PARTITIONS, in_sqlite, read_sqlite, settings, share};

pub async fn open(url: &str) -> Arc<dyn EventStore> {
    let count = PartitionCount::new(PARTITIONS).unwrap();
    let options = PostgresStore::builder(url).migrate(true).partitions(count);
    Arc::new(options.writers(2).readers(2).open().await.expect("opened"))
}

#[test]
fn services_on_postgres_keep_one_view_right() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        let (mut stores, next) = (Vec::new(), Cell::new(0));
        for _ in 0..3 {
            stores.push(open(&database.url()).await);
        }
        let start = |_: &Arc<dyn EventStore>, name| {
            let store = Arc::clone(&stores[next.replace(next.get() + 1) % stores.len()]);
            let builder = Runtime::builder(store).settings(settings(name));
            builder.define(in_sqlite(), SqliteView::open(&path).unwrap()).start().expect("started")
        };
        let read = async || read_sqlite(&view).await;
        share(Arc::clone(&stores[0]), crate::real::PARTITIONS, start, read).await;
    });
}
