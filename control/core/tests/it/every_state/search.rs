//! The search: from state to state, each once, by whatever may happen next.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use swap_core::{Event, Limits, Outcome, Saved, Verdict, step};

use crate::cast::{gate_empty, live_down, probe_passed, release};
use crate::words;
use crate::world::{Action, Broken, LIMITS, Mischief, Scope, World};

/// An empty app, and one that has a release, each with whatever may happen to it.
pub(super) fn explore(name: &str, scope: &Scope, mischief: Mischief) -> Result<Search, String> {
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
pub(super) fn all_endings(search: &Search) -> Vec<String> {
    let said = |(verb, outcome): &(String, Outcome)| format!("{verb} {outcome:?}");
    search.endings.iter().map(said).collect()
}

/// How a state was first reached.
struct Reached {
    from: usize,
    by: Option<Action>,
    /// The state that follows when nothing but time happens.
    when_late: Option<usize>,
}

/// All states, as far as they have been found.
#[derive(Default)]
pub(super) struct Search {
    known: HashMap<u64, usize>,
    reached: Vec<Reached>,
    worlds: VecDeque<(usize, World)>,
    steps: usize,
    /// How operations have ended, in the order of their names.
    endings: BTreeSet<(String, Outcome)>,
    /// What has been published beside the live release, and how far rollouts have come.
    pub(super) seen: BTreeSet<String>,
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
