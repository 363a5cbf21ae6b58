//! What a write-ahead log's bytes say: which commits can be read, and whether some that were acknowledged
//! cannot.
//!
//! SQLite ends its own recovery silently at the first frame whose checksum is wrong. That is right for the
//! transaction that was being written when the power failed. It is wrong for a flipped bit in the middle:
//! every later commit would vanish without a word.
//!
//! The two can be told apart because every commit is synced before the next transaction writes its first
//! frame. After a crash only the frames of the *last* transaction may be torn, or missing in any order. So
//! when, at or after the first invalid frame, a frame with a commit mark is continued by another one, the
//! transaction that it ends was synced, and what is damaged before it was acknowledged: the start is
//! refused. A torn last transaction alone proves nothing, and is dropped.
//!
//! *Continued* is meant literally. Checksums are cumulative, each starting from the one before it; behind
//! a broken frame they are checked relative to the checksum that its predecessor *stored* (or, where only
//! that field was hit, should have). Counting commit marks instead would be wrong: the remains of a commit
//! that failed lie behind the frames of the one that fenced it off, with a mark and the same salts, and
//! neither was acknowledged; but nothing continues them.
//!
//! What cannot be told from a torn last transaction, and is not: damage that spares at most the last
//! transaction behind it.
//!
//! One false alarm is left, on the safe side: the commit that fences off a failed one is itself torn
//! within the header of its frame, where a sector ends there, and the remains of the failed one lie behind
//! it.
//!
//! The format is described at <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use crate::error::{Error, Result};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// What a WAL holds that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// The commits that can be read.
    pub commits: u64,
    /// The bytes up to the end of the last of them; 0 where there is none.
    pub valid_bytes: usize,
}

/// Looks through a whole WAL.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt), with the offset of the first bad byte range, when commits that
/// were acknowledged cannot be read.
pub fn scan(wal: &[u8]) -> Result<Scan> {
    let Some(header) = Header::parse(wal) else { return headless(wal) };
    if !header.is_intact {
        return headless(wal);
    }
    let mut reader = Reader { wal, header, sum: header.sum, at: HEADER_BYTES };
    let mut found = Scan { commits: 0, valid_bytes: 0 };
    while let Some(frame) = reader.frame() {
        if frame.salts != header.salts || frame.expected != frame.stored {
            reader.refuse_if_more_than_one_transaction()?;
            return Ok(found);
        }
        reader.step(frame.stored);
        if frame.is_commit {
            found = Scan { commits: found.commits.saturating_add(1), valid_bytes: reader.at };
        }
    }
    Ok(found)
}

/// A WAL without a readable header. The header is synced before the first frame is written, so frames
/// that follow a commit under it were acknowledged.
fn headless(wal: &[u8]) -> Result<Scan> {
    let empty = Scan { commits: 0, valid_bytes: 0 };
    let Some(first) = wal.get(HEADER_BYTES..).filter(|frames| !frames.is_empty()) else { return Ok(empty) };
    let Some(salts) = pair(first, 8) else { return Ok(empty) };
    let guessed = Header::parse(wal).map_or_else(Vec::new, |header| vec![header]);
    for header in guessed.into_iter().chain(Header::guesses(salts)) {
        let header = Header { salts, ..header };
        Reader { wal, header, sum: header.sum, at: HEADER_BYTES }
            .refuse_if_more_than_one_transaction()
            .map_err(|error| error.expected("a header at byte 0", "none"))?;
    }
    Ok(empty)
}

type Pair = (u32, u32);

#[derive(Debug, Clone, Copy)]
struct Header {
    page_bytes: usize,
    big_endian: bool,
    salts: Pair,
    sum: Pair,
    is_intact: bool,
}

impl Header {
    fn parse(wal: &[u8]) -> Option<Self> {
        let magic = word(wal, 0, true)?;
        let page_bytes = usize::try_from(word(wal, 8, true)?).ok()?;
        if magic & !1 != MAGIC || !(512..=65_536).contains(&page_bytes) || !page_bytes.is_power_of_two() {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let (salts, sum) = (pair(wal, 16)?, pair(wal, 24)?);
        let is_intact = checksum(wal.get(..24)?, (0, 0), big_endian) == sum;
        Some(Self { page_bytes, big_endian, salts, sum, is_intact })
    }

    /// What a lost header may have said: this crate's stores have pages of 4,096 bytes.
    fn guesses(salts: Pair) -> impl Iterator<Item = Self> {
        let guess =
            move |big_endian| Self { page_bytes: 4_096, big_endian, salts, sum: (0, 0), is_intact: false };
        [false, true].into_iter().map(guess)
    }
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    salts: Pair,
    is_commit: bool,
    stored: Pair,
    /// What its checksum must be, after the one before it.
    expected: Pair,
}

#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    wal: &'a [u8],
    header: Header,
    /// The checksum before the next frame.
    sum: Pair,
    at: usize,
}

impl Reader<'_> {
    fn frame_bytes(&self) -> usize {
        self.header.page_bytes.saturating_add(FRAME_HEADER_BYTES)
    }

    /// The frame here; `None` where the file ends, within a frame too.
    fn frame(&self) -> Option<Frame> {
        let bytes = self.wal.get(self.at..self.at.checked_add(self.frame_bytes())?)?;
        let (head, page) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
        let big_endian = self.header.big_endian;
        let sum = checksum(head.get(..8)?, self.sum, big_endian);
        Some(Frame {
            salts: pair(head, 8)?,
            is_commit: word(head, 4, true)? != 0,
            stored: pair(head, 16)?,
            expected: checksum(page, sum, big_endian),
        })
    }

    fn step(&mut self, sum: Pair) {
        self.sum = sum;
        self.at = self.at.saturating_add(self.frame_bytes());
    }

    /// Called at the first invalid frame: whether a frame there or later continues one that commits.
    fn refuse_if_more_than_one_transaction(mut self) -> Result<()> {
        let (first_bad, mut ours) = (self.at, true);
        while let Some(frame) = self.frame() {
            // Checksums do not cover salts: a frame that continues one of ours is ours whatever its own say.
            // Frames of the log before this one continue each other too, but none of ours.
            ours = frame.salts == self.header.salts || (ours && frame.expected == frame.stored);
            self.step(frame.stored);
            if ours && frame.is_commit && (self.continues(frame.stored) || self.continues(frame.expected)) {
                return Err(lost(first_bad));
            }
        }
        Ok(())
    }

    fn continues(&self, sum: Pair) -> bool {
        Self { sum, ..*self }.frame().is_some_and(|frame| frame.expected == frame.stored)
    }
}

fn lost(offset: usize) -> Error {
    Error::corrupt(format!(
        "acknowledged commits are unreadable: the write-ahead log is damaged at byte {offset}, and commits follow"
    ))
    .advice(
        "do not open the files with anything else; keep a copy of the database, its -wal and its -shm; \
         then restore a backup",
    )
}

/// SQLite's checksum: two words at a time, each sum running into the other.
fn checksum(bytes: &[u8], start: Pair, big_endian: bool) -> Pair {
    let mut chunks = bytes.chunks_exact(8);
    chunks.by_ref().fold(start, |(a, b), chunk| {
        let word = |at| word(chunk, at, big_endian).unwrap_or(0);
        let a = a.wrapping_add(word(0)).wrapping_add(b);
        (a, b.wrapping_add(word(4)).wrapping_add(a))
    })
}

fn pair(bytes: &[u8], at: usize) -> Option<Pair> {
    Some((word(bytes, at, true)?, word(bytes, at.checked_add(4)?, true)?))
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let (four, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(if big_endian { u32::from_be_bytes(*four) } else { u32::from_le_bytes(*four) })
}
