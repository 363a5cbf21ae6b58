//! What happens, one thing after the other.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sidestream::{EventStore, MemoryStore, SqliteStore};
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::Failure;
use crate::audit;
use crate::body::{Body, Starter};
use crate::chance::Chance;
use crate::options::{Options, Place};
use crate::receiver::Receiver;
use crate::report::Report;
use crate::service::Told;

/// How long nothing must change before a figure is compared with the truth.
const SETTLED: Duration = Duration::from_secs(1);
/// How many looks in a row are compared.
const LOOKS: u64 = 5;

/// Runs everything, and says whether all is well.
pub(crate) async fn run(mut options: Options) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let place = options.store.get_or_insert_with(|| Place::Sqlite(folder.path().join("log.db"))).clone();
    let memory = matches!(place, Place::Memory).then(MemoryStore::new);
    if let Place::Sqlite(path) = &place
        && path.exists()
    {
        return Err(format!("{} is there already: name a file that is not", path.display()).into());
    }
    let receiver = Receiver::start(&options, folder.path()).await?;
    let (tell, told) = mpsc::unbounded_channel();
    let starter = Starter { address: receiver.address(), memory: memory.clone(), tell, options };
    let (receiver, report) = Course::new(starter, receiver, told)?.all().await?;
    let store: Arc<dyn EventStore> = match (place, memory) {
        (_, Some(memory)) => Arc::new(memory),
        (Place::Sqlite(path), _) => Arc::new(SqliteStore::open(path)?),
        (Place::Memory, None) => return Err("no store".into()),
    };
    let came = receiver.end().await?;
    let verdict = audit::compare(&store, &came).await?;
    Ok(report.show(verdict, came.duplicates))
}

struct Course {
    starter: Starter,
    receiver: Receiver,
    told: mpsc::UnboundedReceiver<Told>,
    body: Option<Body>,
    chance: Chance,
    report: Report,
    bar: ProgressBar,
    until: u64,
    done: u64,
    /// As told last by the service that runs now.
    depth: Option<u64>,
}

impl Course {
    fn new(
        starter: Starter,
        receiver: Receiver,
        told: mpsc::UnboundedReceiver<Told>,
    ) -> Result<Self, Failure> {
        let style = ProgressStyle::with_template("{msg:24} {human_pos}/{human_len} [{bar:40}] {elapsed}")?;
        let bar = ProgressBar::new(starter.options.messages).with_style(style.progress_chars("=> "));
        let (chance, body) = (Chance::new(starter.options.seed ^ 0xdead), Some(starter.start(0)?));
        let report = Report::default();
        Ok(Self { starter, receiver, told, body, chance, report, bar, until: 0, done: 0, depth: None })
    }

    async fn all(mut self) -> Result<(Receiver, Report), Failure> {
        let (began, messages) = (Instant::now(), self.starter.options.messages);
        self.bar.set_message("a bad receiver");
        self.go_on(messages / 10).await?;
        let kills = self.report.kills;
        self.troubled(|course| course.done >= course.until && course.report.kills > kills).await?;
        self.calm(messages / 10).await?;
        self.down(messages).await?;
        self.bar.set_message("a bad receiver again");
        self.receiver.calm(false);
        let kills = self.report.kills;
        self.troubled(|course| course.is_through() && course.report.kills > kills).await?;
        self.calm(messages).await?;
        self.report.took(began.elapsed());
        self.body.take().ok_or("no service")?.leave().await?;
        self.take_in_all()?;
        self.bar.finish_and_clear();
        Ok((self.receiver, self.report))
    }

    /// Everything is recorded, and nearly nothing waits.
    fn is_through(&self) -> bool {
        let waits = self.depth.unwrap_or(u64::MAX);
        self.done >= self.until && waits <= self.until / 100
    }

    /// Nobody is killed and nothing goes wrong until everything has come; then the figures have to be right.
    async fn calm(&mut self, recorded: u64) -> Result<(), Failure> {
        self.bar.set_message("everything has to come");
        self.receiver.calm(true);
        while self.done < recorded || self.depth != Some(0) {
            self.listen(Duration::from_millis(50)).await?;
        }
        self.compare(recorded).await
    }

    /// The receiver is down, and commands go on; the service is killed, too.
    async fn down(&mut self, recorded: u64) -> Result<(), Failure> {
        self.bar.set_message("the receiver is down");
        let came = self.done;
        let is_down = self.receiver.can_be_down();
        if is_down {
            self.receiver.down();
        }
        let end = Instant::now() + self.starter.options.down();
        self.go_on(recorded).await?;
        if is_down {
            let kills = self.report.kills;
            self.troubled(|course| {
                course.done >= course.until && Instant::now() >= end && course.report.kills > kills
            })
            .await?;
            self.compare_with(recorded, recorded - came).await?;
            self.receiver.up().await?;
        }
        Ok(())
    }

    async fn go_on(&mut self, until: u64) -> Result<(), Failure> {
        self.until = until;
        self.body.as_mut().ok_or("no service")?.go_on(until).await
    }

    /// Kills the service now and then, until it is enough.
    async fn troubled(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        // A lease has to expire before the next service begins to send, and what was sent behind something that was not
        // is sent again: some live long enough to get on.
        let mut next = Instant::now() + Duration::from_millis(100 + self.chance.below(1_500));
        while !is_enough(self) {
            self.listen(Duration::from_millis(20)).await?;
            if Instant::now() >= next {
                self.kill().await?;
                next = Instant::now() + Duration::from_millis(500 + self.chance.below(10_000));
            }
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<(), Failure> {
        self.body.take().ok_or("no service")?.kill().await?;
        self.take_in_all()?;
        self.report.kills += 1;
        self.depth = None;
        self.body = Some(self.starter.start(self.done)?);
        self.go_on(self.until).await
    }

    /// Compares several looks at the backlog with the truth: everything else stands still.
    async fn compare(&mut self, recorded: u64) -> Result<(), Failure> {
        let came = self.receiver.count().unwrap_or(recorded);
        self.compare_with(recorded, recorded - came).await
    }

    async fn compare_with(&mut self, recorded: u64, waits: u64) -> Result<(), Failure> {
        self.depth = None;
        while self.depth.is_none() || self.done < recorded {
            self.listen(Duration::from_millis(50)).await?;
        }
        let settled = Instant::now() + SETTLED;
        while Instant::now() < settled {
            self.listen(Duration::from_millis(50)).await?;
        }
        for _ in 0..LOOKS {
            self.depth = None;
            while self.depth.is_none() {
                self.listen(Duration::from_millis(50)).await?;
            }
            self.report.looks += 1;
            self.report.backlog_wrong += u64::from(self.depth != Some(waits));
        }
        Ok(())
    }

    /// Takes in what is told within so long.
    async fn listen(&mut self, most: Duration) -> Result<(), Failure> {
        if self.body.as_mut().ok_or("no service")?.has_ended()? {
            return Err("the service has ended by itself: see what it said above".into());
        }
        if let Ok(Some(told)) = tokio::time::timeout(most, self.told.recv()).await {
            self.take_in(told)?;
            self.take_in_all()?;
        }
        Ok(())
    }

    fn take_in_all(&mut self) -> Result<(), Failure> {
        while let Ok(told) = self.told.try_recv() {
            self.take_in(told)?;
        }
        Ok(())
    }

    fn take_in(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Told::Done(done) => self.done = self.done.max(done),
            Told::Backlog { depth, rss_kib, done, .. } => {
                self.depth = Some(depth);
                self.report.saw(depth, rss_kib);
                self.bar.set_position(done.saturating_sub(depth));
            }
            Told::Came(envelope) => self.receiver.take(envelope.as_bytes())?,
        }
        Ok(())
    }
}
