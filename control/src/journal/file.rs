//! The journal's file: append and sync, cut a torn tail, rewrite when it is long.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::record::{FORMAT, Record, Unreadable};
use super::{History, JournalError};

/// A file longer than this, and twice as long as after its last rewrite, is rewritten.
const LONG_BYTES: u64 = 1 << 20;

pub(super) struct JournalFile {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    /// Up to here every record is good and durable.
    good_bytes: u64,
    rewritten_bytes: u64,
    /// Held while the daemon lives.
    _lock: File,
}

impl JournalFile {
    pub(super) fn open(directory: &Path) -> Result<(Self, History), JournalError> {
        let failed = |what| {
            move |error| JournalError::Io {
                what,
                path: directory.to_owned(),
                error,
            }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("making the state directory"))?;
        let lock = lock(directory)?;
        let path = directory.join("journal");
        let mut file = open(&path).map_err(failed("opening the journal"))?;
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)
            .map_err(failed("reading the journal"))?;
        let (history, good_bytes) = read(&octets, &path)?;
        if good_bytes < octets.len() as u64 {
            tracing::warn!(
                path = %path.display(), bytes = octets.len() as u64 - good_bytes,
                "the journal's torn tail is cut"
            );
            file.set_len(good_bytes)
                .map_err(failed("cutting the torn tail"))?;
        }
        file.sync_all().map_err(failed("syncing the journal"))?;
        sync_directory(directory).map_err(failed("syncing the state directory"))?;
        let directory = directory.to_owned();
        let this = Self {
            directory,
            path,
            file,
            good_bytes,
            rewritten_bytes: 0,
            _lock: lock,
        };
        Ok((this, history))
    }

    /// Durable when this returns. After an error the file is as it was before.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let line = record.to_line();
        let written = self.write(line.as_bytes());
        if let Err(error) = written {
            // What was written in part must not stand before the next record.
            let _ = self.file.set_len(self.good_bytes);
            return Err(JournalError::Io {
                what: "writing",
                path: self.path.clone(),
                error,
            });
        }
        self.good_bytes += line.len() as u64;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.set_len(self.good_bytes)?;
        self.file.seek(SeekFrom::Start(self.good_bytes))?;
        self.file.write_all(line)?;
        self.file.sync_data()
    }

    pub(super) fn is_long(&self) -> bool {
        self.good_bytes > LONG_BYTES.max(2 * self.rewritten_bytes)
    }

    /// Replaces the file by what of it still counts: write aside, sync, rename, sync the directory.
    pub(super) fn compact(&mut self, history: &History) -> Result<(), JournalError> {
        let aside = self.directory.join("journal.new");
        let failed = |error| JournalError::Io {
            what: "rewriting",
            path: self.path.clone(),
            error,
        };
        let text: String = history
            .iter()
            .flat_map(|(app, past)| records(app, past))
            .collect();
        let _ = fs::remove_file(&aside);
        let mut file = open(&aside).map_err(failed)?;
        let replace = |file: &mut File| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &self.path)?;
            sync_directory(&self.directory)
        };
        replace(&mut file).map_err(failed)?;
        self.file = file;
        self.good_bytes = text.len() as u64;
        self.rewritten_bytes = self.good_bytes;
        Ok(())
    }
}

/// An app's receipts, each in a record of its own, and its state in the last one.
fn records(app: &swap_core::AppName, past: &super::Past) -> Vec<String> {
    let record = |receipt| Record {
        v: FORMAT,
        at: crate::events::wall_now(),
        app: app.clone(),
        saved: past.saved.clone(),
        live_since: past.live_since.clone(),
        receipt,
    };
    let receipts = past.receipts.iter().cloned().map(Some);
    let all = receipts.chain(past.receipts.is_empty().then_some(None));
    all.map(|receipt| record(receipt).to_line()).collect()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// One daemon for one state directory. The lock goes with the process, however it ends.
fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let failed = |error| JournalError::Io {
        what: "locking",
        path: path.clone(),
        error,
    };
    let mut file = open(&path).map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(JournalError::InUse {
            path: directory.to_owned(),
            pid: pid.trim().to_owned(),
        });
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The history, and how many octets of the file are good. A record that is broken is a torn tail only if nothing good
/// follows.
fn read(octets: &[u8], path: &Path) -> Result<(History, u64), JournalError> {
    let mut history = History::new();
    let mut good = 0;
    let mut torn: Option<(usize, String)> = None;
    for (number, line) in octets.split_inclusive(|octet| *octet == b'\n').enumerate() {
        let whole = line.strip_suffix(b"\n");
        let record = match whole {
            Some(line) => Record::from_line(line),
            None => Err(Unreadable::Broken("cut off".into())),
        };
        match (record, &torn) {
            (Ok(record), None) => {
                record.fold_into(&mut history);
                good += line.len() as u64;
            }
            (Ok(_), Some((line, why))) => {
                let (path, line, why) = (path.to_owned(), *line, why.clone());
                return Err(JournalError::Damaged { path, line, why });
            }
            (Err(Unreadable::Newer(found)), _) => {
                let path = path.to_owned();
                return Err(JournalError::Newer {
                    path,
                    found,
                    known: FORMAT,
                });
            }
            (Err(Unreadable::Broken(why)), None) => torn = Some((number + 1, why)),
            (Err(Unreadable::Broken(_)), Some(_)) => {}
        }
    }
    // Garbage that never held a record is no torn tail of ours.
    match torn {
        Some((line, why)) if good == 0 && octets.len() > TORN_FIRST_BYTES_MAX => {
            Err(JournalError::Damaged {
                path: path.to_owned(),
                line,
                why,
            })
        }
        _ => Ok((history, good)),
    }
}

/// A first record that was cut off is shorter than this; more octets without one record are not from us.
const TORN_FIRST_BYTES_MAX: usize = 64 * 1024;
