//! One request to rebuild after the other, carried out by whoever has the lease.

use crate::error::{Error, ErrorKind, Result};
use crate::projection::generation::{Generational, Generations};
use crate::projection::rebuild::Rebuild;
use crate::projection::rebuild_ground::Ground;
use crate::projection::rebuild_rows::{RebuildAction, RebuildAnswer, RebuildAsked, RebuildStand};
use crate::projection::status::State;

/// A view's row under an epoch, and the rebuild that runs here.
pub(super) struct Work<'a, V: Generational> {
    ground: &'a Ground<V>,
    revision: u64,
    /// What the row says. That the generation it calls being built is live tells of a switch that was not answered.
    stand: RebuildStand,
    rebuild: Option<Rebuild<V>>,
}

impl<'a, V: Generational> Work<'a, V> {
    /// Takes the view's row under an epoch.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) when somebody has it under a higher one.
    pub(super) async fn open(ground: &'a Ground<V>, epoch: u64) -> Result<Self> {
        let Generations { live, .. } = ground.view.generations().await?;
        let name = ground.rows.name().to_owned();
        let new = RebuildStand {
            name,
            epoch,
            live,
            building: None,
            done: 0,
            to_do: 0,
            per_second: 0,
            parked: 0,
            trouble: None,
        };
        let found = ground.rows.stood().await?;
        let revision = found.as_ref().map(|(revision, _)| *revision);
        let stand = found.map_or(new, |(_, stand)| stand);
        if stand.epoch > epoch {
            return Err(fenced(ground.rows.name()).expected(format!("at most epoch {epoch}"), stand.epoch));
        }
        let stand = RebuildStand { epoch, ..stand };
        if !ground.rows.tell((revision, &stand), None).await? {
            return Err(fenced(ground.rows.name()));
        }
        let found = ground.rows.stood().await?.filter(|(_, found)| *found == stand);
        let (revision, stand) = found.ok_or_else(|| fenced(ground.rows.name()))?;
        Ok(Self { ground, revision, stand, rebuild: None })
    }

    /// Carries out what is asked as far as it goes now, and tells how the view stands.
    pub(super) async fn look(&mut self) -> Result<()> {
        let Some((revision, asked)) = self.ground.rows.waiting().await? else {
            return self.go_on(None).await;
        };
        let Some(answer) = self.carry_out(&asked).await? else { return self.go_on(None).await };
        tracing::info!(view = self.stand.name, action = %asked.action, ?answer, "a request is answered");
        self.go_on(Some((revision, RebuildAsked { answer: Some(answer), ..asked }))).await
    }

    /// What became of a request; `None` while it goes on.
    async fn carry_out(&mut self, asked: &RebuildAsked) -> Result<Option<RebuildAnswer>> {
        let view = &self.ground.view;
        let found = view.generations().await?;
        let is_done = self.stand.building == Some(found.live);
        match asked.action {
            // The process died behind the switch, and before it answered.
            RebuildAction::Build | RebuildAction::BuildAndSwitch | RebuildAction::Switch if is_done => {
                Ok(Some(RebuildAnswer::Switched { from: self.stand.live, to: found.live }))
            }
            RebuildAction::Build | RebuildAction::BuildAndSwitch => {
                let rebuild = self.running().await?;
                let number = rebuild.number();
                if !rebuild.is_near().await? {
                    Ok(None)
                } else if asked.action == RebuildAction::Build {
                    Ok(Some(RebuildAnswer::Built(number)))
                } else {
                    self.switch(asked).await
                }
            }
            RebuildAction::Switch if found.building.is_some() => {
                self.running().await?;
                self.switch(asked).await
            }
            RebuildAction::GiveUp if found.building.is_some() => {
                self.stop().await;
                view.give_up().await?;
                Ok(Some(RebuildAnswer::GivenUp))
            }
            RebuildAction::Switch | RebuildAction::GiveUp => {
                Ok(Some(RebuildAnswer::Refused("nothing is being built in this view".to_owned())))
            }
            RebuildAction::DropFormer => {
                let dropped = u64::try_from(view.drop_former().await?).unwrap_or(u64::MAX);
                Ok(Some(RebuildAnswer::Dropped(dropped)))
            }
        }
    }

    /// The rebuild of this process, begun where there is none.
    async fn running(&mut self) -> Result<&Rebuild<V>> {
        let rebuild = match self.rebuild.take() {
            Some(rebuild) => rebuild,
            None => self.ground.begin().await?,
        };
        Ok(self.rebuild.insert(rebuild))
    }

    async fn switch(&mut self, asked: &RebuildAsked) -> Result<Option<RebuildAnswer>> {
        let demands = (self.ground.demands)().with_more_parked(asked.more_parked);
        // What is switched is told first: so a switch that was not answered is known by it.
        let is_told = |rebuild: &&Rebuild<V>| self.stand.building == Some(rebuild.number());
        let Some(rebuild) = self.rebuild.as_ref().filter(is_told) else { return Ok(None) };
        match rebuild.switch(demands).await {
            Ok(switched) => Ok(Some(RebuildAnswer::Switched { from: switched.from, to: switched.to })),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                Ok(Some(RebuildAnswer::Refused(error.to_string())))
            }
            // It goes on until the switch is possible, or given up.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(%error, view = self.stand.name, "readers are not switched over yet");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on with what this view's row says is being built, and tells how far it is, with an answer if there is one.
    async fn go_on(&mut self, answered: Option<(u64, RebuildAsked)>) -> Result<()> {
        let found = self.ground.view.generations().await?;
        let ours = self.rebuild.as_ref().map(Rebuild::number);
        let mut trouble = None;
        if ours.is_some() && (ours != found.building || self.stopped(&mut trouble)) {
            self.stop().await;
        }
        if self.rebuild.is_none() && trouble.is_none() && found.building.is_some() {
            let is_known = self.stand.building == found.building;
            if is_known {
                self.running().await?;
            }
        }
        let mut stand = RebuildStand {
            live: found.live,
            building: found.building,
            done: 0,
            to_do: 0,
            per_second: 0,
            parked: 0,
            trouble,
            ..self.stand.clone()
        };
        if let Some(rebuild) = &self.rebuild {
            let progress = rebuild.progress().await?;
            (stand.done, stand.to_do, stand.per_second) =
                (progress.done, progress.to_do, progress.per_second);
            let parked =
                rebuild.status().iter().map(|status| status.parked.len()).fold(0, usize::saturating_add);
            stand.parked = u64::try_from(parked).unwrap_or(u64::MAX);
        }
        self.tell(stand, answered).await
    }

    /// Whether a runner of the rebuild has stopped for good, and why: it is begun anew with the next look.
    fn stopped(&self, trouble: &mut Option<String>) -> bool {
        let status = self.rebuild.iter().flat_map(|rebuild| rebuild.status());
        *trouble = status
            .filter_map(|status| match status.state {
                State::Stopped(Some(error)) => Some(error.to_string()),
                _ => None,
            })
            .next();
        trouble.is_some()
    }

    async fn tell(&mut self, stand: RebuildStand, answered: Option<(u64, RebuildAsked)>) -> Result<()> {
        if answered.is_none() && stand == self.stand {
            return Ok(());
        }
        let is_answer = answered.is_some();
        if self.ground.rows.tell((Some(self.revision), &stand), answered).await? {
            self.revision = self.revision.saturating_add(1);
            self.stand = stand;
            return Ok(());
        }
        // Another request took the place of the one that was answered; or somebody else has the view.
        let is_mine = self.ground.rows.stood().await?.is_some_and(|(revision, _)| revision == self.revision);
        if is_answer && is_mine { Ok(()) } else { Err(fenced(&self.stand.name)) }
    }

    /// How it is doing, for people.
    pub(super) fn told(&self) -> String {
        let RebuildStand { live, building, done, to_do, trouble, .. } = &self.stand;
        match (building, trouble) {
            (_, Some(trouble)) => trouble.clone(),
            (Some(number), None) => {
                format!("generation {number} is built: {done} positions done, {to_do} to do")
            }
            (None, None) => format!("generation {live} is live, and nothing is asked for"),
        }
    }

    /// Stops what runs here. What was built stays.
    pub(super) async fn stop(&mut self) {
        if let Some(rebuild) = self.rebuild.take() {
            rebuild.shutdown().await;
        }
    }
}

fn fenced(name: &str) -> Error {
    Error::new(ErrorKind::Fenced, format!("requests to rebuild {name} are carried out by another process"))
}
