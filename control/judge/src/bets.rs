//! Many bets at once: a mixture of likelihood ratios over how much worse the canary might be.
//!
//! Each bet multiplies its stake by a factor for each observation. Under the hypothesis that it is against, the factor's
//! mean is at most one whatever has happened before, so the stake is a supermartingale that starts at one; so is any
//! average of such stakes with weights that do not depend on the data. By Ville's inequality it ever reaches `1 / alpha`
//! with a chance of at most `alpha`: one may look as often as one likes.
//!
//! All bets here pay by *kinds* of observation, so a stake is a function of how often each kind was seen, in any order.

/// How many bets there are.
const BETS: usize = 20;

/// The largest log-odds that is bet on; each further bet is on one that is smaller by the root of two. They reach from odds of
/// 148 to 1 (nearly all errors are the canary's) to odds of 1.007. Whatever the truth, one of them is off by less than a
/// fifth, which costs it 4 % of its growth.
const LARGEST: f64 = 5.0;

/// Logarithms of the factors that each bet pays for each of `K` kinds of observation.
#[derive(Clone, Debug)]
pub(crate) struct Bets<const K: usize> {
    weights: [f64; BETS],
    factors: [[f64; K]; BETS],
}

impl<const K: usize> Bets<K> {
    /// `pays` says for a log-odds what a bet on it pays: finite logarithms.
    pub(crate) fn on(pays: impl Fn(f64) -> [f64; K]) -> Self {
        let size = |bet: usize| LARGEST * 0.5_f64.powf(bet as f64 / 2.0);
        // Large effects have more weight: they shall be seen after few observations.
        let weight = |bet: usize| 1.0 / (bet as f64 + 3.0);
        let all: f64 = (0..BETS).map(weight).sum();
        Self {
            weights: std::array::from_fn(|bet| (weight(bet) / all).ln()),
            factors: std::array::from_fn(|bet| pays(size(bet))),
        }
    }

    /// The logarithm of what all stakes together have become. Finite.
    pub(crate) fn ln(&self, seen: [f64; K]) -> f64 {
        self.ln_of(|_| true, seen)
    }

    /// True, if all stakes together have become `e^need`. Nearly always that is known without an exponential.
    pub(crate) fn reaches(&self, need: f64, seen: [f64; K]) -> bool {
        let most = self.stakes(seen).into_iter().fold(f64::MIN, f64::max);
        most >= need || (most >= need - (BETS as f64).ln() && self.ln(seen) >= need)
    }

    fn stakes(&self, seen: [f64; K]) -> [f64; BETS] {
        std::array::from_fn(|bet| {
            let factors = self.factors[bet].iter().zip(seen);
            self.weights[bet] + factors.map(|(factor, seen)| factor * seen).sum::<f64>()
        })
    }

    /// The logarithm without the stakes that are not kept: negative infinity if none is.
    pub(crate) fn ln_of(&self, keep: impl Fn(&[f64; K]) -> bool, seen: [f64; K]) -> f64 {
        let mut stakes = self.stakes(seen);
        for (stake, factors) in stakes.iter_mut().zip(&self.factors) {
            if !keep(factors) {
                *stake = f64::NEG_INFINITY;
            }
        }
        let most = stakes.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if most == f64::NEG_INFINITY {
            return most;
        }
        // What is a millionth of the largest adds nothing that matters, and leaving it out is on the safe side.
        let near = stakes.into_iter().map(|stake| stake - most);
        most + near
            .filter(|less| *less > -14.0)
            .map(f64::exp)
            .sum::<f64>()
            .ln()
    }
}

/// Bets that an event is likelier than `chance`, while its chance is at most that. Seen: how often it came, and did not.
pub(crate) fn likelier_than(chance: f64) -> Bets<2> {
    Bets::on(|odds| {
        let growth = (chance * odds.exp_m1()).ln_1p();
        [odds - growth, -growth]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_seen_leaves_the_stake() {
        assert!(likelier_than(0.5).ln([0.0, 0.0]).abs() < 1e-12);
    }

    #[test]
    fn the_mean_factor_is_one_at_the_chance_itself_and_less_below() {
        for chance in [0.01, 0.5, 0.99] {
            for [came, stayed] in likelier_than(chance).factors {
                let mean = |p: f64| p * came.exp() + (1.0 - p) * stayed.exp();
                assert!((mean(chance) - 1.0).abs() < 1e-9);
                assert!(mean(chance * 0.9) < 1.0);
            }
        }
    }

    #[test]
    fn stakes_stay_finite_at_any_count() {
        for seen in [[1e9, 0.0], [0.0, 1e9], [1e19, 1e19]] {
            assert!(likelier_than(0.01).ln(seen).is_finite());
        }
    }
}
