//! The whole table: what each event does in each state. A change in behaviour is a line that changes here.

use std::fmt::Write;

use swap_core::{Event, Methods, Promote, Verdict};

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

/// Every stage of a canary, and what follows it. Its operation is `p`.
fn stages_of_a_canary() -> Vec<State> {
    let with = |plan| Event::Promote(canary("p", "b", plan));
    let smoking = told(Play::live(), [with(smoked_plan()), probe_passed(1)]);
    let first = told(smoking.clone(), [smoked("p", 1, Ok(()))]);
    let due = waited(first.clone(), 60);
    let smoking_all = told(first.clone(), [advance(), advance()]);
    let watching = told(smoking_all.clone(), [advance(), advance()]);
    let frozen_plan = swap_core::CanaryPlan {
        on_fail: swap_core::OnFail::Freeze,
        ..plan()
    };
    let frozen = told(
        Play::live(),
        [
            with(frozen_plan),
            probe_passed(1),
            judged("p", 1, Verdict::Fail, "worse"),
        ],
    );
    vec![
        ("canary, booting", told(Play::live(), [with(plan())])),
        ("canary, smoking", smoking),
        ("canary, first step", first.clone()),
        ("canary, first step, due", due),
        ("canary, paused", told(first.clone(), [pause()])),
        ("canary, frozen", frozen),
        ("canary, smoking with everybody", smoking_all),
        ("canary, watching", watching.clone()),
        ("canary, watching, due", waited(watching, 300)),
        ("canary, withdrawing", told(first.clone(), [Event::Abort])),
        (
            "canary, and the live release is down",
            told(first, [live_down(1)]),
        ),
    ]
}

/// What is beside a live release without an operation.
fn states_beside_the_live() -> Vec<State> {
    let live = swap_core::Saved {
        live: Some(release("a")),
        staged: vec![release("c")],
        ..swap_core::Saved::default()
    };
    let arms = [("one", "a", 50), ("two", "c", 50)];
    let compared = told(Play::restored(live.clone()), [experiment("e", &arms)]);
    vec![
        ("seen by staff", Play::within(SEEN, live)),
        ("experiment", compared.clone()),
        (
            "experiment, its winner boots",
            told(compared, [close_experiment("p", Some("two"))]),
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
        ("promote d as a canary", promote_canary("q", "d")),
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
        ("pause", pause()),
        ("advance", advance()),
        (
            "start an experiment",
            experiment("q", &[("one", "a", 50), ("two", "c", 50)]),
        ),
        ("close the experiment", close_experiment("q", None)),
        (
            "close the experiment, two has won",
            close_experiment("q", Some("two")),
        ),
    ]
}

/// `round` is the canary's.
fn observations(round: u64) -> Vec<(&'static str, Event)> {
    let says = |verdict| judged("p", round, verdict, "figures");
    vec![
        ("p's judge says pass", says(Verdict::Pass)),
        ("p's judge says fail", says(Verdict::Fail)),
        (
            "p's judge says not enough traffic",
            says(Verdict::NotEnoughTraffic),
        ),
        ("p's smoke tests pass", smoked("p", round, Ok(()))),
        ("p's smoke tests fail", smoked("p", round, Err("404"))),
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
    for (name, event) in commands().into_iter().chain(observations(state.round())) {
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
        .chain(stages_of_a_canary())
        .chain(states_of_the_door())
        .chain(states_of_the_roster())
        .chain(states_beside_the_live());
    let table: String = states.map(|(name, state)| section(name, &state)).collect();
    insta::assert_snapshot!("table", table);
}
