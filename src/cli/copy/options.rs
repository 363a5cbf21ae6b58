//! What a copy is told.

/// Moves a store to another place: the same positions, versions, times, checksums and open steps, so that a service
/// on the copy answers old transaction ids as before.
///
/// The target is a new file, or an empty database. A SQLite store is copied while its service is stopped; a PostgreSQL
/// store serves on, and is sealed for the last moments only. After that nothing can be written to the source, and
/// whoever opens it hears where it went. A copy that was cut short goes on when it is run again.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  \
    sidestream copy --from sqlite:pay.db --to postgres://pay@db/payments     grow out of one file\n  \
    sidestream copy --from postgres://pay@db/payments --to sqlite:pay.db     and back\n  \
    sidestream copy --from sqlite:pay.db --to sqlite:/fast/pay.db --json     for programs\n  \
    sidestream copy --unseal --from sqlite:pay.db                            go back to the source; see the manual\n\n\
    The password of a PostgreSQL user can stand in its address; it is never printed.\n\
    Exit codes: 0 moved and compared, or so already; 1 something failed, run it again; 2 the call was wrong and \
    nothing was written.")]
pub(crate) struct Options {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: what is moved.
    #[arg(long, value_name = "STORE")]
    pub(super) from: String,

    /// Where to, in the same form.
    #[arg(long, value_name = "STORE", required_unless_present = "unseal")]
    pub(super) to: Option<String>,

    /// Lets the source take writes again. Only where nothing was written to the copy since: each of the two would
    /// lack what the other one acknowledged.
    #[arg(long, conflicts_with_all = ["to", "json"])]
    pub(super) unseal: bool,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    pub(super) json: bool,
}
