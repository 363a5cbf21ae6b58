//! Telling processes that a time has passed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock;
use crate::command::CommandHandler;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::Pauses;
use crate::partition::PartitionId;
use crate::process::deadlines::{Deadlines, Due, LONGEST_LOOK_MS};
use crate::process::deciding::Deciding;
use crate::process::dispatch::hear;
use crate::process::manager::ProcessManager;
use crate::processor::{Processor, ProcessorId, ProcessorStatus, Run, caught};
use crate::stream::Position;

/// How often it is looked: a deadline that another process put is seen after the longest of them.
const LOOKS: Pauses = Pauses { shortest_ms: 5, longest_ms: LONGEST_LOOK_MS };

/// Has processes hear their deadlines, partition by partition. What is heard twice is heard once, so two of them at once do
/// no harm, and an epoch guards nothing here.
pub(super) struct Timekeeper<P: ProcessManager> {
    id: ProcessorId,
    ground: Arc<Ground<P>>,
    status: Arc<Mutex<BTreeMap<PartitionId, ProcessorStatus>>>,
}

/// What all runs stand on.
pub(crate) struct Ground<P: ProcessManager> {
    pub(super) processes: CommandHandler<Deciding<P>>,
    pub(super) deadlines: Arc<Deadlines<P>>,
}

impl<P: ProcessManager> Timekeeper<P> {
    pub(super) fn new(ground: Ground<P>) -> Result<Self> {
        let id = ProcessorId::new(format!("deadlines of {}", P::CATEGORY))?;
        Ok(Self { id, ground: Arc::new(ground), status: Arc::default() })
    }
}

impl<P: ProcessManager> Ground<P> {
    /// Has processes hear what has passed. Returns how many there were, and how long until the next one passes.
    ///
    /// # Errors
    /// The first one's that could not be heard. Others were heard all the same.
    pub(crate) async fn tell(&self, partition: PartitionId) -> Result<(usize, Option<Duration>)> {
        let (mut told, mut after) = (Ok(0_usize), None);
        loop {
            let look = self.deadlines.look(partition, after).await?;
            for due in look.due {
                match self.tell_one(partition, due).await {
                    Ok(()) => told.iter_mut().for_each(|told| *told = told.saturating_add(1)),
                    Err(error) => told = told.and(Err(error)),
                }
            }
            after = look.more;
            if after.is_none() {
                return told.map(|told| (told, look.next));
            }
        }
    }

    async fn tell_one(&self, partition: PartitionId, due: Result<Due<P>>) -> Result<()> {
        let Due { key, process, transaction, input } = due?;
        hear(&self.processes, &process, transaction, input).await?;
        self.deadlines.forget(partition, key).await
    }
}

impl<P: ProcessManager> Processor for Timekeeper<P> {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, partition: PartitionId, _epoch: u64, stop: watch::Receiver<bool>) -> Run {
        let (ground, status) = (Arc::clone(&self.ground), Arc::clone(&self.status));
        let tell = move |state: String| {
            let head = Position::START;
            let told = ProcessorStatus { state, checkpoint: Some(head), head, oldest: None, parked: 0 };
            status.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, told);
        };
        tell("it starts".to_owned());
        Box::pin(keep(ground, partition, tell, stop))
    }

    fn status(&self, partition: PartitionId) -> Option<ProcessorStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }
}

async fn keep<P: ProcessManager>(
    ground: Arc<Ground<P>>,
    partition: PartitionId,
    tell: impl Fn(String),
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut in_vain = 0_u32;
    loop {
        // From here on: what is put while it looks is not missed.
        let changed = ground.deadlines.changed.notified();
        let told = tokio::select! {
            told = caught(ground.tell(partition)) => told.unwrap_or_else(|| Err(panicked())),
            stopped = stop.wait_for(|stop| *stop) => { drop(stopped); return Ok(()) }
        };
        in_vain = if matches!(told, Ok((1.., _))) { 0 } else { in_vain.saturating_add(1) };
        let pause = LOOKS.before(in_vain);
        let pause = match &told {
            Ok((_, next)) => next.map_or(pause, |next| next.min(pause)),
            Err(_) => pause,
        };
        tell(match told {
            Ok(_) => "it waits for the next deadline".to_owned(),
            Err(error) => {
                tracing::warn!(%error, %partition, category = %P::CATEGORY, "a deadline was not heard");
                error.to_string()
            }
        });
        tokio::select! {
            () = clock::sleep(pause) => {}
            () = changed => {}
            stopped = stop.wait_for(|stop| *stop) => { drop(stopped); return Ok(()) }
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Unknown, "whoever tells deadlines panicked").advice("report this with its log")
}

impl<P: ProcessManager> fmt::Debug for Timekeeper<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper").field("id", &self.id).finish_non_exhaustive()
    }
}
