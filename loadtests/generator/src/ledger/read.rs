//! Reading ledgers back.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{End, Line};
use crate::clock::Moment;

/// A ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// No file, or it broke.
    #[error("ledger {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        why: io::Error,
    },
    /// Not written by a ledger app.
    #[error("ledger {path}, line {line}: not a ledger line")]
    Line {
        /// Which.
        path: PathBuf,
        /// The first one is 1.
        line: usize,
    },
}

/// A request that reached an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// As the client gave it; `-` if it gave none.
    pub id: String,
    /// Its method.
    pub method: String,
    /// The release that it reached.
    pub release: Arc<str>,
    /// The app's process.
    pub pid: u32,
    /// Its number among those that reached this process, from 1.
    pub sequence: u64,
    /// When its head was complete.
    pub at: Moment,
    /// `X-Held-Ms`: how long it was held, says the proxy.
    pub held_ms: Option<u64>,
    /// When its answer had been handed over; none if it broke off or the app was killed.
    pub completed: Option<Moment>,
}

/// All that reached the apps, in the order of arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// By [`Arrival::at`], then process and sequence.
    pub arrivals: Vec<Arrival>,
}

impl Ledger {
    /// Reads these ledgers into one. A file that is not there yet is an app that nothing has reached.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or has a line that no ledger app wrote.
    pub fn read<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, LedgerError> {
        let mut reading = Reading::default();
        for path in paths {
            reading.file(path.as_ref())?;
        }
        Ok(reading.ledger())
    }
}

#[derive(Default)]
struct Reading {
    arrivals: Vec<Arrival>,
    /// Where in `arrivals` each one is that has not ended yet.
    open: HashMap<(u32, u64), usize>,
    releases: HashMap<String, Arc<str>>,
}

impl Reading {
    fn file(&mut self, path: &Path) -> Result<(), LedgerError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(why) => {
                let path = path.to_owned();
                return Err(LedgerError::File { path, why });
            }
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.parse().map_err(|()| LedgerError::Line {
                path: path.to_owned(),
                line: index + 1,
            })?;
            self.line(line);
        }
        Ok(())
    }

    fn line(&mut self, line: Line) {
        match line {
            Line::Arrived {
                pid,
                sequence,
                id,
                method,
                release,
                at,
                held_ms,
            } => {
                self.open.insert((pid, sequence), self.arrivals.len());
                let release = self.release(release);
                self.arrivals.push(Arrival {
                    id,
                    method,
                    release,
                    pid,
                    sequence,
                    at,
                    held_ms,
                    completed: None,
                });
            }
            Line::Ended {
                pid,
                sequence,
                at,
                end,
            } => {
                if let (Some(index), End::Completed) = (self.open.remove(&(pid, sequence)), end) {
                    self.arrivals[index].completed = Some(at);
                }
            }
        }
    }

    /// One text for each release, however many requests reached it.
    fn release(&mut self, name: String) -> Arc<str> {
        let known = self.releases.entry(name);
        known
            .or_insert_with_key(|name| name.as_str().into())
            .clone()
    }

    fn ledger(mut self) -> Ledger {
        let order = |it: &Arrival| (it.at, it.pid, it.sequence);
        self.arrivals.sort_by_key(order);
        Ledger {
            arrivals: self.arrivals,
        }
    }
}
