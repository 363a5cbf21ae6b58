//! What `sidestream rebuild` and `sidestream switch` are told.

use std::time::Duration;

use crate::projection::RebuildAction;

/// Has a view made anew, beside the live one, by the service that has its rules, and shows how far that is.
///
/// The view is known by the name that the service gave its `Rebuilder`; --status tells which there are. The request is left
/// in the store whose log is followed, with who asks and why; whoever holds the view's lease carries it out, and goes on when
/// it was restarted. Calling it off here stops nothing: the same call shows it again, and --give-up ends it.
///
/// A SQLite store has one writing process: --status works beside the service, which has to be stopped for a moment to leave
/// a request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sidestream rebuild balances --by ada --reason 'fees, TICKET-9' --store postgres://…            build, and look at it\n  \
    sidestream switch balances --by ada --reason 'looks right' --store postgres://…                and switch readers\n  \
    sidestream rebuild balances --switch --by ada --reason 'new rules' --store postgres://…        both\n  \
    sidestream rebuild balances --status --json --store sqlite:pay.db                              for programs\n\n\
    Exit codes: 0 done, or asked for with --no-wait; 1 it was refused, failed, or is not done in time; 2 the call was \
    wrong and nothing was written.")]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(super) of: Of,

    /// Who asks. It is kept.
    #[arg(long, value_name = "WHO", required_unless_present = "status")]
    pub(super) by: Option<String>,

    /// Why. It is kept.
    #[arg(long, value_name = "TEXT", required_unless_present = "status")]
    pub(super) reason: Option<String>,

    /// Switches readers over once it has come near to the live generation.
    #[arg(long, conflicts_with_all = ["give_up", "drop_former", "status"])]
    switch: bool,

    /// Gives up what is being built, with its rows.
    #[arg(long, conflicts_with_all = ["drop_former", "status"])]
    give_up: bool,

    /// Removes the rows of all generations that were live before.
    #[arg(long, conflicts_with = "status")]
    drop_former: bool,

    /// Says how the view stands, and asks for nothing.
    #[arg(long)]
    status: bool,
}

/// Has readers of a view switched over to the generation that was built. Refused, with what differs, where it is not what
/// the service demands; then the live one goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Switch {
    #[command(flatten)]
    pub(super) of: Of,

    /// Who asks. It is kept.
    #[arg(long, value_name = "WHO")]
    pub(super) by: String,

    /// Why. It is kept.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// What both are told.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// The view, by the name that the service gave it.
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: the store whose log is followed.
    #[arg(long, value_name = "STORE")]
    pub(super) store: String,

    /// Switches though aggregates are parked in the new generation that are not in the live one.
    #[arg(long)]
    pub(super) more_parked: bool,

    /// How long it is waited for, such as 90s or 5m; for as long as it takes if nothing is said. The request stays.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) wait: Option<Duration>,

    /// Leaves the request and does not wait. That is always so with SQLite: nobody else can run meanwhile.
    #[arg(long, conflicts_with = "wait")]
    pub(super) no_wait: bool,

    /// Prints one line of JSON and nothing else on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

impl Rebuild {
    /// What is asked; nothing where it is only looked at.
    pub(super) fn action(&self) -> Option<RebuildAction> {
        match (self.status, self.switch, self.give_up, self.drop_former) {
            (true, ..) => None,
            (_, true, ..) => Some(RebuildAction::BuildAndSwitch),
            (_, _, true, _) => Some(RebuildAction::GiveUp),
            (.., true) => Some(RebuildAction::DropFormer),
            _ => Some(RebuildAction::Build),
        }
    }
}
