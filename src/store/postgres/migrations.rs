//! The store's schema, and how it is made.

use tokio_postgres::types::Type;

use crate::error::Result;
use crate::partition::PartitionCount;
use crate::store::postgres::failure;
use crate::store::postgres::identity::properties;
use crate::store::postgres::options::Options;
pub use crate::store::postgres::schema::Migration;
use crate::store::postgres::schema::Schema;
use crate::store::postgres::session::Session;

const MAKE: &str = include_str!("sql/schema.sql");
const ADD: &str = include_str!("sql/add_migration.sql");
const ADD_META: &str = include_str!("sql/add_meta.sql");
const ROLES: &str = include_str!("sql/roles.sql");
const ADD_PARTITIONS: &str = include_str!("sql/add_partitions.sql");

/// The store's schema.
pub(super) const SCHEMA: Schema = Schema {
    name: "sidestream",
    make: MAKE,
    has: include_str!("sql/has_schema.sql"),
    applied: include_str!("sql/applied_migrations.sql"),
    add: ADD,
    steps: &[
        Migration { number: 1, sql: include_str!("sql/0001_store.sql") },
        Migration { number: 2, sql: include_str!("sql/0002_copy.sql") },
        Migration { number: 3, sql: include_str!("sql/0003_rows.sql") },
    ],
    advice: MIGRATE,
};

const MIGRATE: &str = "run `sidestream migrate --store postgres://…` as the owner of the database, or open with Options::migrate";

/// All that [`run_migrations`](Options::run_migrations) does to an empty database, for reading and for those who run
/// it by hand.
#[must_use]
pub fn print_sql(partitions: PartitionCount) -> String {
    let mut sql = format!("BEGIN;\n{MAKE}\n");
    for step in SCHEMA.steps {
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
    let missing = SCHEMA.bring_up_to_date(&session).await?;
    if missing.len() == SCHEMA.steps.len() {
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
    SCHEMA.is_there(session).await
}
