//! A copy that is killed at any moment, and run again until it ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::life::{live, note, notes, on_threads, replay};
use super::place::{Dump, Kind, Place};
use crate::program::{Run, command};

fn survives_kills(one: Kind, other: Kind) {
    let [Some(from), Some(to)] = [one, other].map(Place::new) else { return };
    let (answered, before) = on_threads(async {
        let store = from.open().await;
        let answered = live(&store, 5, 60, "a").await;
        for number in 0..40 {
            note(&*store.share(), &notes(number), 600, 50).await;
        }
        store.share().truncate(&notes(2), sidestream::stream::Version::new(600)).await.unwrap();
        let before = Dump::of(&*store.share()).await;
        store.close().await;
        (answered, before)
    });
    let folder = TempDir::new().unwrap();
    let arguments = ["copy", "--from", &from.url(), "--to", &to.url(), "--json"];
    // Kills come later and later, so one of them hits every part; the last run ends by itself.
    let (mut after, mut kills) = (Duration::from_millis(5), 0);
    loop {
        let start = Instant::now();
        let mut copying =
            command(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while start.elapsed() < after && copying.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        copying.kill().unwrap();
        if copying.wait().unwrap().success() {
            break;
        }
        kills += 1;
        after += after / 6 + Duration::from_millis(1);
    }
    assert!(kills > 5, "{kills}");
    let again = Run::of(folder.path(), &arguments).json();
    assert_eq!(again["was_moved"], true);
    on_threads(async {
        assert_eq!(to.dump().await, before);
        let store = to.open().await;
        replay(&store, &answered).await;
        store.close().await;
    });
}

#[test]
fn into_postgres() {
    survives_kills(Kind::Sqlite, Kind::Postgres);
}

#[test]
fn into_sqlite() {
    survives_kills(Kind::Postgres, Kind::Sqlite);
}
