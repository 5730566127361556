//! The simulated disk, as the journal sees it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_control::simulating::{Directory, DirectoryFile};
use simulation::disk::{Disk, Handle};
use tokio::sync::Notify;

/// The disk. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Storage {
    disk: Arc<Mutex<Disk>>,
    /// Told when the power fails.
    pub(crate) power: Arc<Notify>,
}

impl Storage {
    pub(crate) fn new(disk: Disk) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
            power: Arc::default(),
        }
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, act: impl FnOnce(&mut Disk) -> io::Result<R>) -> io::Result<R> {
        let mut disk = self.disk();
        let result = act(&mut disk);
        if disk.without_power {
            self.power.notify_one();
        }
        result
    }
}

impl Directory for Storage {
    type File = OpenFile;

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk().read(name)
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        let handle = self.disk().open(name)?;
        Ok(OpenFile(self.clone(), handle))
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let handle = self.change(|disk| disk.create(name))?;
        Ok(OpenFile(self.clone(), handle))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|disk| disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|disk| disk.remove(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.change(Disk::sync_names)
    }

    fn sign(&self) {}
}

/// A file on it.
pub(crate) struct OpenFile(Storage, Handle);

impl DirectoryFile for OpenFile {
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.0.change(|disk| disk.write(self.1, octets, offset))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.change(|disk| disk.set_len(self.1, length))
    }

    fn sync(&self) -> io::Result<()> {
        self.0.change(|disk| disk.sync(self.1))
    }
}
