//! A partition that is held: nobody else writes to it until this transaction ends. So a decision that lost to another
//! process again and again is made on what nobody can change any more.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::store::postgres::batch::Batch;
use crate::store::postgres::commit::{self, Appended};
use crate::store::postgres::failure;
use crate::store::postgres::plan::{Checked, Heads, List, Plan};
use crate::store::postgres::pool::Lent;
use crate::store::postgres::rows::Rows;
use crate::store::postgres::session::Session;
use crate::store::postgres::shared::{Answers, Core, answers, refuse, refuse_all, unanswered};
use crate::store::postgres::transaction::Transaction;
use crate::store::postgres::types::column;
use crate::store::postgres::types::number;
use crate::store::rows::RowKey;
use crate::store::stream_key::StreamKey;
use crate::store::{AppendFailure, HeldPartition, Unit, UnitResult};
use crate::stream::{StreamName, Version};
use std::sync::Arc;
use tokio_postgres::types::Type;

const BEGIN: &str = include_str!("sql/begin.sql");
const LOCK: &str = include_str!("sql/lock_partition.sql");
const HEADS: &str = include_str!("sql/heads.sql");

/// A transaction that has locked a partition. Dropped, it writes nothing and lets go.
pub(super) struct Held {
    core: Arc<Core>,
    partition: PartitionId,
    transaction: Transaction,
    /// Whether the partition is locked: not by lists that write rows only.
    is_locked: bool,
}

impl Held {
    pub(super) async fn begin(core: &Arc<Core>, session: Lent, partition: PartitionId) -> Result<Self> {
        let number = i32::from(partition.get());
        let lock = async |session: &Session| session.query(LOCK, &[(&number, Type::INT4)]).await;
        let (transaction, locked) = Transaction::begin_with(session, BEGIN, lock).await?;
        let held = Self { core: Arc::clone(core), partition, transaction, is_locked: true };
        let session = held.session()?;
        let fail = |source| failure::of("locking a partition", source);
        match locked {
            Ok(_) => Ok(held),
            Err(source) if failure::is_locked(&source) => {
                // Nothing else can be asked in a transaction that failed.
                session.execute("ROLLBACK").await.map_err(fail)?;
                Err(commit::locked(session, source).await)
            }
            Err(source) => Err(fail(source)),
        }
    }

    /// Writes rows and no records, in two round trips. It locks no more than the rows.
    pub(super) async fn write_rows(
        core: &Arc<Core>,
        session: Lent,
        partition: PartitionId,
        list: List,
    ) -> Result<Answers, AppendFailure> {
        let lists = [list];
        let keys = keys(&lists);
        let lock = async |session: &Session| Rows::lock(session, partition, core.quorum, keys).await;
        let begun = Transaction::begin_with(session, BEGIN, lock).await;
        let (transaction, rows) = begun.map_err(AppendFailure::Refused)?;
        let rows = rows.map_err(AppendFailure::Refused)?;
        let held = Self { core: Arc::clone(core), partition, transaction, is_locked: false };
        held.write(&lists, Heads::default(), rows).await
    }

    fn session(&self) -> Result<&Session> {
        self.transaction.session().map(|session| &**session)
    }

    /// Appends what may be appended, and ends.
    pub(super) async fn finish(self, lists: &[List]) -> Answers {
        match self.try_finish(lists).await {
            Ok(answers) => answers,
            Err(failure) => refuse_all(lists, &failure),
        }
    }

    async fn try_finish(self, lists: &[List]) -> Result<Answers, AppendFailure> {
        let heads = self.heads(lists).await.map_err(AppendFailure::Refused)?;
        let rows = self.rows(lists).await.map_err(AppendFailure::Refused)?;
        self.write(lists, heads, rows).await
    }

    /// Writes what is admitted, given where streams are and what rows are, and ends.
    async fn write(self, lists: &[List], mut heads: Heads, mut rows: Rows) -> Result<Answers, AppendFailure> {
        let plan = Plan::new(lists, &mut heads, &mut rows);
        let (base, at) =
            if self.is_locked { self.append_planned(&plan).await? } else { (rows.head, rows.stamp) };
        if plan.admitted.is_empty() && !self.is_locked {
            // Rows that were made to be locked are not kept.
            self.transaction.end("ROLLBACK").await?;
            return Ok(answers(&self.core, self.partition, plan, (base, at)));
        }
        let write = async |session: &Session| rows.write(session, self.partition).await;
        self.transaction.end_with(write, "COMMIT").await?;
        self.core.count_commit();
        Ok(answers(&self.core, self.partition, plan, (base, at)))
    }

    async fn append_planned(&self, plan: &Plan<'_>) -> Result<(u64, Timestamp), AppendFailure> {
        let batch = Batch::new([(self.partition, plan)]);
        // What fails before the commit was sent is undone for certain.
        let undone = |failure| match failure {
            AppendFailure::Unknown(error) => {
                AppendFailure::Refused(failure::unavailable("the append was undone").caused_by(error))
            }
            certain => certain,
        };
        let session = self.session().map_err(AppendFailure::Refused)?;
        let appended = commit::append(session, &batch, self.core.terms()).await.map_err(undone)?;
        match appended {
            Appended::Done(landed) => Ok(landed.first().copied().unwrap_or((0, Timestamp::MIN))),
            // Every stream is where it is expected, and yet an index refuses: a step would take effect twice. Or a lock
            // is in the way that nobody takes who does not hold the partition.
            Appended::Elsewhere(_) | Appended::IsThere | Appended::Locked => {
                let why = "a record is already there though its stream is where it was expected";
                let advice = "stop: something wrote to the tables past the functions of sidestream";
                Err(AppendFailure::Refused(Error::corrupt(why).advice(advice)))
            }
        }
    }

    async fn rows(&self, lists: &[List]) -> Result<Rows> {
        let keys = keys(lists);
        if keys.is_empty() {
            return Ok(Rows::default());
        }
        Rows::lock(self.session()?, self.partition, self.core.quorum, keys).await
    }

    async fn heads(&self, lists: &[List]) -> Result<Heads> {
        let appends = lists.iter().flatten().flat_map(|checked| &checked.unit.appends);
        let mut names: Vec<&StreamName> = appends.map(|append| &append.stream).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Ok(Heads::default());
        }
        let keys: Vec<_> = names.iter().map(|name| StreamKey::of(name).to_vec()).collect();
        let partition = i32::from(self.partition.get());
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&partition, Type::INT4), (&keys, Type::BYTEA_ARRAY)];
        let rows = self.session()?.query(HEADS, &parameters).await;
        let rows = rows.map_err(|source| failure::of("reading where streams are", source))?;
        let heads: Vec<i64> = rows.first().map_or(Ok(Vec::new()), |row| column(row, 0))?;
        Ok(names.into_iter().cloned().zip(heads.into_iter().map(|head| Version::new(number(head)))).collect())
    }
}

/// The rows that lists write, each once.
fn keys(lists: &[List]) -> Vec<RowKey> {
    let writes = lists.iter().flatten().flat_map(|checked| &checked.unit.rows);
    let mut keys: Vec<RowKey> = writes.map(|write| write.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[async_trait]
impl HeldPartition for Held {
    async fn append(self: Box<Self>, units: Vec<Unit>) -> Vec<UnitResult> {
        let (partition, properties) = (self.partition, self.core.properties);
        let list: List = units.into_iter().map(|unit| Checked::new(unit, partition, properties)).collect();
        let count = list.len();
        // A partition is let go of however late its answer is asked for: whoever asks may wait for it first.
        let finished = tokio::spawn(async move { self.finish(&[list]).await.pop().unwrap_or_default() });
        finished.await.unwrap_or_else(|_| refuse(count, &unanswered()))
    }
}
