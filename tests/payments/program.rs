//! The example's program: found or built, run, and its output read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program beside this test's own: cargo builds examples before it runs all tests, but not when it runs
/// one test target only.
pub fn path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| example("payments"))
}

/// The program of an example.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).expect("the test lies in target/<profile>/deps");
    let program = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !is_up_to_date(&program) {
        build(folder, name);
    }
    assert!(program.exists(), "no {}: run `cargo build --example {name}`", program.display());
    program
}

/// Whether the program is there and no older than its sources, as cargo listed them beside it.
fn is_up_to_date(program: &Path) -> bool {
    let age = |path: &Path| fs::metadata(path).and_then(|about| about.modified());
    let (Ok(built), Ok(list)) = (age(program), fs::read_to_string(program.with_extension("d"))) else {
        return false;
    };
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    sources.split_whitespace().all(|source| age(Path::new(source)).is_ok_and(|changed| changed <= built))
}

fn build(folder: &Path, name: &str) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--example", name, "--profile", profile, "--target-dir"])
        .arg(folder.parent().expect("target"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the example does not build: {status}");
}

/// The program in a folder of the test's own, with these arguments.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).current_dir(folder);
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(folder: &Path, arguments: &[&str]) -> Run {
    Run::of(&command(folder, arguments).output().expect("the program runs"))
}

impl Run {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It failed, and every part of its message is there.
    #[track_caller]
    pub fn failed_with(self, parts: &[&str]) -> Self {
        assert!(self.code.is_some_and(|code| code == 1 || code == 2), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// A figure of a table, by its row's heading.
    #[track_caller]
    pub fn figure(&self, heading: &str) -> i64 {
        let row = self.rows().into_iter().find(|row| row[0] == heading);
        number(&row.unwrap_or_else(|| panic!("no row {heading:?} in {}", self.stdout))[1])
    }

    /// The rows of the tables, headings included.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('│').split('┆').map(|cell| cell.trim().to_owned()).collect()
        };
        self.stdout.lines().filter(|line| line.starts_with('│')).map(cells).collect()
    }
}

/// A figure without what sets its digits apart; amounts become minor units.
#[track_caller]
pub fn number(text: &str) -> i64 {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '.')).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text:?} is no figure"))
}

/// A folder of the test's own, gone with it.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
