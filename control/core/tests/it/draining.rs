//! A release counts as replaced only when all that ran on it has ended, or was cut.

use swap_core::{Event, Methods, Promote};

use crate::cast::*;
use crate::play::Play;

#[test]
fn what_has_not_ended_in_time_is_cut() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert_eq!(play.wait(LIMITS.drain), ["cut gate 1"]);
    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
    assert_eq!(play.ending().drain, Some(LIMITS.drain));
}

#[test]
fn what_was_cut_is_not_waited_for_for_ever() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    play.wait(LIMITS.drain);
    assert_eq!(play.wait(seconds(5)), ["p ends done"]);
    assert!(play.tell(gate_empty(1)).is_empty());
}

#[test]
fn the_drain_timeout_that_was_asked_for_counts() {
    let mut play = Play::live();
    play.tell(Event::Promote(Promote {
        drain: Some(seconds(3)),
        ..overlap("p", "b")
    }));
    play.tell(probe_passed(1));
    assert_eq!(play.wait(seconds(3)), ["cut gate 1"]);
}

#[test]
fn a_release_that_takes_very_long_is_bounded_too() {
    let mut play = Play::empty();
    play.tell(promote("p", "a"));
    play.tell(probe_passed(1));
    assert_eq!(play.wait(LIMITS.max_wait), ["p ends done"]);
    assert_eq!(play.app.deadline(), None);
}

#[test]
fn requests_from_before_an_aborted_hold_are_drained_by_the_next_swap() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(Event::Abort);
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert_eq!(play.state(), "steady, live a");
    assert!(
        play.wait(seconds(600)).is_empty(),
        "behind gate 1 a request runs on; a serves, so it may"
    );

    play.tell(promote("q", "b"));
    play.tell(probe_passed(2));
    play.tell(Event::DoorOpen);
    assert!(
        play.tell(gate_empty(2)).is_empty(),
        "gate 1 is not empty yet"
    );
    assert_eq!(play.tell(gate_empty(1)), ["q ends done"]);
}

#[test]
fn reads_that_a_hold_of_writes_let_run_are_drained_by_the_next_swap() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    assert_eq!(
        play.tell(gate_empty(1)),
        ["close gate 1 for all", "h ends done"]
    );
    play.tell(Event::Resume);
    play.tell(Event::DoorOpen);

    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert!(
        play.tell(gate_empty(2)).is_empty(),
        "a read still runs behind gate 1"
    );
    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
}

#[test]
fn a_gate_that_was_closed_for_writes_is_asked_again_before_it_counts_as_empty() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    play.tell(Event::Resume);
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    play.tell(gate_empty(2));

    assert_eq!(
        play.tell(gate_empty(1)),
        ["close gate 1 for all"],
        "that was the answer for writes"
    );
    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
}
