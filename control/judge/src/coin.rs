//! Errors: whose is the next unit that fails?
//!
//! The hash puts a unit into either arm as a coin would. If the releases are equal, whether a unit fails does not depend on
//! its arm, so the arm of each unit that fails is such a coin: whatever the base rate, however it drifts, in an outage that
//! both arms share, and whatever a client does, for it counts once. Nothing else has to be estimated. If the canary is
//! better, the coin falls on it less often, and the stakes of [`crate::bets`] shrink.
//!
//! **Bitmaps.** Clients are counted as bits, and a bit can be set only once. With `m` bits in each arm's bitmap, `c` and `s` of
//! them set in the canary's and the control's, and a coin that falls on the canary with chance `w`, a client that is new falls
//! on a free bit of the canary's with chance `w (m - c) / m`, so the next bit that is set is the canary's with chance
//!
//! ```text
//! w (m - c) / (w (m - c) + (1 - w) (m - s))
//! ```
//!
//! For `w = 1/2` that is a draw without replacement from `2 m` bits, and a path's probability is the same for each order: the
//! falling factorials `m^(c) m^(s) / (2 m)^(c + s)`. Dividing by it makes the stakes exact at any occupancy. For other `w` it
//! does depend on the order, and is replaced by a bound from above, which can only make the stakes smaller: the canary's
//! chance never was above that with `c = 0` and today's `s`, nor the control's above that with `s = 0` and today's `c`.
//!
//! A stake on the chance `p` is sound against a *better* canary too while `p` is at least the chance above. That grows as the
//! control's bitmap fills, and is at most `w m / (w m + (1 - w) (m - s))` so far. Stakes on less are thrown away from then on:
//! what is left of a supermartingale still is one. So a control that nearly all clients fail ends in silence, not in an alarm.

use crate::bets::Bets;
use crate::factorial::ln_falling;

/// More bits are in no memory. Logarithms of their factorials are exact enough.
const SLOTS_MAX: u64 = 1 << 40;

/// Bets against "the canary's units fail no more often".
#[derive(Clone, Debug)]
pub(crate) struct Coin {
    /// How likely a unit is the canary's.
    canary: f64,
    /// Of the probabilities of an error of the canary's and one of the control's.
    bets: Bets<2>,
}

impl Coin {
    /// A coin that falls on the canary with this chance, above 0 and below 1.
    pub(crate) fn new(canary: f64) -> Self {
        let ahead = (canary / (1.0 - canary)).ln();
        let bets = Bets::on(|odds| {
            let odds = ahead + odds;
            [-(-odds).exp().ln_1p(), -odds.exp().ln_1p()]
        });
        Self { canary, bets }
    }

    /// True, if the stake has become `e^need`, after so many units of the canary's and the control's have failed.
    pub(crate) fn reaches(&self, need: f64, canary: u64, control: u64, slots: Option<u64>) -> bool {
        let Some(slots) = slots else {
            let equal = self.of_requests(canary as f64, control as f64);
            return self
                .bets
                .reaches(need + equal, [canary as f64, control as f64]);
        };
        let slots = slots.min(SLOTS_MAX);
        let (canary, control) = (canary.min(slots), control.min(slots));
        let seen = [canary as f64, control as f64];
        let equal = self.of_clients(canary, control, slots);
        // Without the last stakes that are sound it is no more.
        let least = self.most(control, slots).ln();
        let sound = |factors: &[f64; 2]| factors[0] >= least;
        self.bets.reaches(need + equal, seen) && self.bets.ln_of(sound, seen) >= need + equal
    }

    /// The logarithm of the probability of what was seen under equal releases.
    fn of_requests(&self, canary: f64, control: f64) -> f64 {
        canary * self.canary.ln() + control * (-self.canary).ln_1p()
    }

    /// The same for bits, or more than that.
    fn of_clients(&self, canary: u64, control: u64, slots: u64) -> f64 {
        if (self.canary - 0.5).abs() < 1e-12 {
            return ln_falling(slots, canary) + ln_falling(slots, control)
                - ln_falling(2 * slots, canary + control);
        }
        let control_most = most(1.0 - self.canary, canary, slots);
        canary as f64 * self.most(control, slots).ln() + control as f64 * control_most.ln()
    }

    /// The largest chance that the next bit was the canary's so far.
    fn most(&self, control: u64, slots: u64) -> f64 {
        most(self.canary, control, slots)
    }
}

/// The largest chance that an arm's bit was the next, while the other's bitmap filled up to this.
fn most(arm: f64, other: u64, slots: u64) -> f64 {
    let free = 1.0 - other as f64 / slots.max(1) as f64;
    arm / (arm + (1.0 - arm) * free)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Coin {
        /// What the stake has become, as far as halving finds it.
        fn ln(&self, canary: u64, control: u64, slots: Option<u64>) -> f64 {
            let (mut low, mut high) = (-1e4, 1e4);
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                if self.reaches(middle, canary, control, slots) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            low
        }
    }

    /// The mean stake of all paths of so many bits, each with its probability under equal releases.
    fn mean(weight: f64, slots: u64, bits: u64) -> f64 {
        let coin = Coin::new(weight);
        let mut paths = BTreeMap::from([((0_u64, 0_u64), 1.0)]);
        for _ in 0..bits {
            let mut longer = BTreeMap::new();
            for ((c, s), chance) in paths {
                let free = weight * (slots - c) as f64;
                let next = free / (free + (1.0 - weight) * (slots - s) as f64);
                for (path, part) in [((c + 1, s), next), ((c, s + 1), 1.0 - next)] {
                    *longer.entry(path).or_insert(0.0) += chance * part;
                }
            }
            longer.retain(|(c, s), _| *c <= slots && *s <= slots);
            paths = longer;
        }
        let stakes = paths.iter();
        stakes
            .map(|((c, s), chance)| chance * coin.ln(*c, *s, Some(slots)).exp())
            .sum()
    }

    #[test]
    fn the_mean_stake_is_never_above_one_while_bitmaps_fill() {
        for weight in [0.5, 0.2, 0.9] {
            for slots in [4, 6, 40] {
                for bits in 0..=12.min(2 * slots - 1) {
                    let mean = mean(weight, slots, bits);
                    assert!(mean <= 1.0 + 1e-9, "{weight} {slots} {bits}: {mean}");
                }
            }
        }
    }

    #[test]
    fn large_bitmaps_are_like_none() {
        let coin = Coin::new(0.5);
        let (with, without) = (coin.ln(30, 10, Some(1 << 30)), coin.ln(30, 10, None));
        assert!((with - without).abs() < 1e-3, "{with} {without}");
    }

    #[test]
    fn full_bitmaps_are_silent() {
        let coin = Coin::new(0.5);
        assert!(coin.ln(1000, 1000, Some(1000)) <= 0.0);
        assert!(coin.ln(1000, 995, Some(1000)) <= 0.0);
        assert!(coin.ln(0, 0, Some(0)) <= 1e-9);
    }

    #[test]
    fn no_more_errors_than_the_control_is_no_evidence() {
        let coin = Coin::new(0.5);
        for control in 0..200 {
            for canary in 0..=control {
                assert!(!coin.reaches(1e-9, canary, control, None));
                assert!(!coin.reaches(1e-9, canary, control, Some(256)));
            }
        }
    }
}
