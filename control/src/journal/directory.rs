//! The state directory: for its owner alone, and for one daemon at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::JournalError;
use crate::failpoint;

/// What the journal asks of the directory that it is in. One other than the real one may fail whenever it is asked to.
pub trait Directory {
    /// A file in it.
    type File: JournalFile;

    /// Where a file is, in words.
    fn path(&self, name: &str) -> PathBuf;

    /// All octets of a file.
    ///
    /// # Errors
    ///
    /// `NotFound`, if there is none.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// A file that is there.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// A file that was not there.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file the name of another one, which is gone then.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in the directory durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// Says whose it is.
    fn sign(&self);
}

/// A file of the journal.
pub trait JournalFile {
    /// Writes all of it, from this place on.
    ///
    /// # Errors
    ///
    /// What the system says; then some of it may be written.
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts it, or lengthens it with zeros.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes durable what has been written.
    ///
    /// # Errors
    ///
    /// What the system says; then it is not known what is.
    fn sync(&self) -> io::Result<()>;
}

/// The journal's name.
pub(super) const JOURNAL: &str = "journal";

/// Puts a file with this content in the journal's place, whole or not at all: write aside, sync, rename. Durable only
/// after [`Directory::sync`].
pub(super) fn replace_journal<D: Directory>(directory: &D, content: &str) -> io::Result<D::File> {
    const ASIDE: &str = "journal.new";
    failpoint::here("anew.began");
    // One that was left half-written.
    let _ = directory.remove(ASIDE);
    let file = directory.create(ASIDE)?;
    let octets = content.as_bytes();
    failpoint::half_way("anew.half_written", || {
        let _ = file.write_all_at(&octets[..octets.len() / 2], 0);
    });
    let written = file.write_all_at(octets, 0).and_then(|()| {
        failpoint::here("anew.written");
        file.sync()?;
        failpoint::here("anew.synced");
        directory.rename(ASIDE, JOURNAL)
    });
    failpoint::here("anew.renamed");
    if written.is_err() {
        let _ = directory.remove(ASIDE);
    }
    written.map(|()| file)
}

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
        failpoint::here("directory.locked");
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

    /// The lock, for whoever shares it.
    pub(super) fn lock(&self) -> Result<OwnedFd, JournalError> {
        let lock = self.lock.try_clone().map(OwnedFd::from);
        lock.map_err(JournalError::io("sharing the lock of", &self.path))
    }
}

impl Directory for StateDirectory {
    type File = File;

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        private_file().open(self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        private_file().create_new(true).open(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        failpoint::here("anew.durable");
        Ok(())
    }

    fn sign(&self) {
        sign(&self.lock);
    }
}

impl JournalFile for File {
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, octets, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// How files in the directory are opened.
fn private_file() -> OpenOptions {
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
        .and_then(|()| FileExt::write_all_at(lock, pid.as_bytes(), 0));
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
