//! The app's side of the ledger. A line is one write to a file opened for appending, so that what was written stands even
//! if the process is killed in the next instant, and several processes can share a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;

use http::{HeaderMap, Method};

use crate::clock::Moment;
use crate::ledger::{End, Line};
use crate::payload::REQUEST_ID;

/// Where the app writes down what reaches it.
pub(crate) struct Book {
    file: File,
    pid: u32,
    release: String,
    arrivals: std::cell::Cell<u64>,
}

/// A request that is written down. Its end is too: as broken off unless [`Entry::completed`] was called.
pub(crate) struct Entry {
    book: Rc<Book>,
    sequence: u64,
    end: End,
}

impl Book {
    pub(crate) fn open(path: &Path, release: String) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            file,
            pid: std::process::id(),
            release,
            arrivals: Default::default(),
        })
    }

    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Writes down that a request has arrived.
    pub(crate) fn enter(self: &Rc<Self>, method: &Method, fields: &HeaderMap) -> Entry {
        let sequence = self.arrivals.get() + 1;
        self.arrivals.set(sequence);
        self.write(&Line::Arrived {
            pid: self.pid,
            sequence,
            id: word(fields, REQUEST_ID).unwrap_or("-").to_owned(),
            method: method.to_string(),
            release: self.release.clone(),
            at: Moment::now(),
            held_ms: word(fields, "x-held-ms").and_then(|ms| ms.parse().ok()),
        });
        Entry {
            book: self.clone(),
            sequence,
            end: End::BrokenOff,
        }
    }

    /// Ends the process when the line cannot be written: a verdict drawn from a ledger with holes would be a lie, so
    /// there must be no answer either.
    fn write(&self, line: &Line) {
        let line = format!("{line}\n");
        if let Err(why) = (&self.file).write_all(line.as_bytes()) {
            let _ = writeln!(
                io::stderr(),
                "ledger app: the ledger cannot be written: {why}"
            );
            std::process::exit(1);
        }
    }
}

/// A field's value, if it can stand in a line.
fn word<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = fields.get(name)?.to_str().ok()?;
    let fits = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic());
    fits.then_some(value)
}

impl Entry {
    /// The whole answer was handed over.
    pub(crate) fn completed(&mut self) {
        self.end = End::Completed;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.book.write(&Line::Ended {
            pid: self.book.pid,
            sequence: self.sequence,
            at: Moment::now(),
            end: self.end,
        });
    }
}
