//! Equal releases, looked at after every request: at most `alpha` of the rollouts fail. 10,000 of each kind are in
//! `examples/rollouts`; here are a few hundred, with a larger alpha, so that too many would be seen.

use swap_judge::{Judge, Look, Place, Rules};

use crate::peers::FixedSample;
use crate::seed;
use crate::world::{Crowd, Kind, Paces, Release, Step};

const ALPHA: f64 = 0.1;
const ROLLOUTS: u64 = 200;
const STEPS: u32 = 2;

/// So many of all fail at most, unless something happens that has a chance of a billionth.
fn most(rollouts: u64) -> u64 {
    let n = rollouts as f64;
    let mut chance = (1.0 - ALPHA).powf(n);
    let mut below = chance;
    let mut count = 0;
    while below < 1.0 - 1e-9 {
        count += 1;
        chance *= (n - count as f64 + 1.0) / count as f64 * ALPHA / (1.0 - ALPHA);
        below += chance;
    }
    count
}

/// How many rollouts of a kind somebody fails.
fn failed(kind: Kind, seed: u64, fails: impl Fn(&Look) -> bool) -> u64 {
    let paces = Paces::new();
    let mut seeds = fastrand::Rng::with_seed(seed);
    let mut rollout = || {
        (0..STEPS).any(|_| {
            let mut step = Step::new(kind, &paces, seeds.u64(..));
            (0..kind.requests).any(|_| {
                step.request();
                fails(&step.look)
            })
        })
    };
    (0..ROLLOUTS).filter(|_| rollout()).count() as u64
}

fn equal(errors: f64, crowd: Crowd, slots: Option<u64>) -> Kind {
    Kind {
        canary: Release::failing(errors),
        control: Release::failing(errors),
        crowd,
        slots,
        times: false,
        requests: 600,
    }
}

fn judge() -> Judge {
    // No ratio in which equal times could hide.
    let rules = Rules {
        alpha: ALPHA,
        max_latency_increase: 1.0,
        ..Rules::default()
    };
    let place = Place {
        steps: STEPS,
        attempt: 0,
    };
    Judge::new(rules, place)
}

fn assert_few(kind: Kind, seed: u64) {
    let judge = judge();
    let failed = failed(kind, seed, |look| judge.alarm(look).is_some());
    assert!(failed <= most(ROLLOUTS), "{failed} of {ROLLOUTS}: {kind:?}");
}

#[test]
fn equal_releases_fail_as_seldom_as_alpha_says() {
    let seed = seed::drawn("equal_releases");
    for errors in [0.0, 0.001, 0.02, 0.2] {
        assert_few(equal(errors, Crowd::Plain, None), seed);
    }
}

#[test]
fn sessions_whose_requests_fail_together_raise_no_alarms() {
    let seed = seed::drawn("sessions");
    for slots in [None, Some(1 << 10), Some(32)] {
        assert_few(equal(0.2, Crowd::Sessions, slots), seed);
    }
}

#[test]
fn one_client_with_a_third_of_the_traffic_raises_no_alarms() {
    let seed = seed::drawn("one_client");
    for slots in [None, Some(1 << 10)] {
        assert_few(equal(0.2, Crowd::Heavy, slots), seed);
    }
}

#[test]
fn outages_that_both_share_raise_no_alarms() {
    let seed = seed::drawn("outages");
    for slots in [None, Some(1 << 10)] {
        assert_few(equal(0.02, Crowd::Outages, slots), seed);
    }
}

#[test]
fn equal_times_raise_no_alarms() {
    let seed = seed::drawn("equal_times");
    for crowd in [Crowd::Plain, Crowd::Outages] {
        let kind = equal(0.0, crowd, None);
        assert_few(
            Kind {
                times: true,
                ..kind
            },
            seed,
        );
    }
}

#[test]
fn an_increase_that_counts_as_the_same_raises_no_alarms() {
    let seed = seed::drawn("counts_as_the_same");
    let rules = Rules {
        alpha: ALPHA,
        max_error_increase: 0.05,
        ..Rules::default()
    };
    let place = Place {
        steps: STEPS,
        attempt: 0,
    };
    let judge = Judge::new(rules, place);
    for (crowd, slots) in [(Crowd::Plain, None), (Crowd::Sessions, Some(1 << 10))] {
        let kind = Kind {
            canary: Release::failing(0.07),
            ..equal(0.02, crowd, slots)
        };
        let failed = failed(kind, seed, |look| judge.alarm(look).is_some());
        assert!(failed <= most(ROLLOUTS), "{failed} of {ROLLOUTS}: {kind:?}");
    }
}

/// What the tests above would not be passed by.
#[test]
fn a_test_for_one_look_raises_too_many_alarms_when_looked_at_again_and_again() {
    let seed = seed::drawn("for_one_look");
    let fixed = FixedSample::new(ALPHA / f64::from(STEPS));
    let failed = failed(equal(0.2, Crowd::Plain, None), seed, |look| {
        fixed.fails(look)
    });
    assert!(failed > most(ROLLOUTS), "{failed} of {ROLLOUTS}");
}
