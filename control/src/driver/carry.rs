//! Effects, carried out.

use swap_core::{AppName, Effect, Ending, Event, OperationId, ProbeId, Release};
use tokio::sync::mpsc;

use super::kept::Round;
use super::{Driver, Message};
use crate::events::wall_now;
use crate::probe::{self, Question};
use crate::receipt::{Baseline, receipt};
use crate::wire::What;

impl Driver {
    pub(super) async fn carry_out(&mut self, name: &AppName, effect: Effect) {
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
                plane.publish(name, generation, gate, live.clone());
                self.swaps.published(name, generation.0);
                self.watch(name, live);
            }
            Effect::Close {
                gate,
                methods,
                tunnels_too,
            } => {
                plane.close(name, gate, methods, tunnels_too);
            }
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
            } => self.probe(name, probe, release, recover),
            Effect::StopProbe { probe } => {
                if let Some(kept) = self.apps.get_mut(name) {
                    kept.rounds.remove(&probe);
                }
            }
            Effect::RunCommand { operation } => self.reach(name, &operation, "command"),
            Effect::Progress { operation, phase } => self.reach(name, &operation, phase),
            Effect::Finish(ending) => self.finish(name, ending).await,
        }
    }

    fn reach(&mut self, name: &AppName, operation: &OperationId, phase: &str) {
        self.operations.reach(operation, phase);
        let traffic = self.plane.traffic(name);
        let kept = self.apps.get(name);
        let what = What::Phase {
            phase: phase.to_owned(),
            in_flight: traffic.in_flight,
            held: traffic.hold.waiting,
            release: kept.and_then(|kept| Some(kept.app.next()?.0.id.clone())),
        };
        self.events.tell(Some(name), Some(operation), what);
    }

    /// The operation has ended. What it did is durable already; the receipt follows.
    async fn finish(&mut self, name: &AppName, ending: Ending) {
        let traffic = self.plane.traffic(name);
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let baseline = kept.baseline.take().unwrap_or_else(|| Baseline {
            started: wall_now(),
            traffic: traffic.clone(),
        });
        let receipt = receipt(name, ending, &baseline, &traffic);
        kept.keep(receipt.clone());
        kept.forget_passed();
        let app = kept.app.clone();
        if let Err(error) = self.journal(name, &app, Some(receipt.clone())).await {
            tracing::error!(app = %name, %error, "a receipt was not journalled");
        }
        self.swaps.ended(&receipt);
        self.operations.end(receipt.clone());
        let operation = receipt.operation.clone();
        self.events
            .tell(Some(name), Some(&operation), What::Receipt { receipt });
    }

    fn probe(&mut self, name: &AppName, probe: ProbeId, release: Release, recover: bool) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let mut question = question(&kept.config);
        if recover {
            question.passes = 1;
            question.connect_only = !kept.passed.contains(&release.id);
        }
        let id = release.id.clone();
        let (failed, mut failures) = mpsc::channel(1);
        let (inbox, app) = (self.inbox.clone(), name.clone());
        let tell = move |event| {
            let (inbox, app) = (inbox.clone(), app.clone());
            async move { drop(inbox.send(Message::Observed { app, event }).await) }
        };
        let task = tokio::spawn(async move {
            let round = probe::round(release, question, failed);
            tokio::pin!(round);
            loop {
                tokio::select! {
                    () = &mut round => return tell(Event::ProbePassed { probe }).await,
                    Some(why) = failures.recv() => tell(Event::ProbeFailed { probe, why }).await,
                }
            }
        });
        kept.rounds.insert(
            probe,
            Round {
                task: task.abort_handle(),
                release: id,
            },
        );
    }

    /// A round has passed: its release has such a path.
    pub(super) fn note_passed(&mut self, name: &AppName, event: &Event) {
        if let Event::ProbePassed { probe } = event
            && let Some(kept) = self.apps.get_mut(name)
            && let Some(round) = kept.rounds.remove(probe)
        {
            kept.passed.insert(round.release.clone());
        }
    }

    /// Looks at the instances of the live release from now on, instead of at those before.
    fn watch(&mut self, name: &AppName, live: Option<Release>) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        kept.watches.abort_all();
        for instance in live.into_iter().flat_map(|release| release.instances) {
            let (plane, app) = (self.plane.clone(), name.clone());
            let told = move |instance: &_, healthy| plane.mark(&app, instance, healthy);
            let interval = kept.config.probe.interval;
            let question = question(&kept.config);
            kept.watches
                .spawn(probe::watch(instance, question, interval, told));
        }
        while kept.watches.try_join_next().is_some() {}
    }
}

fn question(config: &holdfast_config::App) -> Question {
    Question {
        path: config.probe.path.clone(),
        host: config
            .hosts
            .iter()
            .find(|host| !host.starts_with('*'))
            .cloned(),
        timeout: config.probe.timeout,
        passes: config.probe.passes,
        connect_only: false,
    }
}
