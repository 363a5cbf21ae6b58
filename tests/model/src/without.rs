//! The protocol with one rule taken out, for each rule.

use sidestream::protocol::Rules;

macro_rules! without {
    ($($name:ident lacks $rule:ident;)*) => {
        $(
            #[doc = concat!("Lacks `", stringify!($rule), "`.")]
            #[derive(Debug, Clone, PartialEq, Eq, Hash)]
            pub struct $name;

            impl Rules for $name {
                const $rule: bool = false;
            }
        )*
        /// The rules that can be taken out here.
        pub const ALL: &[&str] = &[$(stringify!($rule)),*];
    };
}

without! {
    CompareContent lacks COMPARE_CONTENT;
    DecideRecordedCommand lacks DECIDE_RECORDED_COMMAND;
    SettleEarlierSteps lacks SETTLE_EARLIER_STEPS;
    StopOnLostHistory lacks STOP_ON_LOST_HISTORY;
    RequestFirst lacks REQUEST_FIRST;
    RequestCommitted lacks REQUEST_COMMITTED;
    OneNumber lacks ONE_NUMBER;
    AssertRefusals lacks ASSERT_REFUSALS;
    MarkEmpty lacks MARK_EMPTY;
    LookFirst lacks LOOK_FIRST;
    TryFirst lacks TRY_FIRST;
    Resume lacks RESUME;
    ScanAfterConflict lacks SCAN_AFTER_CONFLICT;
    OwnRecordIsConflict lacks OWN_RECORD_IS_CONFLICT;
    FenceRefusals lacks FENCE_REFUSALS;
    UnknownEndsFirst lacks UNKNOWN_ENDS_FIRST;
    SubmittedIsNeverFirst lacks SUBMITTED_IS_NEVER_FIRST;
    ConfirmRefusals lacks CONFIRM_REFUSALS;
    RecheckAtFloor lacks RECHECK_AT_FLOOR;
}
