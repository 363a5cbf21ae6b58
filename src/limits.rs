//! Every bound of the crate, in one place.
//!
//! A bound that a user may want to move is a field of [`Limits`]; the constants are bounds of the
//! stored format and never move.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest category, in bytes.
pub const CATEGORY_BYTES: usize = 64;
/// Longest aggregate id, in bytes.
pub const AGGREGATE_ID_BYTES: usize = 200;
/// Longest stream name: a side stream's category, its aggregate id and a transaction id, in bytes.
pub const STREAM_NAME_BYTES: usize = 384;
/// Longest event type, in bytes.
pub const EVENT_TYPE_BYTES: usize = 64;
/// Longest step name with its key, in bytes.
pub const STEP_BYTES: usize = 64;
/// Longest codec name, in bytes.
pub const CODEC_NAME_BYTES: usize = 16;
/// Longest address of a requester, in bytes.
pub const REQUESTER_BYTES: usize = 256;
/// Most partitions a store may have.
pub const PARTITIONS: u16 = 1_024;
/// Partitions of a new store where nothing else is said.
pub const DEFAULT_PARTITIONS: u16 = 16;
/// Largest payload of one record, in bytes.
pub const PAYLOAD_BYTES: usize = 1 << 20;
/// Deepest nesting of a decoded value; deeper input is refused before it can exhaust the stack.
pub const VALUE_DEPTH: usize = 128;
/// Most elements of all sequences and maps in one decoded value together. A sequence of values that
/// take no bytes has no other bound.
pub const VALUE_ELEMENTS: usize = 1 << 20;
/// Longest stored message, in bytes: its data, key and headers, as JSON.
pub const MESSAGE_BYTES: usize = 256 << 10;
/// Most messages of one decision.
pub const DECISION_MESSAGES: usize = 64;
/// Longest key of a message, in bytes.
pub const MESSAGE_KEY_BYTES: usize = 160;
/// Most headers of one message.
pub const MESSAGE_HEADERS: usize = 32;
/// Longest name of a message's header, in bytes.
pub const HEADER_NAME_BYTES: usize = 20;
/// Longest value of a message's header, in bytes.
pub const HEADER_VALUE_BYTES: usize = 1_024;
/// Most records of one unit.
pub const UNIT_RECORDS: usize = 4_096;
/// Most streams of one unit.
pub const UNIT_STREAMS: usize = 256;
/// Most bytes of payload in one unit: it is read and written in one piece.
pub const UNIT_BYTES: usize = 32 << 20;
/// Most units of one list.
pub const LIST_UNITS: usize = 8_192;
/// Longest name of a space of rows, in bytes.
pub const ROW_SPACE_BYTES: usize = 64;
/// Longest key of a row, in bytes.
pub const ROW_KEY_BYTES: usize = 256;
/// Largest value of a row, in bytes.
pub const ROW_VALUE_BYTES: usize = 64 << 10;
/// Most rows of one unit.
pub const UNIT_ROWS: usize = 256;
/// Most rows that one read returns, or names.
pub const PAGE_ROWS: usize = 256;
/// Most records that one page of any read returns.
pub const PAGE_RECORDS: usize = 4_096;
/// How much has to wait, units or reads, for a call to PostgreSQL to be sent beside others at once.
pub const CALL_LOAD: usize = 64;
/// How long less than that waits for those under way to end.
pub const CARRIER_PAUSE: Duration = Duration::from_millis(10);
/// Times that an append to PostgreSQL is sent in the hope that its streams are where they are expected; then it takes the
/// partition's lock first.
pub const HOPEFUL_APPENDS: usize = 4;
/// Most stream reads in one call.
pub const BULK_READS: usize = 16_384;
/// Most records of one side stream: what a transaction with many steps, resumed often, may come to.
pub const SIDE_STREAM_RECORDS: u64 = 16_384;
/// Anchors that each of two split stores keeps; older ones are removed when one is added.
pub const KEPT_ANCHORS: u64 = 8;
/// Most unreadable snapshots that one load steps over before it folds the stream from its start.
pub const UNREADABLE_SNAPSHOTS: usize = 3;

/// Most categories that one selection names.
pub const SELECTED_CATEGORIES: usize = 64;
/// Most event types that one selection names.
pub const SELECTED_TYPES: usize = 256;
/// Most streams that one selection names.
pub const SELECTED_STREAMS: usize = 4_096;
/// Streams of one generation that a cursor remembers to check that their versions continue; there are two
/// generations, of about 20 bytes a stream.
pub const CONTINUITY_STREAMS: usize = 1 << 16;
/// Most positions that the checkpoint of a projection over a join holds: its selections times the store's partitions.
pub const JOIN_POSITIONS: usize = 2_048;
/// Longest name of a projection, in bytes.
pub const PROJECTION_NAME_BYTES: usize = 64;
/// Most aggregates that one projection parks in one partition, whatever its settings say.
pub const PARKED_AGGREGATES: usize = 4_096;
/// Most aggregates that one projection parks in one place of a view elsewhere: each is a row of the checkpoint's unit.
pub const PARKED_ELSEWHERE: usize = 128;
/// Most parked aggregates of one place that are listed for other processes: the first ones.
pub const LISTED_PARKED: usize = PAGE_ROWS;
/// Threads that the handlers of one view elsewhere run on, places side by side.
pub const ELSEWHERE_THREADS: usize = 8;
/// How much of what was done in one place a view elsewhere keeps: the latest.
pub const ELSEWHERE_AUDITS: u64 = 128;
/// Longest text of an error, and of who did what and why, that a view keeps, in bytes.
pub const KEPT_TEXT_BYTES: usize = 2_048;
/// Most handlers of one view that never returned and still have a thread.
pub const ABANDONED_HANDLERS: usize = 16;
/// Most requests of operators that wait for one partition of a projection.
pub const OPERATOR_REQUESTS: usize = 16;
/// Most requests from other processes that wait for one partition of a projection.
pub const POSTED_REQUESTS: usize = 64;
/// Most generations of a view that are passed on the way to the live one.
pub const GENERATIONS_PASSED: usize = 1_024;
/// Most positions that a generation may be behind the live one when readers are switched over to it.
pub const SWITCH_POSITIONS: u64 = 10_000;
/// Longest name of a processor: a projection's name and version, in bytes.
pub const PROCESSOR_NAME_BYTES: usize = 96;
/// Most processors that one worker has the code of.
pub const WORKER_PROCESSORS: usize = 128;
/// Most workers that share a store's partitions: as many as one read of rows returns.
pub const WORKERS: usize = PAGE_ROWS;
/// Longest name of a worker, in bytes.
pub const WORKER_NAME_BYTES: usize = 128;
/// How often a worker tries for a seat in one round, while others take the free ones.
pub const SEAT_TRIES: usize = 32;

/// Longest name of a destination of messages, in bytes.
pub const DESTINATION_NAME_BYTES: usize = 64;
/// Most destinations of one buffer.
pub const DESTINATIONS: usize = 64;
/// Most keys that one destination parks in one partition.
pub const PARKED_KEYS: usize = 1_024;
/// Most bytes of messages that one destination has in memory for one partition, before it reads another page.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Messages of which a destination remembers one by one that it has sent them before earlier ones; of others, as many as
/// there are: they are sent again after a crash.
pub const STEPS_AHEAD: usize = 4_096;
/// Messages that are read at once.
pub const MESSAGE_PAGE: usize = 256;
/// Streams of messages that are shortened in one slice of collecting.
pub const COLLECTED_STREAMS: usize = 256;

/// Bytes that a secret for signatures has, as the Standard Webhooks specification says.
pub const SECRET_BYTES: RangeInclusive<usize> = 24..=64;
/// Longest beginning of a receiver's answer that is kept, in bytes.
pub const ANSWER_BYTES: usize = 200;
/// Longest answer that is read to its end so that its connection can be used again, in bytes.
pub const DRAINED_BYTES: usize = 4 << 10;
/// How long a receiver may ask to be left alone.
pub const RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Most messages that a file sink writes and syncs together.
pub const FILE_BATCH: usize = 1_024;
/// Most bytes that a file sink writes and syncs together, before it takes another message.
pub const FILE_BATCH_BYTES: usize = 4 << 20;
/// Largest input of a process's deadline, in bytes of JSON: it waits in a row.
pub const DEADLINE_BYTES: usize = 32 << 10;

/// The bounds that a service may choose for itself. Plain data: put it into your own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest snapshot that is written, in bytes. A larger state is counted, logged and not snapshotted.
    pub snapshot_bytes: usize,
    /// Largest encoded `Transaction` that an accepted step may leave, in bytes.
    pub transaction_bytes: usize,
    /// Largest encoded rejection, in bytes.
    pub rejection_bytes: usize,
    /// Largest encoded command, in bytes.
    pub command_bytes: usize,
    /// Most events of one decision.
    pub decision_events: usize,
    /// Most commands that wait in one lane, and most that wait there in lists; further callers wait for room.
    pub lane_queue: usize,
    /// Most commands that one lane decides and commits together.
    pub lane_batch: usize,
    /// Most aggregates that one lane keeps in memory.
    pub cached_aggregates: usize,
    /// Times that one command is run again after a lost race before it is answered `Contended`.
    pub attempts: u32,
    /// Open steps that one page of the recovery sweep holds.
    pub sweep_page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            snapshot_bytes: 16 << 10,
            transaction_bytes: 1 << 10,
            rejection_bytes: 4 << 10,
            command_bytes: 64 << 10,
            decision_events: 256,
            lane_queue: 4_096,
            lane_batch: 2_048,
            cached_aggregates: 8_192,
            attempts: 16,
            sweep_page: 2_048,
        }
    }
}

impl Limits {
    /// Most commands that enter a lane together.
    pub(crate) fn list(&self) -> usize {
        self.lane_batch.min(self.lane_queue).max(1)
    }
}

/// Text from elsewhere, cut to [`KEPT_TEXT_BYTES`] at the border of a character.
pub(crate) fn kept_text(text: &str) -> String {
    let mut end = text.len().min(KEPT_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{KEPT_TEXT_BYTES, kept_text};

    #[test]
    fn a_text_is_kept_up_to_its_bound_in_whole_characters() {
        for fits in [String::new(), "refused".to_owned(), "x".repeat(KEPT_TEXT_BYTES)] {
            assert_eq!(kept_text(&fits), fits);
        }
        for character in ["x", "é", "€", "𝄞"] {
            let kept = kept_text(&format!("-{}", character.repeat(KEPT_TEXT_BYTES)));
            assert!(kept.len() <= KEPT_TEXT_BYTES && kept.len() > KEPT_TEXT_BYTES - character.len());
            assert_eq!(kept.strip_prefix('-').map(|rest| rest.replace(character, "")), Some(String::new()));
        }
    }
}
