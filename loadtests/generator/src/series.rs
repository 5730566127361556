//! A run as figures over time, and its latencies as percentiles.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::ledger::Ledger;
use crate::run::{Ending, Record, Run};

/// Figures over time, in equal steps from the beginning of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// How long a step is.
    pub step_ms: u64,
    /// One for each step.
    pub steps: Vec<Step>,
}

/// What happened in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Requests that were meant to start in it.
    pub started: u64,
    /// Requests that the app's answer ended in it.
    pub answered: u64,
    /// Requests that the proxy's answer ended in it.
    pub refused: u64,
    /// Requests that were lost in it.
    pub lost: u64,
    /// The most that were held at once, as far as ledger and answers tell.
    pub held: u64,
    /// Latency of the timed requests that were meant to start in it, in the middle.
    pub p50_us: Option<u64>,
    /// The same, for one in a hundred.
    pub p99_us: Option<u64>,
    /// The same, for the slowest.
    pub max_us: Option<u64>,
}

impl Series {
    /// As small steps as make no more than so many of them: 100 ms or a multiple of it.
    pub fn of(run: &Run, ledger: &Ledger, steps_max: usize) -> Self {
        const FINEST_MS: u64 = 100;
        let all_ms = millis(run.ended.since(run.began)).max(1);
        let fine = all_ms.div_ceil(FINEST_MS);
        let step_ms = FINEST_MS * fine.div_ceil(steps_max.max(1) as u64);
        let count = all_ms.div_ceil(step_ms);
        let mut series = Self {
            step_ms,
            // Bounded by `steps_max`.
            steps: vec![Step::default(); count as usize],
        };
        series.count(run);
        series.latencies(run);
        series.depth(run, ledger);
        series
    }

    fn index(&self, run: &Run, at: Moment) -> usize {
        let step = millis(at.since(run.began)) / self.step_ms;
        usize::try_from(step).map_or(usize::MAX, |step| step.min(self.steps.len() - 1))
    }

    fn count(&mut self, run: &Run) {
        for record in &run.records {
            let (began, ended) = (
                self.index(run, record.intended),
                self.index(run, record.ended),
            );
            self.steps[began].started += 1;
            match record.ending {
                Ending::App { .. } => self.steps[ended].answered += 1,
                Ending::Proxy { .. } => self.steps[ended].refused += 1,
                Ending::Lost(_) => self.steps[ended].lost += 1,
                Ending::Left => {}
            }
        }
    }

    fn latencies(&mut self, run: &Run) {
        let mut by_step: Vec<Vec<u64>> = vec![Vec::new(); self.steps.len()];
        for record in run.records.iter().filter(|it| is_timed_answer(it)) {
            by_step[self.index(run, record.intended)].push(micros(record.latency()));
        }
        for (step, latencies) in self.steps.iter_mut().zip(by_step) {
            let latencies = Percentiles::of_micros(latencies);
            step.p50_us = latencies.at(0.5);
            step.p99_us = latencies.at(0.99);
            step.max_us = latencies.at(1.0);
        }
    }

    /// The app knows how long it did not get a request; a hold that answered by itself, or was left, ended with it.
    fn depth(&mut self, run: &Run, ledger: &Ledger) {
        let mut changes: Vec<(Moment, i64)> = Vec::new();
        let mut held = |from: Moment, until: Moment| changes.extend([(from, 1), (until, -1)]);
        for arrival in &ledger.arrivals {
            if let (Some(ms), Some(_)) = (arrival.held_ms, run.number(&arrival.id)) {
                held(arrival.at.minus(Duration::from_millis(ms)), arrival.at);
            }
        }
        for record in &run.records {
            let waited = match &record.ending {
                Ending::Proxy { reason, .. } => &**reason == "hold_timeout",
                Ending::Left => true,
                Ending::App { .. } | Ending::Lost(_) => false,
            };
            if let (true, Some(sent)) = (waited, record.sent) {
                held(sent, record.ended);
            }
        }
        changes.sort_unstable();
        let mut depth = 0;
        let mut changes = changes.into_iter().peekable();
        for index in 0..self.steps.len() {
            let end = run.began + Duration::from_millis(self.step_ms * (index as u64 + 1));
            let mut most = depth;
            while let Some((_, change)) = changes.next_if(|(at, _)| *at < end) {
                depth += change;
                most = most.max(depth);
            }
            self.steps[index].held = most.unsigned_abs();
        }
    }
}

/// Latencies, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    sorted: Vec<u64>,
}

impl Percentiles {
    /// Of the timed requests of this run that the app answered.
    pub fn of(run: &Run) -> Self {
        let timed = run.records.iter().filter(|it| is_timed_answer(it));
        Self::of_micros(timed.map(|it| micros(it.latency())).collect())
    }

    /// Of these, in microseconds.
    pub fn of_micros(mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { sorted: latencies }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest one, in microseconds, that at least this share (0 to 1) do not exceed; none of none.
    pub fn at(&self, share: f64) -> Option<u64> {
        // 0.999 of 1,000 is a little more than 999 in binary.
        let rank = (share.clamp(0.0, 1.0) * self.sorted.len() as f64 - 1e-6).ceil();
        // Between 1 and the count, as far as there are any.
        let index = (rank as usize).saturating_sub(1);
        self.sorted.get(index).copied()
    }
}

fn is_timed_answer(record: &Record) -> bool {
    record.kind.is_timed() && matches!(record.ending, Ending::App { .. })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Arrival;
    use crate::run::Kind;

    fn record(number: u64, intended_ms: u64, ended_ms: u64, ending: Ending) -> Record {
        let at = |ms: u64| Moment::from_micros(ms * 1000);
        Record {
            number,
            kind: Kind::Get,
            protocol: Default::default(),
            fresh: false,
            intended: at(intended_ms),
            sent: Some(at(intended_ms)),
            ended: at(ended_ms),
            ending,
        }
    }

    fn answered() -> Ending {
        let release = "v1".into();
        let status = 200;
        Ending::App { release, status }
    }

    fn run(records: Vec<Record>) -> Run {
        Run {
            prefix: "r".into(),
            seed: 1,
            rate: 10.0,
            began: Moment::default(),
            ended: Moment::from_micros(1_000_000),
            records,
            marks: Vec::new(),
            closes: Vec::new(),
            pauses: Vec::new(),
            tunnels: Vec::new(),
            unprocessed: 0,
            connections: Default::default(),
        }
    }

    #[test]
    fn latency_belongs_to_the_step_in_which_the_request_was_meant_to_start() {
        let run = run(vec![
            record(0, 50, 60, answered()),
            record(1, 120, 720, answered()),
        ]);
        let series = Series::of(&run, &Ledger::default(), 600);
        let p50: Vec<_> = series.steps.iter().map(|step| step.p50_us).collect();
        assert_eq!(p50[..3], [Some(10_000), Some(600_000), None]);
        let answers: Vec<_> = series.steps.iter().map(|step| step.answered).collect();
        assert_eq!(answers, [1, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_long_run_has_longer_steps() {
        let series = Series::of(&run(Vec::new()), &Ledger::default(), 3);
        assert_eq!((series.step_ms, series.steps.len()), (400, 3));
    }

    #[test]
    fn held_is_who_waits_at_the_same_time() {
        let reason = "hold_timeout".into();
        let timed_out = Ending::Proxy {
            status: 503,
            reason,
            retry_after: true,
        };
        let run = run(vec![
            record(0, 100, 510, answered()),
            record(1, 300, 450, timed_out),
        ]);
        let arrival = Arrival {
            id: "r-0".into(),
            method: "GET".into(),
            release: "v1".into(),
            pid: 1,
            sequence: 1,
            at: Moment::from_micros(500_000),
            held_ms: Some(400),
            completed: None,
        };
        let ledger = Ledger {
            arrivals: vec![arrival],
        };
        let series = Series::of(&run, &ledger, 600);
        let held: Vec<_> = series.steps.iter().map(|step| step.held).collect();
        assert_eq!(held, [0, 1, 1, 2, 2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_seen() {
        let hundred = Percentiles::of_micros((1..=100).rev().collect());
        let at = |share| hundred.at(share);
        assert_eq!(
            (at(0.0), at(0.5), at(0.99), at(1.0)),
            (Some(1), Some(50), Some(99), Some(100))
        );
        assert_eq!(Percentiles::default().at(0.5), None);
    }
}
