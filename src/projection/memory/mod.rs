//! A view in memory, folded from the log's beginning each time the process starts.

mod generational;
mod kept;
mod view;

pub use generational::MemoryContent;
pub use view::MemoryView;
