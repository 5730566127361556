//! A journal whose writer is a task, so that it takes part in time that stands still, and whose directory may be any.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

pub use super::directory::{Directory, JournalFile as DirectoryFile};
use super::{History, Jobs, Journal, JournalError, JournalFile, WAITING_MAX, Writer};

impl Journal {
    /// Opens the journal of this directory and reads it. Each job waits for `latency` before it is done.
    pub(crate) fn simulated<D>(
        directory: D,
        latency: impl Fn() -> Duration + Send + 'static,
    ) -> Result<(Self, History), JournalError>
    where
        D: Directory<File: Send> + Send + 'static,
    {
        let path = directory.path("");
        let (file, history) = JournalFile::open(directory)?;
        let (jobs, mut waiting) = mpsc::channel(WAITING_MAX);
        let mut writer = Writer {
            file,
            history: history.clone(),
        };
        tokio::spawn(async move {
            while let Some(job) = waiting.recv().await {
                sleep(latency()).await;
                writer.take(job);
            }
        });
        // Nobody else wants a directory that is in nobody's reach.
        let lock = File::open("/dev/null");
        let lock = lock.map_err(JournalError::io("opening", &PathBuf::from("/dev/null")))?;
        let this = Self {
            jobs: Some(Jobs::Task(jobs)),
            thread: None,
            directory: path,
            lock: lock.into(),
            lent: false,
        };
        Ok((this, history))
    }
}
