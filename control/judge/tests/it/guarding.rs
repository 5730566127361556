//! The guard strikes at once, and never because both are bad.

use swap_judge::{Judge, Rules, Test};

use crate::{arm, judge, look};

fn by(canary: (u64, u64), control: (u64, u64)) -> Option<Test> {
    let look = look(arm(canary.0, canary.1), arm(control.0, control.1));
    judge().alarm(&look).and_then(|ruling| ruling.by)
}

#[test]
fn half_of_twenty_requests_are_enough() {
    assert_eq!(by((20, 10), (20, 0)), Some(Test::Guard));
    assert_eq!(by((19, 10), (19, 0)), None);
    assert_eq!(by((21, 10), (20, 0)), None);
}

#[test]
fn it_does_not_strike_while_both_are_bad() {
    assert_eq!(by((20, 10), (20, 5)), None);
    assert_eq!(by((1000, 900), (1000, 890)), None);
}

#[test]
fn one_client_alone_does_not_set_it_off() {
    let mut heavy = look(arm(100, 60), arm(70, 1));
    (heavy.canary.units, heavy.canary.erred) = (8, 1);
    (heavy.control.units, heavy.control.erred) = (8, 1);
    heavy.slots = Some(1 << 12);
    assert_eq!(judge().alarm(&heavy), None);
}

#[test]
fn beyond_the_control_it_needs_no_coin() {
    let judge = Judge::beyond(Rules::default(), &arm(500, 5));
    let ruling = judge.alarm(&look(arm(20, 10), arm(0, 0))).unwrap();
    assert_eq!(ruling.by, Some(Test::Guard));
    assert_eq!(
        ruling.why,
        "canary failed 10 of 20, the last control 5 of 500: 50 % or more at once, and the control below half of that"
    );
    let judge = Judge::beyond(Rules::default(), &arm(500, 150));
    assert_eq!(judge.alarm(&look(arm(20, 10), arm(0, 0))), None);
}
