//! Commands: refused, or durable and carried out when the answer leaves.

use swap_core::{Answer, AppName, Event, OperationId, Refusal, step};

use super::kept::Kept;
use super::{Command, Commanded, Driver};
use crate::failpoint;
use crate::journal::Origin;
use crate::operations::{Said, State};
use crate::problem;
use crate::receipt::Baseline;
use crate::wire::{Problem, What};

impl Driver {
    pub(super) async fn command(&mut self, command: Command) -> Result<Commanded, Problem> {
        let kept = self.known(&command.app)?;
        if let Some(said) = self.said_before(&command)? {
            return Ok(Commanded::Done(said));
        }
        must_be_generation(kept, &command)?;
        let Command {
            app: name,
            event,
            verb,
            by,
            conditions,
        } = command;
        failpoint::here("command.taken");
        let before = Baseline::now(self.plane.traffic(&name));
        // An operation's id is a key too, where the operation is over at once.
        let key = conditions.key.or_else(|| operation_of(&event).cloned());
        let step = step(&kept.app, event, self.now());
        let answer = step.answer.clone();
        if let Some(Answer::Refused(refusal)) = &answer {
            return Err(problem::refused(refusal));
        }
        let receipts = self.receipts(&name, &step, Some(&before));
        let origin = Origin {
            verb,
            by: Some(by.clone()),
        };
        let written = self.commit(&name, &step, origin, &receipts).await;
        written.map_err(|error| problem::journal(&error))?;
        failpoint::here("command.durable");
        if let Some(Answer::Begun(operation)) = &answer {
            self.begin(&name, operation, before);
        }
        self.carry_on(&name, step, receipts);
        failpoint::here("command.carried_out");
        match answer {
            Some(Answer::Begun(operation)) => {
                let state = self.state(&operation)?;
                Ok(Commanded::Begun(operation, state))
            }
            Some(Answer::Known(operation)) => {
                let state = self.state(&operation)?;
                Ok(Commanded::Known(operation, state))
            }
            Some(Answer::Done(said)) => {
                self.tell_done(&name, verb, by, key, &said);
                Ok(Commanded::Done(said))
            }
            Some(Answer::Refused(refusal)) => Err(problem::refused(&refusal)),
            None => Err(problem::stopped()),
        }
    }

    /// What was commanded of no app that we have.
    pub(super) fn known(&self, name: &AppName) -> Result<&Kept, Problem> {
        let known = || self.apps.keys().map(AppName::as_str);
        let unknown = || problem::unknown_app(name.as_str(), known());
        self.apps.get(name).ok_or_else(unknown)
    }

    fn state(&self, operation: &OperationId) -> Result<State, Problem> {
        let unknown = || problem::unknown_operation(operation.as_str());
        self.operations.watch(operation).ok_or_else(unknown)
    }

    /// The answer that this key has had already, if it was one of words. A key means one thing: it cannot be used for
    /// another app or another verb.
    fn said_before(&self, command: &Command) -> Result<Option<String>, Problem> {
        let Some(key) = operation_of(&command.event).or(command.conditions.key.as_ref()) else {
            return Ok(None);
        };
        let Some(app) = self.operations.app_of(key) else {
            return Ok(None);
        };
        let said = self.operations.was_said(key);
        let begins = operation_of(&command.event).is_some();
        match said {
            Some(said) if said.app == command.app && said.verb == command.verb => {
                Ok(Some(said.said.clone()))
            }
            None if begins && *app == command.app => Ok(None),
            Some(_) | None => Err(problem::reused(key.as_str(), app.as_str())),
        }
    }

    pub(super) fn begin(&mut self, name: &AppName, operation: &OperationId, baseline: Baseline) {
        self.operations.begin(operation, name);
        if let Some(kept) = self.apps.get_mut(name) {
            kept.baselines.insert(operation.clone(), baseline);
        }
    }

    fn tell_done(
        &mut self,
        name: &AppName,
        verb: &'static str,
        by: String,
        key: Option<OperationId>,
        said: &str,
    ) {
        if let Some(key) = key {
            let (app, said) = (name.clone(), said.to_owned());
            self.operations.said(key, Said { app, verb, said });
        }
        let what = What::Command {
            verb: verb.to_owned(),
            by,
            said: said.to_owned(),
        };
        self.events.tell(Some(name), None, what);
    }

    /// A COMMAND has ended, or its client has left. What is over already is not an error.
    pub(super) async fn command_ended(
        &mut self,
        operation: OperationId,
        result: Result<(), String>,
        by: Option<String>,
    ) -> Result<(), Problem> {
        let app = self.operations.app_of(&operation).cloned();
        let unknown = || problem::unknown_operation(operation.as_str());
        let app = app.ok_or_else(unknown)?;
        let origin = Origin {
            verb: "command ended",
            by,
        };
        let event = Event::CommandEnded { operation, result };
        self.observe_from(&app, event, origin).await;
        Ok(())
    }
}

/// `If-Match`, for what the machine itself does not compare. An operation that is known is answered all the same.
fn must_be_generation(kept: &Kept, command: &Command) -> Result<(), Problem> {
    let is = kept.app.generation();
    let known = operation_of(&command.event).is_some_and(|operation| {
        let running = kept.app.running();
        running.is_some_and(|running| running.operation == *operation)
            || kept.app.saved().ended.contains(operation)
    });
    match command.conditions.generation {
        Some(wanted) if wanted != is && !known => {
            Err(problem::refused(&Refusal::NotGeneration { wanted, is }))
        }
        Some(_) | None => Ok(()),
    }
}

/// The operation that a command begins, if it begins one.
fn operation_of(event: &Event) -> Option<&OperationId> {
    match event {
        Event::Promote(ask) => Some(&ask.operation),
        Event::Stage(ask) => Some(&ask.operation),
        Event::Hold(ask) => Some(&ask.operation),
        Event::Rollback(ask) => Some(&ask.operation),
        Event::StartExperiment(ask) => Some(&ask.operation),
        Event::CloseExperiment(ask) => Some(&ask.operation),
        Event::Unstage { .. }
        | Event::Resume
        | Event::Abort
        | Event::Block(_)
        | Event::Unblock
        | Event::Pause { .. }
        | Event::Advance { .. }
        | Event::Judged { .. }
        | Event::Smoked { .. }
        | Event::CommandEnded { .. }
        | Event::ProbePassed { .. }
        | Event::ProbeFailed { .. }
        | Event::GateEmpty { .. }
        | Event::DoorOpen
        | Event::LiveDown { .. }
        | Event::JournalFailed { .. }
        | Event::DeadlinePassed => None,
    }
}
