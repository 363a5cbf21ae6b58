//! Both views made anew from the log's beginning, beside the live ones, while payments go on: compared by a hash of their
//! rows, switched, and the former ones dropped.

use std::sync::Arc;
use std::time::Duration;

use sidestream::EventStore;
use sidestream::clock::sleep;
use sidestream::projection::{
    Demands, Generational, PostgresContent, Projection, Rebuild, RebuildProgress, SqliteContent, Switched,
};
use tokio::task::JoinHandle;

use crate::Failure;
use crate::show::{bar, grouped, table};
use crate::views::funds::Balances;
use crate::views::totals::{self, DailyTotals};
use crate::views::{Rows, trouble};

/// Positions that may be left to do when the live views are held: a moment's work.
const NEAR: u64 = 200;

/// A rebuild under way.
pub(crate) struct Anew(JoinHandle<Result<Made, Failure>>);

/// What it came to.
pub(super) struct Made {
    progress: RebuildProgress,
    switched: Switched,
}

impl Anew {
    pub(super) async fn start(store: Arc<dyn EventStore>, rows: &Rows) -> Result<Self, Failure> {
        Ok(Self(match rows {
            Rows::Sqlite(view) => {
                let rebuild = begin(store, view).await?;
                tokio::spawn(finish(rebuild, view.clone(), SqliteContent::AllTables))
            }
            Rows::Postgres(view) => {
                let content = PostgresContent::tables(["balances", "daily_totals", "daily_totals_order"]);
                tokio::spawn(finish(begin(store, view).await?, view.clone(), content))
            }
        }))
    }

    /// Waits until readers were switched.
    pub(super) async fn made(self) -> Result<Made, Failure> {
        self.0.await?
    }
}

async fn begin<V: Generational>(store: Arc<dyn EventStore>, view: &V) -> Result<Rebuild<V>, Failure>
where
    Balances: Projection<V::Rows>,
    DailyTotals: Projection<V::Rows>,
{
    let mut rebuild = Rebuild::begin(store, view).await?;
    rebuild.project(Balances)?;
    rebuild.project(DailyTotals)?;
    rebuild.start();
    Ok(rebuild)
}

async fn finish<V: Generational>(rebuild: Rebuild<V>, view: V, content: V::Content) -> Result<Made, Failure> {
    let bar = bar("rebuild", 0);
    loop {
        let progress = rebuild.progress().await?;
        bar.set_length(progress.done + progress.to_do);
        bar.set_position(progress.done);
        if let Some(wrong) = rebuild.status().iter().find_map(trouble) {
            return Err(wrong.into());
        }
        if progress.done > 0 && progress.to_do <= NEAR {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let switched = rebuild.switch(Demands::same(content)).await?;
    let progress = rebuild.progress().await?;
    bar.finish_and_clear();
    rebuild.shutdown().await;
    view.drop_former().await?;
    Ok(Made { progress, switched })
}

impl Made {
    pub(super) fn show(&self) {
        let Self { progress, switched } = self;
        let of_totals = switched.stands.iter().find(|stand| stand.projection.name() == totals::NAME);
        let at = of_totals.map_or(0, |stand| stand.position.get());
        let content = switched.content.map(|hash| hash.to_string()).unwrap_or_default();
        let rows = [
            ("positions applied anew", grouped(progress.done)),
            ("a second", grouped(progress.per_second)),
            ("live generation", grouped(switched.to)),
            ("daily totals switched at event", grouped(at)),
            ("content, the same of both", content.chars().take(16).collect()),
        ];
        let rows = rows.map(|(what, figure)| vec![what.to_owned(), figure]);
        println!("{}", table(&["views rebuilt meanwhile", ""], rows.to_vec()));
    }
}
