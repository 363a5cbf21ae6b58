//! Requests from other processes, carried out by the one who may write, and what is parked, told to them.

use tokio::sync::oneshot;

use crate::clock::Stopwatch;
use crate::error::{ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::projection::lister::Lister;
use crate::projection::parked::Audited;
use crate::projection::request::Request;
use crate::projection::request_rows::{Answer, Asked, RequestRows};
use crate::projection::runner::Runner;
use crate::projection::session::{Halt, Parts, Session};
use crate::projection::view::View;

impl<V: View> Runner<V> {
    /// Looks for requests and tells what is parked, where that is due: not with every batch. Says whether anything was
    /// carried out.
    pub(super) async fn look_at_post(&mut self, session: &mut Session) -> Result<bool, Halt> {
        let every = self.parts.settings.polling.longest_ms.max(1);
        let looked = self.post.looked;
        let is_due = looked.is_none_or(|since| since.elapsed().as_millis() >= u128::from(every));
        // What is being built has the live one's name, and operators of its own.
        if !is_due || self.parts.bound.is_some() {
            return Ok(false);
        }
        self.post.looked = Some(Stopwatch::start());
        let mut is_done = false;
        for partition in self.asked_in() {
            is_done |= self.answer_all(session, partition).await?;
        }
        self.tell_parked(session).await;
        Ok(is_done)
    }

    /// The partitions in which requests about this place may lie.
    fn asked_in(&self) -> Vec<PartitionId> {
        if self.parts.definition.is_join() {
            self.parts.store.properties().partitions.all().collect()
        } else {
            vec![self.parts.place.partition]
        }
    }

    async fn answer_all(&mut self, session: &mut Session, partition: PartitionId) -> Result<bool, Halt> {
        let rows = RequestRows::new(self.parts.store.clone(), self.parts.place.projection.clone());
        let mut is_done = false;
        for (revision, asked) in rows.waiting(partition).await? {
            if asked.position > session.reached(partition) {
                // A view that begins anew has not come so far: whether it parks that event is seen there.
                continue;
            }
            let answer = self.carry_out(session, &asked).await?;
            is_done = true;
            // Who hears the answer finds the list as it is then.
            self.tell_parked(session).await;
            tracing::info!(place = %self.parts.place, cardinal = asked.cardinal, ?answer, "a request is answered");
            match rows.tell(partition, (revision, asked), answer).await {
                // Another one answered it: there is nothing left to say.
                Err(error) if error.kind() == ErrorKind::Contended => {}
                // A store that is only read here is no reason to stop.
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    tracing::warn!(%error, place = %self.parts.place, "a request cannot be answered");
                }
                told => told?,
            }
        }
        Ok(is_done)
    }

    /// Lists what is parked for other processes.
    async fn tell_parked(&mut self, session: &Session) {
        let lister = self.post.lister.get_or_insert_with(|| lister(&self.parts));
        lister.tell(&session.parked).await;
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

fn lister<V: View>(parts: &Parts<V>) -> Lister {
    let (store, place) = (parts.store.clone(), &parts.place);
    let projection = (place.projection.clone(), parts.definition.is_join());
    Lister::new((store, place.partition), projection, parts.epoch)
}
