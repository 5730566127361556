//! Strategy hold: requests wait while the old release ends and the new one boots.

use swap_core::{Event, Promote};

use crate::cast::*;
use crate::play::Play;

/// The old release is quiet, and p's command has its turn.
fn commanding() -> Play {
    let mut play = Play::live();
    play.tell(promote_with_command("p", "b"));
    play.tell(gate_empty(1));
    play
}

#[test]
fn requests_wait_before_the_old_gate_closes_and_a_fresh_one_is_there_for_the_way_back() {
    let mut play = Play::live();
    assert_eq!(
        play.tell(promote_holding("p", "b")),
        [
            "p is holding",
            "hold all (swap)",
            "publish 2: a behind gate 2",
            "close gate 1 for all and tunnels"
        ]
    );
    assert_eq!(
        play.state(),
        "holding (swap holds all), live a, next b, p runs"
    );
}

#[test]
fn the_command_runs_once_the_old_release_is_quiet_and_the_probe_only_after_it() {
    let mut play = Play::live();
    play.tell(promote_with_command("p", "b"));
    assert_eq!(
        play.tell(gate_empty(1)),
        ["p is command", "run p's command"]
    );
    assert_eq!(
        play.tell(command_ended("p", Ok(()))),
        ["p is booting", "probe 1: b"]
    );
}

#[test]
fn without_a_command_the_probe_begins_as_soon_as_the_old_release_is_quiet() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    assert_eq!(play.tell(gate_empty(1)), ["p is booting", "probe 1: b"]);
}

#[test]
fn the_new_release_gets_those_who_waited() {
    let mut play = commanding();
    play.wait(seconds(1));
    play.tell(command_ended("p", Ok(())));
    play.wait(seconds(2));
    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 3: b behind gate 3",
            "close gate 2 for all",
            "release",
            "p is swapped",
            "p is releasing",
            "p is draining"
        ]
    );
    assert!(play.tell(gate_empty(2)).is_empty());
    play.wait(seconds(1));
    assert_eq!(play.tell(Event::DoorOpen), ["p ends done"]);
    let ending = play.ending();
    assert_eq!(ending.hold, Some(seconds(3)));
    assert_eq!(ending.boot, Some(seconds(2)));
    assert_eq!(ending.drain, Some(seconds(0)));
    assert_eq!(ending.took, seconds(4));
}

#[test]
fn running_requests_are_cut_when_the_short_drain_is_over() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    assert_eq!(play.wait(LIMITS.drain_held), ["cut gate 1"]);
    assert_eq!(
        play.wait(seconds(5)),
        ["p is booting", "probe 1: b"],
        "cut, and still not counted"
    );
}

#[test]
fn a_hold_that_ends_before_the_old_release_is_quiet_lets_it_serve_on() {
    let mut play = Play::live();
    let ask = Promote {
        hold: Some(seconds(3)),
        ..holding("p", "b")
    };
    play.tell(Event::Promote(ask));
    assert_eq!(
        play.wait(seconds(3)),
        ["p is returning", "probe 1: is a back"]
    );
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
    assert_eq!(
        play.tell(Event::DoorOpen),
        ["p ends failed: requests that were running had not ended when the hold's limit was over"]
    );
    assert!(play.wait(seconds(600)).is_empty(), "nothing is cut");
}

#[test]
fn a_command_that_fails_sends_everybody_back_to_the_old_release() {
    let mut play = commanding();
    assert_eq!(
        play.tell(command_ended("p", Err("exit status 3"))),
        ["p is returning", "probe 1: is a back"]
    );
    assert_eq!(play.tell(probe_passed(1)), ["release"]);
    assert_eq!(play.tell(Event::DoorOpen), ["p ends failed: exit status 3"]);
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn a_client_that_dies_before_its_command_had_its_turn_ends_the_hold() {
    let mut play = Play::live();
    play.tell(promote_with_command("p", "b"));
    assert_eq!(
        play.tell(command_ended("p", Err("swapctl is gone"))),
        ["p is returning", "probe 1: is a back"]
    );
}

#[test]
fn the_command_of_another_operation_means_nothing() {
    let mut play = commanding();
    assert!(play.tell(command_ended("q", Ok(()))).is_empty());
    assert!(
        play.tell(command_ended("q", Err("exit status 1")))
            .is_empty()
    );
}

#[test]
fn a_command_may_take_until_the_hold_is_over() {
    let mut play = commanding();
    assert_eq!(
        play.wait(LIMITS.max_wait),
        ["p is returning", "probe 1: is a back"]
    );
    play.tell(probe_passed(1));
    assert_eq!(
        play.tell(Event::DoorOpen),
        ["p ends failed: the COMMAND had not ended when the hold's limit was over"]
    );
}

#[test]
fn the_new_release_may_take_what_is_left_of_the_hold() {
    let mut play = commanding();
    play.wait(seconds(10));
    play.tell(command_ended("p", Ok(())));
    play.tell(probe_failed(1, "refused"));
    assert!(play.wait(seconds(19)).is_empty());
    assert_eq!(
        play.wait(seconds(1)),
        ["stop probe 1", "p is returning", "probe 2: is a back"]
    );
    play.tell(probe_passed(2));
    play.tell(Event::DoorOpen);
    assert_eq!(
        play.ending().why.as_deref(),
        Some("b was not ready after 20s: refused")
    );
}

#[test]
fn the_boot_timeout_that_was_asked_for_never_outlasts_the_hold() {
    let ask = |boot| {
        Event::Promote(Promote {
            boot: Some(seconds(boot)),
            ..holding("p", "b")
        })
    };
    let mut play = Play::live();
    play.tell(ask(8));
    play.wait(seconds(4));
    play.tell(gate_empty(1));
    assert_eq!(
        play.wait(seconds(8)),
        ["stop probe 1", "p is returning", "probe 2: is a back"]
    );

    let mut play = Play::live();
    play.tell(ask(28));
    play.wait(seconds(4));
    play.tell(gate_empty(1));
    assert_eq!(
        play.wait(seconds(26)),
        ["stop probe 1", "p is returning", "probe 2: is a back"]
    );
}

#[test]
fn timeouts_that_were_asked_for_must_fit_into_the_hold() {
    let mut play = Play::live();
    let ask = Promote {
        boot: Some(seconds(28)),
        drain: Some(seconds(3)),
        ..holding("p", "b")
    };
    assert_eq!(
        play.ask(Event::Promote(ask.clone())),
        "refused: drain 3s + boot 28s = 31s do not fit into the hold's limit of 30s"
    );
    let longer = Promote {
        hold: Some(seconds(31)),
        ..ask
    };
    assert_eq!(play.ask(Event::Promote(longer)), "begun p");
}

#[test]
fn endless_timeouts_are_refused_and_not_added_up() {
    let mut play = Play::live();
    let endless = Some(std::time::Duration::MAX);
    let ask = Promote {
        boot: endless,
        drain: endless,
        ..holding("p", "b")
    };
    assert!(play.ask(Event::Promote(ask)).starts_with("refused: drain"));
}

#[test]
fn an_old_release_that_does_not_come_back_is_waited_for_as_if_it_had_gone_down() {
    let mut play = commanding();
    play.wait(seconds(10));
    play.tell(command_ended("p", Err("exit status 3")));
    assert_eq!(
        play.wait(seconds(20)),
        ["hold all (down)", "p ends failed: exit status 3", "give up"],
        "they have waited since the hold began"
    );
    assert_eq!(play.state(), "steady (down holds all), live a");
    assert_eq!(play.app.deadline(), None);
    assert_eq!(
        play.tell(probe_passed(1)),
        ["release"],
        "the same probes went on"
    );
}

#[test]
fn the_old_release_gets_a_second_to_come_back_even_when_the_hold_is_over() {
    let mut play = commanding();
    play.wait(LIMITS.max_wait);
    assert_eq!(play.app.deadline(), Some(play.now + seconds(1)));
}

#[test]
fn a_hold_may_be_longer_than_one_request_waits() {
    let mut play = Play::live();
    let ask = Promote {
        hold: Some(seconds(120)),
        ..holding("p", "b")
    };
    play.tell(Event::Promote(ask));
    play.tell(gate_empty(1));
    assert!(play.wait(seconds(119)).is_empty());
    play.tell(probe_passed(1));
    assert_eq!(play.state(), "draining, live b, p runs");
}

#[test]
fn an_empty_app_has_nothing_to_quieten() {
    let mut play = Play::empty();
    assert_eq!(
        play.tell(promote_with_command("p", "a")),
        ["p is command", "run p's command"]
    );
    play.tell(command_ended("p", Ok(())));
    assert_eq!(
        play.tell(probe_passed(1)),
        [
            "publish 2: a behind gate 2",
            "release",
            "p is swapped",
            "p is releasing"
        ]
    );
}

#[test]
fn an_empty_app_stays_empty_when_its_first_release_fails() {
    let mut play = Play::empty();
    play.tell(promote_holding("p", "a"));
    assert_eq!(
        play.wait(LIMITS.max_wait),
        [
            "stop probe 1",
            "p ends failed: a was not ready after 30s: no probe has ended"
        ]
    );
    assert_eq!(play.state(), "empty (empty holds all)");
}

#[test]
fn tunnels_that_an_earlier_swap_of_the_table_spared_are_closed_too() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(Event::Resume);
    let effects = play.tell(promote_holding("p", "b"));
    assert!(
        effects.contains(&"close gate 1 for all and tunnels".to_owned()),
        "{effects:?}"
    );
    play.tell(gate_empty(2));
    assert_eq!(play.tell(gate_empty(1)), ["p is booting", "probe 1: b"]);
}
