//! Who the servers run as.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and the group that a server runs as where it is not the test's own: PostgreSQL refuses root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    /// For the user who made this folder: `postgres`, or else `nobody`, in the place of root.
    pub(super) fn in_place_of(folder: &Path) -> Self {
        let maker = folder.metadata().expect("the folder of a server can be read").uid();
        if maker != 0 {
            return Self(None);
        }
        let found =
            ["postgres", "nobody"].into_iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)));
        Self(Some(found.expect("a user `postgres` or `nobody`, since PostgreSQL refuses to run as root")))
    }

    /// Makes a file or a folder the account's own.
    pub(super) fn own(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }

    /// Lets a command run as this account.
    pub(super) fn run(self, command: &mut Command) -> &mut Command {
        match self.0 {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }
}

fn id(which: &str, name: &str) -> Option<u32> {
    let told = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8_lossy(&told.stdout).trim().parse().ok()
}
