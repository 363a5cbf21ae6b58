//! Processes by their ids: who is there, and signals.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What the system says about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    parent: u32,
    state: char,
}

impl Process {
    pub(super) fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// One that has ended is listed until its parent has asked how.
    fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// From `/proc/<id>/stat`: `12 (a name) S 1 …`; a name may hold anything.
    fn from_stat(text: &str) -> Option<Self> {
        let id = text.split(' ').next()?.parse().ok()?;
        let mut rest = text.rsplit_once(") ")?.1.split(' ');
        let state = rest.next()?.chars().next()?;
        Some(Self { id, parent: rest.next()?.parse().ok()?, state })
    }

    /// From a line of `ps`: id, parent, state.
    fn from_ps(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (id, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { id, parent, state: words.next()?.chars().next()? })
    }
}

/// A process and its children, those that have ended left out.
pub(super) fn family(id: u32) -> Vec<Process> {
    let all = if has_proc() { from_proc() } else { from_ps() };
    all.into_iter()
        .filter(|process| !process.has_ended() && (process.id == id || process.parent == id))
        .collect()
}

pub(super) fn is_alive(id: u32) -> bool {
    if !has_proc() {
        return from_ps().iter().any(|process| process.id == id && !process.has_ended());
    }
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    Process::from_stat(&text).is_some_and(|process| !process.has_ended())
}

/// Sends a signal to each. One that has ended meanwhile is no failure.
pub(super) fn signal(name: &str, ids: impl IntoIterator<Item = u32>) {
    let ids = ids.into_iter().map(|id| id.to_string());
    // The shell's own `kill`: a program of that name is not on every machine.
    let mut command = Command::new("sh");
    command.args(["-c", "kill -s \"$@\" 2>/dev/null", "kill", name]).args(ids);
    command.status().expect("`sh` can be started");
}

/// Linux has it, other systems have `ps`.
fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn from_proc() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    texts.filter_map(|text| Process::from_stat(&text)).collect()
}

fn from_ps() -> Vec<Process> {
    let told = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "state="]).output();
    let told = told.expect("either /proc or `ps`, to find the processes of a server");
    String::from_utf8_lossy(&told.stdout).lines().filter_map(Process::from_ps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let process = Process::from_stat("12 (a) S 9 (b) T 34 5 6 7");
        assert_eq!(process, Some(Process { id: 12, parent: 34, state: 'T' }));
    }

    #[test]
    fn ps_tells_the_same() {
        let process = Process::from_ps("   12     1 Ss");
        assert_eq!(process, Some(Process { id: 12, parent: 1, state: 'S' }));
        assert!(is_alive(std::process::id()));
    }
}
