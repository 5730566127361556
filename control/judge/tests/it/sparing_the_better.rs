//! A canary that is no worse than the control never fails, however the counts came about.

use proptest::prelude::*;
use swap_judge::{Arm, BUCKETS, Judge, Look, Rules, Times};

use crate::judge_by;

/// Errors of so many, at a rate that is at most the other one's.
fn no_more(errors: u64, of: u64, all: u64, part: f64) -> u64 {
    let most = u128::from(errors) * u128::from(all) / u128::from(of.max(1));
    (most as f64 * part) as u64
}

fn arms() -> impl Strategy<Value = (Arm, Arm)> {
    let part = prop_oneof![Just(1.0), 0.0..=1.0];
    let sizes = prop_oneof![(1..300_u64, 1..300_u64), (1..100_000_u64, 1..100_000_u64)];
    let times = prop::collection::vec((0..BUCKETS, 0..2000_u64), 0..8);
    (sizes, 0.0..=1.0, part, 0..100_usize, times).prop_map(
        |((ours, theirs), rate, part, faster, row)| {
            let errors = (theirs as f64 * rate) as u64;
            let ours_failed = no_more(errors, theirs, ours, part);
            let arm = |units: u64, erred: u64, times: Times| Arm {
                requests: units,
                errors: erred,
                units,
                erred,
                times,
            };
            let shift = row
                .iter()
                .map(|(place, count)| (place.saturating_sub(faster), *count));
            (
                arm(ours, ours_failed, shift.collect()),
                arm(theirs, errors, row.iter().copied().collect()),
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_better_canary_never_fails(
        (canary, control) in arms(),
        slots in prop::option::of(100_000..1_000_000_u64),
        increase in prop_oneof![Just(0.0), 0.0..0.2],
        alpha in 0.01..0.9_f64,
    ) {
        let rules = Rules { alpha, max_error_increase: increase, ..Rules::default() };
        let beyond = Judge::beyond(rules, &control);
        let look = Look { canary, control, slots };
        prop_assert_eq!(judge_by(rules).alarm(&look), None);
        prop_assert_eq!(beyond.alarm(&look), None);
    }
}
