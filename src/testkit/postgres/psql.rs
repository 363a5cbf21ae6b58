//! SQL by PostgreSQL's own client.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::testkit::postgres::binaries::Binaries;

/// `psql`, about to talk to the server whose socket is in this folder. It prints values only.
pub(super) fn command(binaries: &Binaries, folder: &Path, port: u16, database: &str) -> Command {
    let mut command = binaries.command("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
    command.arg("-h").arg(folder).arg("-p").arg(port.to_string());
    command
}

/// Runs SQL with these variables (`:'name'` in the text). What psql printed, or its complaint.
pub(super) fn run(mut command: Command, sql: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    for (name, value) in variables {
        command.arg("-v").arg(format!("{name}={value}"));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut stdin = child.stdin.take();
    // Beside the reading: psql stops to listen while nobody takes what it prints. When it gives up early it
    // says why itself.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(sql.as_bytes())));
        child.wait_with_output()
    });
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
