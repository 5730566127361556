//! The window in which is counted: after the warm-up, for so long.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::super::usage::{self, Usage};
use super::{Latency, Outcome, Plan};

/// A warm-up that takes longer is over: what is wrong will be seen in the window.
const WARM_MAX: Duration = Duration::from_secs(15);
/// Latencies beyond are counted as this, in nanoseconds.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

pub(super) struct Watch {
    processes: [u32; 3],
    warm_until: Instant,
    /// Answers that the warm-up waits for.
    warm_answers: u64,
    window: Duration,
    state: State,
    answered: u64,
    errors: u64,
    first_error: Option<String>,
    latency_ns: Option<Histogram<u64>>,
}

enum State {
    Warms,
    Counts { since: Instant, usages: [Usage; 3] },
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> io::Result<Self> {
        let latency_ns = match plan.rate {
            Some(_) => Some(Histogram::new_with_max(LATENCY_NS_MAX, 3).map_err(io::Error::other)?),
            None => None,
        };
        Ok(Self {
            processes: [plan.proxy, plan.origin, std::process::id()],
            warm_until: Instant::now() + Duration::from_millis(plan.warm_ms),
            warm_answers: plan.connections as u64,
            window: Duration::from_millis(plan.window_ms),
            state: State::Warms,
            answered: 0,
            errors: 0,
            first_error: None,
            latency_ns,
        })
    }

    /// A request that was due then has been answered.
    pub(super) fn answered(&mut self, due: Instant) {
        self.answered += 1;
        if self.latency_ns.is_some() {
            self.late(due, Instant::now());
        }
    }

    /// It was not answered as it should be.
    pub(super) fn failed(&mut self, why: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(why);
    }

    /// The latency of a request, or at least what it is already.
    pub(super) fn late(&mut self, due: Instant, now: Instant) {
        let late = now.saturating_duration_since(due).as_nanos();
        let late = u64::try_from(late).unwrap_or(u64::MAX).min(LATENCY_NS_MAX);
        if let Some(histogram) = &mut self.latency_ns {
            histogram.saturating_record(late);
        }
    }

    /// When to look again.
    pub(super) fn looks_at(&self, now: Instant) -> Instant {
        match self.state {
            State::Warms => self.warm_until.max(now + Duration::from_millis(5)),
            State::Counts { since, .. } => since + self.window,
        }
    }

    /// Begins to count when it is time. True: the window is over.
    pub(super) fn turn(&mut self, now: Instant) -> io::Result<bool> {
        match self.state {
            State::Warms => {
                let warm = now >= self.warm_until && self.answered >= self.warm_answers;
                if warm || now >= self.warm_until + WARM_MAX {
                    (self.answered, self.errors, self.first_error) = (0, 0, None);
                    if let Some(histogram) = &mut self.latency_ns {
                        histogram.reset();
                    }
                    self.state = State::Counts {
                        usages: self.usages()?,
                        since: Instant::now(),
                    };
                }
                Ok(false)
            }
            State::Counts { since, .. } => Ok(now >= since + self.window),
        }
    }

    /// What has happened in the window.
    pub(super) fn outcome(&self) -> io::Result<Outcome> {
        let now = self.usages()?;
        let State::Counts { since, usages } = self.state else {
            return Err(io::Error::other("the window never began"));
        };
        let [proxy, origin, load] = [0, 1, 2].map(|who| now[who] - usages[who]);
        let window_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let latency = self.latency_ns.as_ref().map(|histogram| {
            let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
            Latency {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
            }
        });
        Ok(Outcome {
            answered: self.answered,
            errors: self.errors,
            first_error: self.first_error.clone(),
            window_ns,
            proxy,
            origin,
            load,
            resident_kib: usage::resident_kib(self.processes[0])?,
            latency,
        })
    }

    fn usages(&self) -> io::Result<[Usage; 3]> {
        let [proxy, origin, load] = self.processes;
        Ok([Usage::of(proxy)?, Usage::of(origin)?, Usage::of(load)?])
    }
}
