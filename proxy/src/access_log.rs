//! The access log: one JSON object a line. No request ever waits for it: each worker writes into a page of its own,
//! which a thread takes to the file when it is full, or 100 ms old. When the log's reader is slow, pages are
//! dropped and their lines counted.

mod book;
mod line;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

pub(crate) use book::Book;
pub(crate) use line::{Began, Ended, Line};

/// Pages that may wait for the writer.
const WAITING_MAX: usize = 64;

/// Where pages go. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLog {
    pages: Option<SyncSender<Parcel>>,
    dropped: Arc<AtomicU64>,
}

/// What the writer gets.
enum Parcel {
    Page(Vec<u8>),
    /// Nothing is behind it: answered once all before it is written.
    Last(SyncSender<()>),
}

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
        let (pages, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&waiting, out))?;
        Ok(Self {
            pages: Some(pages),
            dropped: Arc::default(),
        })
    }

    fn is_on(&self) -> bool {
        self.pages.is_some()
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits, but not for long, until all that was handed over is written. The process may end then.
    pub(crate) fn finish(&self, within: Duration) {
        let (written, done) = sync_channel(1);
        let last = Parcel::Last(written);
        if self
            .pages
            .as_ref()
            .is_some_and(|it| it.try_send(last).is_ok())
        {
            let _ = done.recv_timeout(within);
        }
    }

    fn take(&self, page: Vec<u8>, lines: u64) {
        let Some(pages) = &self.pages else {
            return;
        };
        if pages.try_send(Parcel::Page(page)).is_err() {
            self.dropped.fetch_add(lines, Relaxed);
        }
    }
}

/// Writes until the last sender is gone. A failing file costs the lines, nothing else.
fn write_all(waiting: &Receiver<Parcel>, mut out: impl Write) {
    while let Ok(parcel) = waiting.recv() {
        match parcel {
            Parcel::Page(page) => {
                let _ = out.write_all(&page);
                // Standard output is buffered by lines, and a page ends with one.
                let _ = out.flush();
            }
            Parcel::Last(written) => drop(written.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose disk takes what is written only when it is told to.
    struct Stuck(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_stuck_disk_does_not_take_is_dropped_and_counted_and_nobody_waits() {
        let (go, told) = sync_channel(1);
        let (written, seen) = sync_channel(WAITING_MAX * 2);
        let log = AccessLog::start(Stuck(told, written)).unwrap();
        let handed_over = WAITING_MAX + 10;
        for _ in 0..handed_over {
            log.take(b"two\nlines\n".to_vec(), 2);
        }
        drop(go);
        log.finish(Duration::from_secs(10));
        let dropped = log.dropped();
        drop(log);
        assert_eq!(
            seen.iter().count() as u64 * 2 + dropped,
            handed_over as u64 * 2
        );
        // One more than may wait has been taken already, perhaps.
        assert!((18..=20).contains(&dropped), "{dropped}");
    }
}
