//! The schema is made once, however many make it.

use sidestream::EventStore;
use sidestream::store::postgres::PostgresStore;

use crate::database::Database;
use crate::support::*;

#[test]
fn processes_that_start_at_once_make_the_schema_once() {
    for _ in 0..5 {
        let database = Database::new();
        if database.server().is_none() {
            return;
        }
        on_threads(async {
            let open = || PostgresStore::builder(database.url()).migrate(true).roles(true).open();
            let opening: Vec<_> = (0..8).map(|_| tokio::spawn(open())).collect();
            let mut ids = Vec::new();
            for opened in opening {
                ids.push(opened.await.unwrap().unwrap().properties().id);
            }
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
        });
    }
}
