//! What `sidestream parked` is told.

use std::time::Duration;

/// Lists what projections and destinations of messages have parked, and has it retried or skipped.
///
/// What is seen are rows beside the log, in the store that is named. A projection's runner tells there what it parked
/// about once a second, also where its view is elsewhere or in memory: the first 256 aggregates of each partition. What
/// is parked in a generation that a rebuild is building, and what a program of before this release runs, is not seen.
///
/// Retries and skips are requests, left beside the log with who asks and why, and carried out by whoever runs that
/// partition. Any process may ask on PostgreSQL. A SQLite store has one writing process: the service runs on while it is
/// listed, and has to be stopped for a moment to leave a request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sidestream parked list --store postgres://pay@db/payments                what waits, and why\n  \
    sidestream parked list --store sqlite:pay.db --projection balances --json  for programs\n  \
    sidestream parked retry acct-7 --projection balances --by ada --reason 'fixed in 1.4.2' --store postgres://…\n  \
    sidestream parked skip acct-7 --projection balances --by ada --reason 'TICKET-9: a test booking' --store …\n  \
    sidestream parked retry key-1 --destination ledger --by ada --reason 'ledger is up' --store … --wait 2m\n\n\
    The password of a PostgreSQL user can stand in its address; it is never printed.\n\
    Exit codes: 0 done, or asked for with --no-wait; 1 it failed again, was refused, or nobody answered in time; \
    2 the call was wrong and nothing was written.")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(super) task: Task,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Task {
    /// What is parked: since when, at which event, why, and how often it was tried.
    List(List),
    /// Has what waits applied, or sent, again from the event that failed.
    Retry(Ask),
    /// Has the one event, or message, that failed left out for good, and what waits behind it applied or sent.
    Skip(Ask),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: the store whose log is followed.
    #[arg(long, value_name = "STORE")]
    pub(super) store: String,

    /// Only this projection's, all versions.
    #[arg(long, value_name = "NAME", conflicts_with = "destination")]
    pub(super) projection: Option<String>,

    /// Only this destination's.
    #[arg(long, value_name = "NAME")]
    pub(super) destination: Option<String>,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// The aggregate, by its id, or the key of the messages, as they are listed.
    #[arg(value_name = "AGGREGATE|KEY")]
    pub(super) subject: String,

    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: the store whose log is followed.
    #[arg(long, value_name = "STORE")]
    pub(super) store: String,

    /// The projection that parked the aggregate.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "destination",
        conflicts_with = "destination"
    )]
    pub(super) projection: Option<String>,

    /// Its version, where several have parked the aggregate.
    #[arg(long, value_name = "N", conflicts_with = "destination")]
    pub(super) version: Option<u16>,

    /// The destination that refused the message.
    #[arg(long, value_name = "NAME")]
    pub(super) destination: Option<String>,

    /// The partition, where the key is parked in several.
    #[arg(long, value_name = "N", conflicts_with = "projection")]
    pub(super) partition: Option<u16>,

    /// Who asks. It is kept.
    #[arg(long, value_name = "WHO")]
    pub(super) by: String,

    /// Why. It is kept.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,

    /// How long an answer is waited for, such as 90s or 5m. The request stays, whoever waits.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) wait: Duration,

    /// Leaves the request and does not wait. That is always so with SQLite: nobody else can run meanwhile.
    #[arg(long, conflicts_with = "wait")]
    pub(super) no_wait: bool,

    /// Prints one line of JSON and nothing else on stdout.
    #[arg(long)]
    pub(super) json: bool,
}
