//! How it goes, for who looks on while it does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::run::{Ending, Mark, Record};

/// Written by the load, read by everybody.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    started: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    left: AtomicU64,
    lost: AtomicU64,
    latest_micros: AtomicU64,
    release: Mutex<Option<Arc<str>>>,
    marks: Mutex<Vec<Mark>>,
}

/// How a load goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests that have started. Those that are none of the following are under way.
    pub started: u64,
    /// Answered by the app.
    pub answered: u64,
    /// Answered by the proxy.
    pub refused: u64,
    /// Left by their clients, as told.
    pub left: u64,
    /// Lost.
    pub lost: u64,
    /// The latency of the last scheduled request that ended.
    pub latest: Duration,
    /// The release that answered last.
    pub release: Option<Arc<str>>,
}

impl Progress {
    /// Requests under way.
    pub fn waiting(&self) -> u64 {
        self.started
            .saturating_sub(self.answered + self.refused + self.left + self.lost)
    }
}

impl Tally {
    pub(crate) fn started(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self, record: &Record) {
        let count = match &record.ending {
            Ending::App { release, .. } => {
                self.answered_by(release);
                &self.answered
            }
            Ending::Proxy { .. } => &self.refused,
            Ending::Left => &self.left,
            Ending::Lost(_) => &self.lost,
        };
        count.fetch_add(1, Relaxed);
        if record.kind.is_timed() {
            let micros = record.latency().as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX);
            self.latest_micros.store(micros, Relaxed);
        }
    }

    fn answered_by(&self, release: &Arc<str>) {
        let mut last = locked(&self.release);
        if last.as_ref() != Some(release) {
            *last = Some(release.clone());
        }
    }

    pub(crate) fn mark(&self, name: String) {
        let mut marks = locked(&self.marks);
        let at = Moment::now();
        marks.push(Mark { at, name });
    }

    pub(crate) fn take_marks(&self) -> Vec<Mark> {
        std::mem::take(&mut *locked(&self.marks))
    }

    pub(crate) fn progress(&self) -> Progress {
        // Ends before starts, so that no more have ended than have started.
        let mut progress = Progress {
            answered: self.answered.load(Relaxed),
            refused: self.refused.load(Relaxed),
            left: self.left.load(Relaxed),
            lost: self.lost.load(Relaxed),
            latest: Duration::from_micros(self.latest_micros.load(Relaxed)),
            release: locked(&self.release).clone(),
            started: 0,
        };
        progress.started = self.started.load(Relaxed);
        progress
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
