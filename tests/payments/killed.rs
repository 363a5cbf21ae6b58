//! The program is killed in the middle, any number of times; the same command again brings it to its end.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::berka::{self, totals};
use crate::program::{command, folder};

/// What the store's files have grown to when the program is killed: at its very start, and further on each
/// time.
const KILLED_AT: [u64; 5] = [1, 500_000, 2_000_000, 5_000_000, 9_000_000];
const OPTIONS: [&str; 4] = ["--duplicates", "0.3", "--balances", "balances.csv"];

#[test]
fn after_any_number_of_kills_the_same_command_gives_the_same_balances() {
    let Some(file) = berka::file() else { return };
    let (calm, stormy) = (folder(), folder());
    berka::replay(calm.path(), &file, &OPTIONS).succeeded();

    for bytes in KILLED_AT {
        let mut program = command(stormy.path(), &berka::arguments(&file, &OPTIONS));
        let child = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        kill_at(child, stormy.path(), bytes);
        assert!(!stormy.path().join("balances.csv").exists(), "balances of a run that was killed");
    }
    let commands = berka::commands(&file);
    let last = totals(&berka::replay(stormy.path(), &file, &OPTIONS).succeeded());
    assert_eq!((last.refused, last.mismatches), (0, 0), "{last:?}");
    // What the killed runs applied, this one did not apply again.
    assert!(last.applied < commands, "{last:?}: the killed runs had applied nothing");
    assert!(last.applied + last.replayed >= commands, "{last:?}");
    let store = stormy.path().join("bank.db");
    assert_eq!(berka::events(&store).0, commands, "each command took effect once");
    let balances = |folder: &Path| fs::read_to_string(folder.join("balances.csv")).unwrap();
    assert!(balances(stormy.path()) == balances(calm.path()), "the balances differ");
}

/// Kills once the store has grown so far. What is waited for is the files' size; the pause only keeps
/// the watching cheap.
fn kill_at(mut child: Child, folder: &Path, bytes: u64) {
    for _ in 0..60_000 {
        let size = |name: &str| fs::metadata(folder.join(name)).map_or(0, |about| about.len());
        if size("bank.db") + size("bank.db-wal") >= bytes {
            child.kill().unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.code(), None, "ended by itself before {bytes} bytes: choose a smaller figure");
            return;
        }
        if let Some(status) = child.try_wait().unwrap() {
            let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
            panic!("ended by itself before {bytes} bytes, {status}: {said}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    panic!("the store does not grow to {bytes} bytes");
}
