//! By how much the canary fails more often: a test that allows an increase, and a bound for what there can be.
//!
//! Let `w` be the chance that the hash puts a unit into the canary, and `Z` of a unit be `1 / w` if it is the canary's and fails,
//! `-1 / (1 - w)` if it is the control's and fails, else 0. Its mean, given all that was before, is `p_c - p_s`: the hash alone
//! sees to that, so rates may drift. (`Z` is written here in units in which it is at most one.) A bet pays `1 + l (Z - d)` for
//! each unit; if `p_c - p_s <= d` its mean is at most one. There are three kinds of units, so the order does not matter. The
//! other way round, `1 - l (Z - d)` is against `p_c - p_s >= d`, and the smallest `d` that it leaves over is the upper end of a
//! confidence sequence (Waudby-Smith & Ramdas 2024; inverse propensity weights as in Howard et al. 2021).
//!
//! A request's fate is known when it is counted, so for requests that is all. A client is counted first and may fail later. At
//! each fixed moment the mean stake is at most one nonetheless: given who fails in which arm by then, the product over
//! clients has a mean of at most `(1 + l (mean increase - d))^n`. That it holds at the worst of all moments needs in addition
//! that the increase is below `d` all along, not only in the end.
//!
//! **What is tolerated** is said of requests. If `d` of them more may fail, at most `d r` clients more meet a failure, where a client
//! makes `r` requests in the mean: so much is allowed then. The same holds for bits that several clients share, and is how a
//! bitmap that fills up ends in silence.
//!
//! **Bitmaps and the bound.** With `o` of all bits set, a bit stands for `n = -ln(1 - o) / o` clients in the mean (linear counting, Whang et
//! al. 1990). An increase for bits is at least that for clients times the slope at which bits fail as clients do, `n (1 - e)`, if `e`
//! of all bits have failed: where that is below one, the bound is divided by it. As bits run out, the arm that has more free
//! ones gets more of the next, which draws the sum of `Z` to its middle: it spreads less than with fresh coins.

use crate::Arm;
use crate::bets::Bets;

/// Halvings of [-1, 1] until the bound is exact to a billionth.
const HALVINGS: usize = 31;

/// A unit's `Z`, so scaled that none is above one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Of one of the canary's that fails.
    canary: f64,
    /// Of one of the control's that fails, without its sign.
    control: f64,
    /// Of an increase of one.
    one: f64,
}

impl Scale {
    /// Units fall into the canary with this chance, above 0 and below 1.
    pub(crate) fn new(canary: f64) -> Self {
        let one = canary.min(1.0 - canary);
        Self {
            canary: one / canary,
            control: one / (1.0 - canary),
            one,
        }
    }

    /// Bets against "the increase is at most this". Seen: failed of the canary's, failed of the control's, the rest.
    fn above(self, increase: f64) -> Bets<3> {
        let middle = self.one * increase;
        Bets::on(|odds| {
            let stake = (odds / 2.0).tanh() / (self.control + middle);
            [self.canary, -self.control, 0.0].map(|z| (stake * (z - middle)).ln_1p())
        })
    }

    /// Bets against "the increase is at least this".
    fn below(self, increase: f64) -> Bets<3> {
        let middle = self.one * increase;
        Bets::on(|odds| {
            let stake = (odds / 2.0).tanh() / (self.canary - middle);
            [self.canary, -self.control, 0.0].map(|z| (-stake * (z - middle)).ln_1p())
        })
    }

    /// True, if the stakes against "at most this much more of the canary's requests fail" have become `e^need`.
    pub(crate) fn reaches(
        self,
        need: f64,
        increase: f64,
        arms: [&Arm; 2],
        slots: Option<u64>,
    ) -> bool {
        let most = arms.map(|arm| slots.map_or(1.0, |_| requests_each(arm)));
        let allowed = (increase * most[0].max(most[1])).min(1.0);
        self.above(allowed).reaches(need, kinds(arms))
    }

    /// An increase that is larger than this would have been seen: its stakes would have become `e^need`.
    pub(crate) fn smallest(self, need: f64, arms: [&Arm; 2], slots: Option<u64>) -> f64 {
        let seen = kinds(arms);
        // The stakes grow with the increase that they are against.
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if self.below(middle).reaches(need, seen) {
                high = middle;
            } else {
                low = middle;
            }
        }
        let slopes = arms.map(|arm| slope(arm, slots));
        (high / slopes[0].min(slopes[1]).min(1.0)).clamp(0.0, 1.0)
    }
}

fn kinds(arms: [&Arm; 2]) -> [f64; 3] {
    let [canary, control] = arms.map(|arm| arm.erred.min(arm.units) as f64);
    let all = arms[0].units as f64 + arms[1].units as f64;
    [canary, control, all - canary - control]
}

/// How many requests each unit has made in the mean.
fn requests_each(arm: &Arm) -> f64 {
    (arm.requests as f64 / arm.units.max(1) as f64).max(1.0)
}

/// How fast the part of bits that have failed grows with the part of clients that have; 1 if units are requests.
fn slope(arm: &Arm, slots: Option<u64>) -> f64 {
    let Some(slots) = slots.filter(|_| arm.units > 0) else {
        return 1.0;
    };
    let slots = slots.max(1) as f64;
    let occupied = (arm.units as f64 / slots).min(1.0);
    let failed = (arm.erred as f64 / slots).min(occupied);
    // Full bitmaps stand for many, not for infinitely many: too few make the slope too small, which is on the safe side.
    let clients = (-(1.0 - occupied).max(0.5 / slots).ln() / occupied).max(1.0);
    (clients * (1.0 - failed)).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(units: u64, erred: u64) -> Arm {
        Arm {
            units,
            erred,
            ..Arm::default()
        }
    }

    #[test]
    fn the_mean_factor_is_one_at_the_increase_itself() {
        for weight in [0.5, 0.2] {
            for (canary, control) in [(0.3, 0.1), (0.05, 0.0), (0.4, 0.4)] {
                let scale = Scale::new(weight);
                let (fails, other) = (weight * canary, (1.0 - weight) * control);
                let chances = [fails, other, 1.0 - fails - other];
                for bets in [scale.above(canary - control), scale.below(canary - control)] {
                    for kind in 0..3 {
                        let mut seen = [0.0; 3];
                        seen[kind] = 1.0;
                        assert!(bets.ln(seen).is_finite());
                    }
                    let single = |kind: usize| {
                        let mut seen = [0.0; 3];
                        seen[kind] = 1.0;
                        bets.ln(seen).exp()
                    };
                    let mean: f64 = (0..3).map(|kind| chances[kind] * single(kind)).sum();
                    assert!((mean - 1.0).abs() < 1e-5, "{mean}");
                }
            }
        }
    }

    #[test]
    fn without_errors_the_bound_is_like_a_rule_of_so_many_by_n() {
        let scale = Scale::new(0.5);
        let bound = |n| scale.smallest(100_f64.ln(), [&arm(n, 0), &arm(n, 0)], None);
        assert!((bound(0) - 1.0).abs() < 1e-6);
        assert!(bound(500) < 0.02, "{}", bound(500));
        assert!(bound(200) > 100_f64.ln() / 200.0, "{}", bound(200));
    }

    #[test]
    fn the_bound_is_above_the_difference_and_comes_near_it() {
        let scale = Scale::new(0.5);
        let bound = |n: u64| {
            let arms = [&arm(100 * n, 5 * n), &arm(100 * n, 2 * n)];
            scale.smallest(100_f64.ln(), arms, None)
        };
        assert!(bound(10) > 0.03);
        assert!((0.03..0.032).contains(&bound(10_000)), "{}", bound(10_000));
        assert!((0.03..0.0302).contains(&bound(10_000_000)));
    }

    #[test]
    fn full_bitmaps_say_nothing_of_clients() {
        let scale = Scale::new(0.5);
        let full = [&arm(1000, 1000), &arm(1000, 1000)];
        assert!((scale.smallest(5.0, full, Some(1000)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_requests_may_fail_more_clients_may_fail_as_often_as_they_come() {
        let scale = Scale::new(0.5);
        let clients = |failed| Arm {
            requests: 10_000,
            ..arm(1000, failed)
        };
        let arms = [&clients(100), &clients(20)];
        assert!(!scale.reaches(5.0, 0.01, arms, Some(1 << 16)));
        assert!(scale.reaches(5.0, 0.001, arms, Some(1 << 16)));
        assert!(scale.reaches(5.0, 0.01, arms, None));
    }
}
