//! Effects, carried out. None of them can fail.

use swap_core::{AppName, Effect, OperationId};

use super::Driver;
use super::look::running_on_old;
use crate::failpoint;
use crate::monotonic::monotonic_us;
use crate::wire::What;

/// The phase in which an operation waits for a person.
const PAUSED: &str = "paused";

impl Driver {
    pub(super) fn carry_out(&mut self, name: &AppName, effect: Effect) {
        let done = point_after(&effect);
        self.carry(name, effect);
        if let Some(done) = done {
            failpoint::here(done);
        }
    }

    fn carry(&mut self, name: &AppName, effect: Effect) {
        let plane = &self.plane;
        match effect {
            Effect::Hold { cause, methods } => {
                plane.hold(name, cause, methods);
                self.events.tell(Some(name), None, What::Held { cause });
            }
            Effect::Publish {
                generation,
                gate,
                live,
            } => {
                let what = What::Published {
                    generation: generation.0,
                    release: live.as_ref().map(|live| live.id.clone()),
                    monotonic_us: monotonic_us(),
                };
                plane.publish(name, generation, gate, live);
                self.events.tell(Some(name), None, what);
                self.swaps.published(name, generation.0);
                self.watch_live(name);
            }
            Effect::Split { generation, split } => {
                let what = self.split_in_words(name, generation.0, split.as_ref());
                plane.split(name, generation, split);
                let operation = self.rollout_of(name);
                self.events.tell(Some(name), operation.as_ref(), what);
                self.swaps.published(name, generation.0);
                self.watch_live(name);
            }
            Effect::Smoke {
                operation,
                round,
                release,
                tests,
            } => self.begin_smoke(name, operation, round, release, tests),
            Effect::Close {
                gate,
                methods,
                tunnels_too,
            } => plane.close(name, gate, methods, tunnels_too),
            Effect::Cut { gate } => plane.cut(name, gate),
            Effect::Release => plane.release(name),
            Effect::GiveUp => {
                plane.give_up(name);
                self.events.tell(Some(name), None, What::GaveUp);
            }
            Effect::Probe {
                probe,
                release,
                recover,
            } => self.begin_round(name, probe, release, recover),
            Effect::StopProbe { probe } => self.stop_round(name, probe),
            // The phase `command`, told just before, is what its client waits for.
            Effect::RunCommand { operation: _ } => {}
            Effect::Progress { operation, phase } => self.reach(name, &operation, phase),
            // Carried out by whoever has its receipt.
            Effect::Finish(_) => {}
        }
    }

    fn reach(&mut self, name: &AppName, operation: &OperationId, phase: &str) {
        self.operations.reach(operation, phase);
        let traffic = self.plane.traffic(name);
        let Some(kept) = self.apps.get(name) else {
            return;
        };
        let running = kept.app.running();
        let what = What::Phase {
            phase: phase.to_owned(),
            in_flight: running_on_old(kept, &traffic),
            held: traffic.hold.waiting,
            release: running.and_then(|running| running.to.clone()),
        };
        self.events.tell(Some(name), Some(operation), what);
        let paused = kept.app.rollout().and_then(|it| it.going.paused.clone());
        if let Some(why) = paused.filter(|_| phase == PAUSED) {
            let what = What::Paused { why };
            self.events.tell(Some(name), Some(operation), what);
        }
    }
}

/// The point at which an effect has been carried out. An operation's end has one where its receipt is told.
fn point_after(effect: &Effect) -> Option<&'static str> {
    Some(match effect {
        Effect::Hold { .. } => "effect.held",
        Effect::Publish { .. } => "effect.published",
        Effect::Split { .. } | Effect::Smoke { .. } => return None,
        Effect::Close { .. } => "effect.closed",
        Effect::Cut { .. } => "effect.cut",
        Effect::Release => "effect.released",
        Effect::GiveUp => "effect.gave_up",
        Effect::Probe { .. } => "effect.probing",
        Effect::StopProbe { .. } => "effect.probed",
        Effect::RunCommand { .. } => "effect.command_may_run",
        Effect::Progress { .. } => "effect.progress",
        Effect::Finish(_) => return None,
    })
}
