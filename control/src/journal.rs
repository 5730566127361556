//! The journal: what must outlive the process, durable before anybody is told.
//!
//! A file of lines, each with a checksum, written by a thread of its own. A record holds an app's whole lasting state,
//! so replaying is taking the last one. Only a torn tail is ever cut; anything else that is wrong is a refusal to start,
//! never an empty routing.

mod file;
mod record;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use swap_core::{AppName, Saved};
use tokio::sync::oneshot;

use crate::wire::Receipt;
use file::JournalFile;
pub(crate) use record::{FORMAT, Record};

/// Receipts kept for each app.
pub(crate) const RECEIPTS_MAX: usize = 100;
/// Records that may wait for the thread. The driver waits for each, so one would do.
const WAITING_MAX: usize = 16;

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
    /// Another daemon has it.
    #[error("{} is in use by another daemon (pid {pid})", path.display())]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Whose.
        pid: String,
    },
    /// A record is broken and good ones follow.
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

/// What the journal knew of an app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) saved: Saved,
    /// When the live release took over (RFC 3339).
    pub(crate) live_since: Option<String>,
    /// Oldest first.
    pub(crate) receipts: Vec<Receipt>,
}

/// The apps as the journal knew them, by name.
pub(crate) type History = BTreeMap<AppName, Past>;

/// The way to the journal's thread.
#[derive(Debug)]
pub(crate) struct Journal {
    jobs: SyncSender<Job>,
}

struct Job {
    record: Record,
    done: oneshot::Sender<Result<(), JournalError>>,
}

impl Journal {
    /// Opens the journal in this directory (made if it is missing, for its owner alone) and reads it.
    pub(crate) fn open(directory: &Path) -> Result<(Self, History), JournalError> {
        let (file, history) = JournalFile::open(directory)?;
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let kept = history.clone();
        let path = directory.to_owned();
        thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(file, kept, &waiting))
            .map_err(|error| JournalError::Io {
                what: "starting its thread",
                path,
                error,
            })?;
        Ok((Self { jobs }, history))
    }

    /// Returns when the record is durable, or why it is not; then nothing of it is kept.
    pub(crate) async fn append(&self, record: Record) -> Result<(), JournalError> {
        let (done, result) = oneshot::channel();
        let gone = || JournalError::Io {
            what: "writing",
            path: PathBuf::new(),
            error: io::Error::other("the journal's thread has ended"),
        };
        self.jobs
            .try_send(Job { record, done })
            .map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

fn write_all(mut file: JournalFile, mut history: History, waiting: &Receiver<Job>) {
    while let Ok(Job { record, done }) = waiting.recv() {
        let result = file.append(&record);
        if result.is_ok() {
            record.fold_into(&mut history);
            if file.is_long()
                && let Err(error) = file.compact(&history)
            {
                // The long file is as good; it is tried again with the next record.
                tracing::warn!(%error, "the journal stays long");
            }
        }
        let _ = done.send(result);
    }
}
