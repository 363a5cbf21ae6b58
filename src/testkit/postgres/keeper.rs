//! The small process that starts a server, and ends it when the test is over, however the test ends.

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::testkit::postgres::account::Account;
use crate::testkit::postgres::binaries::Binaries;

const SCRIPT: &str = include_str!("keeper.sh");
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A private folder, and the process that runs a server in it. Both go when this is dropped, and also when
/// this process exits, panics or is killed: the keeper's stdin is a pipe whose other end is held here only.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    account: Account,
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    pub(super) fn new(binaries: &Binaries) -> Self {
        let folder = make_folder();
        let account = Account::in_place_of(&folder);
        account.own(&folder);
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "keeper"]).arg(&folder);
        command.arg(binaries.folder().join("postgres")).arg("-D").arg(folder.join("data"));
        // In a group of its own: what a terminal sends to the test must not end the keeper before the test.
        command.env("LC_ALL", "C").current_dir(&folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = account.run(&mut command).spawn().expect("`sh` can be started");
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Self { folder, account, child, answers }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Starts the server, and returns its process id. Whether it then gets ready is another question.
    pub(super) fn start(&mut self) -> u32 {
        self.ask("start").parse().expect("the keeper answers with a process id")
    }

    /// Takes leave of a server that has ended. Only then is its process id free.
    pub(super) fn wait(&mut self) {
        self.ask("wait");
    }

    /// Removes the data of a server that does not run.
    pub(super) fn discard(&mut self) {
        self.ask("discard");
    }

    /// Runs one of PostgreSQL's programs to its end, as the server's user.
    pub(super) fn run(&self, command: &mut Command) {
        let output = self.account.run(command.current_dir(&self.folder)).output();
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed, {}:\n{told}", output.status);
    }

    fn ask(&mut self, word: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("open until the drop");
        writeln!(stdin, "{word}").expect("the keeper of a server listens; was it killed?");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper of a server answers; was it killed?");
        answer.trim().to_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// A folder that nobody else can look into.
fn make_folder() -> PathBuf {
    loop {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("sidestream-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return folder,
            // Another process of the same id, long ago, whose keeper was killed too.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot make {}: {error}", folder.display()),
        }
    }
}
