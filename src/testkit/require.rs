//! Tests that need something beside this crate: a program, a file. They run wherever it is found, and show
//! where it is not; on machines that must skip nothing, they fail.

use std::path::Path;

/// The variable that names, with commas between, what must not be missing: `strace,berka`.
pub const VARIABLE: &str = "SIDESTREAM_REQUIRE";

/// Whether a program is on the path. Where it is not, says on stderr how to get it.
///
/// # Panics
/// When it is missing and `SIDESTREAM_REQUIRE` names it.
#[must_use]
pub fn program(name: &str, get_it: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    found_or_skipped(found, name, get_it)
}

/// Whether a file is there. Where it is not, says on stderr how to get it.
///
/// # Panics
/// When it is missing and `SIDESTREAM_REQUIRE` names it.
#[must_use]
pub fn file(name: &str, path: &Path, get_it: &str) -> bool {
    found_or_skipped(path.is_file(), name, get_it)
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
pub(crate) fn found_or_skipped(found: bool, name: &str, get_it: &str) -> bool {
    if found {
        return true;
    }
    let required = std::env::var(VARIABLE).unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "{name} is required and missing: {get_it}"
    );
    let test = std::thread::current();
    eprintln!("skipped {}: no {name}; {get_it}", test.name().unwrap_or("a test"));
    false
}
