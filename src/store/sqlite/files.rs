//! The store's files: where they may lie, and who may read them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::sqlite::failure;

/// File systems whose locks and syncs another machine answers for. Two hosts would write to one store.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
    "beegfs",
    "gpfs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
    "fuse.rclone",
    "davfs",
    "fuse.davfs2",
];

/// Another file of the same store: the database's path with a suffix, as SQLite names its own.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory that a file lies in.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Makes the store's directory, for its owner only. One that exists is left as it is.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    let directory = directory(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|source| failure::io("make the directory", directory, source))
}

/// Opens a file of ours for its owner only, and makes it where there is none. SQLite gives its WAL the
/// same rights as the database's file.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file's size; 0 where there is none.
pub(super) fn size(path: &Path) -> Result<u64> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(failure::io("look at", path, source)),
    }
}

/// Makes the directory's entries durable.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    let directory = directory(path);
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| failure::io("sync the directory", directory, source))
}

/// Refuses a store on a network file system, where that can be told.
pub(super) fn refuse_network(path: &Path) -> Result<()> {
    // Only Linux has this file; elsewhere the lock file is the only guard.
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return Ok(()) };
    let directory = directory(path);
    let real =
        fs::canonicalize(directory).map_err(|source| failure::io("find the directory", directory, source))?;
    let Some(kind) = file_system(&mounts, &real) else { return Ok(()) };
    if !NETWORK.contains(&kind) {
        return Ok(());
    }
    Err(Error::invalid(format!("the store {} would lie on a network file system", path.display()))
        .expected("a local disk", kind)
        .advice("put the store on a local disk; for several hosts use a database server"))
}

/// The type of the file system that holds `directory`: that of the longest mount point above it, the
/// later one where two are the same.
fn file_system<'a>(mounts: &'a str, directory: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let mut fields = line.split(' ');
        let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let point = unescape(point);
        directory.starts_with(&point).then_some((point.len(), kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// Mount points have their white space and backslashes in octal.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/sda / ext4 rw 0 0\nhost:/x /srv nfs4 rw 0 0\n/dev/sdb /srv/local xfs rw 0 0\n\
                          //host/a /mnt/my\\040share cifs rw 0 0\n";

    #[test]
    fn the_longest_mount_point_tells_the_file_system() {
        let of = |path: &str| file_system(MOUNTS, Path::new(path));
        assert_eq!(of("/var/lib"), Some("ext4"));
        assert_eq!(of("/srv/a"), Some("nfs4"));
        assert_eq!(of("/srv/local/a"), Some("xfs"));
        assert_eq!(of("/mnt/my share/a"), Some("cifs"));
        assert_eq!(of("/srvx"), Some("ext4"));
    }

    #[test]
    fn a_path_without_directory_lies_in_the_current_one() {
        assert_eq!(directory(Path::new("events.db")), Path::new("."));
        assert_eq!(beside(Path::new("a/events.db"), "-wal"), Path::new("a/events.db-wal"));
    }
}
