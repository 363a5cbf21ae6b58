//! A lease that is held, and the run that it allows.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::clock::{self, Stopwatch};
use crate::error::{Error, Result};
use crate::lease::{LeaseDuty, Trust};
use crate::processor::Run;

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself, or because it was told to stop.
    Returned(Result<()>),
    /// It was dropped, because the lease is trusted no longer.
    Distrusted,
}

/// A lease of this worker. Dropped, it ends its run at once.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) epoch: u64,
    trust: watch::Sender<Trust>,
    stop: watch::Sender<bool>,
    run: Option<AbortHandle>,
    /// Since when it is being handed over, by the worker's own clock.
    pub(super) leaving: Option<Duration>,
    /// Why it is not run: somebody has to look first.
    pub(super) failed: Option<Error>,
}

impl Held {
    pub(super) fn new(epoch: u64, trust: Trust) -> Self {
        let (trust, stop) = (watch::Sender::new(trust), watch::Sender::new(false));
        Self { epoch, trust, stop, run: None, leaving: None, failed: None }
    }

    /// Takes in a renewal whose request was sent then.
    pub(super) fn renewed(&self, sent: Duration) {
        self.trust.send_modify(|trust| *trust = trust.renewed(sent));
    }

    /// Whether it should run and does not.
    pub(super) fn is_idle(&self) -> bool {
        self.run.is_none() && self.leaving.is_none() && self.failed.is_none()
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// Whether this task is its run.
    pub(super) fn is(&self, task: Id) -> bool {
        self.run.as_ref().is_some_and(|run| run.id() == task)
    }

    /// Begins a run, for as long as the lease is trusted.
    pub(super) fn begin(
        &mut self,
        runs: &mut JoinSet<Ended>,
        since: Stopwatch,
        run: impl FnOnce(watch::Receiver<bool>) -> Run,
    ) {
        let (run, trust) = (run(self.stop.subscribe()), self.trust.subscribe());
        self.run = Some(runs.spawn(trusted(run, trust, since)));
    }

    /// Its run has ended.
    pub(super) fn ended(&mut self) {
        self.run = None;
    }

    /// Tells the run to stop after what it is about.
    pub(super) fn hand_over(&mut self, now: Duration) {
        self.leaving.get_or_insert(now);
        self.stop.send_replace(true);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(run) = &self.run {
            run.abort();
        }
    }
}

/// Drives a run until it ends, or trust does. It minds its own clock, whatever its worker waits for meanwhile.
async fn trusted(run: Run, mut trust: watch::Receiver<Trust>, since: Stopwatch) -> Ended {
    let mut run = pin!(run);
    loop {
        let (now, until) = (since.elapsed(), *trust.borrow_and_update());
        if until.duty(now) == LeaseDuty::Stop {
            return Ended::Distrusted;
        }
        tokio::select! {
            biased;
            () = clock::sleep(until.ends().saturating_sub(now)) => {}
            renewed = trust.changed() => if renewed.is_err() {
                return Ended::Distrusted;
            },
            result = &mut run => return Ended::Returned(result),
        }
    }
}
