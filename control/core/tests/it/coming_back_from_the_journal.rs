//! What was journalled is what comes back; what could not be journalled has not happened.

use swap_core::{Event, Methods, Outcome, Saved};

use crate::cast::*;
use crate::play::Play;

#[test]
fn a_new_app_publishes_its_first_table() {
    let mut play = Play::empty();
    assert_eq!(
        play.crash(),
        ["hold all (empty)", "publish 2: nothing behind gate 2"]
    );
    let mut play = Play::live();
    assert_eq!(play.crash(), ["publish 2: a behind gate 2"]);
}

#[test]
fn before_the_swap_it_is_the_old_release() {
    let mut play = Play::live();
    play.tell(promote_with_command("p", "b"));
    play.tell(gate_empty(1));
    assert_eq!(
        play.crash(),
        [
            "publish 3: a behind gate 3",
            "p ends interrupted: the daemon was restarted meanwhile"
        ]
    );
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn after_the_swap_it_is_the_new_one() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    assert_eq!(
        play.crash(),
        [
            "publish 3: b behind gate 3",
            "p ends done: the daemon was restarted while the old release drained"
        ]
    );
    assert_eq!(play.app.previous(), Some(&release("a")));
}

#[test]
fn a_swap_to_other_addresses_that_was_interrupted_is_not_taken_for_done() {
    let mut play = Play::live();
    let moved = swap_core::Promote {
        instances: vec![elsewhere()],
        ..overlap("p", "a")
    };
    play.tell(Event::Promote(moved));
    play.crash();
    assert_eq!(play.ending().outcome, Outcome::Interrupted);
}

#[test]
fn a_hold_by_command_holds_again_for_its_whole_timeout() {
    let mut play = Play::live();
    play.tell(hold_methods("h", Methods::WRITES));
    play.tell(gate_empty(1));
    play.wait(seconds(20));
    assert_eq!(
        play.crash(),
        ["hold writes (command)", "publish 3: a behind gate 3"]
    );
    assert_eq!(play.app.deadline(), Some(play.now + LIMITS.max_wait));
}

#[test]
fn everything_else_comes_back_as_it_was() {
    let mut play = Play::after_a_swap();
    play.tell(stage("s", "c"));
    play.tell(probe_passed(2));
    play.tell(block("incident 42"));
    let before = play.app.saved();
    play.crash();
    let after = play.app.saved();
    assert_eq!(
        after,
        Saved {
            generation: after.generation,
            gate: after.gate,
            ..before
        }
    );
}

#[test]
fn a_journal_of_another_version_still_loads() {
    let text = r#"{
        "generation": 7, "gate": 9, "colour": "blue",
        "live": {"id": "a", "instances": ["127.0.0.1:3001"], "colour": "blue"},
        "running": {"operation": "p", "verb": "promote", "strategy": "hold", "from": null, "to": "b",
                    "by": "uid 0", "reason": null}
    }"#;
    let saved: Saved = serde_json::from_str(text).unwrap();
    let mut play = Play::restored(saved);
    assert_eq!(play.ending().outcome, Outcome::Interrupted);
    assert_eq!(play.crash(), ["publish 9: a behind gate 11"]);
    let nothing: Saved = serde_json::from_str("{}").unwrap();
    assert_eq!(nothing, Saved::default());
}

#[test]
fn what_was_saved_reads_back_the_same() {
    let mut play = Play::after_a_swap();
    play.tell(hold_methods("h", Methods::one("POST")));
    play.tell(block("incident 42"));
    let saved = play.app.saved();
    let text = serde_json::to_string(&saved).unwrap();
    assert_eq!(serde_json::from_str::<Saved>(&text).unwrap(), saved);
}

#[test]
fn what_is_saved_is_written_like_this_for_ever() {
    let mut play = Play::after_a_swap();
    play.tell(stage("s", "c"));
    play.tell(probe_passed(2));
    play.tell(block("incident 42"));
    play.tell(hold_methods("h", Methods::WRITES));
    let written = serde_json::to_string_pretty(&play.app.saved()).unwrap();
    insta::assert_snapshot!("saved", written);
}

#[test]
fn a_swap_that_cannot_be_journalled_does_not_happen() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    assert_eq!(
        play.tell(unjournalled(probe_passed(1))),
        ["stop probe 1", "p ends failed: disk full"]
    );
    assert_eq!(play.state(), "steady, live a");
}

#[test]
fn a_held_swap_that_cannot_be_journalled_goes_back() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(gate_empty(1));
    assert_eq!(
        play.tell(unjournalled(probe_passed(1))),
        ["stop probe 1", "p is returning", "probe 2: is a back"]
    );
    assert_eq!(play.tell(probe_passed(2)), ["release"]);
    assert_eq!(
        play.tell(unjournalled(Event::DoorOpen)),
        ["p ends failed: disk full"]
    );
    assert_eq!(play.app.deadline(), None, "the door is open");
}

#[test]
fn a_way_back_whose_end_cannot_be_journalled_leads_back() {
    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    play.tell(promote_holding("p", "b"));
    play.tell(Event::Abort);
    assert_eq!(
        play.tell(unjournalled(probe_passed(1))),
        [
            "hold all (down)",
            "p ends aborted: aborted",
            "hold all (command)"
        ]
    );
    assert_eq!(play.state(), "holding (command holds all), live a");
}

#[test]
fn a_drain_whose_end_cannot_be_journalled_is_done_nevertheless() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert_eq!(
        play.tell(unjournalled(gate_empty(1))),
        ["p ends done: disk full"]
    );
    assert_eq!(play.app.live(), Some(&release("b")));
    assert_eq!(
        play.app.deadline(),
        None,
        "gate 1 is empty, whatever the journal says"
    );
}

#[test]
fn a_hold_whose_end_cannot_be_journalled_ends_nevertheless() {
    let mut play = Play::live();
    play.tell(hold("h"));
    assert_eq!(
        play.tell(unjournalled(gate_empty(1))),
        ["release", "h ends failed: disk full"]
    );

    let mut play = Play::live();
    play.tell(hold("h"));
    play.tell(gate_empty(1));
    play.now = play.now + LIMITS.max_wait;
    assert_eq!(play.tell(unjournalled(Event::DeadlinePassed)), ["release"]);
}

#[test]
fn a_release_that_went_down_is_noticed_even_if_the_end_of_a_drain_cannot_be_journalled() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(probe_passed(1));
    play.tell(gate_empty(1));
    assert_eq!(
        play.tell(unjournalled(live_down(2))),
        [
            "p ends done: disk full",
            "probe 2: is b back",
            "hold all (down)"
        ]
    );
}

#[test]
fn a_command_that_could_not_be_journalled_has_not_been_said() {
    let mut play = Play::live();
    let before = play.app.clone();
    assert!(play.tell(unjournalled(promote("p", "b"))).is_empty());
    assert_eq!(play.app, before);
}
