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

/// All that are known.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    known: HashMap<OperationId, watch::Sender<Operation>>,
    oldest_first: VecDeque<OperationId>,
}

impl Operations {
    pub(crate) fn begin(&mut self, operation: &OperationId, app: &AppName) {
        let (operation_id, app) = (operation.clone(), app.clone());
        let state = Operation::Running {
            operation: operation_id,
            app,
            phase: "accepted".into(),
        };
        self.insert(operation, state);
    }

    pub(crate) fn reach(&mut self, operation: &OperationId, reached: &str) {
        if let Some(state) = self.known.get(operation) {
            state.send_modify(|state| {
                if let Operation::Running { phase, .. } = state {
                    reached.clone_into(phase);
                }
            });
        }
    }

    /// The phase it is in, while it runs.
    pub(crate) fn phase(&self, operation: &OperationId) -> Option<String> {
        match &*self.known.get(operation)?.borrow() {
            Operation::Running { phase, .. } => Some(phase.clone()),
            Operation::Ended { .. } => None,
        }
    }

    pub(crate) fn end(&mut self, receipt: Receipt) {
        let operation = receipt.operation.clone();
        let ended = Operation::Ended { receipt };
        match self.known.get(&operation) {
            Some(state) => drop(state.send_replace(ended)),
            None => self.insert(&operation, ended),
        }
    }

    pub(crate) fn watch(&self, operation: &OperationId) -> Option<State> {
        self.known.get(operation).map(watch::Sender::subscribe)
    }

    fn insert(&mut self, operation: &OperationId, state: Operation) {
        self.known
            .insert(operation.clone(), watch::Sender::new(state));
        self.oldest_first.push_back(operation.clone());
        if self.oldest_first.len() > KNOWN_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
