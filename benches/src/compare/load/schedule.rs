//! When requests are due: gaps drawn from an exponential distribution, as from many clients that know nothing of each
//! other. It does not look at how the proxy fares.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Schedule {
    next: Instant,
    gap_seconds: f64,
    random: fastrand::Rng,
}

impl Schedule {
    pub(super) fn new(rate: f64, seed: u64, begins: Instant) -> Self {
        Self {
            next: begins,
            gap_seconds: 1.0 / rate,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// When the next request is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes it.
    pub(super) fn take(&mut self) -> Instant {
        let due = self.next;
        // Above zero, so that its logarithm is a number.
        let drawn = 1.0 - self.random.f64();
        self.next += Duration::from_secs_f64(-drawn.ln() * self.gap_seconds);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_in_the_mean() {
        let begins = Instant::now();
        let mut schedule = Schedule::new(1_000.0, 7, begins);
        for _ in 0..100_000 {
            schedule.take();
        }
        let seconds = schedule.next().duration_since(begins).as_secs_f64();
        assert!((98.0..102.0).contains(&seconds), "{seconds}");
    }
}
