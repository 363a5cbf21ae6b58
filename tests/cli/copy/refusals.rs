//! What a copy refuses, and what it leaves behind then.

use sidestream::ErrorKind;
use sidestream::store::transfer::Mark;
use tempfile::TempDir;

use super::life::{account, handler, live, note, notes, on_threads, replay, tx};
use super::place::{Kind, Place};
use super::rules::Command;
use crate::program::Run;

const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

fn filled(kind: Kind, salt: &str) -> Option<Place> {
    let place = Place::new(kind)?;
    on_threads(async {
        let store = place.open().await;
        live(&store, 3, 20, salt).await;
        store.close().await;
    });
    Some(place)
}

fn copy(from: &Place, to: &Place) -> Run {
    let folder = TempDir::new().unwrap();
    Run::of(folder.path(), &["copy", "--from", &from.url(), "--to", &to.url()])
}

#[test]
fn another_store_is_refused_and_unchanged() {
    for kind in BOTH {
        let (Some(from), Some(to)) = (filled(Kind::Sqlite, "a"), filled(kind, "b")) else { continue };
        let [source, target] = [on_threads(from.dump()), on_threads(to.dump())];
        copy(&from, &to).refused_with(&["there is another store"]);
        assert_eq!(on_threads(to.dump()), target);
        assert_eq!(on_threads(from.dump()), source);
        // Neither is marked.
        for place in [&from, &to] {
            assert!(on_threads(place.try_open()).is_ok());
        }
    }
}

#[test]
fn a_sealed_source_says_where_it_went_until_it_is_unsealed() {
    for (one, other) in [(Kind::Sqlite, Kind::Postgres), (Kind::Postgres, Kind::Sqlite)] {
        let (Some(from), Some(to)) = (filled(one, "a"), Place::new(other)) else { continue };
        copy(&from, &to).succeeded();
        let refused = on_threads(from.try_open()).err().expect("sealed");
        assert_eq!(refused.kind(), ErrorKind::Fenced);
        let place = to.url().split('@').next_back().unwrap().to_owned();
        assert!(
            refused.to_string().contains("moved to") && refused.to_string().contains(&place),
            "{refused}"
        );

        let folder = TempDir::new().unwrap();
        let told = Run::of(folder.path(), &["copy", "--unseal", "--from", &from.url()]).succeeded();
        assert!(told.stdout.contains("takes writes again"), "{told:?}");
        on_threads(async { from.open().await.close().await });
    }
}

#[test]
fn the_source_itself_and_a_copy_under_way_are_no_targets_and_no_sources() {
    for kind in BOTH {
        let (Some(from), Some(to)) = (filled(kind, "a"), Place::new(kind)) else { continue };
        copy(&from, &from).refused_with(&["the same place"]);
        on_threads(async {
            let source = from.open_source().await;
            let target = to.open_copy_of(&*source.share()).await.unwrap();
            assert_eq!(target.share().mark().await.unwrap(), Mark::Copying);
            let refused = handler(&target).handle(&account(1), tx("x"), Command::Deposit { minor: 1 }).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Fenced);
            target.close().await;
            source.close().await;
            let refused = to.try_open().await.err().expect("under way");
            assert!(refused.to_string().contains("under way"), "{refused}");
        });
        let Some(third) = Place::new(Kind::Sqlite) else { continue };
        copy(&to, &third).refused_with(&["a copy under way itself"]);
        copy(&from, &to).succeeded();
        on_threads(async { to.open().await.close().await });
    }
}

#[test]
fn nothing_is_removed_while_a_store_is_copied() {
    for kind in BOTH {
        let Some(from) = filled(kind, "a") else { continue };
        on_threads(async {
            let source = from.open().await;
            note(&*source.share(), &notes(1), 3, 3).await;
            source.share().set_mark(Mark::Copied { to: "there".to_owned() }).await.unwrap();
            let removed = source.share().truncate(&notes(1), sidestream::stream::Version::new(2)).await;
            assert_eq!(removed.unwrap_err().kind(), ErrorKind::Unavailable);
            note(&*source.share(), &notes(1), 1, 1).await;
            source.close().await;
        });
    }
}

#[test]
fn a_changed_record_is_named_and_the_source_serves_on() {
    let (Some(from), Some(to)) = (filled(Kind::Postgres, "a"), Place::new(Kind::Sqlite)) else { return };
    let Place::Postgres(database) = &from else { unreachable!() };
    let told = database.psql(
        "UPDATE sidestream.records SET payload = payload || '!' WHERE (partition, position) = \
         (SELECT partition, position FROM sidestream.records WHERE kind = 1 ORDER BY stream, version DESC LIMIT 1) \
         RETURNING stream || ' ' || version || ' ' || position",
    );
    let [stream, version, position] = told.split_whitespace().take(3).collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    let run = copy(&from, &to);
    assert_eq!(run.code, Some(1), "{run:?}");
    for part in [stream, &format!("record {version} at position {position}"), "altered"] {
        assert!(run.stderr.contains(part), "no {part} in {run:?}");
    }
    on_threads(async {
        // Not sealed: the service goes on, and the copy is closed.
        from.open().await.close().await;
        assert!(to.try_open().await.is_err());
    });
}

#[test]
fn a_record_that_changes_in_the_copy_is_found() {
    let (Some(from), Some(to)) = (filled(Kind::Sqlite, "a"), Place::new(Kind::Postgres)) else { return };
    let Place::Postgres(database) = &to else { unreachable!() };
    on_threads(async {
        let source = from.open_source().await;
        to.open_copy_of(&*source.share()).await.unwrap().close().await;
        source.close().await;
    });
    database.psql(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.recorded_at := NEW.recorded_at + 1; \
         RETURN NEW; END $$; CREATE TRIGGER spoil BEFORE INSERT ON sidestream.records FOR EACH ROW EXECUTE FUNCTION spoil()",
    );
    let run = copy(&from, &to);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("differs from its source") && run.stderr.contains("expected"), "{run:?}");
    assert!(on_threads(to.try_open()).is_err(), "it stays closed");
}

#[test]
fn no_password_is_printed() {
    let folder = TempDir::new().unwrap();
    for (from, to) in [
        ("postgres://me:hunter2@127.0.0.1:1/x", "sqlite:a.db"),
        ("postgress://me:hunter2@127.0.0.1/x", "sqlite:a.db"),
        ("postgres://me:hunter2@127.0.0.1:x/y", "sqlite:a.db"),
        ("sqlite:none.db", "postgres://me:hunter2@127.0.0.1:1"),
    ] {
        let run = Run::of(folder.path(), &["copy", "--from", from, "--to", to]);
        assert_ne!(run.code, Some(0));
        assert!(!format!("{run:?}").contains("hunter2"), "{run:?}");
    }
    assert!(!folder.path().join("none.db").exists(), "a source is never made");
}

#[test]
fn a_service_that_had_an_empty_target_open_cannot_write_into_the_copy() {
    let (Some(from), Some(to)) = (Place::new(Kind::Postgres), Place::new(Kind::Postgres)) else { return };
    on_threads(async {
        let source = from.open().await;
        let answered = live(&source, 2, 8, "a").await;
        let early = to.open().await;
        let target = to.open_copy_of(&*source.share()).await.unwrap();
        let refused = handler(&early).handle(&account(1), tx("x"), Command::Deposit { minor: 1 }).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Fenced);
        drop(target);
        let run = tokio::task::spawn_blocking({
            let (from, to) = (from.url(), to.url());
            move || Run::of(&std::env::temp_dir(), &["copy", "--from", &from, "--to", &to])
        });
        run.await.unwrap().succeeded();
        replay(&to.open().await, &answered).await;
    });
}
