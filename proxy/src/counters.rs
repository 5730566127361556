//! What is counted, without a cache line that two workers write: each worker has cells of its own, merged when
//! somebody asks. Only its own worker writes a cell (a plain load and store), so no locked instruction is needed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use swap_gate::Reason;

/// Upper bounds of the histogram buckets, in microseconds; one more bucket takes the rest.
pub(crate) const BUCKETS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// A number that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Sets these bits. Whether any of them was not.
    pub(crate) fn set(&self, bits: u64) -> bool {
        let before = self.read();
        self.0.store(before | bits, Relaxed);
        before & bits != bits
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Durations by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Cell; BUCKETS_US.len() + 1],
    sum_us: Cell,
}

/// A merged histogram.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution {
    /// How many fell into each bucket (not cumulative).
    pub(crate) buckets: [u64; BUCKETS_US.len() + 1],
    /// Their sum.
    pub(crate) sum_us: u64,
}

impl Histogram {
    pub(crate) fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }

    fn merge_into(&self, all: &mut Distribution) {
        for (sum, cell) in all.buckets.iter_mut().zip(&self.buckets) {
            *sum += cell.read();
        }
        all.sum_us += self.sum_us.read();
    }
}

/// One set of cells for each worker.
#[derive(Debug)]
pub(crate) struct PerWorker<T>(Box<[Line<T>]>);

/// On cache lines of its own (two: adjacent lines are fetched together).
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

impl<T: Default> PerWorker<T> {
    pub(crate) fn new(workers: usize) -> Self {
        Self::each(workers, T::default)
    }
}

impl<T> PerWorker<T> {
    /// With what `make` makes for each.
    pub(crate) fn each(workers: usize, make: impl Fn() -> T) -> Self {
        Self((0..workers).map(|_| Line(make())).collect())
    }

    pub(crate) fn of(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|line| &line.0)
    }
}

/// Why an accepted request was lost: it ended without the app's answer, and its client had not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    ConnectRefused,
    ConnectTimeout,
    UpstreamTimeout,
    UpstreamReset,
    UpstreamMalformed,
    /// The answer had begun and broke off.
    AnswerCutShort,
}

impl Loss {
    pub(crate) const ALL: [Self; 6] = [
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::UpstreamTimeout,
        Self::UpstreamReset,
        Self::UpstreamMalformed,
        Self::AnswerCutShort,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::AnswerCutShort => "answer_cut_short",
        }
    }
}

/// What is counted for an app, by one worker.
#[derive(Debug, Default)]
pub(crate) struct AppCells {
    pub(crate) requests: Cell,
    pub(crate) retried: Cell,
    pub(crate) drained: Cell,
    pub(crate) cut: Cell,
    pub(crate) lost: [Cell; Loss::ALL.len()],
    /// Refused by a hold, in the order of [`SHED`].
    pub(crate) shed: [Cell; SHED.len()],
    pub(crate) held_seconds: Histogram,
    /// Requests that may yet be retried: earned by requests, spent by retries.
    pub(crate) retry_credit: Cell,
}

/// Why a hold refuses, and what the metrics call it.
pub(crate) const SHED: [(Reason, &str); 5] = [
    (Reason::Full, "full"),
    (Reason::Bytes, "bytes"),
    (Reason::Share, "share"),
    (Reason::Timeout, "timeout"),
    (Reason::GivenUp, "given_up"),
];

impl AppCells {
    pub(crate) fn shed(&self, reason: Reason) {
        if let Some(index) = SHED.iter().position(|(known, _)| *known == reason) {
            self.shed[index].add(1);
        }
    }

    pub(crate) fn lose(&self, loss: Loss) {
        self.lost[loss as usize].add(1);
    }
}

/// What is counted for a release, by one worker.
#[derive(Debug, Default)]
pub(crate) struct ReleaseCells {
    /// Answers by class: 1xx … 5xx.
    pub(crate) answers: [Cell; 5],
    /// From admission to the end of the answer.
    pub(crate) seconds: Histogram,
    pub(crate) in_flight: Cell,
}

impl PerWorker<AppCells> {
    pub(crate) fn sum(&self, of: impl Fn(&AppCells) -> u64) -> u64 {
        self.iter().map(of).sum()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.sum(|cells| cells.lost.iter().map(Cell::read).sum())
    }

    pub(crate) fn held_seconds(&self) -> Distribution {
        let mut all = Distribution::default();
        self.iter()
            .for_each(|cells| cells.held_seconds.merge_into(&mut all));
        all
    }
}

impl PerWorker<ReleaseCells> {
    pub(crate) fn sum(&self, of: impl Fn(&ReleaseCells) -> u64) -> u64 {
        self.iter().map(of).sum()
    }

    pub(crate) fn seconds(&self) -> Distribution {
        let mut all = Distribution::default();
        self.iter()
            .for_each(|cells| cells.seconds.merge_into(&mut all));
        all
    }
}
