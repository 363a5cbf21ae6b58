//! What the writer does between batches: checkpoints, and a bound for the write-ahead log.

use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::checkpoint::{self, Frames, WalLimits};
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
}

impl Upkeep {
    pub(super) fn new(limits: WalLimits, status: Shared) -> Self {
        Self { limits, status, wal_bytes: 0 }
    }

    /// Runs after a batch was answered. A checkpoint that fails is counted and told, and tried again
    /// after the next batch; the WAL keeps what it did not move.
    pub(super) fn run(&mut self, writer: &Writer) {
        if writer.stopped().is_some() {
            return;
        }
        match self.checkpoint(writer) {
            Ok(frames) => self.note(frames),
            Err(error) => self.note_failure(&error),
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
        if checkpoint::truncate(writer.connection())?.busy {
            tracing::info!("sqlite: a reader is left; the next start reads the write-ahead log again");
            return Ok(());
        }
        settings::keep_wal_on_close(writer.connection(), false)
    }

    fn checkpoint(&self, writer: &Writer) -> rusqlite::Result<Frames> {
        let frames = checkpoint::look(writer.connection())?;
        let bytes = bytes(frames);
        if bytes >= self.limits.restart_bytes {
            let frames = checkpoint::restart(writer.connection())?;
            return Ok(if frames.busy { frames } else { Frames::default() });
        }
        let due = bytes >= self.limits.checkpoint_bytes && !frames.are_all_moved();
        if due { checkpoint::passive(writer.connection()) } else { Ok(frames) }
    }

    fn note(&mut self, frames: Frames) {
        self.wal_bytes = bytes(frames);
        let wal_bytes = self.wal_bytes;
        self.status.change(|status| {
            status.wal_bytes = wal_bytes;
            status.checkpoint_error = None;
        });
    }

    fn note_failure(&mut self, error: &rusqlite::Error) {
        tracing::warn!(%error, "sqlite: a checkpoint failed; the write-ahead log keeps what it did not move");
        self.status.change(|status| {
            status.checkpoint_failures = status.checkpoint_failures.saturating_add(1);
            status.checkpoint_error = Some(error.to_string());
        });
    }
}

fn bytes(frames: Frames) -> u64 {
    frames.in_wal.saturating_mul(FRAME_BYTES)
}
