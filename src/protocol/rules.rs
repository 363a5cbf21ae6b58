//! The rules that make the protocol safe, each a constant.

/// The rules that make the protocol safe, each a constant, so that the model check can take one out and see
/// what it is for: `docs/model-check.md` lists what goes wrong without each. Programs use [`Sound`].
#[allow(missing_docs, reason = "docs/model-check.md has a line for each")]
pub trait Rules: std::fmt::Debug + Clone + PartialEq + Eq + std::hash::Hash + Send + Sync + 'static {
    const COMPARE_CONTENT: bool = true;
    const DECIDE_RECORDED_COMMAND: bool = true;
    const SETTLE_EARLIER_STEPS: bool = true;
    const STOP_ON_LOST_HISTORY: bool = true;
    const REQUEST_FIRST: bool = true;
    const REQUEST_COMMITTED: bool = true;
    const ONE_NUMBER: bool = true;
    const ASSERT_REFUSALS: bool = true;
    const MARK_EMPTY: bool = true;
    const LOOK_FIRST: bool = true;
    const TRY_FIRST: bool = true;
    const RESUME: bool = true;
    const SCAN_AFTER_CONFLICT: bool = true;
    const OWN_RECORD_IS_CONFLICT: bool = true;
    const FENCE_REFUSALS: bool = true;
    const UNKNOWN_ENDS_FIRST: bool = true;
    const SUBMITTED_IS_NEVER_FIRST: bool = true;
    const CONFIRM_REFUSALS: bool = true;
    const RECHECK_AT_FLOOR: bool = true;
}

/// All rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sound;

impl Rules for Sound {}
