//! The file itself: whether what is open is still what stands at its path, and the one that nobody else knows of.
//!
//! SQLite does not notice when a file in WAL mode is renamed, removed or replaced
//! (<https://www.sqlite.org/howtocorrupt.html>, "unlinking or renaming a database file while in use"): it goes on
//! writing, and what it then commits is gone with the process. So the store looks, before it writes and before it
//! commits.

use std::path::{Path, PathBuf};

use super::SqliteStore;
use crate::error::{Error, ErrorKind, Result};

/// Which file was opened.
pub(super) struct Opened {
    /// From the root, so that another working folder makes no difference.
    path: PathBuf,
    /// Device and number; `None` where the system has no such thing.
    identity: Option<(u64, u64)>,
}

impl Opened {
    /// What stands at a path now.
    pub(super) fn at(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self { identity: std::fs::metadata(&path).ok().and_then(|file| identity(&file)), path }
    }

    fn is_there(&self) -> bool {
        self.identity.is_none()
            || match std::fs::metadata(&self.path) {
                Ok(file) => identity(&file) == self.identity,
                // A folder that can't be looked into says nothing.
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            }
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn identity(file: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

impl SqliteStore {
    /// Fails where what is written would be lost.
    pub(super) fn check_file(&self) -> Result<()> {
        if self.shared.opened.is_there() {
            return Ok(());
        }
        let message = format!(
            "SQLite file `{}`: it is gone, or another file has taken its place, while it was in use; put it back, or \
             start this program again",
            self.shared.path.display()
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

/// A file that nobody else knows of, removed when dropped.
pub(super) struct PrivateFile(pub(super) PathBuf);

impl Drop for PrivateFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.0.clone().into_os_string();
            file.push(suffix);
            // It is in the folder for temporary files: what can't be removed now is removed by the system.
            let _ = std::fs::remove_file(file);
        }
    }
}
