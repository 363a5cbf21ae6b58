//! What the bare loop writes for a command: as many bytes, of the same kind, as the store writes.

use crate::cli::bench::account::{AGE_EVENTS, Account, Command};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::command::CommandHandler;
use crate::decider::Decider;
use crate::event::Record;
use crate::id::TransactionId;
use crate::store::memory::MemoryStore;
use crate::store::{EventStore, ReadFrom, StreamRead};
use crate::stream::{AggregateId, Version};

/// A record's bytes as a row of the store has them: a byte that tells each column's type, and the columns. Change this
/// with the store's rows.
fn record_bytes(record: &Record) -> Vec<u8> {
    const COLUMNS: usize = 15;
    let data = &record.data;
    let (first, second) = data.kind.numbers();
    let mut bytes = vec![1; COLUMNS];
    let in_key = match record.stream.side_parts() {
        Some((account, transaction)) => {
            bytes.extend(transaction.as_uuid().as_bytes());
            bytes.extend(record.stream.category().bytes().chain(account.as_str().bytes()));
            true
        }
        None => {
            bytes.extend(record.stream.as_str().bytes());
            false
        }
    };
    let numbers = [record.version.get(), u64::from(data.kind.code()), first, second, 3, 2];
    numbers.into_iter().for_each(|number| bytes.extend(integer(number)));
    if let Some(cause) = &data.cause {
        bytes.extend(cause.transaction.as_uuid().as_bytes().iter().filter(|_| !in_key));
        bytes.extend(cause.step.as_str().bytes());
        bytes.extend(cause.fingerprint.as_bytes());
    }
    bytes.extend(integer(record.recorded_at.as_micros().unsigned_abs()));
    bytes.extend(integer(u64::from(record.checksum.0)));
    bytes.extend(&data.payload);
    bytes
}

/// A number in as few bytes as SQLite takes for it: 0, 1, 2, 3, 4, 6 or 8.
fn integer(number: u64) -> impl Iterator<Item = u8> {
    let size = match number {
        0 | 1 => 0,
        _ if number < 1 << 7 => 1,
        _ if number < 1 << 15 => 2,
        _ if number < 1 << 23 => 3,
        _ if number < 1 << 31 => 4,
        _ if number < 1 << 47 => 6,
        _ => 8,
    };
    number.to_le_bytes().into_iter().take(size)
}

/// The records of one command, to be stamped with other transactions' ids.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    bodies: [Vec<u8>; 3],
    /// Where the transaction's id stands in each.
    places: [usize; 3],
}

impl Bodies {
    /// Has one command handled, and keeps what it wrote.
    pub(super) async fn record() -> Result<Self, Failure> {
        let (store, account) = (MemoryStore::new(), AggregateId::new("00000000")?);
        let handler = CommandHandler::new(store.clone(), Account);
        let id = || TransactionId::new(SystemClock.new_id());
        // Its versions are no small numbers then.
        handler.handle(&account, id(), Command::Age { events: AGE_EVENTS }).await?;
        let head = handler.query(&account, |_, version| version).await?;
        let transaction = id();
        handler.handle(&account, transaction, Command::Hold { cents: 50_000 }).await?;

        let side = Account::CATEGORY.side_stream(&account, transaction);
        let read = |stream, after| StreamRead { stream, from: ReadFrom::After(after), limit: 3 };
        let reads = vec![read(side, Version::EMPTY), read(Account::CATEGORY.stream(&account), head)];
        let mut bodies = Vec::new();
        for page in store.read_streams(reads).await {
            bodies.extend(page?.records.iter().map(record_bytes));
        }
        let bodies = bodies.try_into().map_err(|bodies: Vec<_>| {
            Failure::Run(format!("expected three records of one command, found {}", bodies.len()))
        })?;
        let bodies: [Vec<u8>; 3] = bodies;
        let id = transaction.as_uuid();
        let place = |body: &Vec<u8>| body.windows(16).position(|window| window == id.as_bytes());
        let places = bodies.each_ref().map(|body| place(body).unwrap_or(usize::MAX));
        Ok(Self { bodies, places })
    }

    /// The bodies of another transaction's command.
    pub(super) fn of(&self, transaction: TransactionId) -> [Vec<u8>; 3] {
        let mut bodies = self.bodies.clone();
        for (body, at) in bodies.iter_mut().zip(self.places) {
            let place = body.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<16>());
            if let Some(place) = place {
                *place = *transaction.as_uuid().as_bytes();
            }
        }
        bodies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_bodies_of_a_records_size_with_the_id_in_each() {
        let bodies = Bodies::record().await.expect("recorded");
        let id = TransactionId::derive("test", "1");
        for body in bodies.of(id) {
            assert!((60..200).contains(&body.len()), "{}", body.len());
            assert!(body.windows(16).any(|window| window == id.as_uuid().as_bytes()));
        }
    }

    #[test]
    fn integers_take_what_sqlite_takes() {
        let sizes =
            [0, 1, 2, 127, 128, 40_000, 1 << 30, u64::from(u32::MAX), 1 << 50].map(|n| integer(n).count());
        assert_eq!(sizes, [0, 0, 1, 1, 2, 3, 4, 6, 8]);
    }
}
