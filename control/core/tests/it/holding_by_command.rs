//! `swapctl hold` and `swapctl resume`.

use swap_core::{Event, HoldCommand, Methods};

use crate::cast::*;
use crate::play::Play;

fn hold_for(operation_id: &str, timeout: u64) -> Event {
    let Event::Hold(hold) = hold(operation_id) else {
        unreachable!("hold makes a hold")
    };
    Event::Hold(HoldCommand {
        timeout: Some(seconds(timeout)),
        ..hold
    })
}

#[test]
fn a_hold_is_done_when_running_requests_have_ended_and_goes_on() {
    let mut play = Play::live();
    assert_eq!(
        play.tell(hold("h")),
        [
            "h is holding",
            "hold all (command)",
            "publish 2: a behind gate 2",
            "close gate 1 for all"
        ]
    );
    assert_eq!(play.tell(gate_empty(1)), ["h ends done"]);
    assert_eq!(play.state(), "holding (command holds all), live a");
    assert!(play.app.saved().hold.is_some());
}

#[test]
fn resume_lets_them_go() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    assert_eq!(play.tell(Event::Resume), ["release"]);
    assert_eq!(play.state(), "steady, live a");
    assert_eq!(play.app.saved().hold, None);
    assert_eq!(play.ask(Event::Resume), "done: released already");
    play.tell(Event::DoorOpen);
    assert_eq!(play.ask(Event::Resume), "done: not held");
}

#[test]
fn a_hold_ends_by_itself() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    assert_eq!(play.wait(LIMITS.max_wait), ["release"]);

    let mut play = Play::live();
    play.tell(hold_for("h", 90));
    play.tell(gate_empty(1));
    assert!(play.wait(seconds(89)).is_empty());
    assert_eq!(play.wait(seconds(1)), ["release"]);
}

#[test]
fn a_hold_that_does_not_get_quiet_in_time_is_called_off() {
    let mut play = Play::live();
    play.tell(hold("h"));
    assert_eq!(
        play.wait(LIMITS.drain),
        [
            "release",
            "h ends failed: requests that were running had not ended after 25s"
        ]
    );
    assert_eq!(play.app.hold(), None);

    let mut play = Play::live();
    play.tell(hold_for("h", 4));
    assert_eq!(
        play.wait(seconds(4)),
        [
            "release",
            "h ends failed: requests that were running had not ended after 4s"
        ]
    );
}

#[test]
fn a_hold_of_writes_waits_for_writes_only() {
    let mut play = Play::live();
    assert_eq!(
        play.tell(hold_methods("h", Methods::WRITES)),
        [
            "h is holding",
            "hold writes (command)",
            "publish 2: a behind gate 2",
            "close gate 1 for writes"
        ]
    );
    assert_eq!(
        play.tell(gate_empty(1)),
        ["close gate 1 for all", "h ends done"]
    );
}

#[test]
fn a_second_hold_is_refused() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    assert_eq!(
        play.ask(hold("i")),
        "refused: operation h (hold) is under way"
    );
    play.tell(gate_empty(1));
    assert_eq!(
        play.ask(hold("i")),
        "refused: held by command already (POST,PUT,PATCH,DELETE,CONNECT,OTHER): resume first"
    );
}

#[test]
fn an_empty_app_and_an_empty_set_are_not_held() {
    assert_eq!(
        Play::empty().ask(hold("h")),
        "refused: the app is empty: requests wait for its first promote"
    );
    let none = hold_methods("h", Methods::NONE);
    assert_eq!(Play::live().ask(none), "refused: no method is named");
    assert_eq!(
        Play::empty().ask(Event::Resume),
        "done: not held by command: the app is empty until its first promote"
    );
}

#[test]
fn a_swap_that_succeeds_ends_the_hold() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    play.tell(promote("p", "b"));
    assert_eq!(
        play.state(),
        "booting (command holds all), live a, next b, p runs"
    );
    play.tell(probe_passed(1));
    assert_eq!(play.app.hold(), None);
    assert_eq!(play.app.saved().hold, None);
}

#[test]
fn a_swap_that_fails_leaves_the_hold_as_it_was() {
    let mut play = Play::live();
    play.tell(hold_for("h", 300));
    play.tell(gate_empty(1));
    play.tell(promote_holding("p", "b"));
    assert!(
        play.app.saved().hold.is_some(),
        "a crash now would hold again"
    );
    play.tell(gate_empty(2));
    play.tell(Event::Abort);
    assert_eq!(
        play.tell(probe_passed(2)),
        ["hold all (command)", "p ends aborted: aborted"]
    );
    assert_eq!(play.state(), "holding (command holds all), live a");
    assert_eq!(play.tell(Event::Resume), ["release"]);
}

#[test]
fn a_hold_whose_time_is_over_during_a_swap_does_not_come_back() {
    let mut play = Play::live();
    play.tell(hold_for("h", 10));
    play.tell(gate_empty(1));
    play.tell(promote_holding("p", "b"));
    play.tell(gate_empty(2));
    assert!(play.wait(seconds(10)).is_empty());
    assert_eq!(play.app.saved().hold, None);
    play.tell(Event::Abort);
    assert_eq!(play.tell(probe_passed(2)), ["release"]);
}

#[test]
fn resume_during_a_swap_ends_only_the_hold_by_command() {
    let mut play = Play::live();
    play.tell(hold_for("h", 300));
    play.tell(gate_empty(1));
    play.tell(promote_holding("p", "b"));
    assert_eq!(
        play.ask(Event::Resume),
        "done: the command's hold is over; the swap's goes on"
    );
    assert_eq!(
        play.ask(Event::Resume),
        "refused: operation p (promote b) is under way"
    );
}

#[test]
fn resume_before_the_hold_is_quiet_ends_it() {
    let mut play = Play::live();
    play.tell(hold("h"));
    assert_eq!(
        play.tell(Event::Resume),
        ["release", "h ends aborted: resumed"]
    );
}

#[test]
fn holds_are_refused_while_too_many_earlier_ones_have_not_ended() {
    let mut play = Play::live();
    for n in 0..32 {
        assert_eq!(play.ask(hold(&format!("h{n}"))), format!("begun h{n}"));
        play.tell(Event::Resume);
    }
    assert_eq!(
        play.ask(hold("more")),
        "refused: requests from before 32 earlier holds and swaps are still running: \
         a promote with strategy overlap ends them"
    );
    assert!(
        play.ask(promote_holding("p", "b"))
            .starts_with("refused: requests from before 32")
    );

    assert_eq!(play.ask(promote("p", "b")), "begun p");
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert_eq!(play.wait(LIMITS.drain).len(), 33, "every gate is cut");
    assert_eq!(play.wait(seconds(5)), ["p ends done"]);
    assert_eq!(play.ask(hold("again")), "begun again");
}
