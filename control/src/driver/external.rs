//! The external gates of a canary: each is asked every few seconds, and again when its stage is due. The driver never waits
//! for one.

use std::time::Duration;

use swap_core::{ExternalGate, Moment};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::gates::{self, About, Answer};
use crate::wire::{GateStatus, Says};

/// How often each is asked, and for how long a yes counts.
const INTERVAL: Duration = Duration::from_secs(10);
/// How soon it is asked again after an answer that says nothing.
const AGAIN: Duration = Duration::from_secs(1);

/// All of a rollout.
pub(super) struct ExternalGates(Vec<Gate>);

struct Gate {
    gate: ExternalGate,
    asking: Option<Asking>,
    last: Option<Said>,
    /// What was told of it last in this stage.
    told: Says,
}

/// A question under way. Its drop ends it.
struct Asking {
    began: Moment,
    answer: oneshot::Receiver<Answer>,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Said {
    began: Moment,
    ended: Moment,
    answer: Answer,
}

/// When a stage began, and from when on it may end.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) since: Moment,
    pub(super) due: Moment,
}

impl ExternalGates {
    pub(super) fn new(gates: &[ExternalGate]) -> Self {
        let gate = |gate: &ExternalGate| Gate {
            gate: gate.clone(),
            asking: None,
            last: None,
            told: Says::NotAsked,
        };
        Self(gates.iter().map(gate).collect())
    }

    /// Another stage: what was said before counts no more.
    pub(super) fn forget(&mut self) {
        for gate in &mut self.0 {
            gate.asking = None;
            gate.last = None;
            gate.told = Says::NotAsked;
        }
    }

    /// Takes the answers that have come, and asks whoever is to be asked now. Returns what says something else than before.
    pub(super) fn keep_asking(
        &mut self,
        now: Moment,
        stretch: Stretch,
        about: &About,
    ) -> Vec<GateStatus> {
        let mut changed = Vec::new();
        for gate in &mut self.0 {
            gate.listen(now);
            let status = gate.status();
            if status.says != gate.told {
                gate.told = status.says;
                changed.push(status);
            }
            if gate.is_to_be_asked(now, stretch) {
                gate.ask(now, about.clone());
            }
        }
        changed
    }

    /// A no, in words.
    pub(super) fn no(&self) -> Option<String> {
        self.0.iter().find_map(|gate| match gate.said() {
            Some(Answer::No(why)) => Some(format!("gate {}: {why}", gates::name(&gate.gate))),
            Some(Answer::Yes | Answer::Unclear(_)) | None => None,
        })
    }

    /// Whether all have said yes at the end of the stage; else who has not, in words.
    pub(super) fn consent(&self, now: Moment, due: Moment) -> Result<(), String> {
        let Some(gate) = self.0.iter().find(|gate| !gate.consents(now, due)) else {
            return Ok(());
        };
        let name = gates::name(&gate.gate);
        Err(match gate.said() {
            Some(Answer::Unclear(why) | Answer::No(why)) => format!("gate {name}: {why}"),
            Some(Answer::Yes) | None => format!("gate {name} is being asked"),
        })
    }

    pub(super) fn status(&self) -> Vec<GateStatus> {
        self.0.iter().map(Gate::status).collect()
    }
}

impl Gate {
    fn said(&self) -> Option<&Answer> {
        self.last.as_ref().map(|said| &said.answer)
    }

    fn listen(&mut self, now: Moment) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let answer = match asking.answer.try_recv() {
            Ok(answer) => answer,
            Err(oneshot::error::TryRecvError::Empty) => return,
            Err(oneshot::error::TryRecvError::Closed) => {
                Answer::Unclear("it could not be asked".to_owned())
            }
        };
        self.last = Some(Said {
            began: asking.began,
            ended: now,
            answer,
        });
        self.asking = None;
    }

    fn is_to_be_asked(&self, now: Moment, Stretch { since, due }: Stretch) -> bool {
        if self.asking.is_some() {
            return false;
        }
        let is_due = due <= now;
        match &self.last {
            None => is_due || since + INTERVAL <= now,
            Some(said) if is_due && said.began < due => true,
            Some(said) => {
                let pause = match said.answer {
                    Answer::Yes | Answer::No(_) => INTERVAL,
                    Answer::Unclear(_) => AGAIN,
                };
                said.ended + pause <= now
            }
        }
    }

    fn ask(&mut self, now: Moment, about: About) {
        let (tell, answer) = oneshot::channel();
        let gate = self.gate.clone();
        let asking = tokio::spawn(async move {
            // Nobody listens if the stage is over.
            let _ = tell.send(gates::ask(&gate, &about).await);
        });
        self.asking = Some(Asking {
            began: now,
            answer,
            task: asking.abort_handle(),
        });
    }

    /// It has said yes since the stage is due, and not long ago.
    fn consents(&self, now: Moment, due: Moment) -> bool {
        self.last.as_ref().is_some_and(|said| {
            said.answer == Answer::Yes && due <= said.began && now < said.ended + INTERVAL
        })
    }

    fn status(&self) -> GateStatus {
        let (says, why) = match self.said() {
            None => (Says::NotAsked, None),
            Some(Answer::Yes) => (Says::Yes, None),
            Some(Answer::No(why)) => (Says::No, Some(why.clone())),
            Some(Answer::Unclear(why)) => (Says::Unclear, Some(why.clone())),
        };
        GateStatus {
            gate: gates::name(&self.gate),
            says,
            why,
        }
    }
}
