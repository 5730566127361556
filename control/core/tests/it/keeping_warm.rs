//! Affinity: the release that served before stays for a while beside the one that took over.

use swap_core::{Event, Limits, Saved};

use crate::cast::*;
use crate::play::Play;

const WARM: Limits = Limits {
    affinity: seconds(600),
    previews: true,
    ..LIMITS
};

fn live() -> Play {
    let saved = Saved {
        live: Some(release("a")),
        ..Saved::default()
    };
    Play::within(WARM, saved)
}

/// `b` has taken over from `a`, which has drained.
fn swapped() -> Play {
    let mut play = live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(gate_empty(1));
    play.tell(Event::DoorOpen);
    play
}

#[test]
fn the_old_release_is_asked_for_what_the_new_one_does_not_find_and_nobody_waits_for_it() {
    let mut play = live();
    play.tell(promote("p", "b"));
    let swap = play.tell(probe_passed(1));
    assert_eq!(swap[0], "publish 2: b behind gate 2");
    assert!(swap[2].contains("beside it a behind gate 3"), "{swap:?}");
    assert!(swap[2].contains("what is not found a"), "{swap:?}");
    play.tell(Event::DoorOpen);
    assert_eq!(play.tell(gate_empty(1)), ["p ends done"]);
}

#[test]
fn it_goes_when_its_time_is_over() {
    let mut play = swapped();
    let gone = play.wait(seconds(601));
    assert_eq!(
        gone[..2],
        ["publish 4: nothing beside it", "close gate 3 for all"]
    );
}

#[test]
fn whoever_rolls_back_meanwhile_goes_behind_the_gate_that_it_has() {
    let mut play = swapped();
    play.tell(rollback("r"));
    let back = play.tell(probe_passed(2));
    assert_eq!(back[0], "publish 4: a behind gate 3");
    assert!(back[2].contains("what is not found b"), "{back:?}");
}

#[test]
fn a_staged_release_is_seen_beside_it() {
    let mut play = swapped();
    play.tell(stage("s", "c"));
    let staged = play.tell(probe_passed(2));
    assert!(staged[0].contains("what is not found a"), "{staged:?}");
    assert!(staged[0].contains("staff c"), "{staged:?}");
}

#[test]
fn it_is_gone_after_a_restart() {
    let mut play = swapped();
    assert_eq!(play.crash(), ["publish 4: b behind gate 4"]);
}
