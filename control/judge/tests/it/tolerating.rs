//! An increase that counts as the same is no reason to fail.

use swap_judge::{Rules, Test, Verdict};

use crate::{arm, judge, judge_by, look};

fn rules() -> Rules {
    Rules {
        max_error_increase: 0.05,
        ..Rules::default()
    }
}

#[test]
fn what_is_tolerated_passes_and_would_fail_otherwise() {
    let slightly = look(arm(20_000, 800), arm(20_000, 400));
    assert_eq!(judge().rule(&slightly).verdict, Verdict::Fail);
    let ruling = judge_by(rules()).rule(&slightly);
    assert_eq!(ruling.verdict, Verdict::Pass, "{}", ruling.why);
}

#[test]
fn what_is_beyond_fails() {
    let badly = look(arm(2000, 240), arm(2000, 40));
    let ruling = judge_by(rules()).rule(&badly);
    assert_eq!(ruling.by, Some(Test::Errors));
    assert_eq!(
        ruling.why,
        "canary failed 240 of 2000, control 40 of 2000, more than 5 percentage points apart; chance of a false alarm below 1 %"
    );
}

#[test]
fn slower_by_less_than_the_ratio_is_the_same() {
    let mut slower = look(arm(100_000, 0), arm(100_000, 0));
    slower.control.times = crate::times(100_000, 50_000);
    slower.canary.times = crate::times(100_000, 62_000);
    assert_eq!(judge().rule(&slower).verdict, Verdict::Pass);
    slower.canary.times = crate::times(100_000, 72_000);
    assert_eq!(judge().rule(&slower).verdict, Verdict::Fail);
}
