//! A PostgreSQL store that is moved while its service works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidestream::ErrorKind;
use sidestream::command::Outcome;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::life::{Answered, account, handler, live, on_threads, replay, tx};
use super::place::{Kind, Place, Store};
use super::rules::Command;
use crate::program::Run;

/// Sends until it is refused: what was acknowledged, and the refusal.
async fn client(
    store: Store,
    number: u64,
    stop: Arc<AtomicBool>,
) -> (Vec<Answered>, Option<sidestream::Error>) {
    let handler = handler(&store);
    let mut answered = Vec::new();
    for at in 0_u64.. {
        let (account, transaction) = (account(number), tx(format!("client{number}-{at}")));
        let command = Command::Deposit { minor: 1 };
        match handler.handle(&account, transaction, command.clone()).await {
            Ok(outcome) => answered.push(Answered { account, transaction, command, outcome }),
            Err(error) => return (answered, Some(error)),
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    (answered, None)
}

#[test]
fn nothing_acknowledged_is_lost_and_what_comes_after_the_seal_is_told_where_to_go() {
    let [Some(from), Some(to)] = [Kind::Postgres, Kind::Sqlite].map(Place::new) else { return };
    on_threads(async {
        let store = from.open().await;
        let mut all = live(&store, 5, 300, "a").await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        // Two processes, for all that the store can tell.
        let other = from.open().await;
        for number in 0..8 {
            let store = if number % 2 == 0 { store.clone() } else { other.clone() };
            clients.spawn(client(store, number, Arc::clone(&stop)));
        }
        let urls = [from.url(), to.url()];
        let run = tokio::task::spawn_blocking(move || {
            let folder = TempDir::new().unwrap();
            Run::of(folder.path(), &["copy", "--from", &urls[0], "--to", &urls[1], "--json"]).json()
        });
        let moved = run.await.unwrap();
        let mut sent = 0;
        while let Some(ended) = clients.join_next().await {
            let (answered, refused) = ended.unwrap();
            let refused = refused.expect("the source is sealed");
            assert_eq!(refused.kind(), ErrorKind::Fenced);
            assert!(refused.to_string().contains("moved to sqlite:"), "{refused}");
            sent += answered.len();
            all.extend(answered);
        }
        assert!(sent > 8 && moved["verified"] == true, "{sent} {moved}");
        assert!(all.iter().any(|answered| matches!(answered.outcome, Outcome::Accepted(_))));

        let copy = to.open().await;
        replay(&copy, &all).await;
        // The refused ones are retried there, with the same ids.
        let outcome =
            handler(&copy).handle(&account(0), tx("client0-999999"), Command::Deposit { minor: 1 }).await;
        assert!(outcome.unwrap().is_accepted());
        copy.close().await;
    });
}
