//! How long a service is away after it was killed: from opening the store to the first answer.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cli::bench::crew::Target;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::{self, Ours};
use crate::cli::bench::place;
use crate::cli::bench::plan::Plan;
use crate::cli::bench::report::RestartReport;
use crate::cli::bench::stores::Store;
use crate::cli::bench::victim;
use crate::cli::failure::Failure;
use crate::clock::{self, Stopwatch};
use crate::command::Settings;
use crate::store::sqlite::SqliteStore;

/// How long the other process writes before it is killed, from its first answers on.
const WRITING: Duration = Duration::from_millis(500);

/// Has another process write to the store, kills it, and opens the store.
pub(super) fn measure(options: &Options, path: &Path, runtime: &Runtime) -> Result<RestartReport, Failure> {
    let mut victim = Victim::start(options, path)?;
    victim.wait_until_it_writes()?;
    clock::pause(WRITING);
    victim.kill()?;

    let wal_bytes = place::wal_size(path);
    let accounts = ours::accounts(1)?;
    let order = Plan::new(&Options { hot: true, ..options.clone() }).order(0, false);
    let watch = Stopwatch::start();
    let store = Store::Sqlite(SqliteStore::open(path)?);
    let opened = watch.elapsed();
    runtime.block_on(async {
        let handler = store.handler(Settings::default());
        Ours::new(handler, accounts).carry_out(vec![order]).await?;
        let answered = watch.elapsed();
        store.close().await?;
        Ok(RestartReport {
            restart_seconds: Some(answered.as_secs_f64()),
            restart_open_seconds: Some(opened.as_secs_f64()),
            restart_wal_bytes: Some(wal_bytes),
        })
    })
}

/// The other process. It does not outlive this.
struct Victim(Child);

impl Victim {
    fn start(options: &Options, path: &Path) -> Result<Self, Failure> {
        let child = Command::new(std::env::current_exe()?)
            .args(victim::arguments(options, path))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    fn wait_until_it_writes(&mut self) -> Result<(), Failure> {
        let mut line = String::new();
        if let Some(stdout) = self.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.trim() == victim::WRITING {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        let said = said.trim();
        Err(Failure::Run(format!("the process that was to be killed ended by itself: {said}")))
    }

    fn kill(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.0.try_wait()? {
            return Err(Failure::Run(format!("the process that was to be killed ended by itself: {status}")));
        }
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
