//! What the machine says of this process. Only Linux does.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

/// Ticks a second where nobody says otherwise.
const TICKS: f64 = 100.0;

/// User and system time that this process has used.
pub(super) fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / ticks())
}

fn ticks() -> f64 {
    static FOUND: OnceLock<f64> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let said = Command::new("getconf").arg("CLK_TCK").output().ok();
        let said = said.and_then(|said| String::from_utf8(said.stdout).ok());
        let ticks = said.and_then(|text| text.trim().parse::<f64>().ok());
        ticks.filter(|ticks| *ticks > 0.0).unwrap_or(TICKS)
    })
}

/// The most memory that this process has held at once, in bytes.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_says_it() {
        assert!(cpu_seconds().expect("a time") >= 0.0);
        assert!(peak_memory_bytes().expect("a size") > 1 << 20);
    }
}
