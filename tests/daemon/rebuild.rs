//! A view that is made anew beside the live one.

use std::sync::{Arc, Mutex};

use sidestream::ErrorKind;
use sidestream::projection::{
    Daemon, Demands, Event, Failure, Generational, Generations, MemoryContent, MemoryView, Operator,
    PostgresContent, PostgresView, Projection, Rebuild, SqliteContent, SqliteRows, SqliteView, State,
};
use sidestream::store::EventStore;
use sidestream::stream::Position;
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::support::*;

/// A view that says which of its rows are compared.
pub trait Compared: Generational + Readable {
    fn all_rows() -> Self::Content;
}

impl Compared for MemoryView<Vec<Entry>> {
    fn all_rows() -> MemoryContent<Vec<Entry>> {
        MemoryContent::new(|entries: &Vec<Entry>| format!("{entries:?}").into_bytes())
    }
}

impl Compared for SqliteView {
    fn all_rows() -> SqliteContent {
        SqliteContent::AllTables
    }
}

impl Compared for PostgresView {
    fn all_rows() -> PostgresContent {
        // Without the number that the server hands out.
        PostgresContent::queries([
            "SELECT partition, position, stream, version, minor FROM journal ORDER BY partition, position",
        ])
    }
}

async fn whole<V: Readable>(view: &V, store: &dyn EventStore) {
    for partition in store.properties().partitions.all() {
        let mut entries = view.journal(store, partition).await;
        entries.sort();
        assert_eq!(entries, fold(store, partition).await);
    }
}

async fn read_own_writes(daemon: &Daemon, store: &dyn EventStore, name: &str) {
    let (aggregate, stream) = (id(name), account(name));
    let position = append(store, &stream, vec![deposit(7)]).await;
    let at_least = |daemon: &Daemon| {
        let partition = store.properties().partitions.of(aggregate.cardinal());
        let all = daemon.status();
        let of = all.iter().find(|status| status.partition == partition).unwrap();
        of.checkpoint.is_some_and(|checkpoint| checkpoint >= position)
    };
    let comes = async {
        while !at_least(daemon) {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("a write in the view", comes).await;
}

/// Begins to build another generation.
pub async fn begin<V: Generational>(
    store: &Arc<dyn EventStore>,
    view: &V,
    rules: impl Projection<V::Rows>,
) -> Rebuild<V> {
    let mut rebuild = Rebuild::begin(Arc::clone(store), view).await.unwrap().settings(hurried());
    rebuild.project(rules).unwrap();
    rebuild.start();
    rebuild
}

/// Switches to three generations, one after the other, and drops each former one, before a process that only reads.
pub async fn switches_while_read<V: Compared>(store: &Arc<dyn EventStore>, view: &V, reader: &V)
where
    Journal: Projection<V::Rows>,
{
    for round in 2..5 {
        let rebuild = begin(store, view, Journal::default()).await;
        rebuild.caught_up().await.unwrap();
        in_time("a switch", rebuild.switch(Demands::same(V::all_rows()))).await.unwrap();
        rebuild.shutdown().await;
        assert_eq!(view.drop_former().await.unwrap(), 1);
        assert_eq!(reader.journal(&**store, ONE).await, fold(&**store, ONE).await);
        assert_eq!(reader.generations().await.unwrap().live, round);
    }
}

pub async fn switches<V: Compared>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let store = memory(3);
    let names: Vec<_> = (0..9).map(|number| number.to_string()).collect();
    for name in &names {
        pay(&store, name, &[1, 2, 3]).await;
    }
    let daemon = Daemon::builder(store.clone()).settings(hurried()).project(Journal::default(), view.clone());
    let daemon = daemon.start().unwrap();
    for name in &names {
        read_own_writes(&daemon, &store, name).await;
    }
    for round in 2..5_u32 {
        let writes = async {
            for minor in 0..40 {
                pay(&store, &names[minor as usize % 9], &[minor]).await;
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let rebuilds = async {
            let mut rebuild = Rebuild::begin(store.clone(), &view).await.unwrap().settings(hurried());
            rebuild.project(Journal::default()).unwrap();
            rebuild.start();
            in_time("a rebuild", rebuild.caught_up()).await.unwrap();
            let switched = in_time("a switch", rebuild.switch(Demands::same(V::all_rows()))).await.unwrap();
            assert_eq!((switched.from, switched.to, switched.stands.len()), (round - 1, round, 3));
            assert!(switched.content.is_some());
            in_time("its end", rebuild.shutdown()).await;
        };
        tokio::join!(writes, rebuilds);
        for name in &names {
            read_own_writes(&daemon, &store, name).await;
        }
        whole(&view, &store).await;
        let former = (1..round).filter(|number| round < 4 || *number == 3).collect();
        assert_eq!(view.generations().await.unwrap(), Generations { live: round, building: None, former });
        if round == 3 {
            assert_eq!(view.drop_former().await.unwrap(), 2);
            whole(&view, &store).await;
        }
    }
    in_time("the end", daemon.shutdown()).await;
}

#[test]
fn a_view_is_made_anew_and_readers_are_switched_while_payments_go_on() {
    run(async {
        switches(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        switches(view.clone()).await;
        // Another process that opens it finds the live one.
        let other = SqliteView::open(&path).unwrap();
        assert_eq!(other.generations().await.unwrap().live, 4);
        let count = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0))
        };
        let rows = other.read(count).await.unwrap();
        assert_eq!((rows, view.read(count).await.unwrap()), (27 + 9 + 3 * 49, rows));
    });
}

pub async fn refuses_what_differs<V: Compared>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    pay(&*store, "1", &[1, 666, 3]).await;
    // The live one lacks an event that an operator left out.
    let rules = Journal::with(&[(666, Trouble::Fails)]);
    let mut live = start(Arc::clone(&store), rules.clone(), &view, 3, hurried());
    live.until_caught_up_at(3).await;
    let by = Operator::new("ada", "a test deposit").unwrap();
    live.requests.ask("1", sidestream::projection::Action::Skipped, by).await.unwrap();
    rules.mend();
    let rebuild = begin(&store, &view, Journal::default()).await;
    rebuild.caught_up().await.unwrap();
    let error = rebuild.switch(Demands::same(V::all_rows())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let told = error.to_string();
    assert!(told.contains("expected content ") && told.contains("found "), "{told}");
    // The live one goes on, and what was built stays to be looked at.
    pay(&*store, "1", &[4]).await;
    live.until_caught_up_at(4).await;
    assert_eq!(view.journal(&*store, ONE).await.len(), 3);
    let all = async {
        while rebuild.view().journal(&*store, ONE).await.len() < 4 {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("what is built", all).await;
    assert_eq!(view.generations().await.unwrap().live, 1);
    // Without a comparison it is switched, and what operators did stays known.
    let switched = in_time("a switch", rebuild.switch(Demands::none())).await.unwrap();
    assert_eq!((switched.content, switched.stands[0].epoch), (None, 3));
    assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
    assert_eq!(view.audit(&place(&*store, ONE), 9).await.unwrap().len(), 2);
    // Whoever was fenced before is fenced in the new generation, too.
    pay(&*store, "1", &[5]).await;
    live.until_caught_up_at(5).await;
    let zombie = start(Arc::clone(&store), Journal::default(), &view, 2, hurried());
    assert_eq!(in_time("its end", zombie.task).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    live.stop().await.unwrap();
    rebuild.shutdown().await;
}

#[test]
fn a_generation_that_differs_is_not_switched_and_stays_to_be_looked_at() {
    run(async {
        refuses_what_differs(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        refuses_what_differs(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
}

pub async fn refuses_more_parked<V: Compared>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    pay(&*store, "1", &[1, 666, 3]).await;
    pay(&*store, "2", &[4]).await;
    let mut live = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
    live.until_caught_up_at(4).await;
    let rules = Journal::with(&[(666, Trouble::Fails)]);
    let rebuild = begin(&store, &view, rules.clone()).await;
    let parked = async {
        while rebuild.parked("journal").first().is_none_or(|(_, parked)| parked.waiting < 2) {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("a parked account", parked).await;
    let error = in_time("a switch", rebuild.switch(Demands::none())).await.unwrap_err();
    assert!(error.to_string().contains("1 is parked in what was built"), "{error}");
    assert_eq!(view.generations().await.unwrap().live, 1);
    rules.mend();
    let by = Operator::new("ada", "mended").unwrap();
    rebuild.retry("journal", &id("1"), by).await.unwrap();
    in_time("a switch", rebuild.switch(Demands::none())).await.unwrap();
    let mut entries = view.journal(&*store, ONE).await;
    entries.sort();
    assert_eq!(entries, fold(&*store, ONE).await);
    rebuild.shutdown().await;
    live.stop().await.unwrap();
}

#[test]
fn an_aggregate_that_is_parked_in_the_new_generation_only_is_in_the_way() {
    run(async {
        refuses_more_parked(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        refuses_more_parked(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
}

/// Tells a neighbour of each event, once.
#[derive(Clone, Default)]
struct Telling(Arc<Mutex<Vec<u64>>>);

impl Projection<SqliteRows> for Telling {
    const NAME: &'static str = "journal";
    const VERSION: u16 = 2;

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        Ok(rows.execute_all("CREATE TABLE IF NOT EXISTS told (position INTEGER)")?)
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        rows.execute("INSERT INTO told VALUES (?1)", [event.position().get().cast_signed()])?;
        if !event.is_replay() {
            self.0.lock().unwrap().push(event.position().get());
        }
        Ok(())
    }
}

#[test]
fn a_new_version_takes_over_where_the_old_one_stood_and_only_then_has_effects() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2, 3]).await;
        let mut old = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        old.until_caught_up_at(3).await;
        old.stop().await.unwrap();
        // What the old one has not applied is no replay: the new one waits for it.
        pay(&*store, "1", &[4, 5]).await;
        let rules = Telling::default();
        let rebuild = begin(&store, &view, rules.clone()).await;
        rebuild.caught_up().await.unwrap();
        let switched = in_time("a switch", rebuild.switch(Demands::none())).await.unwrap();
        assert_eq!(switched.stands[0].position, Position::new(3));
        assert!(rules.0.lock().unwrap().is_empty());
        let mut new = start(Arc::clone(&store), rules.clone(), &view, 1, hurried());
        new.until_caught_up_at(5).await;
        assert_eq!(*rules.0.lock().unwrap(), [4, 5]);
        let told = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT count(*), count(DISTINCT position) FROM told", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
        };
        assert_eq!(view.read(told).await.unwrap(), (5, 5));
        new.stop().await.unwrap();
        rebuild.shutdown().await;
    });
}

#[test]
fn a_runner_of_a_former_generation_changes_nothing_any_more() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let (here, there) = (SqliteView::open(&path).unwrap(), SqliteView::open(&path).unwrap());
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2]).await;
        // It sleeps in the middle of a batch, in another process, while readers are switched.
        let slow = Journal::with(&[(3, Trouble::IsDown)]);
        let mut live = start(Arc::clone(&store), slow.clone(), &there, 1, hurried());
        live.until_caught_up_at(2).await;
        pay(&*store, "1", &[3]).await;
        live.until("waiting", |status| matches!(status.state, State::Waiting(_))).await;
        let rebuild = begin(&store, &here, Journal::default()).await;
        rebuild.caught_up().await.unwrap();
        in_time("a switch", rebuild.switch(Demands::none())).await.unwrap();
        slow.mend();
        live.until_caught_up_at(3).await;
        assert_eq!(here.journal(&*store, ONE).await, fold(&*store, ONE).await);
        let former = rusqlite::Connection::open(&path).unwrap();
        let rows = former.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(rows, 2, "nothing came after the switch");
        live.stop().await.unwrap();
        rebuild.shutdown().await;
    });
}

#[test]
fn what_is_given_up_leaves_nothing_behind_and_another_one_begins_anew() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        let (store, live) = two_paid(&view).await;
        let rebuild = begin(&store, &view, Journal::default()).await;
        rebuild.caught_up().await.unwrap();
        assert_eq!(rebuild.progress().await.unwrap().places.len(), 1);
        let built = directory.path().join("view.db.g2");
        assert!(built.exists());
        let looked_at = rebuild.view().clone();
        rebuild.give_up().await.unwrap();
        assert_eq!(looked_at.stands().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(!built.exists());
        assert_eq!(
            view.generations().await.unwrap(),
            Generations { live: 1, building: None, former: vec![] }
        );
        let next = Rebuild::begin(Arc::clone(&store), &view).await.unwrap();
        assert_eq!(next.number(), 3);
        // A projection of the view that is not built is in the way.
        let error = next.switch(Demands::none()).await.unwrap_err();
        assert!(error.to_string().contains("was not built as far"), "{error}");
        live.stop().await.unwrap();
    });
}

#[test]
fn a_process_that_only_reads_finds_the_live_generation_whatever_others_dropped() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let (view, reader) = (SqliteView::open(&path).unwrap(), SqliteView::open(&path).unwrap());
        let (store, mut live) = two_paid(&view).await;
        switches_while_read(&store, &view, &reader).await;
        pay(&*store, "1", &[3]).await;
        live.until_caught_up_at(3).await;
        assert_eq!(reader.journal(&*store, ONE).await, fold(&*store, ONE).await);
        live.stop().await.unwrap();
    });
}
