//! The last control that there was, when there is no other.
//!
//! Other times, other traffic: the hash vouches for nothing here, and neither does alpha. Each arm's figures are taken for draws with a
//! fixed chance, and bounds of both (anytime-valid each) must lie apart. Requests of one client fail together, and a client in five
//! minutes has more occasions to fail than in one: so requests are compared, but count no more than there were clients.

use crate::bets::likelier_than;
use crate::judge::quantile;
use crate::pace::Pace;
use crate::words::{ms, percent, short};
use crate::{Arm, Look, Rules, Ruling, Test, guard};

/// Halvings of [0, 1] until a bound is exact to a millionth of a millionth.
const HALVINGS: usize = 40;

/// Another time has another load, and a release that everybody has has more of it than one that half of them had: so much
/// longer says nothing.
const SLACK_US: u64 = 5_000;

/// A control of the past.
#[derive(Clone, Debug)]
pub(crate) struct Last(Arm);

impl Last {
    pub(crate) fn new(arm: Arm) -> Self {
        Self(arm)
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.0
    }

    pub(crate) fn alarm(
        &self,
        rules: &Rules,
        look: &Look,
        paces: &[(Test, Pace, u64)],
        need: f64,
    ) -> Option<Ruling> {
        let canary = &look.canary;
        // Without a control to hold it against, nothing is known.
        if self.0.requests == 0 {
            return None;
        }
        if guard::strikes(rules, canary, &self.0) {
            return Some(guard::ruling(rules, &self.told(canary)));
        }
        self.errors(rules, canary, need)
            .or_else(|| self.pace(rules, canary, paces, need))
    }

    fn errors(&self, rules: &Rules, canary: &Arm, need: f64) -> Option<Ruling> {
        let (low, high) = (at_least(canary, need), at_most(&self.0, need));
        (low > high + rules.max_error_increase).then(|| {
            let why = format!(
                "{}: at least {} against at most {}; compared with another time, outside alpha",
                self.told(canary),
                percent(low),
                percent(high)
            );
            Ruling::fail(Test::Errors, why)
        })
    }

    fn pace(
        &self,
        rules: &Rules,
        canary: &Arm,
        paces: &[(Test, Pace, u64)],
        need: f64,
    ) -> Option<Ruling> {
        let enough = canary.times.total().min(self.0.times.total());
        let mut paces = paces.iter().filter(|(_, _, least)| enough >= *least);
        paces.find_map(|(test, pace, _)| {
            let low = pace.at_least(&canary.times, need);
            let high = pace.at_most(&self.0.times, need)?;
            let ratio = rules.max_latency_increase;
            let longest = ratio * high as f64 + SLACK_US as f64;
            (low as f64 > longest).then(|| {
                let why = format!(
                    "canary's {} is at least {}, the last control's was at most {}, more than {} times and {}; compared with another time, outside alpha",
                    quantile(*test).0,
                    ms(low),
                    ms(high),
                    short(ratio),
                    ms(SLACK_US)
                );
                Ruling::fail(*test, why)
            })
        })
    }

    /// How much more often the canary may fail than the last control did.
    pub(crate) fn smallest(&self, canary: &Arm, need: f64) -> f64 {
        (at_most(canary, need) - self.0.error_rate()).clamp(0.0, 1.0)
    }

    /// `canary failed 37 of 410, the last control 4 of 402`.
    pub(crate) fn told(&self, canary: &Arm) -> String {
        let Self(last) = self;
        format!(
            "canary failed {} of {}, the last control {} of {}",
            canary.errors, canary.requests, last.errors, last.requests
        )
    }
}

/// Failed and other requests, as many as there are units.
fn counts(arm: &Arm) -> [f64; 2] {
    let errors = arm.errors.min(arm.requests) as f64;
    let units = arm.units.min(arm.requests) as f64;
    let each = units / arm.requests.max(1) as f64;
    [errors * each, (arm.requests as f64 - errors) * each]
}

/// A lower bound of the error rate.
fn at_least(arm: &Arm, need: f64) -> f64 {
    let [failed, other] = counts(arm);
    bound(|rate| likelier_than(rate).reaches(need, [failed, other]))
}

/// An upper bound of it.
fn at_most(arm: &Arm, need: f64) -> f64 {
    let [failed, other] = counts(arm);
    1.0 - bound(|rest| likelier_than(rest).reaches(need, [other, failed]))
}

/// The largest rate that is seen to be too small; 0 if none is.
fn bound(too_small: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if too_small(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(requests: u64, errors: u64, units: u64) -> Arm {
        Arm {
            requests,
            errors,
            units,
            ..Arm::default()
        }
    }

    #[test]
    fn bounds_are_on_either_side_of_the_rate() {
        let some = arm(1000, 20, 1000);
        assert!((0.005..0.02).contains(&at_least(&some, 5.0)));
        assert!((0.02..0.05).contains(&at_most(&some, 5.0)));
        let none = arm(0, 0, 0);
        assert!(at_least(&none, 5.0) < 1e-9 && at_most(&none, 5.0) > 1.0 - 1e-9);
    }

    #[test]
    fn requests_of_few_clients_say_less() {
        let (many, few) = (arm(1000, 20, 1000), arm(1000, 20, 100));
        assert!(at_most(&few, 5.0) > at_most(&many, 5.0));
        assert!(at_least(&few, 5.0) < at_least(&many, 5.0));
    }
}
