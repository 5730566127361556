//! How slowly a client may send.

use std::time::Duration;

use holdfast_config::Limits;

/// How long a client has been waited for. Time in which the app reads nothing does not count.
pub(super) struct Pace {
    pause: Duration,
    grace: Duration,
    for_each_octet: Duration,
    octets: u32,
    waited: Duration,
    since: Option<Duration>,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            pause: limits.body_pause,
            grace: limits.body_grace,
            for_each_octet: Duration::from_secs(1) / limits.body_rate,
            octets: 0,
            waited: Duration::ZERO,
            since: None,
        }
    }

    /// Nothing is there now. Says by when something must be.
    pub(super) fn waits(&mut self, now: Duration) -> Duration {
        let since = *self.since.get_or_insert(now);
        let allowed = self.grace + self.for_each_octet.saturating_mul(self.octets);
        since + allowed.saturating_sub(self.waited).min(self.pause)
    }

    pub(super) fn moved(&mut self, octets: usize, now: Duration) {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.octets = self.octets.saturating_add(octets);
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_sub(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_that_sends_nothing_has_20_s() {
        let mut pace = Pace::new(&Limits::default());
        assert_eq!(pace.waits(s(100)), s(120));
        assert_eq!(pace.waits(s(110)), s(120), "however often it is asked");
    }

    #[test]
    fn one_that_has_sent_much_may_pause_for_30_s() {
        let mut pace = Pace::new(&Limits::default());
        pace.moved(1 << 20, s(100));
        assert_eq!(pace.waits(s(100)), s(130));
    }

    #[test]
    fn one_that_sends_an_octet_a_second_is_given_up() {
        let mut pace = Pace::new(&Limits::default());
        let mut now = s(0);
        while pace.waits(now) > now {
            now += s(1);
            pace.moved(1, now);
            assert!(now < s(60), "it goes on for ever");
        }
        assert!(now >= s(20), "{now:?}");
    }

    #[test]
    fn time_in_which_the_app_reads_nothing_does_not_count() {
        let mut pace = Pace::new(&Limits::default());
        pace.moved(240, s(0));
        pace.moved(240, s(1_000));
        assert!(pace.waits(s(2_000)) > s(2_021));
    }
}
