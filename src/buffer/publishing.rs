//! One destination in one partition, through restarts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::buffer::ground::Ground;
use crate::buffer::run::Sending;
use crate::buffer::statuses::Statuses;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::metric::Figures;
use crate::partition::PartitionId;
use crate::processor::{ProcessorStatus, caught};
use crate::stream::Position;

/// A destination in a partition under an epoch, through restarts.
pub(super) struct Publishing {
    ground: Arc<Ground>,
    partition: PartitionId,
    epoch: u64,
    told: Arc<Statuses>,
    stop: watch::Receiver<bool>,
    figures: Figures,
}

impl Publishing {
    pub(super) fn new(
        ground: Arc<Ground>,
        partition: PartitionId,
        epoch: u64,
        (told, stop): (Arc<Statuses>, watch::Receiver<bool>),
    ) -> Self {
        let figures = Figures::of(format!("deliver {}", ground.destination.name), partition);
        let publishing = Self { ground, partition, epoch, told, stop, figures };
        publishing.tell(not_running("it starts".to_owned()));
        publishing
    }

    fn tell(&self, status: ProcessorStatus) {
        self.figures.lag(status.lag_records(), status.lag(self.ground.clock.now()));
        self.figures.parked(status.parked);
        self.told.tell(self.partition, status);
    }

    /// Runs until it is told to stop; again after a pause when the store fails.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) and [`Corrupt`](ErrorKind::Corrupt), which would come again.
    pub(super) async fn keep(mut self) -> Result<()> {
        let mut in_vain = 0;
        loop {
            let ended = caught(self.serve(&mut in_vain)).await;
            let panicked =
                || Error::new(ErrorKind::Unknown, "a publisher panicked").advice("report this with its log");
            let Err(error) = ended.unwrap_or_else(|| Err(panicked())) else { return Ok(()) };
            tracing::warn!(%error, partition = %self.partition, destination = %self.ground.destination.name, "a publisher failed");
            self.tell(not_running(error.to_string()));
            if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::LostHistory) {
                return Err(error);
            }
            let pause = self.ground.destination.settings.outage.jittered(in_vain, &*self.ground.clock);
            in_vain = in_vain.saturating_add(1);
            tokio::select! {
                () = clock::sleep(pause) => {}
                told = self.stop.wait_for(|stop| *stop) => {
                    drop(told);
                    return Ok(());
                }
            }
        }
    }

    /// Opens the place and sends, until something fails.
    async fn serve(&mut self, in_vain: &mut u32) -> Result<()> {
        let mut run = Sending::open(Arc::clone(&self.ground), self.partition, self.epoch).await?;
        *in_vain = 0;
        loop {
            if *self.stop.borrow() || self.stop.has_changed().is_err() {
                return run.leave().await;
            }
            run.fill().await?;
            let closed = run.launch();
            self.figures.applied(std::mem::take(&mut run.sent));
            self.tell(run.status());
            run.next(closed, &mut self.stop).await?;
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.figures.gone();
    }
}

fn not_running(state: String) -> ProcessorStatus {
    ProcessorStatus { state, checkpoint: None, head: Position::START, oldest: None, parked: 0 }
}
