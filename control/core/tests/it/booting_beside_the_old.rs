//! Strategy overlap: the old release serves until the new one is ready.

use swap_core::{Event, Outcome, Promote};

use crate::cast::*;
use crate::play::Play;

#[test]
fn a_release_takes_over_in_one_step_once_it_is_ready() {
    let mut play = Play::live();
    assert_eq!(play.ask(promote("p", "b")), "begun p");
    assert_eq!(play.state(), "booting, live a, next b, p runs");

    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 2: b behind gate 2",
            "close gate 1 for all",
            "release",
            "p is swapped",
            "p is draining"
        ]
    );
    assert_eq!(play.state(), "draining, live b, p runs");
    assert_eq!(play.app.previous(), Some(&release("a")));
}

#[test]
fn a_promote_ends_when_the_old_release_has_drained() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.wait(seconds(2));
    play.tell(probe_passed(1));
    assert!(
        play.tell(Event::DoorOpen).is_empty(),
        "requests still run on a"
    );
    play.wait(seconds(3));

    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
    let ending = play.ending();
    assert_eq!(ending.took, seconds(5));
    assert_eq!(ending.boot, Some(seconds(2)));
    assert_eq!(ending.hold, None);
    assert_eq!(ending.drain, Some(seconds(3)));
    assert_eq!(ending.from, Some(id("a")));
    assert_eq!(ending.to, Some(id("b")));
    assert_eq!(play.state(), "steady, live b");
    assert_eq!(play.app.deadline(), None);
}

#[test]
fn the_first_release_of_an_empty_app_gets_those_who_waited() {
    let mut play = Play::empty();
    assert_eq!(play.state(), "empty (empty holds all)");
    play.tell(promote("p", "a"));

    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 2: a behind gate 2",
            "release",
            "p is swapped",
            "p is releasing"
        ]
    );
    assert_eq!(play.tell(Event::DoorOpen), ["p ends done"]);
    assert_eq!(play.app.previous(), None);
}

#[test]
fn a_release_that_never_gets_ready_fails_with_its_last_probe() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_failed(1, "refused"));
    play.tell(probe_failed(1, "127.0.0.1:3002 answered 503 to GET /up"));
    assert_eq!(
        play.app.probe_failure(),
        Some("127.0.0.1:3002 answered 503 to GET /up")
    );

    assert_eq!(
        play.wait(LIMITS.boot),
        [
            "stop probe 1",
            "p ends failed: b was not ready after 1m: 127.0.0.1:3002 answered 503 to GET /up"
        ]
    );
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn the_boot_timeout_that_was_asked_for_counts() {
    let mut play = Play::live();
    play.tell(Event::Promote(Promote {
        boot: Some(seconds(7)),
        ..overlap("p", "b")
    }));
    assert_eq!(
        play.wait(seconds(7)),
        [
            "stop probe 1",
            "p ends failed: b was not ready after 7s: no probe has ended"
        ]
    );
}

#[test]
fn a_late_probe_changes_nothing() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.wait(LIMITS.boot);
    assert!(play.tell(probe_passed(1)).is_empty());

    play.tell(promote("q", "c"));
    assert!(
        play.tell(probe_passed(1)).is_empty(),
        "b's probe says nothing of c"
    );
    assert!(play.tell(probe_failed(1, "b refused")).is_empty());
    assert_eq!(play.app.probe_failure(), None);
}

#[test]
fn what_is_live_already_is_done_at_once() {
    let mut play = Play::live();
    assert_eq!(play.tell(promote("p", "a")), ["p ends already live"]);
    assert_eq!(play.tell(promote_by_id("q", "a")), ["q ends already live"]);
    assert_eq!(play.ending().outcome, Outcome::AlreadyLive);
}

#[test]
fn the_live_release_at_other_addresses_is_a_swap_like_any_other() {
    let mut play = Play::live();
    let moved = Promote {
        instances: vec![elsewhere()],
        ..overlap("p", "a")
    };
    play.tell(Event::Promote(moved));
    let effects = play.tell(probe_passed(1));
    assert_eq!(effects[0], "publish 2: a at 127.0.0.1:4000 behind gate 2");
    assert_eq!(play.app.previous(), Some(&release("a")));
}

#[test]
fn addresses_are_compared_as_a_set_and_kept_once() {
    let mut play = Play::live();
    let double = vec![elsewhere(), address("b"), elsewhere()];
    play.tell(Event::Promote(Promote {
        instances: double,
        ..overlap("p", "b")
    }));
    play.tell(probe_passed(1));
    let live = play.app.live().expect("b is live");
    assert_eq!(live.instances, [elsewhere(), address("b")]);
    play.tell(gate_empty(1));
    play.tell(Event::DoorOpen);

    let turned = vec![address("b"), elsewhere()];
    let again = Promote {
        instances: turned,
        ..overlap("q", "b")
    };
    assert_eq!(play.tell(Event::Promote(again)), ["q ends already live"]);
}

#[test]
fn a_command_without_a_hold_is_refused() {
    let mut play = Play::live();
    let ask = Promote {
        command: true,
        ..overlap("p", "b")
    };
    assert_eq!(
        play.ask(Event::Promote(ask)),
        "refused: a COMMAND runs only inside a hold (--strategy hold)"
    );
}

#[test]
fn new_limits_count_for_what_begins_next() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    let due = play.app.deadline();
    let shorter = swap_core::Limits {
        boot: seconds(1),
        ..LIMITS
    };
    play.app.set_limits(shorter);
    assert_eq!(play.app.deadline(), due);
    play.tell(Event::Abort);
    play.tell(promote("q", "b"));
    assert_eq!(play.app.deadline(), Some(play.now + seconds(1)));
}
