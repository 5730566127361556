//! A staged release can be seen by who may see it, before it takes any traffic.

use swap_core::{Event, Limits, Saved, Verdict};

use crate::cast::*;
use crate::play::Play;

fn seen() -> Play {
    Play::within(
        SEEN,
        Saved {
            live: Some(release("a")),
            ..Saved::default()
        },
    )
}

/// `b` is staged and seen, behind gate 2.
fn staged() -> Play {
    let mut play = seen();
    play.tell(stage("s", "b"));
    play.tell(probe_passed(1));
    play
}

#[test]
fn staff_see_a_release_that_is_staged_until_it_is_not() {
    let mut play = seen();
    play.tell(stage("s", "b"));
    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 2: beside it b behind gate 2; preview.0 draws nobody; staff b",
            "s ends done"
        ]
    );
    assert_eq!(
        play.tell(unstage("b")),
        ["publish 3: nothing beside it", "close gate 2 for all"]
    );
    assert_eq!(play.wait(LIMITS.drain), ["cut gate 2"]);
}

#[test]
fn staff_see_the_one_that_was_staged_last() {
    let mut play = staged();
    play.tell(stage("t", "c"));
    assert_eq!(
        play.tell(probe_passed(2)),
        [
            "publish 3: beside it c behind gate 3; preview.0 draws nobody; staff c",
            "close gate 2 for all",
            "t ends done"
        ]
    );
    play.tell(unstage("c"));
    assert_eq!(
        play.last_effects()[0],
        "publish 4: beside it b behind gate 4; preview.0 draws nobody; staff b"
    );
}

#[test]
fn nobody_sees_what_is_beside_an_empty_app_until_it_has_a_release() {
    let mut play = Play::within(SEEN, Saved::default());
    for (operation, release, probe) in [("s", "b", 1), ("t", "a", 2)] {
        play.tell(stage(operation, release));
        assert_eq!(
            play.tell(probe_passed(probe)),
            [format!("{operation} ends done")]
        );
    }
    play.tell(promote_by_id("p", "a"));
    assert_eq!(
        play.tell(probe_passed(3))[..2],
        [
            "publish 2: a behind gate 2",
            "publish 3: beside it b behind gate 3; preview.0 draws nobody; staff b"
        ]
    );
}

#[test]
fn who_sees_it_stays_on_it_when_it_takes_over() {
    let mut play = staged();
    play.tell(promote_by_id("p", "b"));
    assert_eq!(
        play.tell(probe_passed(2))[..3],
        [
            "publish 3: b behind gate 2",
            "close gate 1 for all",
            "publish 4: nothing beside it"
        ]
    );
}

#[test]
fn who_sees_it_stays_on_it_when_it_becomes_a_canary() {
    let mut play = staged();
    play.tell(Event::Promote(swap_core::Promote {
        instances: Vec::new(),
        ..canary("p", "b", plan())
    }));
    play.tell(probe_passed(2));
    assert_eq!(
        play.last_effects()[0],
        "publish 3: beside it b behind gate 2; p.1 draws canary 0..5 b, control 95..100 live; \
         staff b, opt-in"
    );
}

#[test]
fn after_a_rollback_staff_still_see_it_and_everybody_else_is_drained() {
    let mut play = staged();
    play.tell(Event::Promote(swap_core::Promote {
        instances: Vec::new(),
        ..canary("p", "b", plan())
    }));
    play.tell(probe_passed(2));
    assert_eq!(
        play.judge(Verdict::Fail, "worse"),
        [
            "p is withdrawing",
            "publish 4: beside it b behind gate 3; preview.0 draws nobody; staff b",
            "close gate 2 for all"
        ]
    );
    assert_eq!(play.tell(gate_empty(2)), ["p ends rolled back: worse"]);
}

#[test]
fn a_canary_is_seen_instead_of_another_staged_release() {
    let mut play = staged();
    play.tell(promote_canary("p", "c"));
    assert_eq!(
        play.tell(probe_passed(2))[..2],
        [
            "publish 3: beside it c behind gate 3; p.1 draws canary 0..5 c, control 95..100 live; \
             staff c, opt-in",
            "close gate 2 for all"
        ]
    );
    assert!(play.tell(unstage("b")).is_empty(), "nobody saw it any more");
    play.tell(Event::Abort);
    assert_eq!(play.last_effects()[1], "publish 4: nothing beside it");
}

#[test]
fn a_hold_waits_for_what_runs_on_a_release_that_is_only_seen() {
    let mut play = staged();
    assert_eq!(
        play.tell(hold("h")),
        [
            "h is holding",
            "hold all (command)",
            "publish 3: a behind gate 3",
            "close gate 1 for all",
            "publish 4: beside it b behind gate 4; preview.0 draws nobody; staff b",
            "close gate 2 for all"
        ]
    );
    assert!(play.tell(gate_empty(1)).is_empty());
    assert_eq!(play.tell(gate_empty(2)), ["h ends done"]);
}

#[test]
fn a_command_does_not_run_beside_it_either() {
    let mut play = staged();
    play.tell(promote_with_command("p", "c"));
    assert!(play.tell(gate_empty(1)).is_empty());
    assert_eq!(
        play.tell(gate_empty(2)),
        ["p is command", "run p's command"]
    );
}

#[test]
fn when_the_hold_is_called_off_only_the_live_release_may_take_its_time() {
    let mut play = staged();
    play.tell(hold("h"));
    play.tell(Event::Resume);
    play.tell(Event::DoorOpen);
    assert_eq!(play.wait(seconds(1_000)), ["cut gate 2"]);
}

#[test]
fn a_hold_waits_no_longer_for_what_was_only_seen_than_for_the_rest() {
    let mut play = staged();
    play.tell(unstage("b"));
    play.tell(promote_holding("p", "c"));
    assert_eq!(play.wait(LIMITS.drain_held), ["cut gate 2", "cut gate 1"]);
}

#[test]
fn after_a_restart_it_is_seen_again() {
    let mut play = staged();
    assert_eq!(
        play.crash(),
        [
            "publish 3: beside it b behind gate 3; preview.0 draws nobody; staff b",
            "publish 4: a behind gate 4"
        ]
    );
}

#[test]
fn limits_that_change_are_heeded_at_the_next_look() {
    let mut play = staged();
    play.app.set_limits(Limits {
        previews: false,
        ..SEEN
    });
    assert_eq!(
        play.tell(Event::DeadlinePassed),
        ["publish 3: nothing beside it", "close gate 2 for all"]
    );
    play.app.set_limits(SEEN);
    assert!(
        play.tell(unjournalled(Event::DeadlinePassed)).is_empty(),
        "not without a journal"
    );
    assert_eq!(
        play.tell(Event::DeadlinePassed),
        ["publish 4: beside it b behind gate 3; preview.0 draws nobody; staff b"]
    );
}

#[test]
fn to_be_seen_again_and_again_is_bounded() {
    let mut play = seen();
    for n in 1..=32 {
        play.tell(stage(&format!("s{n}"), "b"));
        play.tell(probe_passed(n));
        play.tell(unstage("b"));
    }
    assert!(
        play.ask(stage("s33", "b"))
            .starts_with("refused: requests from before 32")
    );
}
