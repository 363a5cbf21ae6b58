//! A NATS server with JetStream, on a free port, in a folder of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, stream};

/// How a machine gets the program.
pub(crate) const GET_IT: &str = "apt-get install nats-server";
/// The stream that messages go to.
pub(crate) const STREAM: &str = "MESSAGES";

/// A server that runs until it is dropped; then it is killed by its id, and its folder removed.
pub(crate) struct NatsServer {
    folder: tempfile::TempDir,
    process: Option<Child>,
    port: u16,
}

impl NatsServer {
    /// Starts a server, and makes the stream.
    pub(crate) async fn start() -> std::io::Result<Self> {
        let mut server = Self { folder: tempfile::tempdir()?, process: None, port: 0 };
        server.up(&["-p", "-1"])?;
        server.port = server.told_port().await?;
        let context = jetstream::new(server.client().await);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["bank.>".to_owned()],
            duplicate_window: Duration::from_secs(600),
            ..stream::Config::default()
        };
        context.create_stream(config).await.map_err(std::io::Error::other)?;
        Ok(server)
    }

    fn up(&mut self, port: &[&str]) -> std::io::Result<()> {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-js", "-sd"]).arg(self.folder.path()).args(port);
        command.arg("--ports_file_dir").arg(self.folder.path());
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn()?);
        Ok(())
    }

    /// The port that it chose, from the file that it writes.
    async fn told_port(&self) -> std::io::Result<u16> {
        let process = self.process.as_ref().map_or(0, Child::id);
        let file: PathBuf = self.folder.path().join(format!("nats-server_{process}.ports"));
        for _ in 0..1_000 {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let ports: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let address = ports.pointer("/nats/0").and_then(serde_json::Value::as_str).unwrap_or_default();
            if let Some(Ok(port)) = address.rsplit(':').next().map(str::parse) {
                return Ok(port);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(std::io::Error::other(format!("nats-server did not start: {log}")))
    }

    /// Kills it; what it stored stays.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }

    /// Starts it again, at its old address.
    pub(crate) fn restart(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        self.up(&["-p", &port])
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client, as soon as the server answers.
    pub(crate) async fn client(&self) -> async_nats::Client {
        loop {
            match async_nats::connect(self.url()).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// How many messages the stream holds.
    #[allow(dead_code, reason = "not everybody asks")]
    pub(crate) async fn count(&self) -> Result<u64, async_nats::Error> {
        let stream = jetstream::new(self.client().await).get_stream(STREAM).await?;
        Ok(stream.cached_info().state.messages)
    }

    /// Everything that the stream holds, in its order.
    pub(crate) async fn stored(&self) -> Result<Vec<Vec<u8>>, async_nats::Error> {
        let stream = jetstream::new(self.client().await).get_stream(STREAM).await?;
        let (first, last) =
            (stream.cached_info().state.first_sequence, stream.cached_info().state.last_sequence);
        let mut found = Vec::new();
        for sequence in first.max(1)..=last {
            found.push(stream.get_raw_message(sequence).await?.payload.to_vec());
        }
        Ok(found)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
