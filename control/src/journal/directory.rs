//! The state directory: for its owner alone, and for one daemon at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::JournalError;

/// A state directory that is ours while this lives.
#[derive(Debug)]
pub(super) struct StateDirectory {
    path: PathBuf,
    /// The lock goes with the process, however that ends; with the last one that has it.
    lock: File,
}

impl StateDirectory {
    /// Makes the directory if it is missing (mode 0700), and takes its lock.
    pub(super) fn take(path: &Path) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(JournalError::io("making the state directory", path))?;
        must_be_safe(path)?;
        let lock = lock(path)?;
        let path = path.to_owned();
        Ok(Self { path, lock })
    }

    /// The directory of the process before this one, with its lock.
    pub(super) fn inherit(path: &Path, lock: OwnedFd) -> Self {
        let lock = File::from(lock);
        sign(&lock);
        let path = path.to_owned();
        Self { path, lock }
    }

    /// Says whose it is.
    pub(super) fn sign(&self) {
        sign(&self.lock);
    }

    /// The lock, for whoever shares it.
    pub(super) fn lock(&self) -> Result<OwnedFd, JournalError> {
        let lock = self.lock.try_clone().map(OwnedFd::from);
        lock.map_err(JournalError::io("sharing the lock of", &self.path))
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Puts a file with this content in the journal's place, whole or not at all: write aside, sync, rename. Durable
    /// only after [`Self::sync`].
    pub(super) fn replace_journal(&self, content: &str) -> io::Result<File> {
        let aside = self.path.join("journal.new");
        // One that was left half-written.
        let _ = fs::remove_file(&aside);
        let mut file = private_file().create_new(true).open(&aside)?;
        let written = file
            .write_all(content.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&aside, self.journal()));
        if written.is_err() {
            let _ = fs::remove_file(&aside);
        }
        written.map(|()| file)
    }

    /// Makes the names in the directory durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// How files in the directory are opened.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn must_be_safe(path: &Path) -> Result<(), JournalError> {
    let found = fs::metadata(path).map_err(JournalError::io("looking at it", path))?;
    let not_safe = |why| JournalError::Unsafe {
        path: path.to_owned(),
        why,
    };
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 {
        return Err(not_safe(format!("it belongs to uid {}", found.uid())));
    }
    if found.mode() & 0o002 != 0 {
        let mode = found.mode() & 0o7777;
        return Err(not_safe(format!(
            "everybody may write to it (mode {mode:o})"
        )));
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let file = private_file()
        .create(true)
        .open(&path)
        .map_err(JournalError::io("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use(directory, file)),
        Err(error) => return Err(JournalError::io("locking", &path)(error.into())),
    }
    sign(&file);
    Ok(file)
}

/// Only told to whoever comes second; a full disk is no reason not to serve.
fn sign(lock: &File) {
    let pid = format!("{}\n", std::process::id());
    let _ = lock
        .set_len(0)
        .and_then(|()| lock.write_all_at(pid.as_bytes(), 0));
}

fn in_use(directory: &Path, mut lock: File) -> JournalError {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid);
    let pid = match pid.trim() {
        "" => "unknown".to_owned(),
        pid => pid.to_owned(),
    };
    JournalError::InUse {
        path: directory.to_owned(),
        pid,
    }
}
