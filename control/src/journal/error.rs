//! Why a journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading, writing or syncing failed.
    #[error("{}: {what}: {error}", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process has it, which may take over.
    #[error("the journal is lent to the process that takes over")]
    Lent,
    /// The thread that writes it is gone.
    #[error("the journal's thread has ended")]
    Stopped,
    /// Others could write to it.
    #[error("the state directory {} is not safe: {why}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another daemon has it.
    #[error("the state directory {} is in use by another daemon (pid {pid})", path.display())]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Whose.
        pid: String,
    },
    /// It is not what was written, and not because a write was cut short.
    #[error("{} is damaged at line {line}: {why}. Restore it from a backup, or move it away to begin anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Written by a newer version.
    #[error("{} was written by a newer version (format {found}, this one reads up to {known})", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
}

impl JournalError {
    /// What the system said about `path` when we tried `what`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io {
            what,
            path: path.to_owned(),
            error,
        }
    }
}
