//! Damage in the write-ahead log: lost commits are told, torn ones are dropped.

use sidestream::store::sqlite::{SqliteStore, wal};
use tempfile::TempDir;

use crate::support::*;

const HEADER: usize = 32;
const FRAME: usize = 24 + 4_096;

/// A store as it looks to a process that starts after the power was cut, with so many commits in its WAL;
/// and the ends of these commits in it.
async fn crashed(commits: u64) -> (Place, Vec<u8>, Vec<usize>) {
    let (live, crashed) = (Place::new(), Place::new());
    let store = live.open();
    let mut ends = Vec::new();
    for n in 0..commits {
        put(&store, &account("7"), n, &[b'a' + n as u8; 5_000]).await.unwrap();
        ends.push(std::fs::metadata(live.wal()).unwrap().len() as usize);
    }
    for name in ["events.db", "events.db-wal"] {
        std::fs::copy(live.directory.path().join(name), crashed.directory.path().join(name)).unwrap();
    }
    let wal = std::fs::read(crashed.wal()).unwrap();
    (crashed, wal, ends)
}

async fn reopened(place: &Place) -> sidestream::Result<u64> {
    let store = place.options().open()?;
    let head = read(&store, &account("7"), 0).await?.head.get();
    drop(store);
    // What recovery left is no riddle for the next start.
    assert_eq!(read(&place.open(), &account("7"), 0).await?.head.get(), head);
    Ok(head)
}

/// The store with other bytes in its WAL.
fn with_wal(place: &Place, wal: &[u8]) -> (TempDir, Place) {
    let copy = Place::new();
    std::fs::copy(place.path(), copy.path()).unwrap();
    std::fs::write(copy.wal(), wal).unwrap();
    (tempfile::tempdir().unwrap(), copy)
}

#[tokio::test]
async fn an_undamaged_log_is_read_back() {
    let (place, wal, ends) = crashed(5).await;
    let found = wal::scan(&wal).unwrap();
    assert_eq!((found.commits, found.valid_bytes), (6, ends[4]), "the epoch's and five");
    assert_eq!(reopened(&place).await.unwrap(), 5);
}

#[tokio::test]
async fn a_flipped_bit_before_other_commits_is_refused_and_nothing_changed() {
    let (place, wal, ends) = crashed(5).await;
    let mut refused = 0;
    // Everywhere in the commits before the last one: header, commit mark, salts, checksum, page.
    for frame in (0..(ends[3] - HEADER) / FRAME).map(|n| HEADER + n * FRAME) {
        for offset in [0, 4, 8, 13, 16, 23, 24, 2_000, FRAME - 1] {
            let mut bad = wal.clone();
            bad[frame + offset] ^= 0x10;
            let (_keep, copy) = with_wal(&place, &bad);
            let error = copy.options().open().unwrap_err();
            assert_eq!(error.code(), "corrupt");
            let text = error.to_string();
            assert!(text.contains("acknowledged commits are unreadable"), "{text}");
            assert!(text.contains("damaged at byte"), "{text}");
            assert!(std::fs::read(copy.wal()).unwrap() == bad, "kept as it was");
            refused += 1;
        }
    }
    assert!(refused > 50);
}

#[tokio::test]
async fn a_bad_header_before_commits_is_refused() {
    let (place, wal, _) = crashed(3).await;
    for offset in [0, 3, 8, 17, 25] {
        let mut bad = wal.clone();
        bad[offset] ^= 0x10;
        let (_keep, copy) = with_wal(&place, &bad);
        let error = copy.options().open().unwrap_err().to_string();
        assert!(error.contains("acknowledged commits are unreadable"), "byte {offset}: {error}");
    }
}

#[tokio::test]
async fn a_torn_last_commit_is_dropped() {
    let (place, wal, ends) = crashed(5).await;
    let last = ends[3]..ends[4];
    assert!(last.len() >= 2 * FRAME, "it has several frames");
    for cut in [last.start, last.start + 1, last.start + 600, last.start + FRAME, last.end - 1] {
        let (_keep, copy) = with_wal(&place, &wal[..cut]);
        assert_eq!(reopened(&copy).await.unwrap(), 4, "cut at {cut}");
    }
    // Its frames may also be missing in any order, with zeros or an older log in their place.
    for frame in (last.start..last.end).step_by(FRAME) {
        for fill in [0, 0xa5] {
            let mut torn = wal.clone();
            torn[frame..frame + FRAME].fill(fill);
            let (_keep, copy) = with_wal(&place, &torn);
            assert_eq!(reopened(&copy).await.unwrap(), 4, "frame at {frame}");
        }
    }
}

#[tokio::test]
async fn readers_wait_for_a_writer_to_recover() {
    let (place, ..) = crashed(2).await;
    let error = SqliteStore::open_read_only(place.path()).unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(error.to_string().contains("stopped uncleanly"), "{error}");
    let writer = place.open();
    let reader = SqliteStore::open_read_only(place.path()).unwrap();
    assert_eq!(read(&reader, &account("7"), 0).await.unwrap().head.get(), 2);
    drop(writer);
}

#[tokio::test]
async fn a_log_without_its_database_is_refused() {
    let (place, ..) = crashed(2).await;
    std::fs::remove_file(place.path()).unwrap();
    let error = place.options().open().unwrap_err();
    assert_eq!(error.code(), "corrupt");
    assert!(!place.path().exists());
}
