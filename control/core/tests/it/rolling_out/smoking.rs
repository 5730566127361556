//! A canary answers smoke tests before it gets any clients, and once more when it has them all.

use swap_core::{CanaryPlan, Event, Outcome, Verdict};

use super::begun;
use crate::cast::*;

#[test]
fn smoke_tests_come_before_any_traffic_and_after_the_last_step() {
    let mut play = begun(smoked_plan());
    assert_eq!(
        play.last_effects(),
        [
            "publish 2: beside it b behind gate 2; p.1 draws nobody; staff b",
            "p is smoking",
            "smoke p.1: /up at b"
        ]
    );
    play.tell(smoked("p", 1, Ok(())));
    assert_eq!(play.state(), "canary, live a, next b at 5 %, p runs");
    for _ in 0..2 {
        play.wait(seconds(60));
        play.judge(Verdict::Pass, "as good");
    }
    assert_eq!(
        play.last_effects(),
        [
            "publish 5: beside it b behind gate 2; p.4 draws canary 0..100 b; staff b, opt-in",
            "p is smoking",
            "smoke p.4: /up at b"
        ]
    );
    assert!(play.judge(Verdict::Pass, "not asked yet").is_empty());
    assert!(play.tell(smoked("p", 1, Err("404"))).is_empty(), "late");
    play.tell(smoked("p", 4, Ok(())));
    assert_eq!(play.state(), "canary, live a, next b at 100 %, p runs");
}

#[test]
fn while_they_are_asked_and_everybody_has_it_a_no_counts() {
    let mut play = begun(smoked_plan());
    assert!(play.judge(Verdict::Fail, "nobody has it").is_empty());
    for _ in 0..3 {
        play.tell(advance());
    }
    assert_eq!(
        play.state(),
        "canary, live a, next b smoking at 100 %, p runs"
    );
    play.judge(Verdict::Fail, "half of them failed");
    play.tell(gate_empty(2));
    assert_eq!(play.ending().outcome, swap_core::Outcome::RolledBack);
}

#[test]
fn one_that_fails_its_first_smoke_test_has_failed_and_blocks_nothing() {
    let mut play = begun(smoked_plan());
    play.tell(smoked("p", 1, Err("/up answered 404")));
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p ends failed: /up answered 404"]
    );
    assert_eq!(play.app.blocked(), None);
}

#[test]
fn one_that_fails_its_last_smoke_test_is_rolled_back() {
    let mut play = begun(CanaryPlan {
        steps: vec![share(100)],
        ..smoked_plan()
    });
    play.tell(smoked("p", 1, Ok(())));
    assert_eq!(
        play.state(),
        "canary, live a, next b smoking at 100 %, p runs"
    );
    play.tell(smoked("p", 2, Err("/up answered 404")));
    play.tell(gate_empty(2));
    assert_eq!(play.ending().outcome, Outcome::RolledBack);
    assert!(play.app.blocked().is_some());
}

#[test]
fn smoke_tests_that_do_not_end_have_failed() {
    let mut play = begun(smoked_plan());
    play.wait(LIMITS.boot);
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p ends failed: the smoke tests had not ended after 1m"]
    );
}

#[test]
fn smoke_tests_take_nothing_from_the_time_of_the_steps() {
    let mut play = begun(smoked_plan());
    play.wait(seconds(30));
    play.tell(smoked("p", 1, Ok(())));
    let (steps, watch) = (seconds(3 * 60), seconds(300));
    let all = LIMITS.boot + steps + watch;
    assert_eq!(play.app.deadline(), Some(play.now + all));
}

#[test]
fn smoke_tests_that_pass_while_it_is_paused_do_not_take_it_on() {
    let mut play = begun(smoked_plan());
    play.tell(pause());
    assert!(play.tell(smoked("p", 1, Ok(()))).is_empty());
    assert_eq!(
        play.tell(Event::Resume),
        [
            "publish 3: beside it b behind gate 2; p.2 draws nobody; staff b",
            "p is smoking",
            "smoke p.2: /up at b"
        ]
    );
}
