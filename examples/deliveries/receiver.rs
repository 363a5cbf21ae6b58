//! Who gets the messages, and what it does wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Failure;
use crate::audit::Came;
use crate::chance::Chance;
use crate::http::{Reply, Request, Server};
use crate::nats_server::NatsServer;
use crate::options::{Options, SinkChoice};

/// What the receiver knows, and how it behaves.
struct State {
    came: Came,
    chance: Chance,
    is_calm: bool,
}

pub(crate) struct Receiver {
    state: Arc<Mutex<State>>,
    kind: Kind,
}

enum Kind {
    Http {
        address: SocketAddr,
        server: Option<Server>,
    },
    Nats(NatsServer),
    /// The service tells what came.
    Channel,
    File(PathBuf),
}

impl Receiver {
    pub(crate) async fn start(options: &Options, folder: &std::path::Path) -> Result<Self, Failure> {
        let state = State { came: Came::default(), chance: Chance::new(options.seed), is_calm: false };
        let kind = match options.sink {
            SinkChoice::Http => Kind::Http { address: ([127, 0, 0, 1], 0).into(), server: None },
            SinkChoice::Nats => Kind::Nats(NatsServer::start().await.map_err(|error| {
                format!("a NATS server did not start: {error}; get one with: {}", crate::nats_server::GET_IT)
            })?),
            SinkChoice::Channel => Kind::Channel,
            SinkChoice::File => Kind::File(folder.join("messages.jsonl")),
        };
        let mut receiver = Self { state: Arc::new(Mutex::new(state)), kind };
        if let Kind::Http { .. } = receiver.kind {
            receiver.up().await?;
        }
        Ok(receiver)
    }

    /// What the service has to know to send there.
    pub(crate) fn address(&self) -> String {
        match &self.kind {
            Kind::Http { address, .. } => format!("http://{address}/messages"),
            Kind::Nats(server) => server.url(),
            Kind::Channel => "channel".to_owned(),
            Kind::File(path) => path.display().to_string(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything and answers, or not.
    pub(crate) fn calm(&self, is_calm: bool) {
        self.state().is_calm = is_calm;
    }

    /// Takes in what the service told.
    pub(crate) fn take(&self, envelope: &[u8]) -> Result<(), Failure> {
        self.state().came.take(envelope)
    }

    /// Different messages that came, where that is known before the end.
    pub(crate) fn count(&self) -> Option<u64> {
        matches!(self.kind, Kind::Http { .. } | Kind::Channel).then(|| self.state().came.count())
    }

    /// Whether there is somebody who can be down.
    pub(crate) fn can_be_down(&self) -> bool {
        matches!(self.kind, Kind::Http { .. } | Kind::Nats(_))
    }

    pub(crate) fn down(&mut self) {
        match &mut self.kind {
            Kind::Http { server, .. } => *server = None,
            Kind::Nats(server) => server.kill(),
            Kind::Channel | Kind::File(_) => {}
        }
    }

    pub(crate) async fn up(&mut self) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Http { address, server } => {
                let state = Arc::clone(&self.state);
                let started = loop {
                    let state = Arc::clone(&state);
                    match Server::start(*address, move |request| react(&state, &request)).await {
                        Ok(server) => break server,
                        // Connections of the last one are still being closed.
                        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(error) => return Err(error.into()),
                    }
                };
                *address = started.address;
                *server = Some(started);
                Ok(())
            }
            Kind::Nats(server) => Ok(server.restart()?),
            Kind::Channel | Kind::File(_) => Ok(()),
        }
    }

    /// Everything that came.
    pub(crate) async fn end(self) -> Result<Came, Failure> {
        match &self.kind {
            Kind::Nats(server) => {
                for envelope in server.stored().await? {
                    self.take(&envelope)?;
                }
            }
            Kind::File(path) => {
                for line in std::fs::read(path)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
                {
                    self.take(line)?;
                }
            }
            Kind::Http { .. } | Kind::Channel => {}
        }
        Ok(std::mem::take(&mut self.state().came))
    }
}

/// What becomes of a request.
fn react(state: &Mutex<State>, request: &Request) -> Reply {
    if request.method != "POST" {
        return Reply::status(405);
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let drawn = if state.is_calm { u64::MAX } else { state.chance.below(10_000) };
    let takes = !matches!(drawn, 0..250);
    if takes && state.came.take(&request.body).is_err() {
        return Reply::status(400);
    }
    match drawn {
        0..100 => Reply::status(503),
        100..190 => Reply::status(500),
        190..193 => Reply::Answer(429, vec![("retry-after", "1".to_owned())], "slower".to_owned()),
        193..200 => Reply::Hang,
        200..250 => Reply::Cut(b""),
        // It has the message; the service does not hear of it.
        250..300 => Reply::Cut(b""),
        300..305 => Reply::Hang,
        305..330 => Reply::Cut(b"HTTP/1.1 20"),
        _ => Reply::status(202),
    }
}
