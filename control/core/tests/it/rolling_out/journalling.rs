//! The disk is full: a canary goes nowhere that the journal does not know of.

use swap_core::{Event, Verdict};

use super::{begun, half_way};
use crate::cast::*;
use crate::play::Play;

#[test]
fn what_cannot_be_journalled_pauses_it() {
    let mut play = half_way();
    play.wait(seconds(60));
    let pass = judged("p", play.round(), Verdict::Pass, "as good");
    assert_eq!(play.tell(unjournalled(pass)), ["p is paused"]);
    assert_eq!(
        play.state(),
        "canary, live a, next b at 50 % (disk full), p runs"
    );
    assert_eq!(play.app.deadline(), None, "nothing is tried in a loop");
    play.judge(Verdict::Fail, "worse");
    assert_eq!(
        play.state(),
        "canary, live a, p runs",
        "a no is tried again"
    );
    assert_eq!(
        play.tell(unjournalled(gate_empty(2))),
        ["p ends rolled back: worse"]
    );
    assert_eq!(play.app.deadline(), None);
}

#[test]
fn an_end_that_cannot_be_journalled_is_not_tried_in_a_loop() {
    let mut play = begun(plan());
    play.now = play.app.deadline().unwrap();
    assert_eq!(
        play.tell(unjournalled(Event::DeadlinePassed)),
        ["p is paused"]
    );
    assert_eq!(play.app.deadline(), None);
    play.tell(Event::Resume);
    assert!(play.app.deadline().unwrap() > play.now);
}

#[test]
fn a_canary_that_is_ready_and_cannot_be_journalled_has_failed() {
    let mut play = Play::live();
    play.tell(promote_canary("p", "b"));
    assert_eq!(
        play.tell(unjournalled(probe_passed(1))),
        ["stop probe 1", "p ends failed: disk full"]
    );
}
