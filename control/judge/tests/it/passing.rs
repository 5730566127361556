//! A pass says what it would have seen; what could not have been seen is no pass.

use swap_judge::{Rules, Verdict};

use crate::{arm, judge, judge_by, look};

#[test]
fn no_traffic_is_no_verdict() {
    let ruling = judge().rule(&look(arm(0, 0), arm(0, 0)));
    assert_eq!(ruling.verdict, Verdict::NotEnoughTraffic);
    assert_eq!(ruling.smallest, Some(1.0));
    assert_eq!(
        ruling.why,
        "not enough traffic: 0 requests on the canary, 0 on the control, 100 are needed on each"
    );
}

#[test]
fn requests_on_one_arm_only_are_no_verdict() {
    let ruling = judge().rule(&look(arm(5000, 0), arm(99, 0)));
    assert_eq!(ruling.verdict, Verdict::NotEnoughTraffic);
}

#[test]
fn a_hundred_good_requests_would_not_have_shown_an_increase_of_two_points() {
    let ruling = judge().rule(&look(arm(100, 0), arm(100, 0)));
    assert_eq!(ruling.verdict, Verdict::NotEnoughTraffic);
    assert!(ruling.smallest.unwrap() > 0.02);
    assert!(
        ruling.why.starts_with(
            "not enough traffic: canary failed 0 of 100, control 0 of 100; an increase of less than "
        ),
        "{}",
        ruling.why
    );
    assert!(
        ruling
            .why
            .ends_with("and 2 percentage points are asked for"),
        "{}",
        ruling.why
    );
}

#[test]
fn a_pass_says_what_it_would_have_seen() {
    let ruling = judge().rule(&look(arm(5000, 52), arm(5020, 50)));
    assert_eq!(ruling.verdict, Verdict::Pass);
    let smallest = ruling.smallest.unwrap();
    assert!((0.004..0.012).contains(&smallest), "{smallest}");
    assert!(
        ruling
            .why
            .starts_with("no worse: canary failed 52 of 5000, control 50 of 5020; an increase of "),
        "{}",
        ruling.why
    );
}

#[test]
fn the_more_traffic_the_less_it_would_have_missed() {
    let missed = |n: u64| {
        let equal = look(arm(100 * n, n), arm(100 * n, n));
        judge().rule(&equal).smallest.unwrap()
    };
    let row: Vec<_> = [1, 10, 100, 1000, 10_000].map(missed).into();
    assert!(row.is_sorted_by(|more, less| more > less), "{row:?}");
}

#[test]
fn what_was_not_asked_for_is_not_missed() {
    let small = look(arm(200, 0), arm(200, 0));
    let rules = Rules {
        min_effect: 0.1,
        ..Rules::default()
    };
    assert_eq!(judge_by(rules).rule(&small).verdict, Verdict::Pass);
}

#[test]
fn of_clients_it_says_clients() {
    let mut good = look(arm(20_000, 52), arm(20_000, 50));
    for arm in [&mut good.canary, &mut good.control] {
        (arm.units, arm.erred) = (2000, 40);
    }
    good.slots = Some(1 << 16);
    let ruling = judge().rule(&good);
    assert_eq!(ruling.verdict, Verdict::Pass);
    assert!(
        ruling
            .why
            .ends_with("percentage points of clients would have been seen"),
        "{}",
        ruling.why
    );
}
