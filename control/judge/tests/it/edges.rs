//! Whatever the counts are, there is a verdict, and a figure that is one.

use proptest::prelude::*;
use swap_judge::{Arm, BUCKETS, Drawn, Judge, Look, Rules, Times, compare};

use crate::{arm, judge, judge_by, look};

/// Small and huge ones, and such that do not go together.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        0..50_u64,
        0..100_000_u64,
        999_999_000..1_000_000_000_u64,
        Just(u64::MAX),
    ]
}

fn any_times() -> impl Strategy<Value = Times> {
    let row = prop::collection::vec((0..2 * BUCKETS, count()), 0..6);
    row.prop_map(|row| row.into_iter().collect())
}

fn any_arm() -> impl Strategy<Value = Arm> {
    (count(), count(), count(), count(), any_times()).prop_map(
        |(requests, errors, units, erred, times)| Arm {
            requests,
            errors,
            units,
            erred,
            times,
        },
    )
}

fn any_look() -> impl Strategy<Value = Look> {
    let slots = prop::option::of(prop_oneof![count(), Just(1 << 16)]);
    (any_arm(), any_arm(), slots).prop_map(|(canary, control, slots)| Look {
        canary,
        control,
        slots,
    })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let increase = prop_oneof![Just(0.0), 0.0..=1.0];
    (1e-9..0.5, 0..1000_u64, increase, 1.0..10.0, 0.0..=1.0).prop_map(
        |(alpha, min_requests, max_error_increase, max_latency_increase, guard_error_rate)| Rules {
            alpha,
            min_requests,
            min_effect: 0.02,
            max_error_increase,
            max_latency_increase,
            guard_error_rate,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_counts_are_too_odd(look in any_look(), rules in any_rules(), weights in [1e-6..1e6, 1e-6..1e6_f64]) {
        for judge in [judge_by(rules), Judge::beyond(rules, &look.control)] {
            let ruling = judge.rule(&look);
            prop_assert!(!ruling.why.is_empty());
            prop_assert!(!ruling.why.contains("NaN") && !ruling.why.contains("inf"), "{}", ruling.why);
            let smallest = ruling.smallest.unwrap_or(0.0);
            prop_assert!((0.0..=1.0).contains(&smallest), "{smallest}");
            prop_assert_eq!(judge.alarm(&look).is_some(), ruling.is_fail());
        }
        let drawn = Drawn { weights, slots: look.slots, comparisons: 3 };
        let comparison = compare(&look.canary, &look.control, drawn, &rules);
        prop_assert!(!comparison.why.contains("NaN"), "{}", comparison.why);
    }
}

#[test]
fn a_billion_requests_are_judged() {
    let n = 1_000_000_000;
    let equal = look(arm(n, n / 50), arm(n, n / 50));
    let ruling = judge().rule(&equal);
    assert!(ruling.smallest.unwrap() < 1e-3, "{ruling:?}");
    let worse = look(arm(n, n / 50 + n / 1000), arm(n, n / 50));
    assert!(judge().rule(&worse).is_fail());
}

#[test]
fn all_that_fails_in_both_is_no_difference() {
    for n in [1, 20, 1000, 1_000_000_000] {
        assert_eq!(judge().alarm(&look(arm(n, n), arm(n, n))), None);
    }
}

#[test]
fn full_bitmaps_end_in_silence() {
    let mut full = look(arm(1 << 20, 1 << 19), arm(1 << 20, 1 << 19));
    for (arm, erred) in [(&mut full.canary, 4096), (&mut full.control, 4090)] {
        (arm.units, arm.erred) = (4096, erred);
    }
    full.slots = Some(4096);
    let ruling = judge().rule(&full);
    assert!(!ruling.is_fail());
    assert!(ruling.smallest.unwrap() > 0.5, "{ruling:?}");
}
