//! Every state that a small world can get into, by breadth-first search, and what must hold in each.
//!
//! States count as the same when only numbers that are never used again (gates, rounds, operations, generations) or
//! moments that have no effect any more differ: the search then ends, with nothing left out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use swap_core::{Cause, Effect, Event, GateId, Limits, Methods, Outcome, Saved, Verdict, step};

use crate::cast::{gate_empty, live_down, probe_passed, release};
use crate::words;
use crate::world::{Action, Broken, Canary, LIMITS, Mischief, Scope, World};

/// How a state was first reached.
struct Reached {
    from: usize,
    by: Option<Action>,
    /// The state that follows when nothing but time happens.
    when_late: Option<usize>,
}

/// All states, as far as they have been found.
#[derive(Default)]
struct Search {
    known: HashMap<u64, usize>,
    reached: Vec<Reached>,
    worlds: VecDeque<(usize, World)>,
    steps: usize,
    /// How operations have ended, in the order of their names.
    endings: BTreeSet<(String, Outcome)>,
    /// What has been published beside the live release, and how far rollouts have come.
    seen: BTreeSet<String>,
}

impl Search {
    fn begin(worlds: Vec<World>) -> Self {
        let mut search = Self::default();
        for world in worlds {
            search.reach(world, 0, None);
        }
        search
    }

    /// Visits everything; on the first broken promise, tells the way there.
    fn run(&mut self, scope: &Scope) -> Result<(), String> {
        while let Some((at, world)) = self.worlds.pop_front() {
            late_events_change_nothing(&world).map_err(|broken| self.story(at, None, broken))?;
            for action in world.possible(scope) {
                let next = self.take(at, &world, &action)?;
                if action.is_command() && next.app == world.app {
                    continue; // refused
                }
                if scope.unjournalled
                    && next.disk != world.disk
                    && !action.is_command()
                    && action != Action::Crash
                {
                    let unjournalled = Action::Unjournalled(Box::new(action.clone()));
                    let next = self.take(at, &world, &unjournalled)?;
                    self.reach(next, at, Some(unjournalled));
                }
                let is_time = action == Action::TimePasses;
                let next = self.reach(next, at, Some(action));
                if is_time {
                    self.reached[at].when_late = Some(next);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, at: usize, world: &World, action: &Action) -> Result<World, String> {
        self.steps += 1;
        let broken = |broken| self.story(at, Some(action), broken);
        let next = world.after(action).map_err(broken)?;
        self.endings.extend(next.ended.iter().cloned());
        Ok(next)
    }

    fn reach(&mut self, world: World, from: usize, by: Option<Action>) -> usize {
        let new = self.reached.len();
        let at = *self.known.entry(essence(&world)).or_insert(new);
        if at == new {
            self.seen.extend(words::seen(&world.app));
            self.reached.push(Reached {
                from,
                by,
                when_late: None,
            });
            self.worlds.push_back((new, world));
        }
        at
    }

    /// From each state, time alone leads to one without a deadline.
    fn longest_way_by_time_alone(&self) -> usize {
        let mut longest = 0;
        for start in 0..self.reached.len() {
            let (mut at, mut steps) = (start, 0);
            while let Some(next) = self.reached[at].when_late {
                (at, steps) = (next, steps + 1);
                assert!(steps < 100, "time alone leads nowhere\n{}", self.way(start));
            }
            longest = longest.max(steps);
        }
        longest
    }

    fn story(&self, at: usize, action: Option<&Action>, broken: Broken) -> String {
        let last = action.map_or(String::new(), |action| format!("  {action:?}\n"));
        format!("{}\n{}{last}", broken.0, self.way(at))
    }

    fn way(&self, mut at: usize) -> String {
        let mut actions = Vec::new();
        while let Some(action) = &self.reached[at].by {
            actions.push(format!("  {action:?}\n"));
            at = self.reached[at].from;
        }
        actions.reverse();
        actions.concat()
    }
}

fn late_events_change_nothing(world: &World) -> Result<(), Broken> {
    let mut late = vec![probe_passed(0), gate_empty(0), live_down(0)];
    late.extend(late_verdicts(world));
    for event in late {
        let made = step(&world.app, event.clone(), world.now);
        if made.app != world.app || !made.effects.is_empty() {
            return Err(Broken(format!("a late {event:?} changes something")));
        }
    }
    Ok(())
}

/// On the round before, and on an operation that is not the canary's.
fn late_verdicts(world: &World) -> Vec<Event> {
    let of = |operation: &swap_core::OperationId, round| {
        let (operation, result) = (operation.clone(), Err("404".to_owned()));
        let judged = Event::Judged {
            operation: operation.clone(),
            round,
            verdict: Verdict::Fail,
            why: "late".to_owned(),
        };
        let smoked = Event::Smoked {
            operation,
            round,
            result,
        };
        [judged, smoked]
    };
    match world.app.rollout() {
        Some(rollout) => of(rollout.operation, rollout.going.round - 1).to_vec(),
        None => {
            let running = world.app.running().map(|running| &running.operation);
            running.map_or(Vec::new(), |operation| of(operation, 1).to_vec())
        }
    }
}

/// What of a world makes a difference to its future, as a number.
fn essence(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    crate::essence::text(world).hash(&mut hasher);
    hasher.finish()
}

fn everything(releases: &'static [&'static str]) -> Scope {
    Scope {
        releases,
        commands: &[false, true],
        holds: &[Methods::ALL, Methods::WRITES],
        stages: true,
        previews: false,
        canaries: &[],
        steered: false,
        experiments: false,
        down: true,
        crash: true,
        ticks: true,
        unjournalled: true,
        gates_max: 2,
    }
}

/// An empty app, and one that has a release, each with whatever may happen to it.
fn explore(name: &str, scope: &Scope, mischief: Mischief) -> Result<Search, String> {
    let live = Saved {
        live: Some(release("a")),
        ..Saved::default()
    };
    let limits = Limits {
        previews: scope.previews,
        ..LIMITS
    };
    let begin = |saved| World::within(limits, saved, mischief).map_err(|broken| broken.0);
    let mut search = Search::begin(vec![begin(Saved::default())?, begin(live)?]);
    search.run(scope)?;
    println!(
        "{name}: {} states, {} steps; by time alone, each is steady after {} at most",
        search.reached.len(),
        search.steps,
        search.longest_way_by_time_alone()
    );
    Ok(search)
}

/// What must be seen to happen, lest the search be of an empty stage.
fn all_endings(search: &Search) -> Vec<String> {
    let said = |(verb, outcome): &(String, Outcome)| format!("{verb} {outcome:?}");
    search.endings.iter().map(said).collect()
}

#[test]
fn swaps_holds_and_outages_keep_every_promise_in_every_state() {
    let scope = Scope {
        stages: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    };
    let search =
        explore("swaps, holds, outages", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert_eq!(
        all_endings(&search),
        [
            "hold Done",
            "hold Failed",
            "hold Aborted",
            "hold Interrupted",
            "promote Done",
            "promote AlreadyLive",
            "promote Failed",
            "promote Aborted",
            "promote Interrupted",
            "rollback Done",
            "rollback Failed",
            "rollback Aborted",
            "rollback Interrupted",
        ]
    );
}

#[test]
fn gates_that_empty_late_keep_every_promise_in_every_state() {
    let scope = Scope {
        stages: false,
        down: false,
        ticks: false,
        unjournalled: false,
        ..everything(&["a", "b"])
    };
    explore("two gates at once", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
}

#[test]
fn stages_keep_every_promise_in_every_state() {
    let scope = Scope {
        commands: &[],
        holds: &[],
        down: false,
        ..everything(&["a", "b"])
    };
    let search = explore("stages", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
    let stages: Vec<_> = all_endings(&search)
        .into_iter()
        .filter(|ending| ending.starts_with("stage"))
        .collect();
    assert_eq!(
        stages,
        [
            "stage Done",
            "stage Failed",
            "stage Aborted",
            "stage Interrupted"
        ]
    );
}

/// Canaries as people have them: judged, smoked, frozen, steered.
fn canaries() -> Scope {
    Scope {
        commands: &[],
        holds: &[],
        stages: false,
        canaries: &[Canary::Judged, Canary::Frozen, Canary::Smoked],
        steered: true,
        down: false,
        ticks: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    }
}

/// A staged release that is seen, while somebody holds, and while it is a canary.
fn previews() -> Scope {
    Scope {
        releases: &["b"],
        commands: &[true],
        stages: true,
        previews: true,
        canaries: &[Canary::Judged],
        steered: false,
        unjournalled: false,
        ..canaries()
    }
}

/// Staged releases that are seen, and compared.
fn experiments() -> Scope {
    Scope {
        stages: true,
        previews: true,
        experiments: true,
        canaries: &[],
        steered: false,
        ..canaries()
    }
}

#[test]
fn canaries_keep_every_promise_in_every_state() {
    let search = explore("canaries", &canaries(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert_eq!(
        all_endings(&search),
        [
            "promote Done",
            "promote AlreadyLive",
            "promote Failed",
            "promote Aborted",
            "promote RolledBack",
            "promote Interrupted",
            "rollback Done",
            "rollback Failed",
            "rollback Aborted",
            "rollback Interrupted",
        ]
    );
    let seen: Vec<_> = search.seen.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "Smoking",
            "Smoking, paused",
            "SmokingAll",
            "SmokingAll, paused",
            "Step(0)",
            "Step(0), paused",
            "Step(1)",
            "Step(1), paused",
            "Watching",
            "Watching, paused",
        ]
    );
}

#[test]
fn previews_keep_every_promise_in_every_state() {
    let search = explore("previews", &previews(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    assert!(search.seen.contains("preview"));
    assert!(search.seen.contains("Watching"));
}

#[test]
fn experiments_keep_every_promise_in_every_state() {
    let search =
        explore("experiments", &experiments(), |_| {}).unwrap_or_else(|story| panic!("{story}"));
    let seen: Vec<_> = search.seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["experiment", "preview"]);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p swap-core --test it -- --ignored --nocapture"]
fn everything_at_once_keeps_every_promise_in_every_state() {
    let scope = everything(&["a", "b"]);
    explore("everything", &scope, |_| {}).unwrap_or_else(|story| panic!("{story}"));
}

/// A machine that wants this done is found out, and for this reason.
#[track_caller]
fn is_found_out(mischief: Mischief, reason: &str) {
    let scope = Scope {
        stages: false,
        gates_max: 1,
        ..everything(&["a", "b"])
    };
    is_found_out_in(&scope, mischief, reason);
}

#[track_caller]
fn is_found_out_in(scope: &Scope, mischief: Mischief, reason: &str) {
    let Err(story) = explore("spoilt", scope, mischief) else {
        panic!("not found out: {reason}");
    };
    assert!(
        story.starts_with(reason),
        "found out for another reason: {story}"
    );
}

fn is_close(effect: &Effect) -> bool {
    matches!(effect, Effect::Close { .. })
}

fn is_publish(effect: &Effect) -> bool {
    matches!(effect, Effect::Publish { .. })
}

#[test]
fn a_gate_that_is_closed_before_its_table_is_replaced_is_found_out() {
    let close_first: Mischief = |effects| {
        let publish = effects.iter().position(is_publish);
        let close = effects.iter().position(is_close);
        if let (Some(publish), Some(close)) = (publish, close) {
            effects.swap(publish, close);
        }
    };
    is_found_out(
        close_first,
        "a gate was closed before its table was replaced",
    );
}

#[test]
fn a_gate_that_is_never_closed_is_found_out() {
    is_found_out(
        |effects| effects.retain(|effect| !is_close(effect)),
        "a replaced gate is still open",
    );
}

#[test]
fn a_gate_that_is_opened_again_is_found_out() {
    let reopen: Mischief = |effects| {
        for effect in effects {
            if let Effect::Publish { gate, .. } = effect {
                *gate = GateId(1);
            }
        }
    };
    is_found_out(reopen, "a gate was opened again");
}

#[test]
fn a_door_that_is_not_shut_for_a_hold_is_found_out() {
    let leave_open: Mischief = |effects| {
        effects.retain(|effect| {
            !matches!(
                effect,
                Effect::Hold {
                    cause: Cause::Swap,
                    ..
                }
            )
        })
    };
    is_found_out(leave_open, "a gate was closed while its door was open");
}

#[test]
fn a_release_that_is_forgotten_is_found_out() {
    let forget: Mischief = |effects| effects.retain(|effect| *effect != Effect::Release);
    is_found_out(forget, "the door is not as the machine believes");
}

#[test]
fn a_round_of_probes_that_is_forgotten_is_found_out() {
    let forget: Mischief =
        |effects| effects.retain(|effect| !matches!(effect, Effect::StopProbe { .. }));
    is_found_out(forget, "a round of probes was forgotten");
}

#[test]
fn a_release_that_is_called_retired_while_requests_run_on_it_is_found_out() {
    let spare: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Cut { .. }));
    is_found_out(spare, "I9: done, but requests run on the old release");
}

#[test]
fn a_failure_that_is_called_done_is_found_out() {
    let pretend: Mischief = |effects| {
        for effect in effects {
            if let Effect::Finish(ending) = effect
                && ending.outcome == Outcome::Failed
            {
                ending.outcome = Outcome::Done;
            }
        }
    };
    is_found_out(pretend, "I5: done, but it does not serve");
}

#[test]
fn an_operation_that_never_ends_is_found_out() {
    let forget: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Finish(_)));
    is_found_out(
        forget,
        "an operation ended without a word, or began without one",
    );
}

#[test]
fn other_clients_for_the_canary_are_found_out() {
    let shift: Mischief = |effects| {
        for effect in effects {
            if let Effect::Split {
                split: Some(split), ..
            } = effect
            {
                split.key.push('x');
            }
        }
    };
    is_found_out_in(
        &canaries(),
        shift,
        "I3: what is beside it is something else",
    );
}

#[test]
fn a_canary_that_is_called_retired_while_requests_run_on_it_is_found_out() {
    let spare: Mischief = |effects| effects.retain(|effect| !matches!(effect, Effect::Cut { .. }));
    is_found_out_in(
        &canaries(),
        spare,
        "I9: withdrawn, but requests run on the canary",
    );
}

#[test]
fn a_hold_that_leaves_a_release_beside_alone_is_found_out() {
    let scope = Scope {
        canaries: &[],
        ..previews()
    };
    let spare: Mischief = |effects| {
        let holds = |effect: &Effect| matches!(effect, Effect::Hold { .. });
        if effects.iter().any(holds) {
            effects.retain(|effect| !matches!(effect, Effect::Split { .. }));
        }
    };
    is_found_out_in(
        &scope,
        spare,
        "a gate was closed before its table was replaced",
    );
}

/// Spoils only what follows a no.
fn when_refuted(effects: &mut Vec<Effect>, spoil: impl FnOnce(&mut Vec<Effect>)) {
    let withdraws = |effect: &Effect| matches!(effect, Effect::Progress { phase, .. } if *phase == "withdrawing");
    if effects.iter().any(withdraws) {
        spoil(effects);
    }
}

#[test]
fn a_canary_whose_gate_stays_open_after_a_no_is_found_out() {
    let spare: Mischief = |effects| {
        when_refuted(effects, |effects| {
            effects.retain(|effect| !is_close(effect))
        })
    };
    is_found_out_in(&canaries(), spare, "a replaced gate is still open");
}

#[test]
fn a_canary_that_is_drained_before_it_is_withdrawn_is_found_out() {
    let hurry: Mischief = |effects| when_refuted(effects, |effects| effects.reverse());
    is_found_out_in(
        &canaries(),
        hurry,
        "a gate was closed before its table was replaced",
    );
}
