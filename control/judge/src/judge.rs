//! The judge: one release against another, look by look.

use crate::coin::Coin;
use crate::increase::Scale;
use crate::last::Last;
use crate::pace::Pace;
use crate::words::{failed, ms, percent, points, short};
use crate::{Arm, Look, Rules, Ruling, Test, Verdict, guard};

/// From so many units in each arm on the p99 is judged.
pub const P99_UNITS_MIN: u64 = 5_000;

/// How much of alpha is for errors; the median and the p99 have half of the rest each.
const ERRORS_PART: f64 = 0.5;

/// An arm's share of the two: they are equal.
pub(crate) const EVEN: f64 = 0.5;

/// Which part of alpha is for this stretch of the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// How many steps of the rollout have a control (shares up to 50 %). Each has the same part of alpha. 0 is like 1.
    pub steps: u32,
    /// How often this step's evidence was begun anew, as after a restart of the daemon: 0 at first. The first attempt has
    /// three quarters of the step's alpha, each further one a quarter of what is left over: no number of restarts spends more.
    pub attempt: u32,
}

/// Rules on looks. A pure function of the look: nothing is remembered, so any process can go on with the same counts.
///
/// The stakes of all tests are supermartingales of the counts, so it can be asked after each request, and its first `Fail` may
/// be acted upon. That is a false alarm with a chance of at most alpha over all steps; guards and [`Judge::beyond`] are plain
/// comparisons outside of it, and say so.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    coin: Coin,
    scale: Scale,
    paces: [(Test, Pace, u64); 2],
    needs: Needs,
    /// Instead of a control of the same time.
    last: Option<Last>,
}

/// Logarithms of what stakes must become.
#[derive(Clone, Copy, Debug)]
struct Needs {
    errors: f64,
    pace: f64,
    /// Of the bound that a pass tells.
    bound: f64,
}

impl Needs {
    fn new(rules: &Rules, place: Place) -> Self {
        let quarter = 0.25_f64.ln() * f64::from(place.attempt);
        let part = rules.alpha.ln() - f64::from(place.steps.max(1)).ln() + 0.75_f64.ln() + quarter;
        Self {
            errors: -(part + ERRORS_PART.ln()),
            pace: -(part + ((1.0 - ERRORS_PART) / 2.0).ln()),
            bound: -rules.alpha.ln(),
        }
    }
}

impl Judge {
    /// Compares with a control of an equal share, drawn by the same hash at the same time.
    pub fn new(rules: Rules, place: Place) -> Self {
        let pace = |part| Pace::new(part, EVEN, rules.max_latency_increase);
        Self {
            rules,
            coin: Coin::new(EVEN),
            scale: Scale::new(EVEN),
            paces: [
                (Test::P50, pace(0.5), rules.min_requests),
                (Test::P99, pace(0.99), P99_UNITS_MIN),
            ],
            needs: Needs::new(&rules, place),
            last: None,
        }
    }

    /// Compares with the last control that there was, for shares above 50 % and the watch after 100 %: no control of the same
    /// time exists there. What changes with the time of day counts as the canary's, so this is outside alpha, and the words say so.
    /// Looks need no control of their own.
    pub fn beyond(rules: Rules, last_control: &Arm) -> Self {
        let once = Place {
            steps: 1,
            attempt: 0,
        };
        Self {
            last: Some(Last::new(last_control.clone())),
            ..Self::new(rules, once)
        }
    }

    /// What is to be said now. A few dozen microseconds; [`Self::alarm`] is less.
    pub fn rule(&self, look: &Look) -> Ruling {
        self.alarm(look).unwrap_or_else(|| self.so_far(look))
    }

    /// The `Fail` that [`Self::rule`] would give, or nothing: for whoever asks after each request.
    pub fn alarm(&self, look: &Look) -> Option<Ruling> {
        let alarm = match &self.last {
            Some(last) => last.alarm(&self.rules, look, &self.paces, self.needs.errors),
            None => self.alarm_beside(look),
        };
        debug_assert!(alarm.as_ref().is_none_or(Ruling::is_fail));
        alarm
    }

    fn alarm_beside(&self, look: &Look) -> Option<Ruling> {
        self.guard(look)
            .or_else(|| self.errors(look))
            .or_else(|| self.pace(look))
    }

    /// Half of all requests, and it is not a few clients' doing: the coin speaks against it too, at an undivided alpha.
    fn guard(&self, look: &Look) -> Option<Ruling> {
        let (canary, control) = (&look.canary, &look.control);
        let strikes =
            guard::strikes(&self.rules, canary, control) && self.fails_more(look, self.needs.bound);
        strikes.then(|| guard::ruling(&self.rules, &failed(look)))
    }

    fn errors(&self, look: &Look) -> Option<Ruling> {
        let (canary, control) = (&look.canary, &look.control);
        // Arms that are not of the same size, as they should be, must not make an alarm of a better canary.
        let more = canary.erred_rate() - control.erred_rate();
        let allowed = self.rules.max_error_increase;
        if more <= allowed {
            return None;
        }
        let need = self.needs.errors;
        let seen = if allowed > 0.0 {
            self.scale
                .reaches(need, allowed, [canary, control], look.slots)
        } else {
            self.fails_more(look, need)
        };
        seen.then(|| {
            let than = if allowed > 0.0 {
                format!(", more than {} apart", points(allowed))
            } else {
                String::new()
            };
            let chance = self.chance();
            Ruling::fail(Test::Errors, format!("{}{than}; {chance}", failed(look)))
        })
    }

    fn fails_more(&self, look: &Look, need: f64) -> bool {
        let (canary, control) = (look.canary.erred, look.control.erred);
        self.coin.reaches(need, canary, control, look.slots)
    }

    fn pace(&self, look: &Look) -> Option<Ruling> {
        let (canary, control) = (&look.canary.times, &look.control.times);
        let enough = canary.total().min(control.total());
        let mut paces = self.paces.iter().filter(|(_, _, least)| enough >= *least);
        paces
            .find(|(_, pace, _)| pace.is_slower(canary, control, self.needs.pace))
            .map(|(test, ..)| {
                let (name, part) = quantile(*test);
                let [ours, theirs] = [canary, control].map(|times| times.quantile(part));
                let ratio = short(self.rules.max_latency_increase);
                let why = format!(
                    "canary's {name} is {}, control's {}, more than {ratio} times as long; {}",
                    ms(ours.unwrap_or(0)),
                    ms(theirs.unwrap_or(0)),
                    self.chance()
                );
                Ruling::fail(*test, why)
            })
    }

    fn chance(&self) -> String {
        format!(
            "chance of a false alarm below {}",
            percent(self.rules.alpha)
        )
    }

    /// What [`Self::rule`] says where [`Self::alarm`] says nothing. Nothing speaks against it: is that because there is nothing,
    /// or because too little was seen?
    pub fn so_far(&self, look: &Look) -> Ruling {
        let smallest = self.smallest(look);
        let missing = self.missing(look, smallest);
        let verdict = if missing.is_some() {
            Verdict::NotEnoughTraffic
        } else {
            Verdict::Pass
        };
        Ruling {
            verdict,
            why: missing.unwrap_or_else(|| self.passed(look, smallest)),
            by: None,
            smallest: Some(smallest),
        }
    }

    fn smallest(&self, look: &Look) -> f64 {
        let arms = [&look.canary, &look.control];
        match &self.last {
            Some(last) => last.smallest(&look.canary, self.needs.bound),
            None => self.scale.smallest(self.needs.bound, arms, look.slots),
        }
    }

    /// What there is not enough of, if so.
    fn missing(&self, look: &Look, smallest: f64) -> Option<String> {
        let least = self.rules.min_requests;
        let control = self.last.as_ref().map_or(&look.control, Last::arm);
        let (ours, theirs) = (look.canary.requests, control.requests);
        if ours.min(theirs) < least {
            return Some(format!(
                "not enough traffic: {ours} requests on the canary, {theirs} on the control, {least} are needed on each"
            ));
        }
        // What counts as the same need not be seen.
        let limit = self.rules.min_effect + self.rules.max_error_increase;
        (smallest > limit).then(|| {
            format!(
                "not enough traffic: {}; an increase of less than {}{} would not have been seen, and {} are asked for",
                self.told(look),
                points(smallest),
                self.of_whom(look),
                points(limit)
            )
        })
    }

    fn passed(&self, look: &Look, smallest: f64) -> String {
        format!(
            "no worse: {}; an increase of {}{} would have been seen",
            self.told(look),
            points(smallest),
            self.of_whom(look)
        )
    }

    /// Clients who meet an error are not as many as errors.
    fn of_whom(&self, look: &Look) -> &'static str {
        if self.last.is_none() && look.slots.is_some() {
            " of clients"
        } else {
            ""
        }
    }

    fn told(&self, look: &Look) -> String {
        match &self.last {
            Some(last) => last.told(&look.canary),
            None => failed(look),
        }
    }
}

/// What it is called, and the part of times that it has below it.
pub(crate) fn quantile(test: Test) -> (&'static str, f64) {
    match test {
        Test::P99 => ("p99", 0.99),
        Test::P50 | Test::Errors | Test::Guard => ("median", 0.5),
    }
}
