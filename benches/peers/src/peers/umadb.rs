//! UmaDB: its server on localhost, its gRPC client, and the program that its documentation suggests.
//!
//! A hold is two calls: read the events that the decision depends on, then append on the condition that no
//! such event came after the last position that the read saw. When one did, the hold begins again.
//!
//! What it guarantees: the condition makes both the balance and the id safe against everybody, in any process.
//! Each `Held` is tagged with its transaction, so a hold takes effect once for as long as the store lives. With one
//! record a hold the id belongs to one account, as ours does; with three it is one of the whole store. The server
//! syncs twice for each batch of appends (pages, then header) before it answers any of them; there is no option
//! against it.
//!
//! What it does not, compared to ours: it stores events and has no word for commands. That a retry hears the same
//! answer, that another content under a known id is told, and that refusals are recorded is left to the program,
//! and this one does none of the three. (An append that is repeated with the ids of its events and its condition
//! is answered with its first position. That helps a client that kept both; one that was restarted reads again,
//! as here.) There are no snapshots: a load reads all events of the account. A state kept in memory would not do
//! instead: a condition has one position for all that it asks, and the id has to be looked for from the start.

use std::net::TcpListener;
use std::thread::JoinHandle;

use sidestream_peers_load::words::{Opened, locked};
use sidestream_peers_load::{DEPOSIT, Failure, Hold, Load, MINOR, Peer, account_name};
use tokio::sync::oneshot;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem, DcbSequencedEvent,
};
use umadb_server::{ServerOptions, StorageOptions, start_server_with_options};

use crate::LOCK;
use crate::peers::sidestream;

/// Connections that the clients share. Fewer and more were not faster.
const CONNECTIONS: usize = 2;
/// Accounts opened in one append.
const CHUNK: usize = 500;
/// The server's cache of pages; its default is none, which was slower. Its other options, the pipelined writer
/// and reading through a memory map, were not faster and are left as they are by default.
const CACHE_MB: usize = 256;

pub struct UmaDb {
    connections: Vec<AsyncUmaDbClient>,
    records: Records,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
}

/// What a hold writes.
#[derive(Debug, Clone, Copy)]
pub enum Records {
    /// `Held`, tagged with the account and the transaction: all that the rules need.
    One,
    /// The same three records as ours, with payloads of the same sizes; what ours keeps beside the payload
    /// (fingerprint, versions, checksum) is left out. `Requested` and `Accepted` are tagged with the
    /// transaction only, so that a load of the account does not read them.
    Three([usize; 3]),
}

/// Starts a server on a new store, connects, and opens the accounts.
pub async fn open(load: Load, three: bool) -> Result<(UmaDb, Opened), Failure> {
    let sizes = sidestream::sizes().await?;
    let records = if three { Records::Three(sizes) } else { Records::One };
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let (stop, stopped) = oneshot::channel();
    let storage =
        StorageOptions::default().db_path(load.directory.join("uma.db")).page_cache_max_mb(CACHE_MB);
    let options = ServerOptions { listen_addr: address.clone(), tls: None, api_key: None, storage };
    let server = std::thread::spawn(move || serve(options, stopped));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        // The client tries again while the server starts.
        connections.push(UmaDbClient::new(format!("http://{address}")).connect_async().await?);
    }
    let uma = UmaDb { connections, records, stop, server };
    let accounts: Vec<_> = (0..load.accounts).collect();
    for some in accounts.chunks(CHUNK) {
        let events = some.iter().map(|account| event("Deposited", [of_account(*account)], amount(DEPOSIT)));
        uma.connection(0).append(events.collect(), None, None).await?;
    }
    let opened = Opened {
        versions: ["umadb-server", "umadb-client", "umadb-core", "tonic"]
            .map(|name| locked(LOCK, name))
            .into(),
        notes: vec![
            "every batch of appends is synced twice; there is no option".to_owned(),
            format!("page cache {CACHE_MB} MB, {CONNECTIONS} connections, records {records:?}"),
        ],
    };
    Ok((uma, opened))
}

/// The server, on a runtime of its own as its program has it.
fn serve(options: ServerOptions, stopped: oneshot::Receiver<()>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(start_server_with_options(options, stopped)).map_err(|error| error.to_string())
}

impl UmaDb {
    fn connection(&self, client: usize) -> &AsyncUmaDbClient {
        &self.connections[client % self.connections.len()]
    }

    /// What decides about a hold: the account's events and, where they are not among them, the transaction's.
    fn boundary(&self, account: &str, transaction: &str) -> DcbQuery {
        let query = DcbQuery::new().item(DcbQueryItem::new().tags([account]));
        match self.records {
            Records::One => query,
            Records::Three(_) => query.item(DcbQueryItem::new().tags([transaction])),
        }
    }

    fn events(&self, account: String, transaction: String) -> Vec<DcbEvent> {
        match self.records {
            Records::One => vec![event("Held", [account, transaction], amount(MINOR))],
            Records::Three([requested, held, accepted]) => vec![
                event("Requested", [transaction.clone()], vec![1; requested]),
                event("Held", [account, transaction.clone()], sized(amount(MINOR), held)),
                event("Accepted", [transaction], vec![1; accepted]),
            ],
        }
    }
}

impl Peer for UmaDb {
    async fn hold(&self, client: usize, hold: Hold) -> Result<u64, Failure> {
        let connection = self.connection(client);
        let (account, transaction) = (of_account(hold.account), format!("transaction:{}", hold.transaction));
        let boundary = self.boundary(&account, &transaction);
        let mut retries = 0;
        loop {
            let (events, head) = connection.read_with_head(Some(boundary.clone()), None, false, None).await?;
            if events.iter().any(|event| event.event.tags.contains(&transaction)) {
                return Ok(retries);
            }
            let available = fold(&events)?;
            if available < MINOR {
                return Err(format!("a hold was refused: {available} is there").into());
            }
            let condition = DcbAppendCondition::new(boundary.clone()).after(head);
            let events = self.events(account.clone(), transaction.clone());
            match connection.append(events, Some(condition), None).await {
                Ok(_) => return Ok(retries),
                Err(DcbError::IntegrityError(_)) => retries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn held(&self) -> Result<u64, Failure> {
        let query = DcbQuery::new().item(DcbQueryItem::new().types(["Held"]));
        let (events, _) = self.connection(0).read_with_head(Some(query), None, false, None).await?;
        events.iter().map(|event| Ok(u64::try_from(minor(event)?)?)).sum()
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.connections);
        self.stop.send(()).map_err(|()| "the server ended before its clients")?;
        Ok(self.server.join().map_err(|_| "the server panicked")??)
    }
}

fn of_account(account: u32) -> String {
    format!("account:{}", account_name(account))
}

fn event(kind: &str, tags: impl IntoIterator<Item = String>, data: Vec<u8>) -> DcbEvent {
    DcbEvent::new().event_type(kind).tags(tags).data(data)
}

/// What an account has available.
fn fold(events: &[DcbSequencedEvent]) -> Result<i64, Failure> {
    let mut available = 0;
    for event in events {
        match event.event.event_type.as_str() {
            "Deposited" => available += minor(event)?,
            "Held" => available -= minor(event)?,
            _ => {}
        }
    }
    Ok(available)
}

/// An amount as bytes, as few as it needs.
fn amount(minor: i64) -> Vec<u8> {
    let bytes = minor.to_le_bytes();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..used].to_vec()
}

/// Zeros behind an amount do not change it.
fn sized(mut amount: Vec<u8>, size: usize) -> Vec<u8> {
    amount.resize(size.max(amount.len()), 0);
    amount
}

fn minor(event: &DcbSequencedEvent) -> Result<i64, Failure> {
    let mut bytes = [0; 8];
    let data = &event.event.data;
    bytes.get_mut(..data.len()).ok_or("an amount is too long")?.copy_from_slice(data);
    Ok(i64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: &str, data: Vec<u8>) -> DcbSequencedEvent {
        DcbSequencedEvent { position: 1, event: event(kind, [], data), tracking_info: None }
    }

    #[test]
    fn amounts_come_back_whatever_their_size() {
        let events =
            [at("Deposited", amount(DEPOSIT)), at("Held", sized(amount(300), 5)), at("Accepted", vec![1; 9])];
        assert_eq!(fold(&events).unwrap(), DEPOSIT - 300);
    }
}
