//! The live release cannot be reached: requests wait until it is back, within limits.

use swap_core::{Event, Methods};

use crate::cast::*;
use crate::play::Play;

fn down() -> Play {
    let mut play = Play::live();
    play.tell(live_down(1));
    play
}

#[test]
fn an_app_that_is_restarted_comes_back_by_itself() {
    let mut play = Play::live();
    assert_eq!(
        play.tell(live_down(1)),
        ["probe 1: is a back", "hold all (down)"]
    );
    assert_eq!(play.state(), "holding (down holds all), live a");
    assert!(play.wait(seconds(3)).is_empty());
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
    play.tell(Event::DoorOpen);
    assert_eq!(play.state(), "steady, live a");
    assert_eq!(play.app.deadline(), None);
}

#[test]
fn one_that_stays_away_is_given_up_and_probed_on() {
    let mut play = down();
    assert_eq!(play.wait(LIMITS.max_wait), ["give up"]);
    assert_eq!(play.state(), "steady (down holds all), live a");
    assert_eq!(play.app.deadline(), None, "nobody waits");
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
}

#[test]
fn one_that_goes_down_again_while_requests_go_is_held_again() {
    let mut play = down();
    play.tell(probe_passed(1));
    assert_eq!(
        play.tell(live_down(1)),
        ["probe 2: is a back", "hold all (down)"]
    );
}

#[test]
fn it_is_down_once() {
    let mut play = down();
    assert!(play.tell(live_down(1)).is_empty());
}

#[test]
fn a_release_that_was_replaced_cannot_go_down() {
    let mut play = Play::after_a_swap();
    assert!(play.tell(live_down(1)).is_empty());
    assert!(Play::empty().tell(live_down(1)).is_empty());
}

#[test]
fn a_swap_that_succeeds_stops_waiting_for_the_old_release() {
    let mut play = down();
    play.tell(promote("p", "b"));
    assert_eq!(
        play.tell(probe_passed(2)),
        [
            "publish 2: b behind gate 2",
            "close gate 1 for all",
            "stop probe 1",
            "release",
            "p is swapped",
            "p is releasing",
            "p is draining"
        ]
    );
}

#[test]
fn the_old_release_may_come_back_while_a_new_one_boots() {
    let mut play = down();
    play.tell(promote("p", "b"));
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
    play.tell(Event::DoorOpen);
    assert_eq!(play.state(), "booting, live a, next b, p runs");
}

#[test]
fn it_may_go_down_while_a_new_one_boots() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    assert_eq!(
        play.tell(live_down(1)),
        ["probe 2: is a back", "hold all (down)"]
    );
    play.wait(seconds(4));
    play.tell(probe_passed(1));
    play.tell(gate_empty(1));
    play.tell(Event::DoorOpen);
    assert_eq!(play.state(), "steady, live b");
    assert_eq!(play.ending().hold, Some(seconds(4)));
}

#[test]
fn a_swap_with_strategy_hold_waits_for_the_new_release_only() {
    let mut play = down();
    assert_eq!(
        play.tell(promote_holding("p", "b")),
        [
            "p is holding",
            "stop probe 1",
            "hold all (swap)",
            "publish 2: a behind gate 2",
            "close gate 1 for all and tunnels"
        ]
    );
    assert!(play.tell(probe_passed(1)).is_empty());
    assert!(play.tell(live_down(2)).is_empty(), "it is shut already");
}

#[test]
fn a_swap_that_fails_while_the_old_release_is_away_goes_on_waiting_for_it() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(gate_empty(1));
    play.wait(seconds(12));
    play.tell(Event::Abort);
    assert_eq!(
        play.wait(seconds(18)),
        ["hold all (down)", "p ends aborted: aborted", "give up"]
    );
}

#[test]
fn a_new_release_that_dies_at_once_is_waited_for_and_can_be_rolled_back() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    assert_eq!(
        play.tell(live_down(2)),
        ["probe 2: is b back", "hold all (down)"]
    );
    assert_eq!(
        play.tell(gate_empty(1)),
        ["p ends done"],
        "the swap is over; the door is another story"
    );
    play.tell(rollback("r"));
    play.tell(probe_passed(3));
    assert_eq!(play.app.live(), Some(&release("a")));
    assert_eq!(play.app.hold(), None);
}

#[test]
fn a_hold_of_writes_goes_on_when_the_release_is_back() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    play.tell(gate_empty(1));
    assert_eq!(
        play.tell(live_down(2)),
        ["probe 1: is a back", "hold all (down)"]
    );
    assert!(play.app.saved().hold.is_some());
    assert_eq!(play.tell(probe_passed(1)), ["hold writes (command)"]);
    assert_eq!(play.state(), "holding (command holds writes), live a");
}

#[test]
fn a_hold_of_everything_has_nobody_who_could_notice() {
    let mut play = Play::live();
    play.tell(hold("h"));
    assert!(play.tell(live_down(2)).is_empty());
}

#[test]
fn a_hold_on_an_app_that_is_down_begins_when_it_is_back() {
    let mut play = down();
    assert_eq!(
        play.tell(hold("h")),
        [
            "h is holding",
            "publish 2: a behind gate 2",
            "close gate 1 for all"
        ]
    );
    play.tell(gate_empty(1));
    assert_eq!(play.state(), "holding (down holds all), live a");
    assert_eq!(play.tell(probe_passed(1)), ["hold all (command)"]);
    assert_eq!(play.wait(LIMITS.max_wait), ["release"]);
}

#[test]
fn resume_does_not_send_requests_to_a_release_that_is_away() {
    let mut play = down();
    assert_eq!(
        play.ask(Event::Resume),
        "done: not held by command: the live release cannot be reached, and is probed until it is"
    );
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    assert_eq!(
        play.ask(Event::Resume),
        "done: the command's hold is over; the live release cannot be reached"
    );
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
}

#[test]
fn a_hold_whose_time_is_over_does_not_begin_again_even_if_nobody_has_noticed() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    play.tell(gate_empty(1));
    play.tell(live_down(2));
    play.now = play.now + LIMITS.max_wait;
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
}
