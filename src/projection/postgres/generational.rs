//! Generations of a view in PostgreSQL: a schema for each but the first.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::projection::failure::ViewFailure;
use crate::projection::generation::{
    self, Ceiling, Generational, Generations, Hold, Role, Stand, nothing_built,
};
use crate::projection::place::Place;
use crate::projection::postgres::catalogue::{self, State};
use crate::projection::postgres::content::PostgresContent;
use crate::projection::postgres::failure::cause;
use crate::projection::postgres::hold::PostgresHold;
use crate::projection::postgres::stands;
use crate::projection::postgres::transaction::Open;
use crate::projection::postgres::view::{Core, PostgresView, waiting};

#[async_trait]
impl Generational for PostgresView {
    type Content = PostgresContent;

    async fn generations(&self) -> Result<Generations> {
        catalogue::generations(&*self.session().await?).await
    }

    async fn build(&self) -> Result<Self> {
        let open = self.change().await?;
        let done = building(&open).await;
        let number = end(open, done).await?;
        // Connections of its own: those of the live one are taken while it is held.
        let core = Core::new(self.core.options.clone())?;
        Ok(Self { core: Arc::new(core), role: Role::Building(number) })
    }

    async fn ceiling(&self, place: &Place) -> Result<Ceiling> {
        let Role::Building(number) = self.role else { return Ok(Ceiling::Over) };
        let session = self.session().await?;
        // In this order: what is still being built afterwards was not live when it was looked at.
        let live = stands::all(&session, None).await?;
        match catalogue::state(&session, number).await? {
            State::Building => Ok(generation::ceiling(place, &live)),
            _ => Ok(Ceiling::Over),
        }
    }

    async fn stands(&self) -> Result<Vec<Stand>> {
        let session = self.session().await?;
        let Role::Building(number) = self.role else { return stands::all(&session, None).await };
        if catalogue::state(&session, number).await? == State::Dropped {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("generation {number} of a view was dropped"),
            )
            .advice("look which generations there are"));
        }
        stands::all(&session, Some(number)).await
    }

    async fn hold(&self) -> Result<Box<dyn Hold<PostgresContent>>> {
        let lent = self.core.changing.session().await.map_err(waiting)?;
        Ok(Box::new(PostgresHold::begin(lent, self.core.options.quorum).await?))
    }

    async fn give_up(&self) -> Result<()> {
        let open = self.change().await?;
        let done = giving_up(&open).await;
        end(open, done).await?;
        self.drop_schemas().await
    }

    /// The tables of the first generation lie in a schema that is not the view's own: they stay, and are nobody's.
    async fn drop_former(&self) -> Result<usize> {
        let open = self.change().await?;
        let done = dropping(&open).await;
        let dropped = end(open, done).await?;
        self.drop_schemas().await?;
        Ok(dropped)
    }
}

impl PostgresView {
    /// A transaction that changes the catalogue.
    async fn change(&self) -> Result<Open> {
        let lent = self.core.changing.session().await.map_err(waiting)?;
        Open::begin(lent, self.core.options.quorum, Duration::ZERO, None).await
    }

    /// Drops the tables of what is dropped, and waits for who still reads them. What that fails at is tried again by the
    /// next call that drops.
    async fn drop_schemas(&self) -> Result<()> {
        let open = self.change().await?;
        let done = async { catalogue::drop_schemas(open.session()?).await }.await;
        end(open, done).await
    }
}

async fn building(open: &Open) -> Result<u32> {
    let session = open.session()?;
    catalogue::build(session).await?;
    catalogue::generations(session).await?.building.ok_or_else(nothing_built)
}

async fn giving_up(open: &Open) -> Result<()> {
    let session = open.session()?;
    let Some(number) = catalogue::generations(session).await?.building else { return Ok(()) };
    match catalogue::lock(session, number).await? {
        State::Building => catalogue::forget(session, number).await,
        _ => Ok(()),
    }
}

async fn dropping(open: &Open) -> Result<usize> {
    let session = open.session()?;
    let former = catalogue::generations(session).await?.former;
    for number in &former {
        catalogue::forget(session, *number).await?;
    }
    Ok(former.len())
}

async fn end<T>(open: Open, done: Result<T>) -> Result<T> {
    open.end(done.map_err(ViewFailure::View)).await.map_err(cause)
}
