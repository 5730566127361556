//! `swapctl abort`: the old release serves on.

use swap_core::Event;

use crate::cast::*;
use crate::play::Play;

#[test]
fn a_release_that_boots_beside_the_old_one_is_dropped() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    assert_eq!(
        play.tell(Event::Abort),
        ["stop probe 1", "p ends aborted: aborted"]
    );
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn a_hold_goes_back_from_wherever_it_was() {
    let mut quieting = Play::live();
    quieting.tell(promote_with_command("p", "b"));
    let mut commanding = quieting.clone();
    commanding.tell(gate_empty(1));
    let mut booting = commanding.clone();
    booting.tell(command_ended("p", Ok(())));

    for mut play in [quieting, commanding, booting] {
        let effects = play.tell(Event::Abort);
        assert!(
            effects.contains(&"p is returning".to_owned()),
            "{effects:?}"
        );
        let probe = if effects.contains(&"stop probe 1".to_owned()) {
            2
        } else {
            1
        };
        assert_eq!(play.tell(probe_passed(probe)), ["release"]);
        assert_eq!(play.tell(Event::DoorOpen), ["p ends aborted: aborted"]);
        assert_eq!(play.state(), "steady, live a");
    }
}

#[test]
fn a_hold_that_was_cut_off_does_not_cut_what_runs() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(Event::Abort);
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert!(play.wait(seconds(600)).is_empty());
}

#[test]
fn stages_and_holds_can_be_aborted_too() {
    let mut play = Play::live();
    play.tell(stage("s", "b"));
    assert_eq!(
        play.tell(Event::Abort),
        ["stop probe 1", "s ends aborted: aborted"]
    );
    play.tell(hold("h"));
    assert_eq!(
        play.tell(Event::Abort),
        ["release", "h ends aborted: aborted"]
    );
}

#[test]
fn what_has_swapped_is_not_aborted() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    assert_eq!(
        play.ask(Event::Abort),
        "refused: it has swapped already: use rollback"
    );
}

#[test]
fn what_goes_back_already_is_not_aborted_again() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(Event::Abort);
    assert_eq!(
        play.ask(Event::Abort),
        "refused: the old release is coming back already"
    );
    play.tell(probe_passed(1));
    assert_eq!(
        play.ask(Event::Abort),
        "refused: the old release is coming back already"
    );
}

#[test]
fn there_must_be_something_to_abort() {
    assert_eq!(
        Play::live().ask(Event::Abort),
        "refused: nothing is under way"
    );
}
