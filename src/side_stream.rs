//! What a side stream says: which steps are settled, and which one is open.

use crate::error::{Error, Result};
use crate::event::{Record, RecordKind};
use crate::id::{Fingerprint, StepName};
use crate::stream::Version;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It took effect.
    Accepted,
    /// It was refused for good.
    Rejected,
}

/// A settled step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SettledStep {
    /// Its name.
    pub step: StepName,
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// What it came to.
    pub verdict: Verdict,
}

/// The open step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestedStep {
    /// Its name.
    pub step: StepName,
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// The aggregate stream holds nothing of the step up to here.
    pub clear_to: Version,
    /// How often it was resumed.
    pub resumed: u32,
}

/// A side stream, folded. Its records follow one path only, over and over: `Requested`, any number of
/// `Resumed`, then `Accepted` or `Rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SideStream {
    /// The version of its last record.
    pub version: Version,
    /// The settled steps, in the order in which they were requested.
    pub settled: Vec<SettledStep>,
    /// The step that is requested and not settled.
    pub open: Option<RequestedStep>,
    /// The highest version of the aggregate stream that any record speaks of: it must exist.
    pub known: Version,
}

impl SideStream {
    /// Folds the records of one side stream, from its first on.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when a record was altered, is missing, or is not on the path.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self> {
        let mut side = Self::default();
        for record in records {
            record.verify()?;
            if record.version != side.version.next() {
                return Err(Error::corrupt("a record is missing")
                    .in_stream(&record.stream)
                    .expected(format!("version {}", side.version.next()), record.version));
            }
            let entry = (record.data.kind, record.data.cause.as_ref());
            let legal = entry.1.is_some_and(|cause| side.push(entry.0, &cause.step, cause.fingerprint));
            if !legal {
                return Err(Error::corrupt(format!(
                    "{} at version {} cannot follow what stands before it",
                    record.data.event_type, record.version
                ))
                .in_stream(&record.stream));
            }
        }
        Ok(side)
    }

    /// Adds one record, and says whether it may stand here.
    #[must_use]
    pub fn push(&mut self, kind: RecordKind, step: &StepName, fingerprint: Fingerprint) -> bool {
        self.version = self.version.next();
        match kind {
            RecordKind::Requested { aggregate_version } => self.request(step, fingerprint, aggregate_version),
            RecordKind::Resumed { scanned_to } => self.resume(step, scanned_to),
            RecordKind::Accepted { version, .. } => {
                self.known = self.known.max(version);
                self.settle(step, Verdict::Accepted)
            }
            RecordKind::Rejected => self.settle(step, Verdict::Rejected),
            _ => false,
        }
    }

    /// The settled step of this name.
    #[must_use]
    pub fn settled(&self, step: &StepName) -> Option<&SettledStep> {
        self.settled.iter().find(|settled| settled.step == *step)
    }

    fn request(&mut self, step: &StepName, fingerprint: Fingerprint, version: Version) -> bool {
        let legal = self.open.is_none() && self.settled(step).is_none();
        self.known = self.known.max(version);
        self.open = Some(RequestedStep { step: step.clone(), fingerprint, clear_to: version, resumed: 0 });
        legal
    }

    fn resume(&mut self, step: &StepName, scanned_to: Version) -> bool {
        self.known = self.known.max(scanned_to);
        let open = self.open.as_mut().filter(|open| open.step == *step);
        open.is_some_and(|open| {
            open.clear_to = open.clear_to.max(scanned_to);
            open.resumed = open.resumed.saturating_add(1);
            true
        })
    }

    fn settle(&mut self, step: &StepName, verdict: Verdict) -> bool {
        let open = self.open.take_if(|open| open.step == *step);
        open.is_some_and(|RequestedStep { step, fingerprint, .. }| {
            self.settled.push(SettledStep { step, fingerprint, verdict });
            true
        })
    }
}
