//! The parent: it starts the service, kills it, and looks at the stores.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sidestream::EventStore;
use sidestream::clock::sleep;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Failure;
use crate::audit::{Audit, Figures};
use crate::client::drawn;
use crate::options::{Life, Options};
use crate::place;
use crate::report::Report;

/// How long a life lasts at most, once its stores are open.
const LONGEST: u64 = 1_200;

pub(crate) async fn run(mut options: Options) -> Result<bool, Failure> {
    let temporary = tempfile::tempdir()?;
    options.folder.get_or_insert_with(|| temporary.path().to_owned());
    let started = Instant::now();
    let mut auditor = Auditor::default();
    let bar = bar(options.crashes);
    let mut begun = 0;
    for crash in 0..options.crashes {
        // The transfers are spread over the lives, so that there is something under way at every crash.
        let up_to = (options.transfers * (crash + 1) / options.crashes).max(begun);
        let mut service = Service::start(&options, Life { from: begun, up_to, is_last: false })?;
        let lasts = Duration::from_millis(drawn(options.seed, crash) % LONGEST);
        begun = service.for_a_while(begun, lasts).await?;
        service.kill().await?;
        let figures = auditor.look(&options).await?;
        bar.set_message(format!("{} transfers, {} done", figures.begun, figures.done));
        bar.inc(1);
    }
    let last = Life { from: begun, up_to: options.transfers, is_last: true };
    let mut service = Service::start(&options, last)?;
    service.until_complete().await?;
    service.kill().await?;
    auditor.look(&options).await?;
    bar.finish_and_clear();
    let Auditor { last: figures, looks, wrong_looks, .. } = auditor;
    let (crashes, seconds) = (options.crashes, started.elapsed().as_secs_f64());
    let report = Report { wanted: options.transfers, figures, looks, wrong_looks, crashes, seconds };
    Ok(report.show())
}

fn bar(crashes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("crashes [{bar:40}] {pos}/{len} {msg} {eta}");
    let bar = ProgressBar::new(crashes);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A service's process, and what it says.
struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    fn start(options: &Options, life: Life) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(options.of(life))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a service without output")?;
        Ok(Self { child, lines: BufReader::new(output).lines() })
    }

    async fn line(&mut self) -> Result<String, Failure> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(format!("the service ended by itself: {}", self.child.wait().await?).into()),
        }
    }

    /// Listens for so long after its stores are open; up to which transfer everything was answered.
    async fn for_a_while(&mut self, mut begun: u64, lasts: Duration) -> Result<u64, Failure> {
        while self.line().await? != "ready" {}
        let end = tokio::time::Instant::now() + lasts;
        while let Ok(line) = tokio::time::timeout_at(end, self.line()).await {
            if let Some(number) = line?.strip_prefix("begun ") {
                begun = number.parse()?;
            }
        }
        Ok(begun)
    }

    async fn until_complete(&mut self) -> Result<(), Failure> {
        while self.line().await? != "complete" {}
        Ok(())
    }

    /// SIGKILL, to this process.
    async fn kill(mut self) -> Result<(), Failure> {
        self.child.kill().await?;
        Ok(())
    }
}

/// Looks at the stores while nobody writes.
#[derive(Default)]
struct Auditor {
    audit: Audit,
    last: Figures,
    looks: u64,
    wrong_looks: u64,
}

impl Auditor {
    async fn look(&mut self, options: &Options) -> Result<Figures, Failure> {
        let store: Arc<dyn EventStore> = Arc::new(place::open(options).await?);
        if !options.postgres.is_empty() {
            settled(&*store).await?;
        }
        self.last = self.audit.look(store).await?;
        self.looks += 1;
        if !self.last.is_right() {
            self.wrong_looks += 1;
            eprintln!("look {} is wrong: {:?}", self.looks, self.last);
        }
        Ok(self.last)
    }
}

/// Until nothing comes any more: a server carries out what a killed client sent.
async fn settled(store: &dyn EventStore) -> Result<(), Failure> {
    let mut before = place::heads(store).await?;
    loop {
        sleep(Duration::from_millis(50)).await;
        let now = place::heads(store).await?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
}
