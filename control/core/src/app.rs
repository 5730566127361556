//! An app's state, and the one function that changes it.

use crate::{
    Answer, Block, Cause, Effect, Event, GateId, Generation, Limits, Methods, Moment, OperationId,
    Release, Running, Saved,
};

/// What an event makes of an app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "the effects have to be carried out, in order"]
pub struct Step {
    /// The app afterwards. If its [`App::saved`] differs from before, that is journalled before any effect.
    pub app: App,
    /// What must be done, in this order.
    pub effects: Vec<Effect>,
    /// What the command is told; none if the event was no command.
    pub answer: Option<Answer>,
}

/// Where an app stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No release yet; requests wait.
    Empty,
    /// Nothing under way.
    Steady,
    /// A release is being probed; the old one serves.
    Booting,
    /// Requests wait for a command, a swap, or the live release to come back.
    Holding,
    /// Swapped; the old release drains.
    Draining,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct App {
    saved: Saved,
    limits: Limits,
}

/// What `event` makes of `app`.
pub fn step(app: &App, event: Event, now: Moment) -> Step {
    let _ = (event, now);
    Step {
        app: app.clone(),
        effects: Vec::new(),
        answer: None,
    }
}

impl App {
    /// The app as it was when the journal was last written; or a new one (`Saved::default()`, or with `live` set).
    pub fn restore(saved: Saved, limits: Limits, now: Moment) -> Step {
        let _ = now;
        Step {
            app: Self { saved, limits },
            effects: Vec::new(),
            answer: None,
        }
    }

    /// What of it outlives the process.
    pub fn saved(&self) -> Saved {
        self.saved.clone()
    }

    /// When `Event::DeadlinePassed` is due, if nothing happens before. It may have passed already: then at once.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    /// Sets the limits for whatever begins from now on; deadlines that run already stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Who serves.
    pub fn live(&self) -> Option<&Release> {
        self.saved.live.as_ref()
    }

    /// Who is to serve, and by which operation, until it does.
    pub fn next(&self) -> Option<(&Release, &OperationId)> {
        None
    }

    /// Why the last probe of [`App::next`] failed, in words.
    pub fn probe_failure(&self) -> Option<&str> {
        None
    }

    /// Who served before.
    pub fn previous(&self) -> Option<&Release> {
        self.saved.previous.as_ref()
    }

    /// Ready, without traffic.
    pub fn staged(&self) -> &[Release] {
        &self.saved.staged
    }

    /// Whether promotes are refused.
    pub fn blocked(&self) -> Option<&Block> {
        self.saved.blocked.as_ref()
    }

    /// The operation under way.
    pub fn running(&self) -> Option<&Running> {
        self.saved.running.as_ref()
    }

    /// Why the door is shut, and for whom; none while it is open or releasing.
    pub fn hold(&self) -> Option<(Cause, Methods)> {
        None
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        Phase::Steady
    }

    /// Number of the published table.
    pub fn generation(&self) -> Generation {
        self.saved.generation
    }

    /// The gate behind which the live release serves.
    pub fn gate(&self) -> GateId {
        self.saved.gate
    }
}
