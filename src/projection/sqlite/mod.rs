//! A view in a SQLite file of its own.
//!
//! Rows, checkpoints, epochs, parked aggregates and the list of what operators did are committed together. Tables whose
//! names begin with `sidestream_` are the view's own; all others are the handlers'.

mod catalogue;
mod content;
mod file;
mod files;
mod generation;
mod generational;
mod hold;
mod options;
mod place;
mod rows;
mod state;
mod view;

pub use content::SqliteContent;
pub use options::Options;
pub use rows::SqliteRows;
pub use rusqlite;
pub use view::SqliteView;
