//! An app as it comes back from the journal: exactly the old release or exactly the new one, behind a fresh gate.

use crate::{
    App, Cause, Effect, Limits, Methods, Moment, Outcome, ProbeId, Running, Saved, Step,
    door::{CommandHold, Door},
    gates::Gates,
    operation::ending,
    turn::Turn,
    work::Work,
};

impl App {
    /// The app that `saved` tells of: what the journal said last, or a new one (`Saved::default()`, or with `live` set).
    /// Its effects publish its table; an operation that was under way has ended.
    pub fn restore(saved: Saved, limits: Limits, now: Moment) -> Step {
        let app = Self {
            limits,
            generation: saved.generation,
            live: saved.live,
            previous: saved.previous,
            staged: saved.staged,
            blocked: saved.blocked,
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
        turn.publish();
        if let Some(running) = saved.running {
            turn.interrupted(running);
        }
        turn.end(None)
    }
}

impl Turn {
    fn interrupted(&mut self, running: Running) {
        let (outcome, why) = if running.swapped {
            (
                Outcome::Done,
                "the daemon was restarted while the old release drained",
            )
        } else {
            (Outcome::Interrupted, "the daemon was restarted meanwhile")
        };
        self.remember(running.operation.clone());
        self.emit(Effect::Finish(ending(
            running,
            outcome,
            Some(why.to_owned()),
        )));
    }
}
