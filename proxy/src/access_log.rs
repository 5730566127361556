//! The access log: one JSON object a line. No request ever waits for it: each worker writes into a page of its own,
//! which a thread takes to the file when it is full, or 100 ms old. When the log's reader is slow, pages are
//! dropped and their lines counted.

mod book;
mod line;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::outlet::Outlet;
pub(crate) use book::Book;
pub(crate) use line::{Began, Ended, Line};

/// Pages that may wait for the writer.
const WAITING_MAX: usize = 64;

/// Where pages go; nowhere, if it is off. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLog(Option<Outlet>);

impl AccessLog {
    /// A log that goes nowhere.
    pub(crate) fn off() -> Self {
        Self::default()
    }

    /// A log to standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::start(io::stdout())
    }

    /// A log appended to a file.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        Self::start(OpenOptions::new().create(true).append(true).open(path)?)
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        Outlet::start("access-log", WAITING_MAX, out).map(|outlet| Self(Some(outlet)))
    }

    fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, Outlet::dropped)
    }

    /// Waits, but not for long, until all that was handed over is written. The process may end then.
    pub(crate) fn finish(&self, within: Duration) {
        if let Some(outlet) = &self.0 {
            outlet.finish(within);
        }
    }

    fn take(&self, page: Vec<u8>, lines: u64) {
        if let Some(outlet) = &self.0 {
            outlet.take(page, lines);
        }
    }
}
