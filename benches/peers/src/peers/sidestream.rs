//! This crate, as its documentation says to use it: a command handler on the SQLite store, default settings.
//!
//! A hold writes three records in one synced commit: `Requested` with the command and its fingerprint, `Held` in
//! the account's stream, and `Accepted` with what is left of the hold. Commits of commands that wait together
//! share one sync. The states of accounts that were used lately are kept in memory.

use sidestream::store::{ReadFrom, StreamRead};
use sidestream::stream::Version;
use sidestream::{
    AggregateId, CommandHandler, Decider, EventStore, MemoryStore, Outcome, SqliteStore, TransactionId,
};
use sidestream_peers_load::words::{Opened, locked};
use sidestream_peers_load::{DEPOSIT, Failure, Hold, Load, MINOR, Peer, account_name};

use crate::LOCK;

// The rules of the example: the account of which the others' are translations.
#[allow(dead_code, reason = "captures and releases are not measured")]
#[path = "../../../../examples/payments/rules.rs"]
mod rules;

use rules::{Account, Command};

/// Accounts opened in one call.
const CHUNK: usize = 1_000;

pub struct Sidestream {
    store: SqliteStore,
    handler: CommandHandler<Account>,
    accounts: Vec<AggregateId>,
}

/// Opens a new store and its accounts.
pub async fn open(load: Load) -> Result<(Sidestream, Opened), Failure> {
    let store = SqliteStore::open(load.directory.join("sidestream.db"))?;
    let handler = CommandHandler::new(store.clone(), Account);
    let accounts = (0..load.accounts).map(|account| AggregateId::new(account_name(account)));
    let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
    for some in accounts.chunks(CHUNK) {
        let commands = some.iter().map(|account| {
            let transaction = TransactionId::derive("opening", account.as_str());
            (account.clone(), transaction, Command::Deposit { minor: DEPOSIT })
        });
        handler.handle_many(commands).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let opened = Opened {
        versions: ["sidestream", "rusqlite", "libsqlite3-sys"].map(|name| locked(LOCK, name)).into(),
        notes: vec!["every commit is synced; there is no option".to_owned()],
    };
    Ok((Sidestream { store, handler, accounts }, opened))
}

impl Peer for Sidestream {
    async fn hold(&self, _: usize, hold: Hold) -> Result<u64, Failure> {
        let account = self.accounts.get(usize::try_from(hold.account)?).ok_or("no such account")?;
        let transaction = TransactionId::new(hold.transaction);
        let mut retries = 0;
        loop {
            match self.handler.handle(account, transaction, Command::Hold { minor: MINOR }).await {
                Ok(Outcome::Accepted(_)) => return Ok(retries),
                Ok(refused) => return Err(format!("a hold was refused: {refused:?}").into()),
                Err(error) if error.kind().retry_may_help() => retries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn held(&self) -> Result<u64, Failure> {
        let mut held = 0;
        for account in &self.accounts {
            held += self.handler.query(account, |funds, _| funds.map_or(0, |funds| funds.held)).await?;
        }
        Ok(u64::try_from(held)?)
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.handler);
        Ok(self.store.close().await?)
    }
}

/// The payloads' sizes of the three records that a hold writes: `Requested`, `Held`, `Accepted`.
///
/// # Errors
/// When a hold does not write three records.
pub async fn sizes() -> Result<[usize; 3], Failure> {
    let store = MemoryStore::new();
    let handler = CommandHandler::new(store.clone(), Account);
    let (account, hold) = (AggregateId::new(account_name(0))?, TransactionId::derive("sizes", "hold"));
    handler
        .handle(&account, TransactionId::derive("sizes", "deposit"), Command::Deposit { minor: DEPOSIT })
        .await?;
    handler.handle(&account, hold, Command::Hold { minor: MINOR }).await?;
    let side = Account::CATEGORY.side_stream(&account, hold);
    let streams = [(side, 0), (Account::CATEGORY.stream(&account), 1)];
    let reads = streams.map(|(stream, after)| StreamRead {
        stream,
        from: ReadFrom::After(Version::new(after)),
        limit: 10,
    });
    let mut found = Vec::new();
    for page in store.read_streams(reads.into()).await {
        found.extend(page?.records.iter().map(|record| record.data.payload.len()));
    }
    let [requested, accepted, held] = found[..] else {
        return Err(format!("expected three records, found {found:?}").into());
    };
    Ok([requested, held, accepted])
}
