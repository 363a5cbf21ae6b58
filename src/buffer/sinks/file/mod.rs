//! Messages into a file of JSON lines.

mod lines;
mod sink;

pub use sink::FileSink;
