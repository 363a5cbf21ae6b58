//! The service, as whoever kills it sees it: a process, or a task over a store in memory.

use std::process::Stdio;
use std::sync::Arc;

use sidestream::{EventStore, MemoryStore};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::Failure;
use crate::options::{Options, Place};
use crate::service::{self, Tell, Told};

pub(crate) enum Body {
    Process { child: Box<Child>, input: Option<ChildStdin>, output: JoinHandle<()> },
    Task { task: JoinHandle<Result<(), Failure>>, until: watch::Sender<Option<u64>> },
}

/// What it takes to start one.
pub(crate) struct Starter {
    pub(crate) options: Options,
    pub(crate) address: String,
    pub(crate) memory: Option<MemoryStore>,
    pub(crate) tell: mpsc::UnboundedSender<Told>,
}

impl Starter {
    /// Starts a service that goes on behind these commands.
    pub(crate) fn start(&self, from: u64) -> Result<Body, Failure> {
        let Some(store) = self.memory.clone() else { return self.process(from) };
        let (until, told) = (watch::Sender::new(Some(from)), Tell::Channel(self.tell.clone()));
        let (options, address, heard) =
            (Options { from, ..self.options.clone() }, self.address.clone(), until.subscribe());
        let store: Arc<dyn EventStore> = Arc::new(store);
        let task =
            tokio::spawn(async move { service::serve(&options, store, &address, (told, heard)).await });
        Ok(Body::Task { task, until })
    }

    fn process(&self, from: u64) -> Result<Body, Failure> {
        let Some(Place::Sqlite(path)) = &self.options.store else { return Err("no store is named".into()) };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(format!("--store=sqlite:{}", path.display()))
            .arg(format!("--sink={}", self.options.sink.name()))
            .arg(format!("--accounts={}", self.options.accounts))
            .arg(format!("--as-service={}", self.address))
            .arg(format!("--from={from}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("a process without output")?);
        let tell = self.tell.clone();
        let output = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // The last line of one that was killed may be half a line.
                if let Ok(told) = serde_json::from_str(&line) {
                    drop(tell.send(told));
                }
            }
        });
        Ok(Body::Process { child: Box::new(child), input, output })
    }
}

impl Body {
    /// Has it handle commands up to this number.
    pub(crate) async fn go_on(&mut self, until: u64) -> Result<(), Failure> {
        match self {
            Self::Process { input: Some(input), .. } => {
                input.write_all(format!("{until}\n").as_bytes()).await?;
                Ok(input.flush().await?)
            }
            Self::Process { input: None, .. } => Err("the service was told to leave".into()),
            Self::Task { until: told, .. } => {
                told.send_replace(Some(until));
                Ok(())
            }
        }
    }

    /// Kills it; what it told before is all there.
    pub(crate) async fn kill(self) -> Result<(), Failure> {
        match self {
            Self::Process { mut child, output, .. } => {
                child.kill().await?;
                Ok(output.await?)
            }
            Self::Task { task, .. } => {
                task.abort();
                drop(task.await);
                Ok(())
            }
        }
    }

    /// Whether it has ended by itself, which it never should.
    pub(crate) fn has_ended(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Process { child, .. } => Ok(child.try_wait()?.is_some()),
            Self::Task { task, .. } => Ok(task.is_finished()),
        }
    }

    /// Has it leave, and waits for it.
    pub(crate) async fn leave(self) -> Result<(), Failure> {
        match self {
            Self::Process { mut child, input, output } => {
                drop(input);
                output.await?;
                let status = child.wait().await?;
                if status.success() { Ok(()) } else { Err(format!("the service failed: {status}").into()) }
            }
            Self::Task { task, until } => {
                until.send_replace(None);
                task.await?
            }
        }
    }
}
