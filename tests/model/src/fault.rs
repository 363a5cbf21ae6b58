//! What can be wrong: the properties, each named after what is seen when it does not hold.

use std::fmt;

/// A property that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// P1: a step has two records that take effect.
    EffectTwice,
    /// P1: a step has an effect and a refusal in the aggregate stream, or two refusals.
    EffectAndFence,
    /// P2: a record stands in the side stream where none of its kind may.
    OffThePath,
    /// P3: a step is accepted, and the aggregate stream holds nothing of it.
    AcceptedWithoutEffect,
    /// P3: a step is refused, and the aggregate stream holds its effect.
    RejectedWithEffect,
    /// P3: the aggregate stream holds a record of a step that was never requested.
    EffectWithoutRequest,
    /// P3: a record in the aggregate stream has another content than the request.
    OtherContent,
    /// P4: what was settled has changed.
    SettledChanged,
    /// P4: a client was told something that the side stream does not say.
    ToldOtherwise,
    /// F5: a client that asked for another content was told the outcome of this one, or the reverse.
    ContentIgnored,
    /// P5: recovery alone does not settle an open step.
    NotRecovered,
    /// P6: a scan reads at or before the version that the request speaks of.
    ScanTooFar,
    /// P7: a decision rests on another state than the one that its append stands on.
    OtherBasis,
    /// P8: a refusal rests on a state that is older than the command.
    RefusalTooOld,
    /// P9: a transaction's steps exclude each other, and both took effect.
    BothOfTwo,
    /// P10: rules that always fail fill the side stream.
    ResumedInVain,
    /// P11: an attempt went on although history is lost.
    WroteAfterLoss,
    /// P11: an attempt stopped although nothing is lost.
    FalseAlarm,
    /// P12: one unit touches two streams on a store that is atomic per stream only.
    TwoStreams,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
