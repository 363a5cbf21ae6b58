//! A store in PostgreSQL (15 and later), shared by any number of processes.
//!
//! The log lies in tables of the schema `sidestream`, a row for each record. An append is one call of one function:
//! it locks the counter rows of its partitions first, checks every expected version under these locks, and holds them to
//! the commit. So positions come in commit order without gaps, and other partitions commit beside it. Nobody waits for
//! one partition while it holds another, so there is nothing to deadlock with.
//!
//! What is not certain is answered [`Unknown`](crate::store::AppendFailure::Unknown): a connection that broke, a
//! server that shut down, a wait for the quorum that somebody cancelled. The next append settles it, by the versions
//! that it expects.

mod address;
mod batch;
mod commit;
mod entry;
mod failure;
mod gather;
mod gathered;
mod held;
mod identity;
mod import;
mod import_steps;
mod listener;
mod log_read;
mod mark;
mod migrations;
mod notices;
mod open;
mod options;
mod pace;
mod plan;
mod pool;
mod quorum;
mod reading;
mod record_columns;
mod row;
mod rows;
mod schema;
mod session;
mod settlement;
mod shared;
mod status;
mod steps;
mod store;
mod stream_read;
mod transaction;
mod transfer;
mod types;
mod waiting;

pub use migrations::{Migration, print_roles_sql, print_sql};
pub use options::Options;
pub use status::Status;
pub use store::PostgresStore;

// For views, and for the program's own tables and questions.
#[cfg(feature = "cli")]
pub(crate) use migrations::is_there;
pub(crate) use {
    address::Address,
    failure::{connecting, of as failed},
    open::check_server,
    pool::{Lent, Pool},
    schema::Schema,
    session::{Parameter, Session},
    transaction::Transaction,
    types::column,
};
