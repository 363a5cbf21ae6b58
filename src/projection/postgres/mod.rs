//! A view in a PostgreSQL database (15 and later): the log's own, or another one.
//!
//! Rows, checkpoints, epochs, parked aggregates and the list of what operators did are committed together. The view's own
//! tables stand in the schema `sidestream_view`; all others are the handlers'. Any number of processes may share it:
//! epochs say who has which place.

mod catalogue;
mod content;
mod failure;
mod generational;
mod hold;
mod options;
mod pipeline;
mod place;
mod rows;
mod schema;
mod stands;
mod statement;
mod transaction;
mod view;
mod workers;

pub use content::PostgresContent;
pub use options::Options;
pub use pipeline::OwnedParameter;
pub use rows::PostgresRows;
pub use tokio_postgres;
pub use view::PostgresView;
