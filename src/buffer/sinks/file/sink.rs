//! The sink itself.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::buffer::delivery::Delivery;
use crate::buffer::sink::{Answer, Sink};
use crate::buffer::sinks::file::lines::Lines;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Appends messages to a file, one CloudEvent a line, and answers when they are on the disk. Whatever waits meanwhile is
/// written and synced together.
///
/// The file has rights 0600, and one writer: a second one is refused. What a crash left half written is cut off when it is
/// opened. A full disk is [`Later`](Answer::Later). To begin a new file, stop the service: nobody else may shorten or
/// replace this one.
#[derive(Debug, Clone)]
pub struct FileSink {
    queue: mpsc::Sender<Waiting>,
    path: Arc<Path>,
}

/// A line, and who waits for it.
#[derive(Debug)]
struct Waiting {
    line: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

impl FileSink {
    /// Opens the file, or makes it, and starts the thread that writes to it; the thread ends with the last clone of the
    /// sink. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the file cannot be opened or written to, [`Fenced`](ErrorKind::Fenced) when
    /// somebody else writes to it, [`Unavailable`](ErrorKind::Unavailable) when no thread can be had.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let lines = Lines::open(path)?;
        let (queue, waiting) = mpsc::channel(limits::FILE_BATCH);
        std::thread::Builder::new()
            .name("sidestream-file".to_owned())
            .spawn(move || write(lines, waiting))
            .map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the thread of a file sink did not start").caused_by(error)
        })?;
        Ok(Self { queue, path: Arc::from(path) })
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let mut line = match delivery.cloud_event() {
            Ok(line) => line,
            Err(error) => return Answer::refused(error),
        };
        line.push(b'\n');
        let (answer, answered) = oneshot::channel();
        let ended = || Answer::later(format!("the thread that writes {} has ended", self.path.display()));
        if self.queue.send(Waiting { line, answer }).await.is_err() {
            return ended();
        }
        answered.await.unwrap_or_else(|_| ended())
    }
}

/// Writes what waits, syncs it once, and answers; until nobody sends any more.
fn write(mut lines: Lines, mut waiting: mpsc::Receiver<Waiting>) {
    let mut bytes = Vec::new();
    let mut answers = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        let mut next = Some(first);
        while let Some(Waiting { line, answer }) = next {
            bytes.extend_from_slice(&line);
            answers.push(answer);
            let has_room = answers.len() < limits::FILE_BATCH && bytes.len() < limits::FILE_BATCH_BYTES;
            next = if has_room { waiting.try_recv().ok() } else { None };
        }
        let written = lines.cut().and_then(|()| lines.add(&bytes));
        if let Err(error) = &written {
            tracing::warn!(%error, "a file sink could not write: it tries again");
        }
        for answer in answers.drain(..) {
            let told = written.as_ref().map_or_else(Answer::later, |()| Answer::Taken);
            // Whoever waited may have given up: then the message comes again.
            drop(answer.send(told));
        }
        bytes.clear();
    }
}
