//! Rollback: to the previous release, which is kept warm, or to a named one.

use swap_core::{Event, GateId, Generation, Outcome, Rollback};

use crate::cast::*;
use crate::play::Play;

#[test]
fn rollback_goes_to_the_previous_release_and_back_again() {
    let mut play = Play::after_a_swap();
    assert_eq!(
        play.tell(rollback("r")),
        ["r is booting", "probe 2: is a back"]
    );
    assert_eq!(
        play.tell(probe_passed(2)),
        [
            "publish 3: a behind gate 3",
            "close gate 2 for all",
            "release",
            "r is swapped",
            "r is draining"
        ]
    );
    play.tell(Event::DoorOpen);
    play.tell(gate_empty(2));
    assert_eq!(play.ending().verb, "rollback");
    assert_eq!(
        play.app.previous(),
        Some(&release("b")),
        "the one just left"
    );
}

#[test]
fn rollback_to_a_named_release_that_is_known() {
    let mut play = Play::after_a_swap();
    play.tell(stage("s", "c"));
    play.tell(probe_passed(2));
    assert_eq!(
        play.tell(rollback_to("r", Some("c"))),
        ["r is booting", "probe 3: c"]
    );
    play.tell(Event::Abort);
    assert_eq!(
        play.ask(rollback_to("q", Some("d"))),
        "refused: release d is not known here: it is neither staged nor the previous one, \
         and no --instance was given"
    );
    assert_eq!(
        play.tell(rollback_to("t", Some("b"))),
        ["t ends already live"]
    );
}

#[test]
fn there_must_be_something_to_go_back_to() {
    assert_eq!(
        Play::live().ask(rollback("r")),
        "refused: there is no previous release to roll back to"
    );
}

#[test]
fn rollback_is_let_in_while_a_bad_release_still_drains_the_good_one() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert_eq!(
        play.tell(rollback("r")),
        [
            "p ends aborted: rolled back by operation r before the old release had drained",
            "r is booting",
            "probe 2: is a back"
        ]
    );
    play.tell(probe_passed(2));
    play.tell(Event::DoorOpen);
    assert!(
        play.tell(gate_empty(2)).is_empty(),
        "what ran on a from before still drains"
    );
    assert_eq!(play.tell(gate_empty(1)), ["r ends done"]);
    assert_eq!(play.app.live(), Some(&release("a")));
}

#[test]
fn what_drained_before_a_rollback_keeps_its_deadline() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    play.wait(seconds(5));
    play.tell(rollback("r"));
    assert_eq!(play.wait(seconds(20)), ["cut gate 1"]);
}

#[test]
fn a_rollback_that_changes_nothing_does_not_disturb_the_drain() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    assert_eq!(
        play.tell(rollback_to("r", Some("b"))),
        ["r ends already live"]
    );
    assert_eq!(play.state(), "draining, live b, p runs");
    assert!(
        play.ask(rollback_to("q", Some("d")))
            .starts_with("refused: release d")
    );
    assert_eq!(play.state(), "draining, live b, p runs");
}

#[test]
fn rollback_waits_for_its_turn_while_a_release_boots() {
    let mut play = Play::after_a_swap();
    play.tell(promote("p", "c"));
    assert_eq!(
        play.ask(rollback("r")),
        "refused: operation p (promote c) is under way"
    );
}

#[test]
fn rollback_minds_the_generation() {
    let mut play = Play::after_a_swap();
    let ask = |generation| {
        Event::Rollback(Rollback {
            operation: operation("r"),
            release: None,
            if_generation: Some(Generation(generation)),
            reason: None,
            by: "uid 0".to_owned(),
        })
    };
    assert_eq!(
        play.ask(ask(7)),
        "refused: the app's generation is 2, not 7"
    );
    assert_eq!(play.ask(ask(2)), "begun r");
    assert_eq!(play.app.gate(), GateId(2));
}

#[test]
fn a_rollback_whose_target_is_away_leaves_the_live_release_alone() {
    let mut play = Play::after_a_swap();
    play.tell(rollback("r"));
    play.tell(probe_failed(2, "refused"));
    play.wait(LIMITS.boot);
    assert_eq!(play.ending().outcome, Outcome::Failed);
    assert_eq!(play.state(), "steady, live b");
}

#[test]
fn going_back_and_forth_is_bounded() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    for n in 2..=32 {
        assert_eq!(play.ask(rollback(&format!("r{n}"))), format!("begun r{n}"));
        play.tell(probe_passed(n));
    }
    assert!(
        play.ask(rollback("r33"))
            .starts_with("refused: requests from before 32")
    );
    assert_eq!(
        play.state(),
        "draining, live a, r32 runs",
        "and nothing is disturbed"
    );
}
