//! Connections that are cut at every byte: one effect each, and the same answer to whoever asks again.

use sidestream::store::postgres::PostgresStore;
use sidestream::testkit::effort::Effort;
use sidestream::{CommandHandler, ErrorKind, Outcome};

use crate::database::Database;
use crate::proxy::{Proxy, Way};
use crate::rules::{Account, Command};
use crate::support::*;

/// Bytes between two cuts.
fn stride() -> usize {
    match Effort::from_env() {
        Effort::Quick => 211,
        Effort::Ci => 37,
        Effort::Long => 1,
    }
}

/// More than a command takes either way: a cut that is never reached is the last one.
const MOST: usize = 64 << 10;

#[test]
fn a_connection_cut_at_any_byte_leaves_one_effect() {
    let database = Database::new();
    let Some(server) = database.server() else { return };
    let proxy = Proxy::before(server.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port(), database.name());
    on_threads(async {
        let store = PostgresStore::builder(url).migrate(true).open().await.expect("opened");
        let accounts = CommandHandler::new(store, Account);
        let mut sent = 0;
        for way in [Way::ToServer, Way::ToClient] {
            for bytes in (0..MOST).step_by(stride()) {
                sent += 1;
                proxy.cut_after(way, bytes);
                let first = accounts.handle(&account("7"), tx(sent), Command::Deposit { minor: 1 }).await;
                let was_cut = !proxy.heal();
                check(&accounts, sent, first).await;
                if !was_cut {
                    break;
                }
            }
        }
        assert!(sent > 10, "{sent} commands: the connection was hardly cut");
        let funds =
            accounts.query(&account("7"), |state, _| *state).await.expect("readable").expect("opened");
        assert_eq!(funds.available, i64::from(sent), "each took effect once");
    });
}

/// What was said first must be what is said for ever; and what was said to be undone is undone.
async fn check(
    accounts: &CommandHandler<Account>,
    number: u32,
    first: sidestream::Result<Outcome<crate::rules::Rejection>>,
) {
    let again =
        accounts.handle(&account("7"), tx(number), Command::Deposit { minor: 1 }).await.expect("healed");
    let Outcome::Accepted(receipt) = &again else { panic!("{again:?}") };
    match first {
        Ok(first) => {
            assert_eq!(first, again);
            assert!(receipt.replay);
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            assert!(!receipt.replay, "it was done: {error}")
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unknown, "{error}"),
    }
}
