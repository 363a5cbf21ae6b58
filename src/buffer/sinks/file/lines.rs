//! A file of lines that only grows, and ends with a whole one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// How much is read at once while a file's end is looked at.
const CHUNK: usize = 64 << 10;

/// An open file of lines, and how much of it is durable.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    durable: u64,
}

impl Lines {
    /// Opens a file or makes it, for this process alone. What a crash left half written at its end is cut off: nobody was
    /// told that it was there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::invalid(format!("the file {} of a sink cannot be used", path.display()))
                .caused_by(error)
                .advice("name a file in a directory that exists and may be written to")
        };
        let mut file = open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::Fenced, format!("{} is in use", path.display()))
                    .advice("give each process a file of its own, or end the other one"));
            }
        }
        let whole = end_of_last_line(&mut file).map_err(failed)?;
        let mut lines = Self { file, durable: whole };
        lines.cut().map_err(failed)?;
        sync_directory(path).map_err(failed)?;
        Ok(lines)
    }

    /// Adds whole lines. They are durable when this returns; after an error none of them is there.
    pub(super) fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                let added = u64::try_from(lines.len()).unwrap_or(u64::MAX);
                self.durable = self.durable.saturating_add(added);
                Ok(())
            }
            // Where cutting fails too, the next call begins with it.
            Err(error) => self.cut().and(Err(error)),
        }
    }

    /// Takes off what is not durable. Must have worked before anything is added.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() != self.durable {
            self.file.set_len(self.durable)?;
            self.file.sync_data()?;
        }
        self.file.seek(SeekFrom::Start(self.durable)).map(drop)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file is durable when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Where the last whole line ends. Blocks of the last batch may have reached the disk in any order: JSON has no zeros, so
/// a line with one is where it was torn, and so is what comes behind.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let widest = u64::try_from(limits::FILE_BATCH_BYTES.saturating_mul(2)).unwrap_or(u64::MAX);
    let from = length.saturating_sub(widest);
    let (mut at, mut end) = (from, None);
    file.seek(SeekFrom::Start(from))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        for byte in bytes {
            at = at.saturating_add(1);
            match byte {
                b'\n' => end = Some(at),
                0 => return whole(end, from),
                _ => {}
            }
        }
    }
    whole(end, from)
}

fn whole(end: Option<u64>, from: u64) -> io::Result<u64> {
    match (end, from) {
        (Some(end), _) => Ok(end),
        (None, 0) => Ok(0),
        (None, _) => Err(io::Error::new(io::ErrorKind::InvalidData, "its end has no lines")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(content: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.jsonl");
        std::fs::write(&path, content).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        lines.add(b"{}\n").unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn what_was_torn_is_cut_off() {
        for (before, after) in [
            (&b""[..], &b"{}\n"[..]),
            (b"{\"a\"", b"{}\n"),
            (b"{1}\n", b"{1}\n{}\n"),
            (b"{1}\n{2}\n{3", b"{1}\n{2}\n{}\n"),
            (b"{1}\n{\0\0\0}\n{3}\n", b"{1}\n{}\n"),
            (b"\0\0\0}\n", b"{}\n"),
        ] {
            assert_eq!(reopened(before), after, "{}", String::from_utf8_lossy(before));
        }
        let long = [vec![b'x'; CHUNK], b"\n".to_vec(), vec![b'y'; CHUNK]].concat();
        assert_eq!(reopened(&long).len(), CHUNK + 4);
    }

    #[test]
    fn a_file_that_another_one_writes_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.jsonl");
        let first = Lines::open(&path).unwrap();
        assert_eq!(Lines::open(&path).unwrap_err().kind(), ErrorKind::Fenced);
        drop(first);
        Lines::open(&path).unwrap();
    }
}
