//! What the view saw against what the log holds.

use std::collections::HashMap;

use sidestream::EventStore;
use sidestream::stream::Position;

use crate::Failure;
use crate::place::Views;

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) events: u64,
    pub(crate) missed: u64,
    /// Seen twice, or seen and not in the log.
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
}

type Row = (i64, String, i64);

pub(crate) async fn compare(store: &dyn EventStore, view: &Views) -> Result<Truth, Failure> {
    let mut truth = Truth::default();
    for partition in store.properties().partitions.all() {
        let rows = seen(view, partition.get()).await?;
        let (mut times, mut versions) = (HashMap::<i64, u64>::new(), HashMap::<&str, i64>::new());
        for (position, stream, version) in &rows {
            *times.entry(*position).or_default() += 1;
            let before = versions.insert(stream, *version).unwrap_or(0);
            truth.out_of_order += u64::from(*version <= before);
        }
        let mut after = Position::START;
        loop {
            let page = store.read_log(partition, after, 4_096).await?;
            for record in &page.records {
                truth.events += 1;
                match times.remove(&record.position.get().cast_signed()) {
                    None => truth.missed += 1,
                    Some(times) => truth.doubled += times - 1,
                }
            }
            after = page.read_to;
            if page.read_to >= page.head {
                break;
            }
        }
        truth.doubled += times.into_values().sum::<u64>();
    }
    Ok(truth)
}

/// What was written down of a partition, in the order in which it was.
async fn seen(view: &Views, partition: u16) -> Result<Vec<Row>, Failure> {
    match view {
        Views::Sqlite(view) => {
            let look = move |connection: &sidestream::projection::sqlite::rusqlite::Connection| {
                let sql = "SELECT position, stream, version FROM race WHERE partition = ?1 ORDER BY number";
                let mut rows = connection.prepare(sql)?;
                rows.query_map([partition], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            };
            Ok(view.read(look).await?)
        }
        Views::Postgres(view) => {
            let sql = format!(
                "SELECT position, stream, version FROM race WHERE partition = {partition} ORDER BY number"
            );
            let rows = view.read(&sql, &[]).await?;
            let row = |row: &sidestream::projection::postgres::tokio_postgres::Row| {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            };
            rows.iter().map(row).collect()
        }
    }
}
