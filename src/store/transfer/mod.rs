//! Moving a store to another one, of any kind: the same id, streams, versions, positions, times and checksums.
//!
//! A move never takes a moment from which both stores may be written to. The source serves while most of its log is
//! copied, and removes nothing meanwhile, so that what was compared stays as it was compared. Then it is sealed, for
//! good; the rest follows, and the copy is opened for use only when it is known to be equal.
//!
//! ```no_run
//! use std::sync::Arc;
//! use sidestream::store::sqlite::SqliteStore;
//! use sidestream::store::transfer::{self, Places};
//!
//! # async fn run() -> sidestream::Result<()> {
//! let source = Arc::new(SqliteStore::builder("old.db").as_source().open()?);
//! let target = SqliteStore::builder("new.db").as_copy_of(&*source).open()?;
//! let places = Places { source: "sqlite:old.db".into(), target: "sqlite:new.db".into() };
//! let report = transfer::copy(source, Arc::new(target), &places, Arc::new(|_| ())).await?;
//! assert!(report.is_none_or(|report| report.verified));
//! # Ok(())
//! # }
//! ```

mod compare;
mod floors;
mod mark;
mod page;
mod part;
mod progress;
mod rows;
mod run;
mod spi;
mod steps;

pub use mark::Mark;
#[cfg(feature = "postgres")]
pub(in crate::store) use mark::{copied, copying, moved};
pub use page::{ImportPage, Run};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) use page::{elsewhere, not_continued};
pub use progress::{Phase, Progress, Watcher};
pub use run::{Places, Report, ReportedPartition, copy, unseal};
pub use spi::{Floor, LogHead, RowPlace, Transfer};
