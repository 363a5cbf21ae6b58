//! The parent: it starts the others, kills them, and asks for the truth.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sidestream::clock::sleep;
use sidestream::projection::postgres::tokio_postgres::{Client, NoTls, connect};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Failure;
use crate::arguments::{Arguments, Role};
use crate::chance::Chance;
use crate::place::{Place, Views, heads, sum};
use crate::truth;

/// What a process told: its number, and a line.
type Told = (usize, String);

pub(crate) async fn race(mut arguments: Arguments) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    if arguments.store.is_none() {
        arguments.store = Some(format!("sqlite:{}", folder.path().join("events.db").display()));
    }
    let place = Place::of(&arguments)?;
    let beside = match &arguments.beside {
        Some(url) => Some(write_beside(url).await?),
        None => None,
    };
    let mut race = Race::new(arguments);
    let truth = loop {
        match &place {
            Place::Sqlite(_) => race.until_it_ends().await?,
            Place::Postgres(_) => race.until_enough(&place).await?,
        }
        race.end().await;
        let (store, view) = (place.store().await?, place.view().await?);
        let truth = truth::compare(&*store, &view).await?;
        // A server may still commit what a writer sent that was killed: then there is more to project.
        let written = sum(&heads(&*store).await?);
        if !matches!(place, Place::Postgres(_)) || projected(&view).await? == written {
            break truth;
        }
    };
    drop(beside);
    let figures = serde_json::json!({
        "events": truth.events,
        "missed": truth.missed,
        "doubled": truth.doubled,
        "out_of_order": truth.out_of_order,
        "lag_p99_ms": p99(&race.lags),
        "fenced": race.fenced,
        "takeover_p99_ms": p99(&race.takeovers),
    });
    println!("killed {} processes", race.killed);
    println!("{figures}");
    Ok(truth.missed + truth.doubled + truth.out_of_order == 0)
}

/// A transaction that has written in another database, and stays open.
async fn write_beside(url: &str) -> Result<Client, Failure> {
    let (client, connection) = connect(url, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; CREATE TABLE race_beside (a int); INSERT INTO race_beside VALUES (1)")
        .await?;
    Ok(client)
}

struct Race {
    arguments: Arguments,
    processes: BTreeMap<usize, (Role, Child)>,
    started: usize,
    epoch: u64,
    lines: (UnboundedSender<Told>, UnboundedReceiver<Told>),
    chance: Chance,
    killed: u64,
    fenced: u64,
    /// How often events took so many milliseconds to the view's commit.
    lags: BTreeMap<u64, u64>,
    takeovers: BTreeMap<u64, u64>,
    /// Since when a new process that projects is waited for.
    taken: Option<Instant>,
}

impl Race {
    fn new(arguments: Arguments) -> Self {
        Self {
            arguments,
            processes: BTreeMap::new(),
            started: 0,
            epoch: 0,
            lines: unbounded_channel(),
            chance: Chance::new(),
            killed: 0,
            fenced: 0,
            lags: BTreeMap::new(),
            takeovers: BTreeMap::new(),
            taken: None,
        }
    }

    fn start(&mut self, role: Role) -> Result<(), Failure> {
        self.epoch += u64::from(role != Role::Write);
        let number = self.started;
        self.started += 1;
        let mut child = Command::new(std::env::current_exe()?)
            .args(self.arguments.of(role, self.epoch))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (sender, output) = (self.lines.0.clone(), child.stdout.take().ok_or("a process without output")?);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send((number, line)).ok();
            }
            sender.send((number, "ended".to_owned())).ok();
        });
        self.processes.insert(number, (role, child));
        Ok(())
    }

    /// Ends one process by its id, and takes leave of it.
    async fn kill(&mut self, number: usize) -> Option<Role> {
        let (role, mut child) = self.processes.remove(&number)?;
        child.kill().await.ok();
        self.killed += 1;
        Some(role)
    }

    async fn end(&mut self) {
        while let Some((number, _)) = self.processes.first_key_value() {
            let number = *number;
            self.kill(number).await;
        }
    }

    /// One process writes and projects; it ends when there is enough.
    async fn until_it_ends(&mut self) -> Result<(), Failure> {
        self.start(Role::Both)?;
        while let Some((number, line)) = self.lines.1.recv().await {
            if line == "ended"
                && let Some((_, mut child)) = self.processes.remove(&number)
            {
                let status = child.wait().await?;
                if !status.success() {
                    return Err(format!("a process failed: {status}").into());
                }
                return Ok(());
            }
            if line == "kill" && self.kill(number).await.is_some() {
                self.taken = Some(Instant::now());
                self.start(Role::Both)?;
            }
            self.note(&line);
        }
        Ok(())
    }

    /// Several processes write, and one projects, until there is enough and all of it is projected.
    async fn until_enough(&mut self, place: &Place) -> Result<(), Failure> {
        let store = place.store().await?;
        self.start(Role::Project)?;
        let mut is_enough = sum(&heads(&*store).await?) >= self.arguments.events;
        for _ in 0..if is_enough { 0 } else { self.arguments.writers.max(1) } {
            self.start(Role::Write)?;
        }
        let view = place.view().await?;
        loop {
            while let Ok((number, line)) = self.lines.1.try_recv() {
                self.take_in(number, &line, is_enough).await?;
            }
            let written = sum(&heads(&*store).await?);
            if !is_enough && written >= self.arguments.events {
                is_enough = true;
                self.kill_writers().await;
                continue;
            }
            if is_enough && projected(&view).await? == written {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn kill_writers(&mut self) {
        let writers: Vec<usize> = self
            .processes
            .iter()
            .filter(|(_, (role, _))| *role == Role::Write)
            .map(|(number, _)| *number)
            .collect();
        for number in writers {
            self.kill(number).await;
        }
    }

    async fn take_in(&mut self, number: usize, line: &str, is_enough: bool) -> Result<(), Failure> {
        if line == "kill" && !is_enough {
            if let Some(role) = self.kill(number).await {
                self.start(role)?;
            }
            // The one that projects dies as often as one of the writers.
            if self.taken.is_none() && self.chance.below(u64::from(self.arguments.writers.max(1))) == 0 {
                self.replace_projector().await?;
            }
        } else if line == "ended"
            && let Some((_, mut child)) = self.processes.remove(&number)
        {
            let status = child.wait().await?;
            if !status.success() {
                return Err(format!("a process failed: {status}").into());
            }
        }
        self.note(line);
        Ok(())
    }

    /// Every other time the old one is not killed: it has to find out that it is not wanted any more.
    async fn replace_projector(&mut self) -> Result<(), Failure> {
        let projectors: Vec<usize> = self
            .processes
            .iter()
            .filter(|(_, (role, _))| *role == Role::Project)
            .map(|(number, _)| *number)
            .collect();
        let is_killed = self.chance.below(2) == 0;
        for number in projectors {
            if is_killed {
                self.kill(number).await;
            }
        }
        self.taken = Some(Instant::now());
        self.start(Role::Project)
    }

    /// Takes in what a process that projects tells.
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (word, numbers) = (words.next().unwrap_or_default(), words.flat_map(str::parse::<u64>));
        let numbers: Vec<u64> = numbers.collect();
        match (word, numbers.as_slice()) {
            ("lag", [millis, count]) => *self.lags.entry(*millis).or_default() += count,
            ("fenced", [count]) => self.fenced += count,
            ("open", []) => {
                if let Some(taken) = self.taken.take() {
                    let millis = u64::try_from(taken.elapsed().as_millis()).unwrap_or(u64::MAX);
                    *self.takeovers.entry(millis).or_default() += 1;
                }
            }
            _ => {}
        }
    }
}

/// The sum of the view's checkpoints.
async fn projected(view: &Views) -> Result<u64, Failure> {
    let Views::Postgres(view) = view else { return Ok(0) };
    let sql = "SELECT coalesce(sum(position), 0)::int8 FROM sidestream_view.places WHERE projection = 'race'";
    let rows = view.read(sql, &[]).await?;
    let sum: i64 = rows.first().ok_or("no sum")?.try_get(0)?;
    Ok(sum.cast_unsigned())
}

/// The value that 99 of 100 do not exceed; 0 where there is none.
fn p99(counts: &BTreeMap<u64, u64>) -> u64 {
    let all: u64 = counts.values().sum();
    let mut left = all - all / 100;
    for (value, count) in counts {
        if *count >= left {
            return *value;
        }
        left -= count;
    }
    0
}
