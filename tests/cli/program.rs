//! The program, run in a folder of the test's own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidestream"));
    // What the program makes in the temporary directory can then be seen.
    command.args(arguments).current_dir(folder).env("TMPDIR", folder).stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(folder: &Path, arguments: &[&str]) -> Self {
        let Output { status, stdout, stderr } = command(folder, arguments).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The one line of JSON, and nothing else.
    #[track_caller]
    pub fn json(self) -> Value {
        let run = self.succeeded();
        assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (1, ""), "{run:#?}");
        serde_json::from_str(&run.stdout).expect("JSON")
    }

    /// It was refused as a wrong call, with every part of the message.
    #[track_caller]
    pub fn refused_with(self, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }
}
