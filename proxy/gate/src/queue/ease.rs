//! Whether an app answers as fast as it did when it had less to do.

use std::time::Duration;

/// So many answers are taken as they come: before that nobody knows what is usual.
const FIRST: u32 = 8;
/// The share of the latest answer in what is usual now.
const SHARE: u32 = 8;
/// Slower than at best by more than this factor and this time is no ease any more. The time is what schedulers and
/// networks add by themselves.
const FACTOR: u32 = 2;
const NOISE: Duration = Duration::from_millis(5);

/// What is usual now, and what was at best.
#[derive(Debug, Default)]
pub(super) struct Ease {
    answers: u32,
    usual: Duration,
    best: Option<Duration>,
}

impl Ease {
    /// Takes an answer into account that took so long.
    pub(super) fn answered(&mut self, took: Duration) {
        self.answers = self.answers.saturating_add(1);
        self.usual = match self.answers {
            1 => took,
            // One that is much slower than the others counts as slow, and no more than that.
            _ => (self.usual * (SHARE - 1) + took.min(Self::limit(self.usual))) / SHARE,
        };
        if self.answers >= FIRST {
            let best = self.best.map_or(self.usual, |best| best.min(self.usual));
            self.best = Some(best);
        }
    }

    /// Whether the answers come as fast as at best. An app that has not answered yet is given time.
    pub(super) fn is(&self) -> bool {
        self.best.is_none_or(|best| self.usual <= Self::limit(best))
    }

    fn limit(time: Duration) -> Duration {
        time * FACTOR + NOISE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many of these answers come from an app at ease.
    fn at_ease(answers: impl IntoIterator<Item = Duration>) -> usize {
        let mut ease = Ease::default();
        let mut is_after = |took| {
            ease.answered(took);
            ease.is()
        };
        answers.into_iter().filter(|took| is_after(*took)).count()
    }

    #[test]
    fn an_app_that_answers_evenly_is_at_ease_however_slow_it_is() {
        for each in [Duration::ZERO, ms(1), ms(30), ms(60_000)] {
            assert_eq!(at_ease([each; 100]), 100);
        }
    }

    #[test]
    fn an_app_that_gets_faster_is_at_ease() {
        assert_eq!(at_ease((1..=100).rev().map(ms)), 100);
    }

    #[test]
    fn a_few_slow_answers_among_fast_ones_are_no_sign() {
        let mixed = (0..1_000).map(|n| if n % 10 == 0 { ms(500) } else { ms(2) });
        assert_eq!(at_ease(mixed), 1_000);
    }

    #[test]
    fn an_app_that_slows_down_is_not_at_ease_until_it_recovers() {
        let fast = [ms(1); 50];
        assert_eq!(at_ease(fast), 50);
        let slower = at_ease(fast.into_iter().chain([ms(200); 50]));
        assert!((50..60).contains(&slower), "{slower}");
        let again = at_ease(fast.into_iter().chain([ms(200); 50]).chain(fast));
        assert!(again > slower + 20, "{again}");
    }
}
