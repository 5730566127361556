//! The process ends under a canary: the next one goes on in the same stage, with the same clients.

use swap_core::{Event, Outcome, Verdict};

use super::{begun, half_way, watched};
use crate::cast::*;

#[test]
fn after_a_restart_it_goes_on_with_the_same_clients() {
    let mut play = half_way();
    play.wait(seconds(30));
    assert_eq!(
        play.crash(),
        [
            "publish 4: beside it b behind gate 3; p.3 draws canary 0..50 b, control 50..100 live; \
             staff b, opt-in",
            "p is canary",
            "publish 5: a behind gate 4"
        ]
    );
    assert_eq!(play.app.rollout().unwrap().going.attempt, 2);
    assert_eq!(
        play.ask(promote_canary("p", "b")),
        "known p",
        "it is still this operation"
    );
}

#[test]
fn after_a_restart_every_stage_is_the_same_again() {
    let smoking = begun(smoked_plan());
    let mut smoking_all = begun(smoked_plan());
    for _ in 0..3 {
        smoking_all.tell(advance());
    }
    let mut paused = half_way();
    paused.tell(pause());
    for mut play in [smoking, smoking_all, half_way(), paused, watched()] {
        let state = play.state();
        let round = play.round();
        play.crash();
        assert_eq!(play.state(), state);
        assert_eq!(play.round(), round + 1, "what was counted is gone");
    }
}

#[test]
fn a_paused_one_waits_on_after_a_restart() {
    let mut play = begun(smoked_plan());
    play.tell(pause());
    assert_eq!(
        play.crash()[1..],
        ["p is paused", "publish 4: a behind gate 4"]
    );
    assert_eq!(play.app.deadline(), None);
    assert_eq!(
        play.tell(Event::Resume)[1..],
        ["p is smoking", "smoke p.3: /up at b"]
    );
}

#[test]
fn one_that_was_taken_back_before_a_restart_ends_as_it_was_to() {
    let mut play = half_way();
    play.judge(Verdict::Fail, "worse");
    assert_eq!(
        play.crash(),
        ["publish 5: a behind gate 3", "p ends rolled back: worse"]
    );
    assert!(play.app.blocked().is_some());
    assert_eq!(play.crash(), ["publish 6: a behind gate 4"], "once");
}

#[test]
fn one_that_has_taken_over_before_a_restart_is_done() {
    let mut play = watched();
    play.tell(advance());
    play.crash();
    assert_eq!(play.ending().outcome, Outcome::Done);
}
