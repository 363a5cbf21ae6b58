//! Where PostgreSQL's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::testkit::require;

/// The variable that names the folder with PostgreSQL's programs, before any other place is tried.
const VARIABLE: &str = "SIDESTREAM_POSTGRES_BIN";
/// Where Debian and its relatives install each major version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What the store needs.
const LEAST_MAJOR: u32 = 15;
const PROGRAMS: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pg_basebackup", "psql"];

/// The folder with PostgreSQL's programs, version 15 or later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Looks in `SIDESTREAM_POSTGRES_BIN`, then for the highest version below `/usr/lib/postgresql`, then in
    /// the folders of `PATH`.
    ///
    /// # Panics
    /// When the variable names a folder that lacks a program or has an older version.
    #[must_use]
    pub fn find() -> Option<Self> {
        if let Some(folder) = std::env::var_os(VARIABLE) {
            let folder = PathBuf::from(folder);
            let found = Self::in_folder(&folder);
            assert!(
                found.is_some(),
                "{VARIABLE}={}: {PROGRAMS:?} of version {LEAST_MAJOR} or later were expected there",
                folder.display()
            );
            return found;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = debian_folders().into_iter().chain(std::env::split_paths(&path));
        folders.find_map(|folder| Self::in_folder(&folder))
    }

    /// As [`Binaries::find`]. Where there are none, says on stderr how to get them.
    ///
    /// # Panics
    /// When there are none and `SIDESTREAM_REQUIRE` names `postgres`; as [`Binaries::find`].
    #[must_use]
    pub fn found_or_skipped() -> Option<Self> {
        let found = Self::find();
        require::found_or_skipped(found.is_some(), "postgres", "apt-get install postgresql");
        found
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let complete = PROGRAMS.iter().all(|program| folder.join(program).is_file());
        let found = Self(folder.to_owned());
        (complete && found.major()? >= LEAST_MAJOR).then_some(found)
    }

    /// The major version, from words such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0)`.
    fn major(&self) -> Option<u32> {
        let told = self.command("postgres").arg("--version").output().ok()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let version = told.split_whitespace().nth(2)?;
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    /// A program, without what the environment tells PostgreSQL's clients, and speaking English.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.0.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("PGCONNECT_TIMEOUT", "30");
        command
    }
}

/// The folders of the installed versions, the highest first.
fn debian_folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let mut versions: Vec<_> = versions.collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.iter().map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin")).collect()
}
