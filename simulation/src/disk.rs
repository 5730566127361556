//! A disk of one directory. What was written is there at once, and lost with the power unless it was synced: then of what
//! was written since, nothing, all, or a part is left, torn in the middle of a write. Operations fail when told to.

use std::collections::BTreeMap;
use std::io;

use crate::dice::Dice;

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Octets into a file.
    Write,
    /// A file's length.
    Cut,
    /// What was written to a file is to last.
    Sync,
    /// A new file.
    Create,
    /// A file's name.
    Rename,
    /// A name is gone.
    Remove,
    /// The names are to last.
    SyncNames,
}

/// How often it fails, in a thousand operations of that kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// `ENOSPC` or `EIO` at a write, of which a part is written.
    pub write: u32,
    /// `EIO` at a sync, after which nobody knows.
    pub sync: u32,
    /// `EIO` at a rename, a new file, a new length.
    pub names: u32,
    /// The power fails at this operation, and at all that follow.
    pub power: u32,
    /// A sync says that it has been done, and has not.
    pub lies: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// As the next reader finds it.
    now: Vec<u8>,
    /// As it is when the power has failed.
    durable: Vec<u8>,
    /// What was done to it since.
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

/// A file that is open.
pub type Handle = usize;

type Names = BTreeMap<String, Handle>;

/// A disk of one directory.
#[derive(Clone, Debug)]
pub struct Disk {
    dice: Dice,
    inodes: Vec<Inode>,
    names: Names,
    /// The directory as it was after each change since it was last synced; the first one lasts.
    directories: Vec<Names>,
    /// How often it fails.
    pub rates: Rates,
    /// It has none.
    pub without_power: bool,
    /// What was asked of it so far, and not refused.
    pub done: BTreeMap<Operation, u64>,
    /// Failures so far.
    pub failed: BTreeMap<Operation, u64>,
}

impl Disk {
    /// An empty one.
    pub fn new(dice: Dice) -> Self {
        Self {
            dice,
            inodes: Vec::new(),
            names: Names::new(),
            directories: vec![Names::new()],
            rates: Rates::default(),
            without_power: false,
            done: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// What is in a file.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.inodes[*file].now.clone())
    }

    /// A file that is there.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn open(&self, name: &str) -> io::Result<Handle> {
        Ok(*self.names.get(name).ok_or(io::ErrorKind::NotFound)?)
    }

    /// A new one.
    ///
    /// # Errors
    ///
    /// If there is one, or as its rates say.
    pub fn create(&mut self, name: &str) -> io::Result<Handle> {
        self.may_fail(Operation::Create)?;
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.inodes.push(Inode::default());
        self.names.insert(name.to_owned(), self.inodes.len() - 1);
        self.directories.push(self.names.clone());
        Ok(self.inodes.len() - 1)
    }

    /// Another name for a file.
    ///
    /// # Errors
    ///
    /// If there is none, or as its rates say.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.may_fail(Operation::Rename)?;
        let file = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), file);
        self.directories.push(self.names.clone());
        Ok(())
    }

    /// A name is gone.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        self.has_power(Operation::Remove)?;
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.directories.push(self.names.clone());
        Ok(())
    }

    /// The names last.
    ///
    /// # Errors
    ///
    /// As its rates say.
    pub fn sync_names(&mut self) -> io::Result<()> {
        self.may_fail(Operation::SyncNames)?;
        if !self.rates.lies {
            self.directories = vec![self.names.clone()];
        }
        Ok(())
    }

    /// Writes into a file.
    ///
    /// # Errors
    ///
    /// As its rates say; a part is written then.
    pub fn write(&mut self, file: Handle, octets: &[u8], offset: u64) -> io::Result<()> {
        let failed = self.may_fail(Operation::Write);
        let length = match &failed {
            Ok(()) => octets.len(),
            Err(_) if self.without_power => 0,
            Err(_) => self.part_of(octets.len()),
        };
        self.change(file, Change::Write(offset, octets[..length].to_vec()));
        failed
    }

    /// Sets a file's length.
    ///
    /// # Errors
    ///
    /// As its rates say.
    pub fn set_len(&mut self, file: Handle, length: u64) -> io::Result<()> {
        self.may_fail(Operation::Cut)?;
        self.change(file, Change::Cut(length));
        Ok(())
    }

    /// What was written to a file lasts.
    ///
    /// # Errors
    ///
    /// As its rates say; then some of it may last.
    pub fn sync(&mut self, file: Handle) -> io::Result<()> {
        let synced = self.may_fail(Operation::Sync);
        let whole = self.inodes[file].since.len();
        let written = match &synced {
            Ok(()) if self.rates.lies => return Ok(()),
            Ok(()) => whole,
            Err(_) if self.without_power => return synced,
            // What could not be written is given up, and nobody is told so again: it is there for readers, and never lasts.
            Err(_) => self.part_of(whole),
        };
        let inode = &mut self.inodes[file];
        for change in inode.since.drain(..).take(written) {
            change.make(&mut inode.durable);
        }
        synced
    }

    /// The power fails, and comes back: what did not last is gone.
    pub fn lose_power(&mut self) {
        let at = self.part_of(self.directories.len() - 1);
        self.names = self.directories[at].clone();
        self.directories = vec![self.names.clone()];
        for file in 0..self.inodes.len() {
            let left = self.left_of(file);
            self.inodes[file] = Inode {
                now: left.clone(),
                durable: left,
                since: Vec::new(),
            };
        }
        self.without_power = false;
    }

    /// What of a file is left: some of the changes, in order, and perhaps a part of the next.
    fn left_of(&self, file: Handle) -> Vec<u8> {
        let Inode { durable, since, .. } = &self.inodes[file];
        let mut left = durable.clone();
        let whole = self.part_of(since.len());
        since[..whole]
            .iter()
            .for_each(|change| change.make(&mut left));
        if let Some(Change::Write(offset, octets)) = since.get(whole) {
            let torn = octets[..self.part_of(octets.len())].to_vec();
            Change::Write(*offset, torn).make(&mut left);
        }
        left
    }

    fn change(&mut self, file: Handle, change: Change) {
        let inode = &mut self.inodes[file];
        change.make(&mut inode.now);
        inode.since.push(change);
    }

    /// Nothing, all, or some of so many.
    fn part_of(&self, whole: usize) -> usize {
        let some = self.dice.within(0..=whole as u64);
        let parts = [
            (1, 0),
            (1, whole),
            (2, usize::try_from(some).unwrap_or(whole)),
        ];
        self.dice.weigh(&parts).unwrap_or(whole)
    }

    fn has_power(&mut self, operation: Operation) -> io::Result<()> {
        if self.without_power {
            *self.failed.entry(operation).or_default() += 1;
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    fn may_fail(&mut self, operation: Operation) -> io::Result<()> {
        if !self.without_power && self.dice.often(self.rates.power) {
            self.without_power = true;
        }
        self.has_power(operation)?;
        let rate = match operation {
            Operation::Write => self.rates.write,
            Operation::Sync | Operation::SyncNames => self.rates.sync,
            Operation::Create | Operation::Rename | Operation::Cut => self.rates.names,
            Operation::Remove => 0,
        };
        if !self.dice.often(rate) {
            *self.done.entry(operation).or_default() += 1;
            return Ok(());
        }
        *self.failed.entry(operation).or_default() += 1;
        Err(match operation {
            Operation::Write | Operation::Create => io::ErrorKind::StorageFull.into(),
            _ => io::Error::other("input/output error"),
        })
    }
}

impl Change {
    fn make(&self, octets: &mut Vec<u8>) {
        match self {
            Self::Cut(length) => octets.resize(usize::try_from(*length).unwrap_or(0), 0),
            Self::Write(offset, written) => {
                let from = usize::try_from(*offset).unwrap_or(0);
                let to = from + written.len();
                if octets.len() < to {
                    octets.resize(to, 0);
                }
                octets[from..to].copy_from_slice(written);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_outlives_the_power_and_the_rest_may_not() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut disk = Disk::new(Dice::new(seed));
            let file = disk.create("a").unwrap();
            disk.write(file, b"synced", 0).unwrap();
            disk.sync(file).unwrap();
            disk.sync_names().unwrap();
            disk.write(file, b" and not", 6).unwrap();
            disk.create("b").unwrap();
            disk.lose_power();
            let left = disk.read("a").unwrap();
            assert!(left.starts_with(b"synced") && b"synced and not".starts_with(&left));
            lost += usize::from(left.len() < 14) + usize::from(disk.read("b").is_err());
        }
        assert!((20..180).contains(&lost), "{lost} of 200 lost");
    }

    #[test]
    fn a_rename_is_there_whole_or_not_at_all() {
        for seed in 0..100 {
            let mut disk = Disk::new(Dice::new(seed));
            let old = disk.create("journal").unwrap();
            disk.write(old, b"old", 0).unwrap();
            disk.sync(old).unwrap();
            disk.sync_names().unwrap();
            let new = disk.create("journal.new").unwrap();
            disk.write(new, b"new", 0).unwrap();
            disk.sync(new).unwrap();
            disk.rename("journal.new", "journal").unwrap();
            disk.lose_power();
            let found = disk.read("journal").unwrap();
            assert!(found == b"old" || found == b"new", "{found:?}");
        }
    }

    #[test]
    fn what_a_sync_has_failed_for_is_read_and_does_not_last() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut disk = Disk::new(Dice::new(seed));
            let file = disk.create("a").unwrap();
            disk.sync_names().unwrap();
            disk.write(file, b"one", 0).unwrap();
            disk.rates.sync = 1000;
            disk.sync(file).unwrap_err();
            disk.rates.sync = 0;
            disk.write(file, b"two", 3).unwrap();
            disk.sync(file).unwrap();
            assert_eq!(disk.read("a").unwrap(), b"onetwo");
            disk.lose_power();
            lost += usize::from(disk.read("a").unwrap() == b"\0\0\0two");
        }
        assert!((10..90).contains(&lost), "{lost} of 100 lost");
    }

    #[test]
    fn without_power_nothing_is_done() {
        let mut disk = Disk::new(Dice::new(1));
        let file = disk.create("a").unwrap();
        disk.sync_names().unwrap();
        disk.rates.power = 1000;
        assert!(disk.write(file, b"more", 0).is_err() && disk.sync(file).is_err());
        disk.lose_power();
        assert_eq!(disk.read("a").unwrap(), b"");
    }
}
