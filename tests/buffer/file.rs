//! The file sink: what it answers is on the disk, whatever dies.

use std::io::Write;
use std::sync::Arc;

use sidestream::buffer::{Answer, DestinationSettings, FileSink, Sink};
use sidestream::clock::SystemClock;
use sidestream::testkit::effort;
use sidestream::{CommandHandler, ErrorKind, EventStore};

use crate::http::delivery;
use crate::support::*;

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[tokio::test]
async fn a_message_is_a_line_and_is_on_the_disk_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.jsonl");
    let sink = FileSink::open(&path).unwrap();
    let delivery = delivery(&["hello"]).await;
    assert_eq!(sink.send(&delivery).await, Answer::Taken);
    let line = [delivery.cloud_event().unwrap(), b"\n".to_vec()].concat();
    assert_eq!(std::fs::read(&path).unwrap(), line);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_path_that_cannot_be_written_to_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("absent/messages.jsonl")] {
        let error = FileSink::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

/// Cut anywhere, as a crash may leave it, the file goes on with a whole line; what was answered is there, in order.
#[tokio::test]
async fn a_file_cut_anywhere_behind_what_was_answered_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.jsonl");
    let store = one_partition(Arc::new(SystemClock));
    let tellers = CommandHandler::new(store.clone(), Teller);
    let (lives, partitions) = (u64::from(effort::cases(30)), store.properties().partitions);
    let mut number = 0;
    for epoch in 1..=lives {
        for _ in 0..20 {
            tell(&tellers, number, (number % 3) as u8, &[&format!("{number:05}")]).await;
            number += 1;
        }
        let sink = FileSink::open(&path).unwrap();
        let forgetful = DestinationSettings { record_every_ms: 2, ..settings() };
        let runs = Runs::start(&buffer_to(store.clone(), sink, forgetful), partitions, epoch);
        if epoch < lives {
            tokio::time::sleep(std::time::Duration::from_millis(epoch * 7 % 13)).await;
            drop(runs);
            tear(&path, epoch).await;
        } else {
            until("all have come", async || came(&path).values().map(Vec::len).sum::<usize>() == number)
                .await;
            runs.stop().await;
        }
    }
    for (key, came) in came(&path) {
        assert!(came.is_sorted(), "{key}: {came:?}");
    }
    assert_eq!(came(&path).values().map(Vec::len).sum::<usize>(), number);
}

fn came(path: &std::path::Path) -> std::collections::BTreeMap<String, Vec<String>> {
    let bytes = std::fs::read(path).unwrap();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    came_by_key(lines(&bytes[..whole]))
}

/// Half a line more, as if the next batch had been under way.
async fn tear(path: &std::path::Path, epoch: u64) {
    let torn: [&[u8]; 3] = [b"", b"{\"specversion\":\"1.0\",\"id\"", b"{\"a\":\"\0\0\0\0\"}\n{\"b\":1}\n{"];
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    // The thread that writes ends when it has noticed that nobody sends any more.
    until("the last life has ended", async || file.try_lock().is_ok()).await;
    file.write_all(torn[usize::try_from(epoch).unwrap() % 3]).unwrap();
}
