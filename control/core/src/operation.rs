//! The operation under way: who asked for what, and how long its parts took.
//!
//! It is made when a command is admitted and used up by `Turn::finish`, so that none can end twice or be forgotten.

use crate::{
    Ending, Moment, OperationId, Outcome, Release, ReleaseId, Running, Strategy, span::Span,
};

/// An operation that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) running: Running,
    pub(crate) started: Moment,
    /// From the first probe to the one that passed.
    pub(crate) boot: Span,
    /// From the shutting of the door to its release.
    pub(crate) hold: Span,
    /// From the close of the old gate until it was empty.
    pub(crate) drain: Span,
}

/// What a command says about itself, whatever its verb.
pub(crate) struct Ask {
    pub(crate) operation: OperationId,
    pub(crate) verb: &'static str,
    pub(crate) strategy: Option<Strategy>,
    pub(crate) to: Option<ReleaseId>,
    pub(crate) by: String,
    pub(crate) reason: Option<String>,
}

impl Operation {
    /// Begins what was asked for, while `live` serves.
    pub(crate) fn begin(ask: Ask, live: Option<&Release>, now: Moment) -> Self {
        Self {
            running: Running {
                operation: ask.operation,
                verb: ask.verb.to_owned(),
                strategy: ask.strategy,
                from: live.map(|release| release.id.clone()),
                to: ask.to,
                by: ask.by,
                reason: ask.reason,
                swapped: false,
            },
            started: now,
            boot: Span::NONE,
            hold: Span::NONE,
            drain: Span::NONE,
        }
    }

    /// One that was begun in a process that is gone. Its times count from now.
    pub(crate) fn again(running: Running, now: Moment) -> Self {
        Self {
            running,
            started: now,
            boot: Span::NONE,
            hold: Span::NONE,
            drain: Span::NONE,
        }
    }

    pub(crate) fn id(&self) -> &OperationId {
        &self.running.operation
    }

    /// Its end.
    pub(crate) fn end(self, outcome: Outcome, why: Option<String>, now: Moment) -> Ending {
        Ending {
            took: now - self.started,
            boot: self.boot.length(now),
            hold: self.hold.length(now),
            drain: self.drain.length(now),
            ..ending(self.running, outcome, why)
        }
    }
}

/// The end of an operation of which nothing but this is known: the process that began it is gone.
pub(crate) fn ending(running: Running, outcome: Outcome, why: Option<String>) -> Ending {
    Ending {
        operation: running.operation,
        verb: running.verb,
        strategy: running.strategy,
        outcome,
        from: running.from,
        to: running.to,
        by: running.by,
        reason: running.reason,
        why,
        took: std::time::Duration::ZERO,
        boot: None,
        hold: None,
        drain: None,
    }
}
