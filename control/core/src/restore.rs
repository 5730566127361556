//! An app as it comes back from the journal: exactly the old release or exactly the new one, behind a fresh gate.

use crate::{
    App, Cause, Effect, Experiment, Going, Limits, Methods, Moment, Outcome, ProbeId, Running,
    Saved, Step, Withdrawn,
    door::{CommandHold, Door},
    gates::Gates,
    operation::{Operation, ending},
    rollout::Rollout,
    turn::Turn,
    work::Work,
};

impl App {
    /// The app that `saved` tells of: what the journal said last, or a new one (`Saved::default()`, or with `live` set).
    /// Its effects publish its table; an operation that was under way has ended, unless it is a rollout: that goes on.
    pub fn restore(saved: Saved, limits: Limits, now: Moment) -> Step {
        let app = Self {
            limits,
            generation: saved.generation,
            live: saved.live,
            previous: saved.previous,
            staged: saved.staged,
            blocked: saved.blocked,
            experiment: saved.experiment.map(|experiment| Experiment {
                attempt: experiment.attempt.saturating_add(1),
                ..experiment
            }),
            split: None,
            warm: None,
            ended: saved.ended,
            gates: Gates::new(saved.gate),
            door: Door::Open,
            work: Work::Idle,
            last_probe: ProbeId::default(),
        };
        let mut turn = Turn::new(app, now);
        let command = saved.hold.map(|hold| CommandHold {
            methods: hold.methods,
            timeout: hold.timeout,
            since: now,
        });
        turn.door(|_, turn| match (&turn.app.live, command) {
            (None, _) => {
                turn.emit(Effect::Hold {
                    cause: Cause::Empty,
                    methods: Methods::ALL,
                });
                Door::Empty
            }
            (Some(_), Some(command)) => command.shut(turn),
            (Some(_), None) => Door::Open,
        });
        // What is beside the live release comes first: whoever waits is let in as soon as there is a live one.
        match (saved.running, saved.rollout) {
            (Some(running), Some(going)) if turn.app.live.is_some() => {
                turn.go_on(running, going);
                turn.publish();
            }
            (Some(running), _) => {
                turn.split(None, limits.drain);
                turn.publish();
                turn.interrupted(running, saved.withdrawn);
            }
            (None, _) => {
                turn.split(None, limits.drain);
                turn.publish();
            }
        }
        turn.end(None)
    }
}

impl Turn {
    fn go_on(&mut self, running: Running, going: Going) {
        let op = Operation::again(running, self.now);
        self.work(|_, turn| Rollout::again(op, going, turn));
    }

    fn interrupted(&mut self, running: Running, withdrawn: Option<Withdrawn>) {
        let (outcome, why) = match withdrawn {
            Some(Withdrawn { outcome, why }) => (outcome, why),
            None if running.swapped => {
                let why = "the daemon was restarted while the old release drained";
                (Outcome::Done, why.to_owned())
            }
            None => {
                let why = "the daemon was restarted meanwhile";
                (Outcome::Interrupted, why.to_owned())
            }
        };
        self.remember(running.operation.clone());
        self.emit(Effect::Finish(ending(running, outcome, Some(why))));
    }
}
