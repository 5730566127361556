//! When a certificate is asked for: well before the old one ends, not all at once, and after a failure later and later.

use std::time::{Duration, SystemTime};

use super::failure::{Counts, Failure};
use crate::tls::Certificate;

/// What is left of a certificate's lifetime when it is renewed: the whole divided by this.
const LEFT: u32 = 3;
/// How much earlier that may be, by chance.
const EARLIER_MAX: u32 = 30;
/// The wall clock may be set: nobody waits longer without a look at it.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// Nothing is asked for again sooner, however short a certificate's life is.
const BETWEEN_MIN: Duration = Duration::from_secs(5);

/// First and longest wait after a try that the authority counts, and after one that never reached it.
const COUNTED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(6 * 60 * 60));
const NOT_COUNTED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10 * 60));

/// When the certificate's successor is asked for.
pub(super) fn renewal(certificate: &Certificate) -> SystemTime {
    renewal_of(certificate.begins, certificate.ends, fastrand::f64())
}

fn renewal_of(begins: SystemTime, ends: SystemTime, chance: f64) -> SystemTime {
    let whole = ends.duration_since(begins).unwrap_or_default();
    let earlier = (whole / EARLIER_MAX).mul_f64(chance);
    ends.checked_sub(whole / LEFT + earlier).unwrap_or(begins)
}

/// The same for a certificate that has just come.
pub(super) fn next(certificate: &Certificate) -> Result<SystemTime, Failure> {
    let (now, renewal) = (SystemTime::now(), renewal(certificate));
    if renewal <= now {
        return Err(Failure::DueAlready);
    }
    Ok(renewal.max(now + BETWEEN_MIN))
}

/// Waits for a moment of the wall clock.
pub(super) async fn until(due: SystemTime) {
    while let Ok(left) = due.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

/// How long to wait after one failure more.
#[derive(Debug, Default)]
pub(super) struct Retries {
    counted: u32,
    not_counted: u32,
}

impl Retries {
    pub(super) fn next(&mut self, counts: Counts) -> Duration {
        let (failures, (first, longest)) = match counts {
            Counts::Yes => (&mut self.counted, COUNTED),
            Counts::No => (&mut self.not_counted, NOT_COUNTED),
        };
        let doubled = first.saturating_mul(1 << (*failures).min(16));
        *failures = failures.saturating_add(1);
        // Those that failed together do not come back together.
        doubled.min(longest).mul_f64(1.0 - fastrand::f64() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_third_of_the_lifetime_is_left_or_a_little_more() {
        let begins = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let ends = begins + 90 * DAY;
        assert_eq!(renewal_of(begins, ends, 0.0), begins + 60 * DAY);
        assert_eq!(renewal_of(begins, ends, 1.0), begins + 57 * DAY);
        assert_eq!(renewal_of(ends, begins, 1.0), begins, "no lifetime at all");
    }

    #[test]
    fn after_each_failure_the_wait_doubles_up_to_a_bound() {
        for (counts, first, longest) in [(Counts::Yes, 60, 21_600), (Counts::No, 5, 600)] {
            let mut retries = Retries::default();
            let mut expected = first;
            for _ in 0..100 {
                let waited = retries.next(counts).as_secs_f64();
                let expects = f64::from(expected);
                assert!(waited <= expects && waited >= 0.89 * expects, "{waited}");
                expected = (expected * 2).min(longest);
            }
        }
    }

    #[test]
    fn an_outage_does_not_lengthen_the_wait_after_a_refusal() {
        let mut retries = Retries::default();
        for _ in 0..10 {
            retries.next(Counts::No);
        }
        assert!(retries.next(Counts::Yes) <= Duration::from_secs(60));
    }
}
