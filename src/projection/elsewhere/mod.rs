//! Views in systems that know nothing of checkpoints: a cache, a search engine, another vendor's database.

mod kept;
mod rows;
mod stamp;
mod view;

pub use rows::ElsewhereRows;
pub use stamp::Stamp;
pub use view::ElsewhereView;
