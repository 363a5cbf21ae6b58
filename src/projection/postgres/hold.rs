//! The live generation, kept where it is by locks on its rows in the catalogue, and the switch.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::projection::content::ContentHash;
use crate::projection::failure::ViewFailure;
use crate::projection::generation::{self, Demands, Hold, Stand, Switched, nothing_built};
use crate::projection::postgres::catalogue::{self, State};
use crate::projection::postgres::content::PostgresContent;
use crate::projection::postgres::failure::cause;
use crate::projection::postgres::stands;
use crate::projection::postgres::transaction::Open;
use crate::store::postgres::{Lent, Session};

/// How long the server lets a hold wait for its next statement, beyond what it lets everybody.
const WAIT: Duration = Duration::from_secs(5);

/// A transaction that keeps the live generation's places from moving, up to its end. A process that dies ends it.
pub(super) struct PostgresHold {
    open: Open,
    generations: (u32, u32),
    stands: Vec<Stand>,
}

impl PostgresHold {
    /// Begins it. Commits under way are waited for, as long as the transaction waits for locks.
    pub(super) async fn begin(lent: Lent, quorum: bool) -> Result<Self> {
        let open = Open::begin(lent, quorum, WAIT, None).await?;
        let session = open.session()?;
        let to = catalogue::generations(session).await?.building.ok_or_else(nothing_built)?;
        let from = open.entered().number;
        if catalogue::lock(session, from).await? != State::Live {
            return Err(Error::new(ErrorKind::Unavailable, "another one switched this view's generations")
                .advice("look which generations there are"));
        }
        stands::lock(session, from).await?;
        let stands = stands::all(session, Some(from)).await?;
        Ok(Self { open, generations: (from, to), stands })
    }

    /// What is committed as the switch.
    async fn switching(&self, demands: &Demands<PostgresContent>) -> Result<Switched> {
        let (session, (from, to)) = (self.open.session()?, self.generations);
        if catalogue::lock(session, to).await? != State::Building {
            return Err(nothing_built());
        }
        stands::lock(session, to).await?;
        let found = stands::all(session, Some(to)).await?;
        generation::compare(&self.stands, &found, demands.more_parked)?;
        let content = match &demands.content {
            Some(content) => Some(same(session, content, to).await?),
            None => None,
        };
        for former in &self.stands {
            if let Some(stand) = generation::successor(former, &found) {
                stands::take_over(session, to, stand, former).await?;
            }
        }
        stands::fence(session, from).await?;
        catalogue::keep_audit(session, (from, to)).await?;
        catalogue::set_state(session, from, State::Former).await?;
        catalogue::set_state(session, to, State::Live).await?;
        let stands = stands::all(session, Some(to)).await?;
        Ok(Switched { from, to, stands, content })
    }
}

/// Demands that the live generation, which the transaction was led to, and the one that was built have the same rows.
async fn same(session: &Session, content: &PostgresContent, built: u32) -> Result<ContentHash> {
    let live = content.hash(session).await?;
    catalogue::enter(session, Some(built)).await?;
    generation::agree(&live, &content.hash(session).await?)?;
    Ok(live)
}

#[async_trait]
impl Hold<PostgresContent> for PostgresHold {
    fn stands(&self) -> &[Stand] {
        &self.stands
    }

    async fn switch(self: Box<Self>, demands: Demands<PostgresContent>) -> Result<Switched> {
        let done = self.switching(&demands).await.map_err(ViewFailure::View);
        self.open.end(done).await.map_err(cause)
    }
}
