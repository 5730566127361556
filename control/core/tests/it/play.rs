//! One app on a stage: events go in, effects come out in words, and time passes as told.

use std::time::Duration;

use swap_core::{Answer, App, Effect, Ending, Event, Limits, Moment, Saved, Step, Verdict, step};

use crate::cast::{LIMITS, gate_empty, judged, probe_passed, promote, release};
use crate::words;

/// An app and its clock.
#[derive(Clone)]
pub(crate) struct Play {
    pub(crate) app: App,
    pub(crate) now: Moment,
    limits: Limits,
    /// What the last step did.
    pub(crate) last: Step,
}

impl Play {
    /// An app without a release. Its table is number 1, behind gate 1.
    pub(crate) fn empty() -> Self {
        Self::restored(Saved::default())
    }

    /// `a` serves, behind gate 1.
    pub(crate) fn live() -> Self {
        Self::restored(Saved {
            live: Some(release("a")),
            ..Saved::default()
        })
    }

    /// `b` serves, behind gate 2; `a` served before and has drained. One probe was made.
    pub(crate) fn after_a_swap() -> Self {
        let mut play = Self::live();
        play.tell(promote("first", "b"));
        play.tell(probe_passed(1));
        play.tell(gate_empty(1));
        play.tell(Event::DoorOpen);
        play
    }

    pub(crate) fn restored(saved: Saved) -> Self {
        Self::within(LIMITS, saved)
    }

    pub(crate) fn within(limits: Limits, saved: Saved) -> Self {
        let now = Moment::after_origin(Duration::from_secs(100));
        let step = App::restore(saved, limits, now);
        Self {
            app: step.app.clone(),
            now,
            limits,
            last: step,
        }
    }

    /// Lets `event` happen now. What must be done about it, in words.
    pub(crate) fn tell(&mut self, event: Event) -> Vec<String> {
        let step = step(&self.app, event, self.now);
        self.app = step.app.clone();
        let effects = words::effects(&step);
        self.last = step;
        effects
    }

    /// The judge says this of operation `p`'s canary, in the round that it is in.
    pub(crate) fn judge(&mut self, verdict: Verdict, why: &str) -> Vec<String> {
        let round = self.round();
        self.tell(judged("p", round, verdict, why))
    }

    /// The round that the rollout is in; 0 without one.
    pub(crate) fn round(&self) -> u64 {
        self.app.rollout().map_or(0, |rollout| rollout.going.round)
    }

    /// Tells a command, and what it was answered.
    pub(crate) fn ask(&mut self, event: Event) -> String {
        self.tell(event);
        words::answer(self.answer())
    }

    /// What the last step did, in words.
    pub(crate) fn last_effects(&self) -> Vec<String> {
        words::effects(&self.last)
    }

    /// Lets time pass; what is due on the way is done when it is due.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut effects = Vec::new();
        while let Some(due) = self.app.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            effects.extend(self.tell(Event::DeadlinePassed));
        }
        self.now = end;
        effects
    }

    /// The process dies and comes back. What it does first.
    pub(crate) fn crash(&mut self) -> Vec<String> {
        let restored = Self::within(self.limits, self.app.saved());
        *self = restored;
        words::effects(&self.last)
    }

    pub(crate) fn state(&self) -> String {
        words::state(&self.app)
    }

    pub(crate) fn answer(&self) -> &Answer {
        self.last.answer.as_ref().expect("a command")
    }

    /// How the operation ended that the last step finished.
    pub(crate) fn ending(&self) -> &Ending {
        let mut endings = self.last.effects.iter().filter_map(|effect| match effect {
            Effect::Finish(ending) => Some(ending),
            _ => None,
        });
        endings.next_back().expect("an operation ended")
    }
}
