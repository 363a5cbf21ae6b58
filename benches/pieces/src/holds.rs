//! Units as the command layer writes them for new holds, made without it.

use sidestream::codec::Codecs;
use sidestream::event::{AcceptedAt, EventType, NewRecord, RecordKind};
use sidestream::id::{Cause, Fingerprint};
use sidestream::store::{StreamAppend, Unit};
use sidestream::stream::{StreamName, Version};
use sidestream::{AggregateId, Decider};

use crate::account::{Account, Left, held, hold};
use crate::memory;

/// Accounts that take turns: as many as 128 clients would find busy.
const ACCOUNTS: u64 = 1_000;

/// Makes units of three records: `Held` in an account's stream, `Requested` and `Accepted` in a side stream. Each demands
/// the version that the one before left, so all of them have to be appended, in this order.
#[derive(Debug)]
pub struct Holds {
    accounts: Vec<(AggregateId, StreamName, Version)>,
    made: u64,
    codecs: Codecs,
}

impl Holds {
    /// On accounts without a history.
    pub fn new() -> Self {
        let account = |number| {
            let id = memory::account(number);
            let stream = Account::CATEGORY.stream(&id);
            (id, stream, Version::EMPTY)
        };
        Self { accounts: (0..ACCOUNTS).map(account).collect(), made: 0, codecs: Codecs::default() }
    }

    /// The next units.
    pub fn list(&mut self, units: usize) -> Vec<Unit> {
        (0..units).map(|_| self.unit()).collect()
    }

    fn unit(&mut self) -> Unit {
        self.made += 1;
        let number = self.made;
        let (step, command) = (Account::step(&hold(number)), hold(number));
        let fingerprint = Fingerprint::of(&step, Account::SCHEMAS.command, &command).unwrap();
        let cause = Cause { transaction: memory::transaction(number), step, fingerprint };
        let turn = usize::try_from(number % ACCOUNTS).unwrap();
        let (id, stream, version) = &mut self.accounts[turn];
        let (before, after) = (*version, version.next());
        *version = after;
        let requested = RecordKind::Requested { aggregate_version: before };
        let accepted = RecordKind::Accepted { version: after, at: AcceptedAt::Back(2) };
        let side = Account::CATEGORY.side_stream(id, cause.transaction);
        let event = record(&self.codecs, RecordKind::Event, &cause, &held(number));
        let settled = [
            record(&self.codecs, requested, &cause, &command),
            record(&self.codecs, accepted, &cause, &Left { cents: 12_345 }),
        ];
        let append =
            |stream, expected: Version, records| StreamAppend { stream, expected: expected.into(), records };
        let appends =
            vec![append(stream.clone(), before, vec![event]), append(side, Version::EMPTY, settled.into())];
        Unit::of(appends)
    }
}

impl Default for Holds {
    fn default() -> Self {
        Self::new()
    }
}

fn record(
    codecs: &Codecs,
    kind: RecordKind,
    cause: &Cause,
    content: &(impl serde::Serialize + serde::de::DeserializeOwned),
) -> NewRecord {
    let (codec, payload) = codecs.encode(content).unwrap();
    let event_type = kind.framework_type().unwrap_or_else(|| EventType::new("Held").unwrap());
    NewRecord { kind, event_type, schema: 1, codec, cause: Some(cause.clone()), requester: None, payload }
}
