//! The operations that are known: those under way, and the last ones that ended. Whoever waits for one is told, whether
//! or not its client is still there.

use std::collections::{HashMap, VecDeque};

use swap_core::{AppName, OperationId};
use tokio::sync::watch;

use crate::wire::{Operation, Receipt};

/// So many are remembered.
const KNOWN_MAX: usize = 1_000;

/// An operation's state, as its watchers see it.
pub(crate) type State = watch::Receiver<Operation>;

/// What is done at once has an answer, no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) app: AppName,
    pub(crate) verb: &'static str,
    pub(crate) said: String,
}

/// All that are known, whichever app they are of: an id is an idempotency key, so it means one thing only.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    known: HashMap<OperationId, Known>,
    oldest_first: VecDeque<OperationId>,
}

#[derive(Debug)]
enum Known {
    Operation(AppName, watch::Sender<Operation>),
    Said(Said),
}

impl Known {
    fn is_running(&self) -> bool {
        match self {
            Self::Operation(_, state) => matches!(*state.borrow(), Operation::Running { .. }),
            Self::Said(_) => false,
        }
    }
}

impl Operations {
    pub(crate) fn begin(&mut self, operation: &OperationId, app: &AppName) {
        let state = Operation::Running {
            operation: operation.clone(),
            app: app.clone(),
            phase: "accepted".into(),
        };
        let known = Known::Operation(app.clone(), watch::Sender::new(state));
        self.insert(operation.clone(), known);
    }

    pub(crate) fn reach(&mut self, operation: &OperationId, reached: &str) {
        if let Some(state) = self.state(operation) {
            state.send_modify(|state| {
                if let Operation::Running { phase, .. } = state {
                    reached.clone_into(phase);
                }
            });
        }
    }

    /// The phase it is in, while it runs.
    pub(crate) fn phase(&self, operation: &OperationId) -> Option<String> {
        match &*self.state(operation)?.borrow() {
            Operation::Running { phase, .. } => Some(phase.clone()),
            Operation::Ended { .. } => None,
        }
    }

    pub(crate) fn end(&mut self, receipt: Receipt) {
        let (operation, app) = (receipt.operation.clone(), receipt.app.clone());
        let ended = Operation::Ended { receipt };
        match self.state(&operation) {
            Some(state) => drop(state.send_replace(ended)),
            None => {
                let known = Known::Operation(app, watch::Sender::new(ended));
                self.insert(operation, known);
            }
        }
    }

    pub(crate) fn watch(&self, operation: &OperationId) -> Option<State> {
        self.state(operation).map(watch::Sender::subscribe)
    }

    /// Remembers the answer to something that was done at once.
    pub(crate) fn said(&mut self, key: OperationId, said: Said) {
        self.insert(key, Known::Said(said));
    }

    /// The answer that this key has had.
    pub(crate) fn was_said(&self, key: &OperationId) -> Option<&Said> {
        match self.known.get(key)? {
            Known::Said(said) => Some(said),
            Known::Operation(..) => None,
        }
    }

    /// Of which app the operation with this id is.
    pub(crate) fn app_of(&self, operation: &OperationId) -> Option<&AppName> {
        match self.known.get(operation)? {
            Known::Operation(app, _) => Some(app),
            Known::Said(said) => Some(&said.app),
        }
    }

    fn state(&self, operation: &OperationId) -> Option<&watch::Sender<Operation>> {
        match self.known.get(operation)? {
            Known::Operation(_, state) => Some(state),
            Known::Said(_) => None,
        }
    }

    fn insert(&mut self, operation: OperationId, known: Known) {
        if self.known.insert(operation.clone(), known).is_none() {
            self.oldest_first.push_back(operation);
        }
        self.forget_oldest();
    }

    /// One that runs is never forgotten. There is at most one for each app, so this finds another soon.
    fn forget_oldest(&mut self) {
        for _ in 0..self.oldest_first.len() {
            if self.known.len() <= KNOWN_MAX {
                return;
            }
            let Some(oldest) = self.oldest_first.pop_front() else {
                return;
            };
            if self.known.get(&oldest).is_some_and(Known::is_running) {
                self.oldest_first.push_back(oldest);
            } else {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> OperationId {
        format!("op-{number}").parse().unwrap()
    }

    fn said() -> Said {
        Said {
            app: "web".parse().unwrap(),
            verb: "block",
            said: "blocked".into(),
        }
    }

    #[test]
    fn the_oldest_are_forgotten_but_never_one_that_runs() {
        let mut operations = Operations::default();
        operations.begin(&id(0), &"web".parse().unwrap());
        for number in 1..=2 * KNOWN_MAX {
            operations.said(id(number), said());
        }
        assert_eq!(operations.known.len(), KNOWN_MAX);
        assert_eq!(operations.oldest_first.len(), KNOWN_MAX);
        assert!(operations.watch(&id(0)).is_some(), "it runs");
        assert!(operations.was_said(&id(1)).is_none());
        assert!(operations.was_said(&id(2 * KNOWN_MAX)).is_some());
    }
}
