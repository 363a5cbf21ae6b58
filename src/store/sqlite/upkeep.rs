//! What the writer does between batches: checkpoints, and a bound for the write-ahead log.

use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::checkpoint::{self, Frames, WalLimits};
use crate::store::sqlite::checkpointer::Checkpointer;
use crate::store::sqlite::settings;
use crate::store::sqlite::status::Shared;
use crate::store::sqlite::writer::Writer;

/// Bytes of a frame: a page and its header.
const FRAME_BYTES: u64 = 4_096 + 24;

/// Keeps the write-ahead log small.
#[derive(Debug)]
pub(super) struct Upkeep {
    limits: WalLimits,
    status: Shared,
    wal_bytes: u64,
    /// Who checkpoints beside the commits; without one it is done between them.
    checkpointer: Option<Checkpointer>,
    /// The log does not try to start over before it has so many bytes.
    try_again_at: u64,
}

impl Upkeep {
    pub(super) fn new(limits: WalLimits, status: Shared, checkpointer: Option<Checkpointer>) -> Self {
        Self { limits, status, wal_bytes: 0, checkpointer, try_again_at: 0 }
    }

    /// Runs after a batch was answered. A checkpoint that fails is counted and told, and tried again
    /// after the next batch; the WAL keeps what it did not move.
    pub(super) fn run(&mut self, writer: &Writer) {
        if writer.stopped().is_some() {
            return;
        }
        match self.checkpoint(writer) {
            Ok(frames) => self.note(frames),
            Err(error) => self.status.note_checkpoint_failure(&error),
        }
    }

    /// Why nothing more may be appended now, if so.
    pub(super) fn refusal(&mut self, writer: &Writer) -> Option<Error> {
        if self.wal_bytes < self.limits.most_bytes {
            return None;
        }
        self.run(writer);
        (self.wal_bytes >= self.limits.most_bytes).then(|| {
            Error::new(ErrorKind::Overloaded, "sqlite: the write-ahead log is full and cannot start over")
                .expected(format!("below {} bytes", self.limits.most_bytes), self.wal_bytes)
                .advice(
                    "look for a long reader or a failing checkpoint; then retry with the same transaction id",
                )
        })
    }

    /// The last checkpoint, at a clean stop.
    pub(super) fn finish(&mut self, writer: &Writer) -> Result<()> {
        drop(self.checkpointer.take());
        if checkpoint::truncate(writer.connection())?.busy {
            tracing::info!("sqlite: a reader is left; the next start reads the write-ahead log again");
            return Ok(());
        }
        settings::keep_wal_on_close(writer.connection(), false)
    }

    /// What is moved beside the commits never is all of it under load, so now and then the rest is moved between
    /// two of them, and the log starts over; when little is left, or when it cannot wait.
    fn checkpoint(&mut self, writer: &Writer) -> rusqlite::Result<Frames> {
        let frames = checkpoint::look(writer.connection())?;
        let (in_wal, left) = (bytes(frames), frames.left().saturating_mul(FRAME_BYTES));
        let WalLimits { checkpoint_bytes, restart_bytes, most_bytes } = self.limits;
        let is_full = in_wal >= most_bytes;
        let is_due = in_wal >= restart_bytes;
        let Some(checkpointer) = &self.checkpointer else {
            return match is_due && (is_full || in_wal >= self.try_again_at) {
                true => self.restart(writer, in_wal),
                false if in_wal >= checkpoint_bytes && left > 0 => checkpoint::passive(writer.connection()),
                false => Ok(frames),
            };
        };
        if checkpointer.works() && !is_full {
            return Ok(frames);
        }
        let little_is_left = left <= checkpoint_bytes.saturating_div(4);
        let is_late = in_wal >= restart_bytes.saturating_mul(2);
        if is_full || (is_due && (little_is_left || is_late) && in_wal >= self.try_again_at) {
            return self.restart(writer, in_wal);
        }
        if left >= checkpoint_bytes || (is_due && !little_is_left) {
            checkpointer.begin();
        }
        Ok(frames)
    }

    /// Lets the log start over. Where a reader is in the way it has grown a good deal before that is tried again:
    /// each try makes commits wait.
    fn restart(&mut self, writer: &Writer, in_wal: u64) -> rusqlite::Result<Frames> {
        let frames = checkpoint::restart(writer.connection())?;
        self.try_again_at = if frames.busy { in_wal.saturating_add(self.limits.checkpoint_bytes) } else { 0 };
        Ok(if frames.busy { frames } else { Frames::default() })
    }

    fn note(&mut self, frames: Frames) {
        self.wal_bytes = bytes(frames);
        let wal_bytes = self.wal_bytes;
        let is_ours = self.checkpointer.is_none();
        self.status.change(|status| {
            status.wal_bytes = wal_bytes;
            if is_ours {
                status.checkpoint_error = None;
            }
        });
    }
}

fn bytes(frames: Frames) -> u64 {
    frames.in_wal.saturating_mul(FRAME_BYTES)
}
