//! The schema's numbered steps. Each is kept with its checksum, so that a store says which schema it has.

use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::partition::PartitionCount;
use crate::store::postgres::failure;
use crate::store::postgres::identity::properties;
use crate::store::postgres::options::Options;
use crate::store::postgres::session::Session;
use crate::store::postgres::types::column;

const SCHEMA: &str = include_str!("sql/schema.sql");
const HAS_SCHEMA: &str = include_str!("sql/has_schema.sql");
const APPLIED: &str = include_str!("sql/applied_migrations.sql");
const ADD: &str = include_str!("sql/add_migration.sql");
const ADD_META: &str = include_str!("sql/add_meta.sql");
const ROLES: &str = include_str!("sql/roles.sql");
const ADD_PARTITIONS: &str = include_str!("sql/add_partitions.sql");

/// A step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1.
    pub number: i64,
    /// Its statements.
    pub sql: &'static str,
}

/// Every step, in order. One that was released never changes.
const STEPS: &[Migration] = &[
    Migration { number: 1, sql: include_str!("sql/0001_store.sql") },
    Migration { number: 2, sql: include_str!("sql/0002_rows.sql") },
];

impl Migration {
    fn checksum(&self) -> [u8; 32] {
        *blake3::hash(self.sql.as_bytes()).as_bytes()
    }
}

/// All that [`run_migrations`](Options::run_migrations) does to an empty database, for reading and for those who run
/// it by hand.
#[must_use]
pub fn print_sql(partitions: PartitionCount) -> String {
    let mut sql = format!("BEGIN;\n{SCHEMA}\n");
    for step in STEPS {
        let checksum: String = step.checksum().iter().map(|byte| format!("{byte:02x}")).collect();
        sql.push_str(step.sql);
        let add = ADD.replace("$1", &step.number.to_string()).replace("$2", &format!("'\\x{checksum}'"));
        sql.push_str(&format!("\n{};\n", add.trim()));
    }
    let meta = |key: &str, value: &str| ADD_META.replace("$1", &format!("'{key}'")).replace("$2", value);
    sql.push_str(&format!("{};\n", meta("id", "gen_random_uuid()::text").trim()));
    sql.push_str(&format!("{};\n", meta("partitions", &format!("'{}'", partitions.get())).trim()));
    sql.push_str(&format!(
        "{};\nCOMMIT;\n",
        ADD_PARTITIONS.replace("$1", &partitions.get().to_string()).trim()
    ));
    sql
}

impl Options {
    /// Makes the schema, or brings it up to date, and says how many steps that took. Several at once wait for each
    /// other.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the user may not make tables. Nothing is changed then.
    pub async fn run_migrations(&self) -> Result<usize> {
        run(self).await
    }
}

/// What [`run_migrations`](Options::run_migrations) does for [`roles`](Options::roles), to be run after [`print_sql`]'s.
#[must_use]
pub fn print_roles_sql() -> String {
    format!("BEGIN;\n{ROLES}COMMIT;\n")
}

/// Applies what is missing, in one transaction and behind a lock.
async fn run(options: &Options) -> Result<usize> {
    let session = Session::open(&options.address()?).await.map_err(failure::connecting)?;
    let fail = |source| failure::of("migrating the schema", source);
    session.execute("BEGIN").await.map_err(fail)?;
    session.execute(SCHEMA).await.map_err(fail)?;
    let missing = check(&session).await?;
    for step in missing {
        session.execute(step.sql).await.map_err(fail)?;
        let checksum = step.checksum();
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&step.number, Type::INT8), (&checksum.as_slice(), Type::BYTEA)];
        session.query(ADD, &parameters).await.map_err(fail)?;
    }
    if missing.len() == STEPS.len() {
        fill(&session, options).await.map_err(fail)?;
    }
    properties(&session, options.partitions).await?;
    if options.roles {
        session.execute(ROLES).await.map_err(|source| failure::of("making the roles", source))?;
    }
    session.execute("COMMIT").await.map_err(fail)?;
    Ok(missing.len())
}

async fn fill(session: &Session, options: &Options) -> Result<(), tokio_postgres::Error> {
    let partitions = options.partitions.unwrap_or_default().get();
    let (id, count) = (options.clock.new_id().to_string(), partitions.to_string());
    for (key, value) in [("id", &id), ("partitions", &count)] {
        session.query(ADD_META, &[(&key, Type::TEXT), (value, Type::TEXT)]).await?;
    }
    session.query(ADD_PARTITIONS, &[(&i32::from(partitions), Type::INT4)]).await.map(drop)
}

/// Whether the schema is there at all.
pub(crate) async fn is_there(session: &Session) -> Result<bool> {
    let rows = session
        .query(HAS_SCHEMA, &[])
        .await
        .map_err(|source| failure::of("looking for the schema", source))?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// Demands that each step that the schema went through is known, and gives those that it lacks.
pub(super) async fn check(session: &Session) -> Result<&'static [Migration]> {
    let rows = session.query(APPLIED, &[]).await;
    let rows = rows.map_err(|source| failure::of("reading the schema's steps", source))?;
    for (number, row) in (1_i64..).zip(&rows) {
        let (found, stored): (i64, Vec<u8>) = (column(row, 0)?, column(row, 1)?);
        if found != number {
            return Err(Error::corrupt("a step of the schema is missing").expected(number, found));
        }
        let step = STEPS.iter().find(|step| step.number == number).ok_or_else(|| newer(rows.len()))?;
        if stored != step.checksum() {
            return Err(changed(number));
        }
    }
    Ok(STEPS.get(rows.len()..).unwrap_or_default())
}

pub(super) fn missing() -> Error {
    Error::invalid("the database has no schema `sidestream`").advice(MIGRATE)
}

pub(super) fn older(lacks: usize) -> Error {
    Error::invalid("the schema `sidestream` is older than this program needs")
        .expected(format!("{} steps", STEPS.len()), STEPS.len().saturating_sub(lacks))
        .advice(MIGRATE)
}

const MIGRATE: &str = "run `sidestream migrate --store postgres://…` as the owner of the database, or open with Options::migrate";

fn newer(found: usize) -> Error {
    Error::invalid("the schema `sidestream` is newer than this program knows")
        .expected(format!("at most {} steps", STEPS.len()), found)
        .advice("use the version of sidestream that migrated it, or a newer one; nothing was changed")
}

fn changed(number: i64) -> Error {
    Error::invalid(format!("step {number} of the schema `sidestream` is not the one this program knows"))
        .expected("the same checksum", "another one")
        .advice("use the version of sidestream that made the schema; nothing was changed")
}
