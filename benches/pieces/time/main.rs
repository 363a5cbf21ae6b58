//! How long each piece takes, by itself. `just benches append` measures those whose names hold "append". To compare
//! two versions: `just benches --save-baseline before`, then `just benches --baseline before`, on a quiet machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod append;
mod codec;
mod fold;
mod load;
mod protocol;
mod scan;

use std::cell::LazyCell;
use std::path::Path;

use criterion::Criterion;
use sidestream_pieces::grown::Grown;

/// Where stores are made: below the target directory. In a directory in memory a sync is free.
const PLACE: &str = env!("CARGO_TARGET_TMPDIR");

fn main() {
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    codec::benches(&mut criterion);
    protocol::benches(&mut criterion);
    fold::benches(&mut criterion);
    append::benches(&mut criterion, Path::new(PLACE));
    // Made when the first bench that runs asks for it. It is no static, so that its directory is removed at the end.
    let grown = LazyCell::new(|| Grown::new(Path::new(PLACE)));
    load::benches(&mut criterion, &grown);
    scan::benches(&mut criterion, &grown);
    criterion.final_summary();
}
