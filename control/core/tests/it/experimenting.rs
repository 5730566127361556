//! Clients are divided among releases that are there, until somebody closes the experiment.

use swap_core::{Event, Saved};

use crate::cast::*;
use crate::play::Play;

const ARMS: [(&str, &str, u32); 2] = [("control", "a", 50), ("enhanced", "b", 50)];

/// `a` is live, `b` is staged.
fn staged() -> Play {
    let mut play = Play::live();
    play.tell(stage("s", "b"));
    play.tell(probe_passed(1));
    play
}

fn on() -> Play {
    let mut play = staged();
    play.tell(experiment("e", &ARMS));
    play
}

#[test]
fn clients_are_divided_among_its_arms() {
    let mut play = staged();
    assert_eq!(
        play.ask(experiment("e", &ARMS)),
        "done: experiment x is on, with 2 arms"
    );
    assert_eq!(
        play.last_effects(),
        ["publish 2: beside it b behind gate 2; e.0 draws control 0..50 live, enhanced 50..100 b"]
    );
    assert_eq!(play.state(), "steady, live a, experiment x is on");
    assert_eq!(
        play.ask(experiment("e", &ARMS)),
        "done: experiment x is on, with 2 arms",
        "asked again, answered again"
    );
    assert!(play.last_effects().is_empty());
}

#[test]
fn two_arms_may_have_the_same_release_and_some_clients_none() {
    let mut play = staged();
    play.tell(experiment("e", &[("one", "b", 5), ("two", "b", 10)]));
    assert_eq!(
        play.last_effects(),
        ["publish 2: beside it b behind gate 2; e.0 draws one 0..5 b, two 5..15 b"]
    );
}

#[test]
fn it_is_closed_without_a_winner() {
    let mut play = on();
    assert_eq!(
        play.ask(close_experiment("f", None)),
        "done: experiment x is closed"
    );
    assert_eq!(
        play.last_effects(),
        ["publish 3: nothing beside it", "close gate 2 for all"]
    );
    assert_eq!(
        play.ask(close_experiment("f", None)),
        "refused: experiment x is not on"
    );
    assert_eq!(
        play.app.staged(),
        [release("b")],
        "it is as ready as before"
    );
}

#[test]
fn the_live_release_wins_at_once() {
    let mut play = on();
    assert_eq!(
        play.ask(close_experiment("f", Some("control"))),
        "done: experiment x is closed"
    );
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn another_winner_takes_over_and_keeps_its_clients() {
    let mut play = on();
    assert_eq!(play.ask(close_experiment("f", Some("enhanced"))), "begun f");
    assert_eq!(
        play.state(),
        "booting, live a, next b, experiment x is on, f runs"
    );
    assert_eq!(
        play.tell(probe_passed(2)),
        [
            "publish 3: b behind gate 2",
            "close gate 1 for all",
            "publish 4: nothing beside it",
            "release",
            "f is swapped",
            "f is draining"
        ]
    );
    play.tell(Event::DoorOpen);
    assert_eq!(play.tell(gate_empty(1)), ["f ends done"]);
    assert_eq!(play.ending().reason.as_deref(), Some("won experiment x"));
    assert_eq!(play.ask(close_experiment("f", Some("enhanced"))), "known f");
}

#[test]
fn a_winner_that_does_not_get_ready_leaves_it_on() {
    let mut play = on();
    play.tell(close_experiment("f", Some("enhanced")));
    play.wait(LIMITS.boot);
    assert_eq!(play.state(), "steady, live a, experiment x is on");
    assert!(play.app.split().is_some());
}

#[test]
fn a_winner_is_a_promote_that_may_be_blocked() {
    let mut play = on();
    play.tell(block("incident 42"));
    assert_eq!(
        play.ask(close_experiment("f", Some("enhanced"))),
        "refused: promotes are blocked by uid 0: incident 42"
    );
    assert_eq!(
        play.ask(close_experiment("f", None)),
        "done: experiment x is closed"
    );
}

#[test]
fn what_is_compared_stays_as_it_is() {
    let mut play = on();
    for event in [
        promote("q", "c"),
        promote_canary("q", "c"),
        hold("q"),
        rollback("q"),
        experiment("q", &ARMS),
    ] {
        assert_eq!(
            play.ask(event),
            "refused: experiment x is on: close it first"
        );
    }
    for event in [stage("q", "b"), unstage("b")] {
        assert_eq!(
            play.ask(event),
            "refused: release b is in experiment x: close that first"
        );
    }
    play.tell(stage("t", "c"));
    assert_eq!(
        play.tell(probe_passed(2)),
        ["t ends done"],
        "others come and go"
    );
}

#[test]
fn it_must_make_sense() {
    let refused = |arms: &[(&str, &str, u32)]| staged().ask(experiment("e", arms));
    assert_eq!(
        refused(&[("one", "a", 50)]),
        "refused: an experiment has 2 to 8 arms, not 1"
    );
    assert_eq!(
        refused(&[("one", "a", 50), ("one", "b", 50)]),
        "refused: two arms have the same name"
    );
    assert_eq!(
        refused(&[("one", "a", 50), ("two", "b", 51)]),
        "refused: the weights are more than 1 in all"
    );
    assert_eq!(
        refused(&[("one", "a", 50), ("two", "b", 0)]),
        "refused: an arm has no weight"
    );
    assert_eq!(
        refused(&[("one", "a", 50), ("two", "d", 50)]),
        "refused: release d is neither staged nor live"
    );
    let mut empty = Play::empty();
    empty.tell(stage("s", "b"));
    empty.tell(probe_passed(1));
    assert_eq!(
        empty.ask(experiment("e", &[("one", "b", 50), ("two", "b", 50)])),
        "refused: the app is empty: promote a release before others are compared with it"
    );
    assert_eq!(
        on().ask(close_experiment("f", Some("third"))),
        "refused: x has no arm third"
    );
}

#[test]
fn after_a_restart_the_same_clients_are_in_the_same_arms() {
    let mut play = on();
    assert_eq!(
        play.crash(),
        [
            "publish 3: beside it b behind gate 3; e.0 draws control 0..50 live, enhanced 50..100 b",
            "publish 4: a behind gate 4"
        ],
        "nobody is let in before everybody knows where to go"
    );
    let attempt = |play: &Play| play.app.experiment().unwrap().attempt;
    assert_eq!(attempt(&play), 1, "its counters have begun anew");
}

#[test]
fn staff_do_not_see_a_staged_release_before_others_while_it_is_compared() {
    let mut play = Play::within(
        SEEN,
        Saved {
            live: Some(release("a")),
            staged: vec![release("b"), release("c")],
            ..Saved::default()
        },
    );
    play.tell(experiment("e", &ARMS));
    assert_eq!(
        play.last_effects()[0],
        "publish 3: beside it b behind gate 3; e.0 draws control 0..50 live, enhanced 50..100 b"
    );
    play.tell(close_experiment("f", None));
    assert_eq!(
        play.last_effects(),
        [
            "publish 4: beside it c behind gate 4; preview.0 draws nobody; staff c",
            "close gate 3 for all"
        ]
    );
}

#[test]
fn the_live_release_may_go_down_and_come_back_meanwhile() {
    let mut play = on();
    assert_eq!(
        play.tell(live_down(1)),
        ["probe 2: is a back", "hold all (down)"]
    );
    assert_eq!(play.tell(probe_passed(2)), ["release"]);
    assert_eq!(play.state(), "steady, live a, experiment x is on");
}
