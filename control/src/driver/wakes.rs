//! When the driver has to look at which app by itself. Kept apart from the apps, so that an event costs the same however
//! many of them there are.

use std::collections::{BTreeMap, BTreeSet};

use swap_core::{App, AppName, Moment};

/// Deadlines of the apps, and which of them are at something.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    deadlines: BTreeSet<(Moment, AppName)>,
    /// The same by their names.
    of: BTreeMap<AppName, Moment>,
    busy: BTreeSet<AppName>,
    /// Apps with a canary.
    rollouts: BTreeSet<AppName>,
}

impl Wakes {
    /// To be told each time that an app's state has changed; None when it is gone.
    pub(super) fn note(&mut self, name: &AppName, app: Option<&App>) {
        if app.is_some_and(|app| app.rollout().is_some()) {
            self.rollouts.insert(name.clone());
        } else {
            self.rollouts.remove(name);
        }
        let deadline = app.and_then(App::deadline);
        self.set(
            name,
            deadline,
            app.is_some_and(|app| app.running().is_some()),
        );
    }

    fn set(&mut self, name: &AppName, deadline: Option<Moment>, is_busy: bool) {
        if let Some(before) = self.of.remove(name) {
            self.deadlines.remove(&(before, name.clone()));
        }
        if let Some(at) = deadline {
            self.of.insert(name.clone(), at);
            self.deadlines.insert((at, name.clone()));
        }
        if is_busy {
            self.busy.insert(name.clone());
        } else {
            self.busy.remove(name);
        }
    }

    /// The next deadline of any; `but_rollouts` of any without a canary.
    pub(super) fn next(&self, but_rollouts: bool) -> Option<Moment> {
        let mut deadlines = self.deadlines.iter();
        let counts = |name: &AppName| !(but_rollouts && self.rollouts.contains(name));
        deadlines.find(|(_, name)| counts(name)).map(|(at, _)| *at)
    }

    /// Those whose deadline has come; `but_rollouts` those without a canary.
    pub(super) fn late(&self, now: Moment, but_rollouts: bool) -> Vec<AppName> {
        let late = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        let counts = |name: &&AppName| !(but_rollouts && self.rollouts.contains(*name));
        late.map(|(_, name)| name).filter(counts).cloned().collect()
    }

    /// Apps with a canary.
    pub(super) fn rollouts(&self) -> Vec<AppName> {
        self.rollouts.iter().cloned().collect()
    }

    /// Whether there is a canary.
    pub(super) fn any_rollout(&self) -> bool {
        !self.rollouts.is_empty()
    }

    /// Whether an operation runs.
    pub(super) fn any_is_busy(&self) -> bool {
        !self.busy.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::after_origin(Duration::from_millis(ms))
    }

    fn name(name: &str) -> AppName {
        name.parse().unwrap()
    }

    #[test]
    fn the_next_deadline_is_the_earliest_that_still_counts() {
        let mut wakes = Wakes::default();
        wakes.set(&name("a"), Some(at(30)), true);
        wakes.set(&name("b"), Some(at(20)), false);
        assert_eq!(wakes.next(false), Some(at(20)));
        wakes.set(&name("b"), Some(at(40)), false);
        assert_eq!(
            (wakes.next(false), wakes.late(at(29), false)),
            (Some(at(30)), vec![])
        );
        assert_eq!(wakes.late(at(40), false), [name("a"), name("b")]);
        wakes.note(&name("a"), None);
        wakes.note(&name("b"), None);
        assert_eq!((wakes.next(false), wakes.any_is_busy()), (None, false));
    }

    #[test]
    fn an_app_is_busy_until_its_operation_has_ended() {
        let mut wakes = Wakes::default();
        wakes.set(&name("a"), None, true);
        assert!(wakes.any_is_busy());
        wakes.set(&name("a"), None, false);
        assert!(!wakes.any_is_busy());
    }
}
