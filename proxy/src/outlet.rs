//! Where lines go for which nobody may wait: a thread writes them. When whoever reads them is slow, they are dropped and
//! counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// So often it is looked whether there is room for the last word.
const LOOK: Duration = Duration::from_millis(1);

/// The way to the thread. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pages: SyncSender<Parcel>,
    dropped: Arc<AtomicU64>,
}

/// What the thread gets.
enum Parcel {
    Page(Vec<u8>),
    /// Nothing is behind it: answered once all before it is written.
    Last(SyncSender<()>),
}

impl Outlet {
    /// Starts the thread, for which so many pages may wait.
    pub(crate) fn start(
        name: &str,
        waiting_max: usize,
        out: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (pages, waiting) = sync_channel(waiting_max);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || write_all(&waiting, out))?;
        Ok(Self {
            pages,
            dropped: Arc::default(),
        })
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits, but not for long, until all that was handed over is written. The process may end then.
    pub(crate) fn finish(&self, within: Duration) {
        let (written, done) = sync_channel(1);
        let began = Instant::now();
        let mut last = Parcel::Last(written);
        while let Err(TrySendError::Full(back)) = self.pages.try_send(last) {
            if began.elapsed() > within {
                return;
            }
            std::thread::sleep(LOOK);
            last = back;
        }
        let _ = done.recv_timeout(within.saturating_sub(began.elapsed()));
    }

    /// Takes a page of so many lines, or drops it.
    pub(crate) fn take(&self, page: Vec<u8>, lines: u64) {
        if self.pages.try_send(Parcel::Page(page)).is_err() {
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

    const WAITING_MAX: usize = 64;

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
        let outlet = Outlet::start("stuck", WAITING_MAX, Stuck(told, written)).unwrap();
        let handed_over = WAITING_MAX + 10;
        for _ in 0..handed_over {
            outlet.take(b"two\nlines\n".to_vec(), 2);
        }
        drop(go);
        outlet.finish(Duration::from_secs(10));
        let dropped = outlet.dropped();
        drop(outlet);
        assert_eq!(
            seen.iter().count() as u64 * 2 + dropped,
            handed_over as u64 * 2
        );
        // One more than may wait has been taken already, perhaps.
        assert!((18..=20).contains(&dropped), "{dropped}");
    }
}
