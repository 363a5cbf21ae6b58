//! Requests from other processes, carried out by the one who may write.

use tokio::sync::oneshot;

use crate::clock::Stopwatch;
use crate::error::{ErrorKind, Result};
use crate::limits;
use crate::projection::parked::Audited;
use crate::projection::request::Request;
use crate::projection::request_rows::{Answer, Asked, RequestRows};
use crate::projection::runner::Runner;
use crate::projection::session::{Halt, Session};
use crate::projection::view::View;

impl<V: View> Runner<V> {
    /// Looks for requests, where that is due: not with every batch.
    pub(super) async fn look_for_requests(
        &mut self,
        session: &mut Session,
        looked: &mut Option<Stopwatch>,
    ) -> Result<(), Halt> {
        let every = self.parts.settings.polling.longest_ms.max(1);
        let is_due = looked.is_none_or(|since| since.elapsed().as_millis() >= u128::from(every));
        // What is being built has the live one's name, and operators of its own.
        if !is_due || self.parts.bound.is_some() {
            return Ok(());
        }
        *looked = Some(Stopwatch::start());
        let rows = RequestRows::new(self.parts.store.clone(), self.parts.place.projection.clone());
        for (revision, asked) in rows.waiting(self.parts.place.partition).await? {
            let answer = self.carry_out(session, &asked).await?;
            tracing::info!(place = %self.parts.place, cardinal = asked.cardinal, ?answer, "a request is answered");
            match rows.tell(self.parts.place.partition, (revision, asked), answer).await {
                // Another one answered it: there is nothing left to say.
                Err(error) if error.kind() == ErrorKind::Contended => {}
                told => told?,
            }
        }
        Ok(())
    }

    /// Carries out a request, once, as far as the view shows: what was done before the process died is known by what
    /// is kept of it.
    async fn carry_out(&mut self, session: &mut Session, asked: &Asked) -> Result<Answer, Halt> {
        let parked = session.parked.get(&asked.cardinal).map(|parked| parked.position);
        if parked != Some(asked.position) {
            if self.was_done(asked).await? {
                return Ok(Answer::Done { applied: None, parked });
            }
            let found = parked.map_or_else(|| "is not parked".to_owned(), |at| format!("is parked at {at}"));
            return Ok(Answer::Refused(format!(
                "{} {found}, not at position {}",
                asked.cardinal, asked.position
            )));
        }
        let (reply, answer) = oneshot::channel();
        let (cardinal, by) = (asked.cardinal.clone(), asked.by.clone());
        self.repair(session, Request { cardinal, action: asked.action, by, reply }).await?;
        Ok(match answer.await {
            Ok(Ok(repaired)) => Answer::Done {
                applied: Some(repaired.applied),
                parked: repaired.parked.map(|parked| parked.position),
            },
            Ok(Err(error)) => Answer::Refused(error.to_string()),
            Err(_) => Answer::Refused("it was given up".to_owned()),
        })
    }

    /// Whether what is asked for stands among the latest things that were done here.
    async fn was_done(&self, asked: &Asked) -> Result<bool> {
        let audited = self.parts.view.audit(&self.parts.place, limits::POSTED_REQUESTS).await?;
        let is_it = |done: &Audited| {
            (done.action, &done.cardinal, done.position, &done.by)
                == (asked.action, &asked.cardinal, asked.position, &asked.by)
        };
        Ok(audited.iter().any(is_it))
    }
}
