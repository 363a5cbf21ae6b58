//! The disk that the stores lie on. A figure without it says nothing.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sidestream_peers_load::Failure;

/// Syncs that are timed.
const SYNCS: usize = 200;

/// Refuses a directory in memory, where a sync costs nothing and survives nothing.
///
/// # Errors
/// When it is one, or cannot be asked.
pub fn refuse_memory(directory: &Path) -> Result<(), Failure> {
    if cfg!(target_os = "linux") && is_memory(directory)? {
        return Err(format!(
            "{} lies in memory (tmpfs or ramfs), where a sync is free and nothing is durable; \
             name a directory on a disk with --directory",
            directory.display()
        )
        .into());
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn is_memory(directory: &Path) -> Result<bool, Failure> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(directory)?.f_type;
    Ok([TMPFS, RAMFS].contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_: &Path) -> Result<bool, Failure> {
    Ok(false)
}

/// The median time of writing 4 KiB to the end of a file and syncing it.
///
/// # Errors
/// When the disk cannot be written to.
pub fn time_of_a_sync(directory: &Path) -> Result<Duration, Failure> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all(&[0x5a; 4_096])?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_memory_is_refused() {
        let shm = Path::new("/dev/shm");
        if shm.exists() {
            assert!(refuse_memory(shm).unwrap_err().to_string().contains("--directory"));
        }
    }
}
