//! Experiments: better, worse, or no significant difference.

use swap_judge::{Arm, Comparison, Drawn, Finding, Rules, compare};

use crate::{arm, seed, times};

fn drawn(weights: [f64; 2]) -> Drawn {
    Drawn {
        weights,
        slots: None,
        comparisons: 1,
    }
}

fn compared(a: &Arm, b: &Arm) -> Comparison {
    compare(a, b, drawn([0.5, 0.5]), &Rules::default())
}

#[test]
fn the_one_that_fails_less_is_better_and_the_other_one_worse() {
    let (good, bad) = (arm(4000, 40), arm(4000, 120));
    assert_eq!(compared(&good, &bad).finding, Finding::Better);
    assert_eq!(compared(&bad, &good).finding, Finding::Worse);
    assert_eq!(
        compared(&good, &good).finding,
        Finding::NoSignificantDifference
    );
    assert_eq!(
        compared(&good, &bad).why,
        "fails less often: failed 40 of 4000 against 120 of 4000 (2 percentage points apart), \
         median - against - ms, p99 - against - ms; chance of a false finding below 1 %"
    );
}

#[test]
fn the_faster_one_is_better() {
    let (mut fast, mut slow) = (arm(4000, 40), arm(4000, 40));
    (fast.times, slow.times) = (times(4000, 50_000), times(4000, 100_000));
    let comparison = compared(&fast, &slow);
    assert_eq!(comparison.finding, Finding::Better);
    assert!(
        comparison.why.starts_with("median faster: "),
        "{}",
        comparison.why
    );
}

#[test]
fn one_that_is_faster_and_fails_more_is_for_people_to_judge() {
    let (mut fast, mut slow) = (arm(4000, 120), arm(4000, 40));
    (fast.times, slow.times) = (times(4000, 50_000), times(4000, 100_000));
    let comparison = compared(&fast, &slow);
    assert_eq!(comparison.finding, Finding::NoSignificantDifference);
    assert!(
        comparison
            .why
            .starts_with("median faster, but fails more often: "),
        "{}",
        comparison.why
    );
}

#[test]
fn weights_are_taken_into_account() {
    let (small, large) = (arm(1000, 20), arm(9000, 180));
    let comparison = compare(&small, &large, drawn([0.1, 0.9]), &Rules::default());
    assert_eq!(comparison.finding, Finding::NoSignificantDifference);
    let (small, large) = (arm(1000, 60), arm(9000, 180));
    let comparison = compare(&small, &large, drawn([0.1, 0.9]), &Rules::default());
    assert_eq!(comparison.finding, Finding::Worse);
}

/// Of 300 experiments with equal arms of unequal weight, each looked at 60 times.
#[test]
fn equal_arms_differ_as_seldom_as_alpha_says() {
    let mut random = fastrand::Rng::with_seed(seed::drawn("equal_arms"));
    let rules = Rules {
        alpha: 0.1,
        max_error_increase: 0.0,
        ..Rules::default()
    };
    let mut experiment = || {
        let (mut a, mut b) = (arm(0, 0), arm(0, 0));
        (0..60).any(|_| {
            for _ in 0..20 {
                let arm = if random.f64() < 0.2 { &mut a } else { &mut b };
                let failed = u64::from(random.f64() < 0.2);
                (arm.requests, arm.units) = (arm.requests + 1, arm.units + 1);
                (arm.errors, arm.erred) = (arm.errors + failed, arm.erred + failed);
            }
            compare(&a, &b, drawn([0.2, 0.8]), &rules).finding != Finding::NoSignificantDifference
        })
    };
    let found = (0..300).filter(|_| experiment()).count();
    // P(more than 66 of 300 at 0.1) < 1e-9.
    assert!(found <= 66, "{found} of 300");
}
