//! `sidestream migrate`: makes a store's schema in PostgreSQL, or brings it up to date.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::partition::PartitionCount;
use crate::store::EventStore;
use crate::store::postgres::{self, PostgresStore, print_roles_sql, print_sql};

/// Makes the schema `sidestream` in a database, or brings it up to date.
///
/// The database must exist, and the user must own it or be allowed to make schemas in it. Several at once wait for each
/// other; what fails changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sidestream migrate --store postgres://owner@db/payments            make the schema, or bring it up to date\n  \
    sidestream migrate --store postgres://owner@db/payments --roles    and the roles that services need\n  \
    sidestream migrate --print-sql --roles | psql payments             by hand, into an empty database")]
pub(super) struct Options {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, several hosts with commas between.
    #[arg(long, value_name = "STORE", required_unless_present = "print_sql")]
    store: Option<String>,

    /// How many partitions a new store gets, 1 to 1024; 16 if nothing is said. It is fixed for ever.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    partitions: Option<u16>,

    /// Makes the group roles `sidestream_reader`, `sidestream_writer` and `sidestream_compactor`, and takes from PUBLIC
    /// what it may do in the schema.
    #[arg(long)]
    roles: bool,

    /// Prints what would be done to an empty database, and needs no server.
    #[arg(long, conflicts_with_all = ["json", "store"])]
    print_sql: bool,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    json: bool,
}

/// What was done. The names of the fields are an interface: programs read them.
#[derive(Debug, Serialize)]
struct Report {
    /// Steps of the schema that were missing.
    steps_applied: usize,
    partitions: u16,
    /// Whether the roles were made, or given their rights anew.
    roles: bool,
}

/// Migrates, or prints how.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let partitions = options.partitions.map(PartitionCount::new).transpose()?;
    if options.print_sql {
        print(print_sql(partitions.unwrap_or_default()).trim_end());
        if options.roles {
            print(print_roles_sql().trim_end());
        }
        return Ok(());
    }
    let store = options.store.as_deref().and_then(PostgresUrl::of).ok_or_else(|| {
        Failure::Call(
            "--store is no PostgreSQL address; write it as postgres://user:password@host:5432/database"
                .to_owned(),
        )
    })?;
    let mut database = PostgresStore::builder(store.secret()).roles(options.roles);
    if let Some(partitions) = partitions {
        database = database.partitions(partitions);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(migrate(database, options.roles))?;
    print(&if options.json { serde_json::to_string(&report)? } else { report.told() });
    Ok(())
}

async fn migrate(database: postgres::Options, roles: bool) -> Result<Report, Failure> {
    let steps_applied = database.run_migrations().await?;
    // Opening it shows that the server is one that keeps what it acknowledges.
    let store = database.readers(1).open().await?;
    let partitions = store.properties().partitions.get();
    store.close();
    Ok(Report { steps_applied, partitions, roles })
}

impl Report {
    fn told(&self) -> String {
        let steps = match self.steps_applied {
            0 => "up to date".to_owned(),
            1 => "1 step applied".to_owned(),
            many => format!("{many} steps applied"),
        };
        let partitions = match self.partitions {
            1 => "1 partition".to_owned(),
            many => format!("{many} partitions"),
        };
        let roles = if self.roles {
            "\nroles: sidestream_reader, sidestream_writer, sidestream_compactor; grant them to users that log in"
        } else {
            ""
        };
        format!("schema sidestream: {steps}, {partitions}{roles}")
    }
}

#[allow(clippy::print_stdout, reason = "what was done is the program's answer")]
fn print(text: &str) {
    println!("{text}");
}
