//! The whole table: what each event does in each state. A change in behaviour is a line that changes here.

use std::fmt::Write;

use swap_core::{Event, Methods, Promote};

use crate::cast::*;
use crate::play::Play;
use crate::words;

/// A state, by the story that leads to it.
type State = (&'static str, Play);

fn told(mut play: Play, events: impl IntoIterator<Item = Event>) -> Play {
    for event in events {
        play.tell(event);
    }
    play
}

fn waited(mut play: Play, time: u64) -> Play {
    play.wait(seconds(time));
    play
}

/// Every state of the work, with the door as it then is.
fn states_of_work() -> Vec<State> {
    let live = Play::live;
    let booting = told(live(), [promote("p", "b")]);
    let quieting = told(live(), [promote_with_command("p", "b")]);
    let commanding = told(quieting.clone(), [gate_empty(1)]);
    let hold_booting = told(commanding.clone(), [command_ended("p", Ok(()))]);
    let returning = told(commanding.clone(), [Event::Abort]);
    let reopening = told(returning.clone(), [probe_passed(1)]);
    let swapped = told(booting.clone(), [probe_passed(1)]);
    let draining = told(swapped.clone(), [Event::DoorOpen]);
    vec![
        ("steady", live()),
        ("staging", told(live(), [stage("p", "b")])),
        ("booting", booting),
        ("quieting", quieting.clone()),
        ("quieting, cut", waited(quieting, 5)),
        ("commanding", commanding),
        ("hold-booting", hold_booting),
        ("returning", returning),
        ("reopening", reopening),
        ("just swapped", swapped.clone()),
        ("draining", draining.clone()),
        ("draining, cut", waited(draining, 25)),
        (
            "releasing to the new release",
            told(swapped, [gate_empty(1)]),
        ),
        ("hold-quieting", told(live(), [hold("p")])),
        (
            "hold-quieting for writes",
            told(live(), [hold_methods("p", Methods::WRITES)]),
        ),
    ]
}

/// Every state of the door that the work does not bring along.
fn states_of_the_door() -> Vec<State> {
    let held = told(Play::live(), [hold("h"), gate_empty(1)]);
    let writes_held = told(
        Play::live(),
        [hold_methods("h", Methods::WRITES), gate_empty(1)],
    );
    let down = told(Play::live(), [live_down(1)]);
    let swapping_over_a_hold = told(held.clone(), [promote_holding("p", "b")]);
    vec![
        ("held by command", held.clone()),
        ("held by command, writes only", writes_held.clone()),
        (
            "held by command, another release boots",
            told(held, [promote("p", "b")]),
        ),
        ("held by command, then by a swap", swapping_over_a_hold),
        ("down", down.clone()),
        (
            "down during a hold of writes",
            told(writes_held, [live_down(2)]),
        ),
        (
            "down, another release boots",
            told(down.clone(), [promote("p", "b")]),
        ),
        ("given up", waited(down.clone(), 30)),
        ("back, releasing", told(down, [probe_passed(1)])),
    ]
}

/// Apps with more, or less, than a live release.
fn states_of_the_roster() -> Vec<State> {
    let empty = Play::empty;
    let with_all = told(Play::after_a_swap(), [stage("s", "c"), probe_passed(2)]);
    vec![
        ("empty", empty()),
        ("empty, booting", told(empty(), [promote("p", "b")])),
        (
            "empty, commanding",
            told(empty(), [promote_with_command("p", "b")]),
        ),
        (
            "empty, hold-booting",
            told(empty(), [promote_holding("p", "b")]),
        ),
        (
            "empty, releasing",
            told(empty(), [promote("p", "b"), probe_passed(1)]),
        ),
        ("steady, with a previous and a staged release", with_all),
        ("blocked", told(Play::live(), [block("incident 42")])),
    ]
}

fn commands() -> Vec<(&'static str, Event)> {
    let named = |release| {
        Event::Promote(Promote {
            if_current: Some(id(release)),
            ..overlap("q", "d")
        })
    };
    vec![
        ("promote d", promote("q", "d")),
        ("promote d holding", promote_holding("q", "d")),
        (
            "promote d holding, with command",
            promote_with_command("q", "d"),
        ),
        ("promote d if a is live", named("a")),
        ("promote a by id", promote_by_id("q", "a")),
        ("promote c by id", promote_by_id("q", "c")),
        ("promote, operation p again", promote("p", "d")),
        ("rollback", rollback("q")),
        ("abort", Event::Abort),
        ("stage d", stage("q", "d")),
        ("unstage c", unstage("c")),
        ("hold", hold("q")),
        ("hold writes", hold_methods("q", Methods::WRITES)),
        ("resume", Event::Resume),
        ("block", block("because")),
        ("unblock", Event::Unblock),
    ]
}

fn observations() -> Vec<(&'static str, Event)> {
    vec![
        ("p's command exits 0", command_ended("p", Ok(()))),
        (
            "p's command fails",
            command_ended("p", Err("exit status 3")),
        ),
        ("probe 1 passes", probe_passed(1)),
        ("probe 2 passes", probe_passed(2)),
        ("probe 1 fails", probe_failed(1, "refused")),
        ("gate 1 is empty", gate_empty(1)),
        ("gate 2 is empty", gate_empty(2)),
        ("the door is open", Event::DoorOpen),
        ("live down behind gate 1", live_down(1)),
        ("live down behind gate 2", live_down(2)),
        ("live down behind gate 3", live_down(3)),
    ]
}

/// What the event does, in a line.
fn outcome(state: &Play, event: Event) -> String {
    let mut play = state.clone();
    let effects = play.tell(event);
    let mut told = Vec::new();
    told.extend(play.last.answer.as_ref().map(words::answer));
    if play.state() != state.state() {
        told.push(format!("-> {}", play.state()));
    } else if play.app != state.app {
        told.push("-> the same, but for something inside".to_owned());
    }
    told.extend((!effects.is_empty()).then(|| effects.join(" / ")));
    if told.is_empty() {
        told.push("nothing".to_owned());
    }
    told.join(" | ")
}

/// One state: events that do the same share a line.
fn section(name: &str, state: &Play) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut add =
        |event: String, outcome: String| match rows.iter_mut().find(|(known, _)| *known == outcome)
        {
            Some((_, events)) => events.push(event),
            None => rows.push((outcome, vec![event])),
        };
    for (name, event) in commands().into_iter().chain(observations()) {
        add(name.to_owned(), outcome(state, event));
    }
    let mut late = state.clone();
    late.now = state.app.deadline().unwrap_or(late.now);
    let after = (late.now - state.now).as_secs();
    add(
        format!("{after} s pass"),
        outcome(&late, Event::DeadlinePassed),
    );
    let unjournalled = unjournalled(Event::DeadlinePassed);
    add(
        format!("{after} s pass, unjournalled"),
        outcome(&late, unjournalled),
    );
    add("killed and started".to_owned(), restarted(state));

    let mut section = format!("\n# {name}: {}\n", state.state());
    for (outcome, events) in rows {
        let _ = writeln!(section, "{}\n    {outcome}", events.join("; "));
    }
    section
}

fn restarted(state: &Play) -> String {
    let mut play = state.clone();
    let effects = play.crash();
    format!("-> {} | {}", play.state(), effects.join(" / "))
}

#[test]
fn each_event_does_this_in_each_state() {
    let states = states_of_work()
        .into_iter()
        .chain(states_of_the_door())
        .chain(states_of_the_roster());
    let table: String = states.map(|(name, state)| section(name, &state)).collect();
    insta::assert_snapshot!("table", table);
}
