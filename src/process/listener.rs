//! Telling processes of events elsewhere.

use std::sync::Arc;

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::command::CommandHandler;
use crate::error::Result;
use crate::feed::Selection;
use crate::id::TransactionId;
use crate::process::deciding::Deciding;
use crate::process::dispatch::hear;
use crate::process::manager::ProcessManager;
use crate::processor::Processor;
use crate::projection::{
    Definition, ElsewhereRows, ElsewhereView, Event, Failure, Projection, Projector, Settings,
};
use crate::store::EventStore;
use crate::stream::AggregateId;

/// The scope of the transactions that events are heard under. It never changes: the ids would.
const EVENTS: &str = "sidestream.event";

/// What it takes to follow events.
pub(super) struct Listening<P: ProcessManager> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) codecs: Codecs,
    pub(super) settings: Settings,
    pub(super) processes: CommandHandler<Deciding<P>>,
    pub(super) rules: Arc<P>,
}

impl<P: ProcessManager> Listening<P> {
    /// A projection whose rows are the processes: they know themselves what they have heard.
    pub(super) fn processor(self, selection: Selection) -> Result<Arc<dyn Processor>> {
        let listener = Listener { rules: self.rules, selection };
        let definition = Definition::of(listener)?.called(&format!("hear {}", P::CATEGORY))?;
        let view = Arc::new(ElsewhereView::new(Arc::clone(&self.store), self.processes));
        let projector = Projector::new(self.store, definition, view)?;
        Ok(Arc::new(projector.settings(self.settings).codecs(self.codecs).clock(self.clock)))
    }
}

/// Has processes hear the events that are for them.
struct Listener<P> {
    rules: Arc<P>,
    selection: Selection,
}

impl<P: ProcessManager> Projection<ElsewhereRows<CommandHandler<Deciding<P>>>> for Listener<P> {
    const NAME: &'static str = "hear";

    fn selection(&self) -> Result<Selection> {
        Ok(self.selection.clone())
    }

    async fn apply(
        &self,
        rows: &mut ElsewhereRows<CommandHandler<Deciding<P>>>,
        event: &Event<'_>,
    ) -> Result<(), Failure> {
        tell(&*self.rules, rows.client(), event).await.map(drop)
    }
}

/// Has the process hear an event that it is for, and says whether there is one.
pub(super) async fn tell<P: ProcessManager>(
    rules: &P,
    processes: &CommandHandler<Deciding<P>>,
    event: &Event<'_>,
) -> Result<bool, Failure> {
    let Some((process, transaction, input)) = heard(rules, event)? else { return Ok(false) };
    hear(processes, &process, transaction, input).await?;
    Ok(true)
}

/// Which process hears an event, under which transaction, as what.
fn heard<P: ProcessManager>(
    rules: &P,
    event: &Event<'_>,
) -> Result<Option<(AggregateId, TransactionId, P::Input)>, Failure> {
    let Some((process, input)) = rules.route(event)? else { return Ok(None) };
    let of = TransactionId::derive(EVENTS, &format!("{}:{}", event.version(), event.stream()));
    Ok(Some((process, of, input)))
}
