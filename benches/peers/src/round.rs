//! The peers' processes, and the rounds they run in turn.
//!
//! Each turn has a new process and a new store: accounts get older by their holds, and a peer that was fast in
//! the first round would have the more to load in the next.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use sidestream_peers_load::Failure;
use sidestream_peers_load::words::{Answer, Ask, Check, Opened, Round};

use crate::Arguments;
use crate::peers::Kind;

/// How long the disk is left alone before a round, for what the last peer and the opening of accounts left behind.
const REST: Duration = Duration::from_secs(1);

/// All that one peer did.
pub struct Run {
    pub kind: Kind,
    pub opened: Opened,
    pub rounds: Vec<Round>,
    pub checks: Vec<Check>,
}

/// Runs all rounds of all peers.
///
/// # Errors
/// The first failure of any peer, and a check that finds other holds than were answered.
pub fn run_all(arguments: &Arguments, directory: &Path) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for kind in &arguments.peers {
        kind.build()?;
        runs.push(Run { kind: *kind, opened: Opened::default(), rounds: Vec::new(), checks: Vec::new() });
    }
    for round in 0..usize::from(arguments.rounds) {
        // Another one begins each round, so that nobody always follows the same neighbour.
        for turn in 0..runs.len() {
            let at = (turn + round) % runs.len();
            eprintln!("round {}, {}", round + 1, runs[at].kind.name());
            runs[at].turn(arguments, directory)?;
        }
    }
    Ok(runs)
}

impl Run {
    fn turn(&mut self, arguments: &Arguments, directory: &Path) -> Result<(), Failure> {
        let name = self.kind.name();
        let directory = directory.join(name);
        std::fs::create_dir(&directory)?;
        let (mut process, opened) = Process::start(self.kind, arguments, &directory)?;
        std::thread::sleep(REST);
        let round = process.round(arguments)?;
        let check = process.end()?;
        std::fs::remove_dir_all(directory)?;
        eprintln!("  {:.0} commands/s; {} holds answered, {} held", round.rate(), check.answered, check.held);
        if check.answered != check.held {
            return Err(
                format!("{name}: {} holds were answered, {} are stored", check.answered, check.held).into()
            );
        }
        self.opened = opened;
        self.rounds.push(round);
        self.checks.push(check);
        Ok(())
    }
}

/// A peer's process. It is stopped when this is dropped.
struct Process {
    kind: Kind,
    pipes: Option<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
}

impl Process {
    fn start(kind: Kind, arguments: &Arguments, directory: &Path) -> Result<(Self, Opened), Failure> {
        let mut command = kind.command()?;
        command.arg("--directory").arg(directory);
        for (name, value) in [
            ("--accounts", arguments.accounts),
            ("--clients", arguments.clients),
            ("--in-flight", arguments.in_flight),
        ] {
            command.args([name, &value.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let mut process = Self { kind, pipes, child };
        match process.hear()? {
            Answer::Ready(opened) => Ok((process, opened)),
            other => Err(process.unexpected(&other)),
        }
    }

    fn round(&mut self, arguments: &Arguments) -> Result<Round, Failure> {
        let warm_up = Duration::from_secs_f64(arguments.warm_up);
        let measured = Duration::from_secs_f64(arguments.seconds);
        match self.ask(&Ask::Round { warm_up, measured })? {
            Answer::Round(round) => Ok(round),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Has it check what is stored, and waits until it has closed its store.
    fn end(mut self) -> Result<Check, Failure> {
        let check = match self.ask(&Ask::Check)? {
            Answer::Check(check) => check,
            other => return Err(self.unexpected(&other)),
        };
        // No more is asked. It may have something to say while it closes, and must find somebody who listens.
        if let Some((asked, mut said)) = self.pipes.take() {
            drop(asked);
            std::io::copy(&mut said, &mut std::io::stderr())?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{}: ended with {status}", self.kind.name()).into());
        }
        Ok(check)
    }

    fn ask(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let (asked, _) = self.pipes.as_mut().ok_or("no pipe")?;
        writeln!(asked, "{}", serde_json::to_string(ask)?)?;
        self.hear()
    }

    /// The next answer. What is no JSON is a server's own talk.
    fn hear(&mut self) -> Result<Answer, Failure> {
        let (_, said) = self.pipes.as_mut().ok_or("no pipe")?;
        let mut line = String::new();
        loop {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err(format!("{}: its process ended; what it said is above", self.kind.name()).into());
            }
            match serde_json::from_str(&line) {
                Ok(Answer::Failed(why)) => return Err(format!("{}: {why}", self.kind.name()).into()),
                Ok(answer) => return Ok(answer),
                Err(_) => eprint!("  {line}"),
            }
        }
    }

    fn unexpected(&self, answer: &Answer) -> Failure {
        format!("{}: answered {answer:?} to something else", self.kind.name()).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a failure it may hang; after an orderly end this finds it gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
