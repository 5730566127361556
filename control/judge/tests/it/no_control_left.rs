//! Above 50 % and in the watch the last control judges.

use swap_judge::{Arm, Judge, Rules, Test, Verdict};

use crate::{arm, look, times};

fn beyond(last: &Arm) -> Judge {
    Judge::beyond(Rules::default(), last)
}

#[test]
fn a_canary_that_gets_worse_fails_and_the_words_say_what_it_was_compared_with() {
    let ruling = beyond(&arm(2000, 20)).rule(&look(arm(3000, 300), arm(0, 0)));
    assert_eq!(
        (ruling.verdict, ruling.by),
        (Verdict::Fail, Some(Test::Errors))
    );
    assert!(
        ruling
            .why
            .starts_with("canary failed 300 of 3000, the last control 20 of 2000: at least "),
        "{}",
        ruling.why
    );
    assert!(
        ruling
            .why
            .ends_with("compared with another time, outside alpha"),
        "{}",
        ruling.why
    );
}

#[test]
fn a_canary_that_stays_good_passes() {
    let ruling = beyond(&arm(2000, 20)).rule(&look(arm(3000, 31), arm(0, 0)));
    assert_eq!(ruling.verdict, Verdict::Pass, "{}", ruling.why);
}

#[test]
fn a_canary_that_gets_slow_fails() {
    let mut last = arm(2000, 20);
    last.times = times(2000, 50_000);
    let mut slow = look(arm(2000, 20), arm(0, 0));
    slow.canary.times = times(2000, 100_000);
    let ruling = beyond(&last).rule(&slow);
    assert_eq!(ruling.by, Some(Test::P50));
    slow.canary.times = times(2000, 55_000);
    assert_eq!(beyond(&last).rule(&slow).verdict, Verdict::Pass);
}

#[test]
fn a_few_milliseconds_more_at_another_time_say_nothing() {
    let mut last = arm(2000, 20);
    last.times = times(2000, 300);
    let mut busy = look(arm(2000, 20), arm(0, 0));
    busy.canary.times = times(2000, 4_000);
    assert_eq!(beyond(&last).rule(&busy).verdict, Verdict::Pass);
    busy.canary.times = times(2000, 9_000);
    assert_eq!(beyond(&last).rule(&busy).by, Some(Test::P50));
}

#[test]
fn without_any_control_nothing_is_said_against_it() {
    let ruling = beyond(&Arm::default()).rule(&look(arm(3000, 3000), arm(0, 0)));
    assert_eq!(ruling.verdict, Verdict::NotEnoughTraffic);
}
