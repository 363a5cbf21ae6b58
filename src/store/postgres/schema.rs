//! A schema's numbered steps. Each is kept with its checksum, so that a database says which schema it has.

use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::store::postgres::failure;
use crate::store::postgres::session::{Parameter, Session};
use crate::store::postgres::types::column;

/// A step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1.
    pub number: i64,
    /// Its statements.
    pub sql: &'static str,
}

impl Migration {
    pub(crate) fn checksum(&self) -> [u8; 32] {
        *blake3::hash(self.sql.as_bytes()).as_bytes()
    }
}

/// A schema, and how it came to be what it is.
pub(crate) struct Schema {
    pub(crate) name: &'static str,
    /// Makes it with its table of steps where it is missing, and waits for whoever is at it.
    pub(crate) make: &'static str,
    /// Whether it is there.
    pub(crate) has: &'static str,
    /// The numbers and checksums of the steps that it went through, in order.
    pub(crate) applied: &'static str,
    /// Notes one more.
    pub(crate) add: &'static str,
    /// Every step, in order. One that was released never changes.
    pub(crate) steps: &'static [Migration],
    /// How it is made.
    pub(crate) advice: &'static str,
}

impl Schema {
    /// Whether the schema is there at all.
    pub(crate) async fn is_there(&self, session: &Session) -> Result<bool> {
        let rows = session.query(self.has, &[]).await;
        let rows = rows.map_err(|source| failure::of("looking for the schema", source))?;
        rows.first().map_or(Ok(false), |row| column(row, 0))
    }

    /// Demands that it is there and up to date.
    pub(crate) async fn demand(&self, session: &Session) -> Result<()> {
        let name = self.name;
        if !self.is_there(session).await? {
            return Err(Error::invalid(format!("the database has no schema `{name}`")).advice(self.advice));
        }
        let lacks = self.missing(session).await?.len();
        if lacks == 0 {
            return Ok(());
        }
        let all = self.steps.len();
        Err(Error::invalid(format!("the schema `{name}` is older than this program needs"))
            .expected(format!("{all} steps"), all.saturating_sub(lacks))
            .advice(self.advice))
    }

    /// Demands that each step that the schema went through is known, and gives those that it lacks.
    pub(crate) async fn missing(&self, session: &Session) -> Result<&'static [Migration]> {
        let rows = session.query(self.applied, &[]).await;
        let rows = rows.map_err(|source| failure::of("reading the schema's steps", source))?;
        for (number, row) in (1_i64..).zip(&rows) {
            let (found, stored): (i64, Vec<u8>) = (column(row, 0)?, column(row, 1)?);
            if found != number {
                return Err(Error::corrupt("a step of the schema is missing").expected(number, found));
            }
            let step = self.steps.iter().find(|step| step.number == number);
            let step = step.ok_or_else(|| self.newer(rows.len()))?;
            if stored != step.checksum() {
                return Err(self.changed(number));
            }
        }
        Ok(self.steps.get(rows.len()..).unwrap_or_default())
    }

    /// Makes what is missing, in the transaction that the caller began, and gives the steps that it took.
    pub(crate) async fn bring_up_to_date(&self, session: &Session) -> Result<&'static [Migration]> {
        let fail = |source| failure::of("migrating the schema", source);
        session.execute(self.make).await.map_err(fail)?;
        let missing = self.missing(session).await?;
        for step in missing {
            session.execute(step.sql).await.map_err(fail)?;
            let checksum = step.checksum();
            let parameters: [Parameter<'_>; 2] =
                [(&step.number, Type::INT8), (&checksum.as_slice(), Type::BYTEA)];
            session.query(self.add, &parameters).await.map_err(fail)?;
        }
        Ok(missing)
    }

    fn newer(&self, found: usize) -> Error {
        Error::invalid(format!("the schema `{}` is newer than this program knows", self.name))
            .expected(format!("at most {} steps", self.steps.len()), found)
            .advice("use the version of sidestream that migrated it, or a newer one; nothing was changed")
    }

    fn changed(&self, number: i64) -> Error {
        let name = self.name;
        Error::invalid(format!("step {number} of the schema `{name}` is not the one this program knows"))
            .expected("the same checksum", "another one")
            .advice("use the version of sidestream that made the schema; nothing was changed")
    }
}
