//! Lists of tasks: they enter a lane together, so that a round reads for all of them at once, and their caller is
//! woken once.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::command::caller::{Caller, Ending, Endings, List};
use crate::command::lane::Job;
use crate::command::outcome::Outcome;
use crate::command::task::{Purpose, Task};
use crate::command::{CommandHandler, lane_ended, not_taken, outcome_of};
use crate::decider::Decider;
use crate::error::Result;
use crate::id::TransactionId;
use crate::partition::PartitionId;
use crate::stream::AggregateId;

/// A task's place in what its caller asked for, and what it is about.
pub(super) type Entry<D> = (usize, AggregateId, TransactionId, Purpose<<D as Decider>::Command>);

/// Lists on their way, and the places that their endings go to.
pub(super) struct Lists<D: Decider> {
    /// By partition: what is not sent yet.
    gathered: Vec<Vec<Entry<D>>>,
    sent: Vec<(Vec<usize>, oneshot::Receiver<Endings<D>>)>,
    endings: Vec<Option<Ending<D>>>,
}

impl<D: Decider> Lists<D> {
    pub(super) fn new(handler: &CommandHandler<D>) -> Self {
        let partitions = handler.shared.properties.partitions.all();
        Self { gathered: partitions.map(|_| Vec::new()).collect(), sent: Vec::new(), endings: Vec::new() }
    }

    /// Takes in what is asked for next, and sends a list that is full.
    pub(super) async fn push(
        &mut self,
        handler: &CommandHandler<D>,
        asked: Result<(AggregateId, TransactionId, Purpose<D::Command>)>,
    ) {
        let place = self.endings.len();
        self.endings.push(None);
        let (aggregate, transaction, purpose) = match asked {
            Ok(asked) => asked,
            Err(error) => return self.end(place, Err(error)),
        };
        let partition = handler.shared.properties.partitions.of(aggregate.cardinal());
        let Some(list) = self.gathered.get_mut(usize::from(partition.get())) else {
            return self.end(place, Err(not_taken()));
        };
        list.push((place, aggregate, transaction, purpose));
        if list.len() >= handler.shared.settings.limits.list() {
            let full = std::mem::take(list);
            self.send(handler, partition, full).await;
        }
    }

    /// Sends the rest, waits for all, and gives the endings in the order of what was asked for.
    pub(super) async fn finish(mut self, handler: &CommandHandler<D>) -> Vec<Ending<D>> {
        let rest = std::mem::take(&mut self.gathered);
        for (partition, list) in handler.shared.properties.partitions.all().zip(rest) {
            if !list.is_empty() {
                self.send(handler, partition, list).await;
            }
        }
        for (places, endings) in std::mem::take(&mut self.sent) {
            for (place, ending) in places.into_iter().zip(endings.await.unwrap_or_default()) {
                ending.into_iter().for_each(|ending| self.end(place, ending));
            }
        }
        self.endings.into_iter().map(|ending| ending.unwrap_or_else(|| Err(lane_ended()))).collect()
    }

    async fn send(&mut self, handler: &CommandHandler<D>, partition: PartitionId, entries: Vec<Entry<D>>) {
        let (list, endings) = List::new(entries.len());
        let mut places = Vec::with_capacity(entries.len());
        let mut tasks = Vec::with_capacity(entries.len());
        for (at, (place, aggregate, transaction, purpose)) in entries.into_iter().enumerate() {
            let caller = Caller::Listed { list: Arc::clone(&list), at };
            places.push(place);
            tasks.push(Box::new(Task::new(&handler.shared, aggregate, transaction, purpose, caller)));
        }
        drop(list);
        match handler.enqueue_list(partition, tasks).await {
            Ok(()) => self.sent.push((places, endings)),
            Err(error) => places.into_iter().for_each(|place| self.end(place, Err(error.clone()))),
        }
    }

    fn end(&mut self, place: usize, ending: Ending<D>) {
        if let Some(slot) = self.endings.get_mut(place) {
            *slot = Some(ending);
        }
    }
}

impl<D: Decider> CommandHandler<D> {
    /// Handles many commands, side by side across partitions; commands of one aggregate in the order
    /// given. Each gets its own result, in the order given. Cheaper than as many calls of
    /// [`handle`](Self::handle): the commands of a partition are handed over, and answered, together.
    pub async fn handle_many(
        &self,
        commands: impl IntoIterator<Item = (AggregateId, TransactionId, D::Command)>,
    ) -> Vec<Result<Outcome<D::Rejection>>> {
        let mut lists = Lists::new(self);
        for (aggregate, transaction, command) in commands {
            let asked = self.ask(command, None).map(|ask| (aggregate, transaction, Purpose::Handle(ask)));
            lists.push(self, asked).await;
        }
        let endings = lists.finish(self).await;
        endings.into_iter().map(|ending| ending.and_then(outcome_of)).collect()
    }

    /// Waits for room for the whole list, then hands it over.
    async fn enqueue_list(&self, partition: PartitionId, tasks: Vec<Box<Task<D>>>) -> Result<()> {
        let entrance = self.entrance(partition)?;
        let wanted = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        let room = entrance.list_room.acquire_many_owned(wanted).await.map_err(|_| not_taken())?;
        entrance.jobs.send(Job::List(tasks, room)).await.map_err(|_| not_taken())
    }
}
