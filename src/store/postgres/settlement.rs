//! A request and the acceptance of its step, which stand in the row of the record before them.
//!
//! A command that is decided and settled in one unit leaves three records: the last of its effect, `Requested`, and
//! `Accepted`. Two of them are of the side stream, follow the first in the log, and say much that it says, too. In one row
//! they take the database a third of the time.

use crate::event::{AcceptedAt, NewRecord, RecordKind};
use crate::store::postgres::entry::Entry;
use crate::store::stream_key;
use crate::stream::Version;

/// Those that stand in the row of another record.
pub(super) struct Settlement<'r, 'p> {
    pub(super) request: &'p Entry<'r>,
    pub(super) outcome: &'p Entry<'r>,
    /// The aggregate's version, as the request says it.
    pub(super) aggregate_version: Version,
}

impl<'r, 'p> Settlement<'r, 'p> {
    /// The first two of those that follow a record in the log, where all that is not kept of them follows from it.
    pub(super) fn behind(record: &Entry<'r>, following: &'p [Entry<'r>]) -> Option<Self> {
        let [request, outcome, ..] = following else { return None };
        let RecordKind::Requested { aggregate_version } = request.data.kind else { return None };
        let accepted = RecordKind::Accepted { version: record.version, at: AcceptedAt::Back(2) };
        let is_settled = outcome.data.kind == accepted
            && outcome.stream == request.stream
            && outcome.version == request.version.next()
            && record.place.checked_add(1) == Some(request.place)
            && request.place.checked_add(1) == Some(outcome.place)
            && record.recorded_at == request.recorded_at
            && record.recorded_at == outcome.recorded_at
            && shares_all(record.data, request.data, outcome.data)
            && is_beside(record, request);
        is_settled.then_some(Self { request, outcome, aggregate_version })
    }
}

/// Whether one cause stands for all three, and one requester, which is the request's.
fn shares_all(record: &NewRecord, request: &NewRecord, outcome: &NewRecord) -> bool {
    record.cause.is_some()
        && record.cause == request.cause
        && record.cause == outcome.cause
        && record.requester.is_none()
        && outcome.requester.is_none()
}

/// Whether the request's stream is the one that its transaction has beside the record's.
fn is_beside(record: &Entry<'_>, request: &Entry<'_>) -> bool {
    let transaction = record.data.cause.as_ref().map(|cause| cause.transaction);
    let parts = stream_key::side_parts(request.stream);
    stream_key::side_parts(record.stream).is_none()
        && parts
            .is_some_and(|(base, of)| Some(of) == transaction && stream_key::is_side_of(base, record.stream))
}
