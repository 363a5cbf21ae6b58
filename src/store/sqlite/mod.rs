//! The embedded store: one SQLite file, one writing process.
//!
//! A single thread writes. It commits all that waits in one transaction, which is synced before anybody is
//! answered; a few read-only connections read beside it. What happens when the disk fails, and why, is
//! told at the places where it is done: `writer.rs` (a failed commit), [`wal`] (a damaged log) and
//! `recovery.rs` (a start after an unclean stop).
//!
//! Never open the live file with another SQLite: most distributions' are older than the fix of the
//! WAL-reset bug, and closing the file in this process by other means ends its locks.

mod backup;
mod batch;
mod body;
mod checkpoint;
mod checkpointer;
mod closed;
mod failure;
mod fatal;
mod files;
mod gone;
mod halt;
mod import;
mod import_unit;
mod index;
mod integrity;
mod keeping;
mod lock;
mod log_read;
mod mark;
mod migrations;
mod open;
mod options;
mod pool;
mod prepared;
mod reader;
mod record;
mod recovery;
mod request;
mod row;
mod rows;
mod settings;
mod simulated;
mod status;
mod steps;
mod store;
mod stream_read;
mod transfer;
mod truncation;
mod upkeep;
mod varint;
pub mod wal;
mod worker;
mod writer;

pub use backup::Backup;
pub use checkpoint::WalLimits;
pub use fatal::{Abort, FatalHandler};
pub use options::Options;
pub use simulated::InlineWriter;
pub use status::{Integrity, Status};
pub use store::SqliteStore;
pub use writer::List;
