//! Workers, and what happens to them.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sidestream::EventStore;
use sidestream::clock::{Clock, SystemClock};
use sidestream::runtime::Runtime;
use tokio::process::{Child, Command};

use crate::Failure;
use crate::options::Options;
use crate::service::{self, Told};
use crate::views::Views;
use crate::watcher::Watcher;

/// A worker, and how it is reached.
enum Body {
    Task(Runtime),
    Process(Child),
}

struct Member {
    name: String,
    body: Body,
    /// Stopped until then.
    stopped: Option<tokio::time::Instant>,
}

/// What happened to workers, and what those that left said.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    pub(crate) started: u64,
    pub(crate) killed: u64,
    pub(crate) stopped: u64,
    pub(crate) left: u64,
    pub(crate) told: Told,
}

pub(crate) struct Fleet {
    options: Arc<Options>,
    store: Arc<dyn EventStore>,
    views: Views,
    members: Vec<Member>,
    course: Course,
    chance: u64,
}

impl Fleet {
    pub(crate) fn new(options: Arc<Options>, store: Arc<dyn EventStore>, views: Views) -> Self {
        let chance = options.seed;
        Self { options, store, views, members: Vec::new(), course: Course::default(), chance }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = usize::try_from(self.chance >> 33).unwrap_or(0);
        high.checked_rem(bound).unwrap_or(0)
    }

    /// Who is there.
    pub(crate) fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// How long nothing happens: up to twice a lease.
    pub(crate) fn pause(&mut self) -> Duration {
        let bound = usize::try_from(self.options.lease_ms * 2).unwrap_or(usize::MAX);
        Duration::from_millis(u64::try_from(self.below(bound)).unwrap_or(0))
    }

    /// Starts workers until there are as many as there should be.
    pub(crate) async fn fill(&mut self) -> Result<(), Failure> {
        while self.members.len() < self.options.workers {
            self.start()?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.course.started += 1;
        let name = format!("worker-{}", self.course.started);
        let url = self.options.store.as_ref().and_then(|store| store.shared());
        let body = match url {
            None => Body::Task(service::start(&self.options, Arc::clone(&self.store), &self.views, &name)?),
            Some(url) => Body::Process(self.process(url, &name)?),
        };
        self.members.push(Member { name, body, stopped: None });
        Ok(())
    }

    fn process(&self, url: &str, name: &str) -> Result<Child, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--store", url, "--as-worker", name]);
        for (option, number) in
            [("--partitions", u64::from(self.options.partitions)), ("--lease-ms", self.options.lease_ms)]
        {
            command.arg(option).arg(number.to_string());
        }
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
    }

    /// Something happens to one worker; and those that were stopped long enough go on.
    pub(crate) async fn happen(&mut self, watcher: &Watcher) -> Result<(), Failure> {
        self.wake(Some(tokio::time::Instant::now())).await?;
        let (chance, at) = (self.below(100), self.below(self.members.len().max(1)));
        match chance {
            _ if self.members.len() <= 1 => self.start()?,
            0..30 => {
                let member = self.members.swap_remove(at);
                watcher.gone(&member.name);
                self.kill(member).await?;
            }
            30..60 => self.halt(at, watcher).await?,
            60..80 => {
                let member = self.members.swap_remove(at);
                self.leave(member).await?;
            }
            _ => {}
        }
        if self.members.len() < self.options.workers && self.below(3) > 0 {
            self.start()?;
        }
        Ok(())
    }

    async fn kill(&mut self, member: Member) -> Result<(), Failure> {
        self.course.killed += 1;
        if let Body::Process(mut child) = member.body {
            child.kill().await?;
        }
        Ok(())
    }

    /// Stops a process for three lease times.
    async fn halt(&mut self, at: usize, watcher: &Watcher) -> Result<(), Failure> {
        let Some(member) = self.members.get_mut(at).filter(|member| member.stopped.is_none()) else {
            return Ok(());
        };
        let Body::Process(child) = &member.body else { return Ok(()) };
        signal(child, "STOP").await?;
        watcher.gone(&member.name);
        let pause = Duration::from_millis(self.options.lease_ms * 3);
        member.stopped = Some(tokio::time::Instant::now() + pause);
        self.course.stopped += 1;
        Ok(())
    }

    /// Lets those go on that were stopped until then; all, if nothing is said.
    async fn wake(&mut self, now: Option<tokio::time::Instant>) -> Result<(), Failure> {
        for member in &mut self.members {
            let is_due = member.stopped.is_some_and(|until| now.is_none_or(|now| until <= now));
            if let (true, Body::Process(child)) = (is_due, &member.body) {
                signal(child, "CONT").await?;
                member.stopped = None;
            }
        }
        Ok(())
    }

    async fn leave(&mut self, member: Member) -> Result<(), Failure> {
        let told = match member.body {
            Body::Task(service) => {
                let status = service.cluster();
                service.shutdown().await;
                Told::of(&status.borrow())
            }
            Body::Process(mut child) => {
                if member.stopped.is_some() {
                    signal(&child, "CONT").await?;
                }
                drop(child.stdin.take());
                let output = child.wait_with_output().await?;
                serde_json::from_slice(&output.stdout)?
            }
        };
        self.course.left += 1;
        self.course.told = self.course.told.and(told);
        Ok(())
    }

    /// Nothing happens any more: all go on, and there are as many as there should be.
    pub(crate) async fn calm(&mut self) -> Result<(), Failure> {
        self.wake(None).await?;
        self.fill().await
    }

    /// One leaves, where others are left.
    pub(crate) async fn one_leaves(&mut self) -> Result<(), Failure> {
        let last = if self.members.len() > 1 { self.members.pop() } else { None };
        match last {
            Some(member) => self.leave(member).await,
            None => Ok(()),
        }
    }

    /// All leave.
    pub(crate) async fn end(mut self) -> Course {
        while let Some(member) = self.members.pop() {
            let name = member.name.clone();
            if let Err(error) = self.leave(member).await {
                eprintln!("{name} did not leave well at {}: {error}", SystemClock.now());
            }
        }
        self.course
    }
}

async fn signal(child: &Child, name: &str) -> Result<(), Failure> {
    let id = child.id().ok_or("the worker is gone")?.to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status().await?;
    if status.success() { Ok(()) } else { Err(format!("signal {name} to {id}: {status}").into()) }
}
