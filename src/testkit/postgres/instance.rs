//! A data directory and the processes that serve it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::testkit::postgres::binaries::Binaries;
use crate::testkit::postgres::keeper::Keeper;
use crate::testkit::postgres::{configuration, ports, process, template, waiting};

/// Lines of the log that a message shows.
const TAIL: usize = 40;
/// Another process may take a port between the look and the start.
const PORTS_TRIED: u32 = 10;

/// What a server is made of. It knows no SQL.
#[derive(Debug)]
pub(super) struct Instance {
    binaries: Binaries,
    keeper: Keeper,
    settings: Vec<(String, String)>,
    port: u16,
    process: Option<u32>,
}

impl Instance {
    /// A folder without data.
    pub(super) fn new(binaries: &Binaries, settings: Vec<(String, String)>) -> Self {
        let keeper = Keeper::new(binaries);
        Self { binaries: binaries.clone(), keeper, settings, port: ports::free(), process: None }
    }

    pub(super) fn folder(&self) -> &Path {
        self.keeper.folder()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The server's first process, while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        self.process.filter(|id| process::is_alive(*id))
    }

    /// Gives it the data of a new server.
    pub(super) fn make_data(&self, password: bool) {
        template::copy_to(&self.keeper, &self.binaries);
        configuration::write_access(self.folder(), self.keeper.account(), password);
    }

    /// Gives it a copy of what the server at this port has, in the place of its own data, to follow that server.
    pub(super) fn copy_data(&mut self, port: u16) {
        self.end("QUIT");
        self.keeper.discard();
        let mut command = self.binaries.command("pg_basebackup");
        command.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
            &port.to_string(),
            "-c",
            "fast",
            "--no-sync",
        ]);
        self.keeper.run(command.arg("-D").arg(self.folder().join("data")));
        configuration::mark_as_standby(self.folder(), self.keeper.account());
    }

    /// Changes a line of `postgresql.conf`. A server that runs is told.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        if let Some(id) = self.process() {
            self.write_settings();
            process::signal("HUP", [id]);
        }
    }

    /// Starts for the first time.
    ///
    /// # Panics
    /// When the server does not start, with the end of its log.
    pub(super) fn start_on_a_free_port(&mut self) {
        for _ in 0..PORTS_TRIED {
            match self.start() {
                Ok(()) => return,
                Err(log) if log.contains("Address already in use") => self.port = ports::free(),
                Err(log) => panic!("{log}"),
            }
        }
        panic!("no port of {PORTS_TRIED} was free: {}", self.complaint("did not start"));
    }

    /// Starts, and waits until clients are let in. Where that fails: why, with the end of the log.
    pub(super) fn start(&mut self) -> Result<(), String> {
        assert!(self.process().is_none(), "{} runs already", self.folder().display());
        self.take_leave();
        self.write_settings();
        let id = self.keeper.start();
        self.process = Some(id);
        let ready = waiting::until(|| match is_ready(self.folder(), id) {
            true => Some(true),
            false => (!process::is_alive(id)).then_some(false),
        });
        match ready {
            Some(true) => Ok(()),
            Some(false) => {
                self.take_leave();
                Err(self.complaint("did not start"))
            }
            None => Err(self.complaint("lets no client in")),
        }
    }

    /// Ends the server by a signal to its first process, and waits until it has ended. One that is paused goes
    /// on first.
    pub(super) fn end(&mut self, signal: &str) {
        let Some(id) = self.process else { return };
        process::signal(signal, [id]);
        self.resume();
        let ended = waiting::until(|| (!process::is_alive(id)).then_some(()));
        assert!(ended.is_some(), "{}", self.complaint(&format!("did not end after {signal}")));
        self.take_leave();
    }

    /// Ends all its processes where they are.
    pub(super) fn kill(&mut self) {
        let Some(id) = self.process else { return };
        self.pause();
        let mut family = process::family(id);
        process::signal("KILL", family.iter().map(|process| process.id));
        let ended = waiting::until(|| {
            family.retain(|process| process::is_alive(process.id));
            family.is_empty().then_some(())
        });
        assert!(ended.is_some(), "{}", self.complaint("did not end after KILL"));
        self.take_leave();
    }

    /// Stops all its processes for a while. It returns when none of them moves any more.
    pub(super) fn pause(&self) {
        let Some(id) = self.process else { return };
        let paused = waiting::until(|| {
            // The first process starts no other once it is stopped itself.
            let moving: Vec<_> = process::family(id).into_iter().filter(|one| !one.is_stopped()).collect();
            process::signal("STOP", moving.iter().map(|process| process.id));
            moving.is_empty().then_some(())
        });
        assert!(paused.is_some(), "{}", self.complaint("cannot be paused"));
    }

    /// Lets the processes go on that are stopped.
    pub(super) fn resume(&self) {
        let Some(id) = self.process else { return };
        let stopped: Vec<_> = process::family(id).into_iter().filter(|one| one.is_stopped()).collect();
        if !stopped.is_empty() {
            process::signal("CONT", stopped.iter().map(|process| process.id));
        }
    }

    fn take_leave(&mut self) {
        if self.process.take().is_some() {
            self.keeper.wait();
        }
    }

    fn write_settings(&self) {
        configuration::write_settings(self.folder(), self.keeper.account(), &self.settings, self.port);
    }

    fn complaint(&self, what: &str) -> String {
        let folder = self.folder();
        format!("the server in {} {what}. The end of its log:\n{}", folder.display(), log_tail(folder))
    }
}

impl Drop for Instance {
    /// The keeper ends the server. One that is paused would make it wait.
    fn drop(&mut self) {
        self.resume();
    }
}

/// The last lines that the server in a folder wrote.
pub(super) fn log_tail(folder: &Path) -> String {
    let path: PathBuf = folder.join("log");
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Whether the process says so itself, in the last line of a file that `pg_ctl` reads too.
fn is_ready(folder: &Path, id: u32) -> bool {
    let text = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.first() == Some(&id.to_string().as_str()) && lines.get(7) == Some(&"ready")
}
