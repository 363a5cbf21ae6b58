//! The rules that make the protocol safe, each a constant.

/// The rules that make the protocol safe, each a constant, so that the model check can take one out and see
/// what it is for: `docs/model-check.md` tells what goes wrong without each. Programs use [`Sound`].
pub trait Rules: std::fmt::Debug + Clone + PartialEq + Eq + std::hash::Hash + Send + Sync + 'static {
    /// The content comes first: a known step with another fingerprint is a conflict, settled or open.
    const COMPARE_CONTENT: bool = true;
    /// Whoever helps an open step decides the command that is recorded, never its own.
    const DECIDE_RECORDED_COMMAND: bool = true;
    /// A step is requested only when the transaction's earlier steps are settled.
    const SETTLE_EARLIER_STEPS: bool = true;
    /// An aggregate stream that ends before what the side stream knows is never written to.
    const STOP_ON_LOST_HISTORY: bool = true;
    /// On a store that is atomic per stream only, `Requested` is written before the effect.
    const REQUEST_FIRST: bool = true;
    /// `Requested` speaks of committed versions only, never of a state that runs ahead of the stream.
    const REQUEST_COMMITTED: bool = true;
    /// A decision is made on the very version that its append demands, and that was scanned to.
    const ONE_NUMBER: bool = true;
    /// In a batch, a refusal demands the version that it was decided on, like an effect does.
    const ASSERT_REFUSALS: bool = true;
    /// An accept without events leaves a marker: in the aggregate stream nothing may look like nothing.
    const MARK_EMPTY: bool = true;
    /// Whoever finds an open step looks for its record before anything is decided.
    const LOOK_FIRST: bool = true;
    /// Rules that cannot be run to their end are found out before `Resumed` is written.
    const TRY_FIRST: bool = true;
    /// Whoever takes a step over writes `Resumed`, so that older attempts can no longer settle it.
    const RESUME: bool = true;
    /// After a conflict what is new is scanned; the append never moves to the new head unseen.
    const SCAN_AFTER_CONFLICT: bool = true;
    /// An append that finds its own records there looks into them, and never takes them for its success.
    const OWN_RECORD_IS_CONFLICT: bool = true;
    /// Whoever is not first writes a refusal to the aggregate stream before it settles with it.
    const FENCE_REFUSALS: bool = true;
    /// After an append of unknown outcome an attempt is not first any more.
    const UNKNOWN_ENDS_FIRST: bool = true;
    /// A `Requested` that is found is another's, also where nothing follows it.
    const SUBMITTED_IS_NEVER_FIRST: bool = true;
    /// A refusal that is not fenced rests on a state that is no older than the command.
    const CONFIRM_REFUSALS: bool = true;
    /// A scan that starts below what was removed reads the side stream again.
    const RECHECK_AT_FLOOR: bool = true;
}

/// All rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sound;

impl Rules for Sound {}
