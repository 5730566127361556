//! Latency: is a quantile of the canary's times more than `r` times the control's?
//!
//! Let `x` be the control's quantile, `q` the part of times below it. If the canary's quantile is at most `r x`, then the canary's
//! part of *slow* units (above `r x`) is at most `1 - q`, as is the control's (above `x`). Bets pay for all four kinds of units,
//! slow and fast ones of either arm, so that their mean is at most one for each pair of parts `s_c <= s_s`: the hash puts a
//! unit into the canary with chance `w`, and with `w (1 + a) + (1 - w) (1 - b) = 1` for slow ones and `w (1 - a') + (1 - w) (1 + b') = 1` for
//! fast ones the mean is `1 + w (a + a') (s_c - s_s)`. `a'` is `a (1 - q) / q`, the ratio with which such a bet grows fastest. It is the
//! sequential two-sample test for one threshold (as in Howard & Ramdas 2022, 5), and sound under any drift that both arms share.
//!
//! `x` is not known. Bets on the control's times alone say which `x` its quantile cannot be (the quantile's confidence
//! sequence, Howard & Ramdas 2022); each of all others must be seen to be too slow. One half of `alpha` is for the true `x` being left
//! out, the other for the bets at the true `x`: nothing is paid for trying many. (For times that drift the interval is one for the
//! times of the whole step, and always has the bucket of the control's own quantile in it.) The canary is not made to
//! prove anything about thresholds that Lindon et al. 2022 would test for *any* difference between the two distributions.
//!
//! **Buckets.** Where `x` lies in its bucket is not known either. The control's slow ones are all from the bucket's lower bound on;
//! the canary's only those from the first bound on that is not below `r` times its upper bound. Both make it look less slow than it is:
//! about 1.5 buckets, so that 1.25 times is acted upon from about 1.33 times on, and never before.
//!
//! **Bitmaps.** A client's time is counted when its bit is set, and as bits run out the coin for the next one is not quite even: it
//! falls on the canary with `w + e`. That adds `e (s a - (1 - s) a') / w` or so to the mean, if `s` of all are slow. `e` is at most about
//! `1 / sqrt(m)` of `m` bits until nine of ten are set, draws to the middle, and the bracket is zero at the quantile: it is left out.

use std::f64::consts::LN_2;

use crate::bets::{Bets, likelier_than};
use crate::times::{BUCKETS, Times, bound, bucket};

/// A fast unit of the canary never takes all of a stake.
const LARGEST_PART: f64 = 0.95;

/// The test of one quantile.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// The part of times that the quantile has below it.
    part: f64,
    /// Of slow units of the canary and the control, then of fast ones.
    bets: Bets<4>,
    /// That more than `part` are below.
    below: Bets<2>,
    /// That more than the rest are not.
    above: Bets<2>,
    /// For each bucket of the control's the first of the canary's that is too slow.
    too_slow: Box<[usize; BUCKETS]>,
}

impl Pace {
    /// A quantile above 0 and below 1, units that fall into the canary with this chance, and a ratio of at least 1.
    pub(crate) fn new(part: f64, canary: f64, ratio: f64) -> Self {
        let bets = Bets::on(|odds| {
            let even = 1.0 + canary * odds.exp_m1();
            let slow = odds.exp() / even - 1.0;
            let fast = (slow * (1.0 - part) / part).min(LARGEST_PART);
            [
                slow.ln_1p(),
                -even.ln(),
                (-fast).ln_1p(),
                (fast * canary / (1.0 - canary)).ln_1p(),
            ]
        });
        let too_slow = std::array::from_fn(|place| first_from(ratio * bound(place + 1) as f64));
        Self {
            part,
            bets,
            below: likelier_than(part),
            above: likelier_than(1.0 - part),
            too_slow: Box::new(too_slow),
        }
    }

    /// True, if the canary's quantile is seen to be more than the ratio times the control's, with a chance of `e^-need` to be wrong.
    pub(crate) fn is_slower(&self, canary: &Times, control: &Times, need: f64) -> bool {
        let Some(middle) = control.bucket_of(self.part) else {
            return false;
        };
        // Two halves: where the quantile is, and what is slow there.
        let need = need + LN_2;
        // Nearly always the first threshold is enough to know that there is nothing.
        let here = [from(canary, self.too_slow[middle]), from(control, middle)];
        if !self.is_slower_at(here, [canary, control], need) {
            return false;
        }
        let (canaries, controls) = (Tail::of(canary), Tail::of(control));
        let slower = |place: usize| {
            let slow = [canaries.from(self.too_slow[place]), controls.from(place)];
            self.is_slower_at(slow, [canary, control], need)
        };
        let above =
            (middle + 1..BUCKETS).take_while(|place| !self.is_above(*place, &controls, need));
        let below = (0..middle)
            .rev()
            .take_while(|place| !self.is_below(*place, &controls, need));
        above.chain(below).all(slower)
    }

    fn is_slower_at(&self, slow: [u64; 2], times: [&Times; 2], need: f64) -> bool {
        // No part that is too large is no evidence, and that is half of all looks at equal releases.
        let part = |arm: usize| slow[arm] as f64 * times[1 - arm].total() as f64;
        if part(0) <= part(1) {
            return false;
        }
        let fast = [0, 1].map(|arm| times[arm].total().saturating_sub(slow[arm]) as f64);
        let slow = slow.map(|count| count as f64);
        self.bets
            .reaches(need, [slow[0], slow[1], fast[0], fast[1]])
    }

    /// True, if the quantile is seen to lie below this bucket.
    fn is_above(&self, place: usize, times: &Tail, need: f64) -> bool {
        let above = times.from(place);
        let below = times.from(0).saturating_sub(above);
        self.below
            .reaches(need + LN_2, [below as f64, above as f64])
    }

    /// True, if the quantile is seen to lie above this bucket.
    fn is_below(&self, place: usize, times: &Tail, need: f64) -> bool {
        let above = times.from(place + 1);
        let below = times.from(0).saturating_sub(above);
        self.above
            .reaches(need + LN_2, [above as f64, below as f64])
    }

    /// A time in microseconds that the quantile is seen not to be below: 0 without enough times.
    pub(crate) fn at_least(&self, times: &Times, need: f64) -> u64 {
        let tail = Tail::of(times);
        let seen = |place: &usize| self.is_below(*place, &tail, need);
        // The higher, the fewer are above it: the last bucket that is seen to be below.
        (0..BUCKETS)
            .take_while(seen)
            .last()
            .map_or(0, |place| bound(place + 1))
    }

    /// A time in microseconds that the quantile is seen to be below. None without enough times.
    pub(crate) fn at_most(&self, times: &Times, need: f64) -> Option<u64> {
        let tail = Tail::of(times);
        (0..BUCKETS)
            .find(|place| self.is_above(*place, &tail, need))
            .map(bound)
    }
}

/// The first bucket with no time below this one in it.
fn first_from(us: f64) -> usize {
    let us = us.ceil() as u64;
    let place = bucket(us);
    place + usize::from(bound(place) < us)
}

/// How many are not below a bucket.
fn from(times: &Times, place: usize) -> u64 {
    times.counts()[place..].iter().sum()
}

/// The same for all buckets at once.
struct Tail([u64; BUCKETS]);

impl Tail {
    fn of(times: &Times) -> Self {
        let mut tail = *times.counts();
        for place in (0..BUCKETS - 1).rev() {
            tail[place] += tail[place + 1];
        }
        Self(tail)
    }

    fn from(&self, place: usize) -> u64 {
        self.0.get(place).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many times, evenly between two bounds.
    fn even(count: u64, low: u64, high: u64) -> Times {
        let mut times = Times::default();
        (0..count).for_each(|place| times.record(low + (high - low) * place / count));
        times
    }

    #[test]
    fn the_mean_factor_is_one_for_equal_parts_and_less_for_fewer_slow_ones() {
        for canary in [0.5, 0.2, 0.9] {
            for part in [0.5, 0.99] {
                let pace = Pace::new(part, canary, 1.25);
                let mean = |slow: [f64; 2]| {
                    let single = |kind: usize| {
                        let mut seen = [0.0; 4];
                        seen[kind] = 1.0;
                        pace.bets.ln(seen).exp()
                    };
                    canary * (slow[0] * single(0) + (1.0 - slow[0]) * single(2))
                        + (1.0 - canary) * (slow[1] * single(1) + (1.0 - slow[1]) * single(3))
                };
                for slow in [0.0, 0.01, 0.5, 1.0] {
                    assert!((mean([slow, slow]) - 1.0).abs() < 1e-5);
                    assert!(mean([slow * 0.9, slow]) <= 1.0 + 1e-6);
                }
            }
        }
    }

    #[test]
    fn twice_as_slow_is_seen_and_slower_within_the_ratio_is_not() {
        let pace = Pace::new(0.5, 0.5, 1.25);
        let need = 1000_f64.ln();
        let control = even(1000, 10_000, 30_000);
        assert!(pace.is_slower(&even(1000, 20_000, 60_000), &control, need));
        assert!(!pace.is_slower(
            &even(1_000_000, 12_400, 37_200),
            &even(1_000_000, 10_000, 30_000),
            need
        ));
        assert!(!pace.is_slower(&control, &even(1000, 20_000, 60_000), need));
    }

    #[test]
    fn few_times_say_nothing() {
        let pace = Pace::new(0.5, 0.5, 1.25);
        let slow = even(8, 100_000, 200_000);
        assert!(!pace.is_slower(&slow, &even(8, 1000, 2000), 5.0));
        assert!(!pace.is_slower(&slow, &Times::default(), 0.0));
        assert!(!pace.is_slower(&Times::default(), &slow, 0.0));
        assert_eq!(pace.at_least(&Times::default(), 5.0), 0);
        assert_eq!(pace.at_most(&Times::default(), 5.0), None);
    }

    #[test]
    fn bounds_of_a_quantile_are_on_either_side_of_it() {
        let pace = Pace::new(0.5, 0.5, 1.25);
        let times = even(10_000, 10_000, 30_000);
        let (low, high) = (pace.at_least(&times, 5.0), pace.at_most(&times, 5.0));
        assert!((18_000..=20_000).contains(&low), "{low}");
        assert!((20_000..=22_000).contains(&high.unwrap()), "{high:?}");
    }

    #[test]
    fn times_past_all_buckets_raise_no_alarm() {
        let pace = Pace::new(0.5, 0.5, 1.25);
        let mut past = Times::default();
        past.add(BUCKETS, 1_000_000_000);
        assert!(!pace.is_slower(&past, &past, 5.0));
    }
}
