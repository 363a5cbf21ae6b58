//! The side-stream protocol as a sans-I/O state machine: observations in, one next action out.
//!
//! The command handler, the recovery sweep, the tests and the model checker all drive this one file.
//! It knows neither commands nor events, only what was asked (step and fingerprint), where (versions),
//! and what came of it. An [`Attempt`] is one run of it; any number may run at once, anywhere, and each
//! may stop for ever after any action.
//!
//! **One number.** The version of the state that a decision was made on, the end of the scan, and the
//! version that the append demands are the same number, here called `end`.
//!
//! ```text
//!             settled: replay                       found: settle with what was found
//!            ┌─────────────► reply            ┌──────────────────────────────► settle
//! read side ─┤ open: ────────► scan (v, end] ─┤ not found                        ▲
//!            └ nothing: load ──► request ─┐   └──► trial ► resume ► scan ─┐      │
//!                                         └────────► decide ◄─────────────┘      │
//!                                                      └─► effect or fence, at end
//! ```
//!
//! On a store with atomic batches, request, effect and settle are one append. On a store that is atomic
//! per stream only they are three, in this order, and every prefix of them is recoverable. The rules that
//! make it so are the constants of [`Rules`]: each was found by breaking a model that lacked it, and the
//! model check breaks again when one is taken out.

use std::marker::PhantomData;
use std::mem;

mod action;
mod rules;

pub use action::{
    Action, AggregateWrite, Answer, Atomicity, Decision, Goal, Observation, Plan, SideWrite, Written,
};
pub use rules::{Rules, Sound};

use crate::id::{Fingerprint, StepName};
use crate::side_stream::{RequestedStep, SideStream, Verdict};
use crate::stream::Version;

/// What an attempt does next with the step in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Load,
    Request,
    Claim,
    Scan,
    Recheck,
    /// The aggregate stream holds an effect of the step, and the side stream, as read, no request.
    Unrequested,
    Trial,
    Resume,
    Decide,
    Commit(Decision),
    Effect(Decision),
    Settle(Verdict),
}

/// The step in hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Work {
    step: StepName,
    fingerprint: Fingerprint,
    /// The side stream's version, as read, or as written by this attempt.
    side: Version,
    /// Whether `Requested` stands in the side stream.
    requested: bool,
    /// The version that `Requested` is to carry.
    committed: Version,
    /// The one number. Nothing of the step lies between its request and here.
    end: Version,
    /// The aggregate stream must reach to here, or history is lost.
    known: Version,
    /// This attempt's own append of `Requested` definitely succeeded, and nothing it did since had an
    /// unknown outcome: nobody can have an accept in hand.
    first: bool,
    /// `end` was the head at some moment after the command came in.
    fresh: bool,
    /// This attempt's own `Resumed` is the side stream's last record.
    resumed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    ReadSide,
    Working(Stage, Work),
    Done(Answer),
}

/// One run of the protocol, on one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt<R: Rules = Sound> {
    goal: Goal,
    atomicity: Atomicity,
    state: State,
    rules: PhantomData<R>,
}

impl Attempt {
    /// Begins an attempt under all rules.
    #[must_use]
    pub fn new(goal: Goal, atomicity: Atomicity) -> Self {
        Self::under(goal, atomicity)
    }
}

impl<R: Rules> Attempt<R> {
    /// Begins an attempt under `R`. Anything but [`Sound`] is for the model check.
    #[must_use]
    pub fn under(goal: Goal, atomicity: Atomicity) -> Self {
        Self { goal, atomicity, state: State::ReadSide, rules: PhantomData }
    }

    /// What is to be done next. The same until [`observe`](Self::observe) is called.
    #[must_use]
    pub fn next(&self) -> Action {
        match &self.state {
            State::ReadSide => Action::ReadSide,
            State::Working(stage, work) => work.action::<R>(*stage),
            State::Done(answer) => Action::Reply(answer.clone()),
        }
    }

    /// Takes in what was seen. An observation that does not answer [`next`](Self::next) sends the attempt
    /// back to its start, which is always safe.
    pub fn observe(&mut self, seen: Observation) {
        self.state = match (mem::replace(&mut self.state, State::ReadSide), seen) {
            (State::ReadSide, Observation::Side(side)) => self.enter(&side),
            (State::Working(stage, work), seen) => self.advance(stage, work, seen),
            (done @ State::Done(_), _) => done,
            (State::ReadSide, _) => State::ReadSide,
        };
    }

    /// The content comes first, on open steps as on settled ones; then an open step; then a new request.
    fn enter(&self, side: &SideStream) -> State {
        if let Some(answer) = self.known_already(side) {
            return State::Done(answer);
        }
        match (&side.open, self.goal.wanted()) {
            (Some(open), Some((step, _))) if open.step != *step && !R::SETTLE_EARLIER_STEPS => {
                self.request_next(side)
            }
            (Some(open), _) => self.help(open, side),
            (None, Some(_)) => self.request_next(side),
            (None, None) => State::Done(Answer::NothingOpen),
        }
    }

    /// What can be answered from the side stream alone.
    fn known_already(&self, side: &SideStream) -> Option<Answer> {
        let conflict = |recorded: Fingerprint, asked| {
            (R::COMPARE_CONTENT && recorded != asked).then_some(Answer::Conflict { recorded })
        };
        if let Some((step, asked)) = self.goal.wanted() {
            if let Some(settled) = side.settled(step) {
                let verdict = settled.verdict;
                let replay = Answer::Settled { step: step.clone(), verdict, replay: true };
                return Some(conflict(settled.fingerprint, asked).unwrap_or(replay));
            }
            if let Some(open) = side.open.as_ref().filter(|open| open.step == *step) {
                let submit = matches!(self.goal, Goal::Submit { .. });
                return conflict(open.fingerprint, asked).or(submit.then_some(Answer::Submitted));
            }
        }
        // A submitter never decides, and an operator's word is for one step only.
        let open = side.open.as_ref()?;
        let busy = match &self.goal {
            Goal::Submit { .. } => R::SETTLE_EARLIER_STEPS,
            Goal::Overrule { step } => open.step != *step,
            Goal::Handle { .. } | Goal::Recover => false,
        };
        busy.then(|| Answer::InProgress { open: open.step.clone() })
    }

    fn request_next(&self, side: &SideStream) -> State {
        let Some((step, fingerprint)) = self.goal.wanted() else { return State::ReadSide };
        State::Working(Stage::Load, Work::new(step, fingerprint, side))
    }

    /// Takes an open step in hand: only the recorded command is ever decided.
    fn help(&self, open: &RequestedStep, side: &SideStream) -> State {
        let asked = self.goal.wanted().map_or(open.fingerprint, |(_, asked)| asked);
        let fingerprint = if R::DECIDE_RECORDED_COMMAND { open.fingerprint } else { asked };
        let mut work = Work::new(&open.step, fingerprint, side);
        work.requested = true;
        work.end = open.clear_to;
        if !R::SUBMITTED_IS_NEVER_FIRST && open.resumed == 0 {
            work.first = true;
            return State::Working(Stage::Load, work);
        }
        State::Working(Stage::Scan, work)
    }

    fn advance(&self, stage: Stage, work: Work, seen: Observation) -> State {
        match (stage, seen) {
            (Stage::Load, Observation::Loaded { committed, version, fresh }) => {
                self.loaded(work, committed, version, fresh)
            }
            (Stage::Scan, Observation::Scanned { end, found, floor }) => {
                self.scanned(work, end, found, floor)
            }
            (Stage::Recheck, Observation::Side(side)) => self.rechecked(work, &side),
            (Stage::Unrequested, Observation::Side(side)) => self.unrequested(work, &side),
            (Stage::Claim, Observation::Side(side)) => self.claimed(work, &side),
            (Stage::Trial, Observation::Decided(decision)) => self.tried(work, decision),
            (Stage::Decide, Observation::Decided(decision)) => self.decided(work, decision),
            (stage, Observation::Appended(written)) => self.appended(stage, work, written),
            _ => State::ReadSide,
        }
    }

    fn loaded(&self, mut work: Work, committed: Version, version: Version, fresh: bool) -> State {
        (work.committed, work.end, work.fresh) = (committed, version, fresh);
        if version >= work.known {
            self.begin(work)
        } else if fresh {
            work.lost::<R>(version)
        } else {
            State::Working(Stage::Scan, work)
        }
    }

    /// State in hand: decide where everything is one append, request first where it is not.
    fn begin(&self, work: Work) -> State {
        let submit = matches!(self.goal, Goal::Submit { .. });
        let stream = self.atomicity == Atomicity::Stream && R::REQUEST_FIRST;
        let stage = if !work.requested && (submit || stream) { Stage::Request } else { Stage::Decide };
        State::Working(stage, work)
    }

    fn scanned(&self, mut work: Work, end: Version, found: Option<Verdict>, floor: Version) -> State {
        if floor > work.end && R::RECHECK_AT_FLOOR {
            work.end = floor;
            return State::Working(Stage::Recheck, work);
        }
        if end < work.known.max(work.end) {
            return work.lost::<R>(end);
        }
        (work.end, work.fresh) = (end, true);
        match found {
            Some(verdict) if R::LOOK_FIRST && work.requested => State::Working(Stage::Settle(verdict), work),
            Some(_) if R::LOOK_FIRST => State::Working(Stage::Unrequested, work),
            _ if !work.requested => {
                // Not `end`: the state may run ahead of the stream by a unit that is not committed yet, and
                // a request, which may be committed without that unit, speaks of what exists only.
                work.committed = work.committed.max(work.known);
                self.begin(work)
            }
            _ => self.ready(work),
        }
    }

    /// Nothing was found: whoever is not first takes the step over before it decides.
    fn ready(&self, work: Work) -> State {
        let must_resume = self.atomicity == Atomicity::Stream && !work.first && !work.resumed && R::RESUME;
        match (must_resume, self.overrules()) {
            (true, false) if R::TRY_FIRST => State::Working(Stage::Trial, work),
            (true, _) => State::Working(Stage::Resume, work),
            (false, false) => State::Working(Stage::Decide, work),
            (false, true) => self.decided(work, Decision::Rejected),
        }
    }

    fn overrules(&self) -> bool {
        matches!(self.goal, Goal::Overrule { .. })
    }

    /// Records were removed under the scan: the step was settled meanwhile, or they were none of its own.
    fn rechecked(&self, work: Work, side: &SideStream) -> State {
        if side.version == work.side && side.open.as_ref().is_some_and(|open| open.step == work.step) {
            return State::Working(Stage::Scan, work);
        }
        self.enter(side)
    }

    /// An effect without a request. Whoever wrote it wrote the request first, so it is there by now; a side
    /// stream that still lacks it is the one that lost its history.
    fn unrequested(&self, work: Work, side: &SideStream) -> State {
        if side.version > work.side {
            return self.enter(side);
        }
        let end = work.end;
        work.lost::<R>(end)
    }

    /// Only where the rule is taken out: a request that stands where this attempt's was to stand is taken
    /// for its own.
    fn claimed(&self, mut work: Work, side: &SideStream) -> State {
        let next = work.side.next();
        let own = side.open.as_ref().is_some_and(|open| open.fingerprint == work.fingerprint);
        if side.version != next || !own {
            return self.enter(side);
        }
        (work.side, work.requested, work.first) = (next, true, true);
        State::Working(Stage::Decide, work)
    }

    /// A decider that always fails must not fill the side stream with `Resumed`.
    fn tried(&self, work: Work, decision: Decision) -> State {
        match decision {
            Decision::Failed => self.failed(work),
            _ => State::Working(Stage::Resume, work),
        }
    }

    fn decided(&self, work: Work, decision: Decision) -> State {
        if decision == Decision::Failed {
            return self.failed(work);
        }
        if self.atomicity == Atomicity::Batch {
            return State::Working(Stage::Commit(decision), work);
        }
        match decision {
            Decision::Nothing if !R::MARK_EMPTY => State::Working(Stage::Settle(Verdict::Accepted), work),
            Decision::Rejected if work.first || !R::FENCE_REFUSALS => refuse_unfenced::<R>(work),
            _ => State::Working(Stage::Effect(decision), work),
        }
    }

    fn failed(&self, work: Work) -> State {
        let mine = self.goal.wanted().is_none_or(|(step, _)| *step == work.step);
        let step = work.step;
        State::Done(if mine { Answer::Failed { step } } else { Answer::InProgress { open: step } })
    }

    fn appended(&self, stage: Stage, mut work: Work, written: Written) -> State {
        match (stage, written) {
            (Stage::Request, Written::Done) if matches!(self.goal, Goal::Submit { .. }) => {
                State::Done(Answer::Submitted)
            }
            (Stage::Request, Written::Done) => {
                (work.side, work.requested, work.first) = (work.side.next(), true, true);
                State::Working(if R::ONE_NUMBER { Stage::Decide } else { Stage::Load }, work)
            }
            (Stage::Request, _) if !R::OWN_RECORD_IS_CONFLICT => State::Working(Stage::Claim, work),
            (Stage::Resume, Written::Done) => {
                (work.side, work.resumed) = (work.side.next(), true);
                State::Working(Stage::Scan, work)
            }
            (Stage::Effect(decision), Written::Done) => {
                State::Working(Stage::Settle(decision.verdict()), work)
            }
            // Somebody wrote to the aggregate: look at what is new, and decide again.
            (Stage::Effect(_), Written::Conflict) => {
                State::Working(if R::SCAN_AFTER_CONFLICT { Stage::Scan } else { Stage::Load }, work)
            }
            (Stage::Effect(_), Written::Unknown) if !R::UNKNOWN_ENDS_FIRST => {
                State::Working(Stage::Scan, work)
            }
            (Stage::Commit(decision), Written::Done) => self.finish(work, decision.verdict()),
            (Stage::Settle(verdict), Written::Done) => self.finish(work, verdict),
            // Lost, or not known: whatever it was, the streams will tell.
            _ => State::ReadSide,
        }
    }

    fn finish(&self, work: Work, verdict: Verdict) -> State {
        let helped = self.goal.wanted().is_some_and(|(step, _)| *step != work.step);
        if helped {
            return State::ReadSide;
        }
        State::Done(Answer::Settled { step: work.step, verdict, replay: false })
    }
}

/// Nobody can have an accept in hand, so the long stream is not touched; but the refusal must rest on a
/// state that is no older than the command.
fn refuse_unfenced<R: Rules>(work: Work) -> State {
    let confirmed = work.fresh || !R::CONFIRM_REFUSALS;
    let stage = if confirmed { Stage::Settle(Verdict::Rejected) } else { Stage::Scan };
    State::Working(stage, work)
}

impl Decision {
    fn verdict(self) -> Verdict {
        if self == Self::Rejected { Verdict::Rejected } else { Verdict::Accepted }
    }
}

impl Work {
    fn new(step: &StepName, fingerprint: Fingerprint, side: &SideStream) -> Self {
        Self {
            step: step.clone(),
            fingerprint,
            side: side.version,
            requested: false,
            committed: Version::EMPTY,
            end: Version::EMPTY,
            known: side.known,
            first: false,
            fresh: false,
            resumed: false,
        }
    }

    fn action<R: Rules>(&self, stage: Stage) -> Action {
        let step = self.step.clone();
        match stage {
            Stage::Load => Action::Load,
            Stage::Recheck | Stage::Unrequested | Stage::Claim => Action::ReadSide,
            Stage::Scan => Action::Scan { step, after: self.end },
            Stage::Trial | Stage::Decide => {
                Action::Decide { step, fingerprint: self.fingerprint, version: self.end }
            }
            Stage::Request | Stage::Resume | Stage::Settle(_) => {
                self.append(self.side_write::<R>(stage), None)
            }
            Stage::Effect(decision) => self.append(Vec::new(), Some(effect(decision))),
            Stage::Commit(decision) => {
                self.append(self.side_write::<R>(stage), Some(commit(decision))).demanding::<R>(decision)
            }
        }
    }

    fn side_write<R: Rules>(&self, stage: Stage) -> Vec<SideWrite> {
        let requested = SideWrite::Requested(if R::REQUEST_COMMITTED { self.committed } else { self.end });
        match stage {
            Stage::Request => vec![requested],
            Stage::Resume => vec![SideWrite::Resumed(self.end)],
            Stage::Settle(verdict) if self.requested => vec![SideWrite::Settled(verdict)],
            Stage::Settle(verdict) => vec![requested, SideWrite::Settled(verdict)],
            Stage::Commit(decision) => self.side_write::<R>(Stage::Settle(decision.verdict())),
            _ => Vec::new(),
        }
    }

    fn append(&self, side: Vec<SideWrite>, aggregate: Option<AggregateWrite>) -> Action {
        Action::Append(Plan {
            step: self.step.clone(),
            fingerprint: self.fingerprint,
            side: (!side.is_empty()).then_some((self.side, side)),
            aggregate: aggregate.map(|write| (self.end, write)),
        })
    }

    fn lost<R: Rules>(self, head: Version) -> State {
        if R::STOP_ON_LOST_HISTORY {
            return State::Done(Answer::LostHistory { known: self.known.max(self.end), head });
        }
        let stage = if self.requested { Stage::Decide } else { Stage::Request };
        State::Working(stage, Self { end: head, committed: head, ..self })
    }
}

impl Action {
    /// Only where the rule is taken out: a refusal that does not demand the version it was decided on.
    fn demanding<R: Rules>(self, decision: Decision) -> Self {
        match self {
            Self::Append(plan) if decision == Decision::Rejected && !R::ASSERT_REFUSALS => {
                Self::Append(Plan { aggregate: None, ..plan })
            }
            action => action,
        }
    }
}

/// Alone in the aggregate stream, whatever was decided leaves a record.
fn effect(decision: Decision) -> AggregateWrite {
    match decision {
        Decision::Events => AggregateWrite::Events,
        Decision::Nothing => AggregateWrite::Marker,
        Decision::Rejected | Decision::Failed => AggregateWrite::Fence,
    }
}

/// In one unit with the side stream, a refusal need only demand the version.
fn commit(decision: Decision) -> AggregateWrite {
    match decision {
        Decision::Rejected | Decision::Failed => AggregateWrite::Assert,
        accepted => effect(accepted),
    }
}
