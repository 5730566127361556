//! Two branches of an experiment: which is better?

use serde::{Deserialize, Serialize};

use crate::coin::Coin;
use crate::increase::Scale;
use crate::judge::{P99_UNITS_MIN, quantile};
use crate::pace::Pace;
use crate::words::{percent, points, short};
use crate::{Arm, Rules, Test};

/// What three tests are in each of two directions.
const TESTS: f64 = 6.0;

/// How one arm is, compared with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It fails less often or is faster, and is worse in nothing.
    Better,
    /// The other way round.
    Worse,
    /// Nothing was seen, or one thing is better and another is worse: the words tell.
    NoSignificantDifference,
}

/// A finding, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What it is.
    pub finding: Finding,
    /// A sentence for people, without a full stop.
    pub why: String,
}

/// How two arms came to their traffic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Their weights, each above 0: the hash puts a unit into the first with chance `first / (first + second)`.
    pub weights: [f64; 2],
    /// Bits of each arm's bitmaps, if units are clients: see [`crate::Look::slots`].
    pub slots: Option<u64>,
    /// How many such comparisons the experiment makes: alpha is split over them. With `k` arms beside one control, `k`. 0 is like 1.
    pub comparisons: u32,
}

/// How `a` is, compared with `b`: valid however often one asks. `max_error_increase` and `max_latency_increase` of the rules say
/// what counts as the same, in either direction; the chance that any comparison of the experiment ever finds a difference where
/// there is none is at most `alpha`.
pub fn compare(a: &Arm, b: &Arm, drawn: Drawn, rules: &Rules) -> Comparison {
    let worse = faults([a, b], drawn.weights, drawn, rules);
    let [first, second] = drawn.weights;
    let better = faults([b, a], [second, first], drawn, rules);
    let (finding, what) = match (worse.as_slice(), better.as_slice()) {
        ([], []) => (Finding::NoSignificantDifference, figures(a, b)),
        (worse, []) => (Finding::Worse, told(worse, "more often", "slower", a, b)),
        ([], better) => (Finding::Better, told(better, "less often", "faster", a, b)),
        (worse, better) => {
            let (worse, better) = (
                listed(worse, "more often", "slower"),
                listed(better, "less often", "faster"),
            );
            let text = format!("{better}, but {worse}: {}", figures(a, b));
            (Finding::NoSignificantDifference, text)
        }
    };
    let why = format!(
        "{what}; chance of a false finding below {}",
        percent(rules.alpha)
    );
    Comparison { finding, why }
}

/// In what the first arm is seen to be worse than the second.
fn faults(arms: [&Arm; 2], weights: [f64; 2], drawn: Drawn, rules: &Rules) -> Vec<Test> {
    let canary = weights[0] / (weights[0] + weights[1]);
    let parts = TESTS * f64::from(drawn.comparisons.max(1));
    let need = (parts / rules.alpha).ln();
    let times = arms.map(|arm| &arm.times);
    let enough = times[0].total().min(times[1].total());
    let slower = |test, least| {
        enough >= least
            && Pace::new(quantile(test).1, canary, rules.max_latency_increase)
                .is_slower(times[0], times[1], need)
    };
    let mut faults = Vec::new();
    if fails_more(arms, canary, need, drawn, rules) {
        faults.push(Test::Errors);
    }
    if slower(Test::P50, rules.min_requests) {
        faults.push(Test::P50);
    }
    if slower(Test::P99, P99_UNITS_MIN) {
        faults.push(Test::P99);
    }
    faults
}

/// True, if the first is seen to fail more often.
fn fails_more(arms: [&Arm; 2], canary: f64, need: f64, drawn: Drawn, rules: &Rules) -> bool {
    let allowed = rules.max_error_increase;
    if arms[0].erred_rate() - arms[1].erred_rate() <= allowed {
        return false;
    }
    if allowed > 0.0 {
        Scale::new(canary).reaches(need, allowed, arms, drawn.slots)
    } else {
        Coin::new(canary).reaches(need, arms[0].erred, arms[1].erred, drawn.slots)
    }
}

fn told(tests: &[Test], errors: &str, pace: &str, a: &Arm, b: &Arm) -> String {
    format!("{}: {}", listed(tests, errors, pace), figures(a, b))
}

/// `fails less often, p99 faster`.
fn listed(tests: &[Test], errors: &str, pace: &str) -> String {
    let words = tests.iter().map(|test| match test {
        Test::Errors | Test::Guard => format!("fails {errors}"),
        Test::P50 | Test::P99 => format!("{} {pace}", quantile(*test).0),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn figures(a: &Arm, b: &Arm) -> String {
    let ms = |times: Option<u64>| times.map_or("-".to_owned(), |us| short(us as f64 / 1000.0));
    format!(
        "failed {} of {} against {} of {} ({} apart), median {} against {} ms, p99 {} against {} ms",
        a.errors,
        a.requests,
        b.errors,
        b.requests,
        points((a.error_rate() - b.error_rate()).abs()),
        ms(a.p50()),
        ms(b.p50()),
        ms(a.p99()),
        ms(b.p99()),
    )
}
