//! What operators do about parked aggregates, carried out by the one who may write.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Record;
use crate::feed::Cursor;
use crate::projection::failure::ViewFailure;
use crate::projection::parked::{Action, Audited, Parked, Repaired, kept};
use crate::projection::request::Request;
use crate::projection::runner::{Runner, failed};
use crate::projection::session::{Halt, Session};
use crate::projection::status::State;
use crate::projection::view::{Change, View};
use crate::stream::Position;

impl<V: View> Runner<V> {
    /// Carries out a request and answers it. Whoever asked may be gone: it is done all the same.
    pub(super) async fn repair(&mut self, session: &mut Session, request: Request) -> Result<(), Halt> {
        let Some(parked) = session.parked.get(&request.cardinal).cloned() else {
            drop(request.reply.send(Err(not_parked(&request.cardinal))));
            return Ok(());
        };
        self.parts.tell(State::Repairing(request.cardinal.clone()));
        let parked = self.begin(session, parked, &request).await?;
        let repaired = self.catch_up(session, parked).await;
        match repaired {
            Ok(repaired) => {
                drop(request.reply.send(Ok(repaired)));
                Ok(())
            }
            Err(halt) => {
                // It is kept how far it came. Who asked hears why it went no further.
                if let Halt::Failed(error) = &halt {
                    drop(request.reply.send(Err(error.clone())));
                }
                Err(halt)
            }
        }
    }

    /// Writes down who does what and why, before it is done; with it, what is left out.
    async fn begin(
        &mut self,
        session: &mut Session,
        mut parked: Parked,
        request: &Request,
    ) -> Result<Parked, Halt> {
        let position = parked.position;
        let mut changes = Vec::new();
        if request.action == Action::Skipped {
            parked.position = position.next();
            parked.waiting = parked.waiting.saturating_sub(1);
            changes.push(Change::Park(parked.clone()));
        }
        let (action, cardinal) = (request.action, parked.cardinal.clone());
        let at = self.parts.clock.now();
        changes.push(Change::Audit(Audited { action, cardinal, position, by: request.by.clone(), at }));
        let to = session.position;
        self.parts.commit(session, (&Arc::default(), 0..0), to, changes).await.map_err(failed)?;
        Ok(parked)
    }

    /// Applies what waits, from its first position to the checkpoint in its partition, in order and page by page. Each page
    /// is one transaction, and the next one begins where it ended, whatever happens in between.
    async fn catch_up(&mut self, session: &mut Session, mut parked: Parked) -> Result<Repaired, Halt> {
        let parts = &self.parts;
        let partition = parts.partition_of(&parked.cardinal);
        let (selection, checkpoint) = (parts.definition.selection().clone(), session.reached(partition));
        let start = parked.position.minus(1);
        let mut cursor = Cursor::new(Arc::clone(&parts.store), partition, selection, start)
            .page_records(parts.settings.batch_records);
        let mut repaired = Repaired { applied: 0, parked: None };
        loop {
            let page = if start < checkpoint { Some(cursor.next().await?) } else { None };
            let (mut records, read_to) =
                page.map_or((Vec::new(), checkpoint), |page| (page.records, page.read_to));
            let is_waiting = |record: &Record| {
                record.stream.cardinal() == parked.cardinal
                    && record.position <= checkpoint
                    && self.parts.definition.follows(record)
            };
            records.retain(is_waiting);
            let records = Arc::new(records);
            let (applied, failure) = self
                .apply_page(session, &records, &mut parked, (read_to.min(checkpoint), checkpoint))
                .await?;
            repaired.applied = repaired.applied.saturating_add(applied);
            if failure {
                repaired.parked = Some(parked);
                return Ok(repaired);
            }
            if read_to >= checkpoint {
                return Ok(repaired);
            }
        }
    }

    /// Applies what waits of one page; says how many events took effect, and whether one failed.
    async fn apply_page(
        &mut self,
        session: &mut Session,
        records: &Arc<Vec<Record>>,
        parked: &mut Parked,
        (read_to, checkpoint): (Position, Position),
    ) -> Result<(u64, bool), Halt> {
        let to = session.position;
        let mut end = records.len();
        let mut failure: Option<String> = None;
        loop {
            let mut after = parked.clone();
            let applied = u64::try_from(end).unwrap_or(u64::MAX);
            after.waiting = after.waiting.saturating_sub(applied);
            let behind = records.get(end).map(|record| record.position);
            after.position = behind.unwrap_or(read_to.next());
            if let (Some(cause), Some(record)) = (&failure, records.get(end)) {
                after.event_type = record.data.event_type.to_string();
                after.error = kept(cause);
                after.attempts = after.attempts.saturating_add(1);
            }
            let is_done = behind.is_none() && read_to >= checkpoint;
            let change =
                if is_done { Change::Unpark(after.cardinal.clone()) } else { Change::Park(after.clone()) };
            match self.parts.commit(session, (records, 0..end), to, vec![change]).await {
                Ok(()) => {
                    *parked = after;
                    return Ok((applied, failure.is_some()));
                }
                Err(ViewFailure::Handler { index, cause, error: None }) => {
                    (end, failure) = (index, Some(cause))
                }
                Err(other) => return Err(failed(other)),
            }
        }
    }
}

fn not_parked(cardinal: &str) -> Error {
    Error::invalid(format!("{cardinal} is not parked here")).advice("list what is parked, and its partition")
}
