//! The processes that share a database, as their parent sees them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use crate::cli::bench::counts::Counts;
use crate::cli::bench::crew::Round;
use crate::cli::bench::figures::PARTS;
use crate::cli::bench::latency::Latency;
use crate::cli::bench::options::{Ids, Options};
use crate::cli::bench::shift::Course;
use crate::cli::bench::worker::{Ended, Told};
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::clock::Stopwatch;

/// All of them.
#[derive(Debug)]
pub(super) struct Workers {
    all: Vec<Worker>,
    course: Arc<Course>,
    ended: Vec<Ended>,
}

impl Workers {
    /// Starts them, and waits until each has opened the store.
    pub(super) fn start(options: &Options, url: &PostgresUrl, course: &Arc<Course>) -> Result<Self, Failure> {
        let numbers = 0..options.processes;
        let started: Result<Vec<_>, _> =
            numbers.map(|number| Worker::start(arguments(options, url, number))).collect();
        let mut all = started?;
        for worker in &mut all {
            match worker.hear()? {
                Told::Ready => {}
                other => return Err(Failure::Run(format!("a process began with {other:?}"))),
            }
        }
        Ok(Self { all, course: Arc::clone(course), ended: Vec::new() })
    }

    /// Has them send so many commands together, and waits for all answers.
    pub(super) async fn round(&mut self, commands: u64) -> Result<Round, Failure> {
        let watch = Stopwatch::start();
        let (count, course) = (self.all.len(), self.course.as_ref());
        let numbers = (0_u32..).map(|number| share(commands, number, u32::try_from(count).unwrap_or(1)));
        let ended: Result<Vec<_>, Failure> = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let workers = self.all.iter_mut().zip(numbers);
                let rounds: Vec<_> = workers
                    .map(|(worker, commands)| scope.spawn(move || worker.round(commands, course)))
                    .collect();
                let panicked = |_| Err(Failure::Run("a thread panicked".to_owned()));
                rounds.into_iter().map(|round| round.join().unwrap_or_else(panicked)).collect()
            })
        });
        self.ended = ended?;
        let mut latency = Latency::new()?;
        let mut cpu_seconds = Some(0.0);
        for one in &self.ended {
            latency.add(&one.times()?)?;
            cpu_seconds = cpu_seconds.zip(one.cpu_seconds).map(|(sum, more)| sum + more);
        }
        Ok(Round { commands, time: watch.elapsed(), latency, cpu_seconds })
    }

    /// The sums up to the end of the last round.
    pub(super) fn counts(&self) -> Counts {
        let sum = |sum: Counts, one: &Ended| sum.plus(&one.counts);
        match self.ended.split_first() {
            Some((first, others)) => others.iter().fold(first.counts.clone(), sum),
            None => Counts::default(),
        }
    }

    /// Commands a second in each tenth: the sums of those of each process.
    pub(super) fn parts(&self) -> Vec<f64> {
        let part = |at: usize| self.ended.iter().filter_map(|one| one.parts.get(at)).sum();
        (0..PARTS).map(part).collect()
    }

    /// Ends them.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.all.into_iter().try_for_each(Worker::end)
    }
}

/// The part of `all` that the one of this number has: the first ones take what cannot be shared evenly.
fn share(all: u64, number: u32, of: u32) -> u64 {
    let of = u64::from(of.max(1));
    let even = all.checked_div(of).unwrap_or(0);
    even.saturating_add(u64::from(u64::from(number) < all.checked_rem(of).unwrap_or(0)))
}

/// What the program is called with to become one of them.
fn arguments(options: &Options, url: &PostgresUrl, number: u32) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["bench", "--worker", "--store", url.secret()].map(OsString::from).into();
    let of = options.processes;
    let numbers = [
        ("--clients", share(u64::from(options.clients), number, of)),
        ("--in-flight", u64::from(options.in_flight)),
        ("--accounts", u64::from(options.accounts)),
        ("--commands", share(options.commands, number, of).max(1)),
        // So that they do not all draw the same accounts in the same order.
        ("--seed", options.seed.wrapping_add(u64::from(number))),
    ];
    for (name, number) in numbers {
        arguments.extend([name.into(), number.to_string().into()]);
    }
    let ids = if options.ids == Ids::V4 { "v4" } else { "v7" };
    arguments.extend(["--ids".into(), ids.into(), "--duplicates".into()]);
    arguments.push(options.duplicates.to_string().into());
    let hot = options.used_accounts() == 1;
    let flags = [(hot, "--hot"), (options.lists, "--lists"), (options.cold, "--cold")];
    arguments.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.into()));
    arguments
}

/// One process. It does not outlive this.
#[derive(Debug)]
struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(arguments: Vec<OsString>) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { child, orders, answers })
    }

    fn round(&mut self, commands: u64, course: &Course) -> Result<Ended, Failure> {
        if let Some(orders) = &mut self.orders {
            // One that has ended says why below.
            writeln!(orders, "{commands}").and_then(|()| orders.flush()).ok();
        }
        loop {
            match self.hear()? {
                Told::Ready => {}
                Told::Answered(answers) => course.see(answers),
                Told::Round(ended) => return Ok(*ended),
            }
        }
    }

    fn hear(&mut self) -> Result<Told, Failure> {
        let mut line = String::new();
        if let Some(answers) = &mut self.answers {
            answers.read_line(&mut line)?;
        }
        if !line.is_empty() {
            return Ok(serde_json::from_str(&line)?);
        }
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        let said = said.trim().trim_start_matches("sidestream: ");
        Err(Failure::Run(format!("one of the processes ended by itself: {said}")))
    }

    /// Without its parent's orders it ends.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.orders.take());
        drop(self.answers.take());
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Run(format!("one of the processes failed at its end: {status}")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
