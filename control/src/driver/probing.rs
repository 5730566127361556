//! Whom the driver has probed: releases that somebody waits for, in rounds, and the instances of those that serve, always.

use std::sync::Arc;

use swap_core::{AppName, Event, ProbeId, Release, ReleaseId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::kept::Kept;
use super::{Driver, Inbox, Message};
use crate::plane::DataPlane;
use crate::probe::{self, Dial, Question};

/// A round of probing that runs. Its drop ends it.
pub(super) struct Round {
    task: AbortHandle,
    release: Release,
    recover: bool,
}

impl Drop for Round {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driver {
    /// Probes a release until all of it is ready. A round that comes back (`recover`) asks for less: it has proved itself
    /// before, or has no such path.
    pub(super) fn begin_round(
        &mut self,
        name: &AppName,
        probe: ProbeId,
        release: Release,
        recover: bool,
    ) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let mut question = question(dial(&self.plane, name), &kept.config);
        if recover {
            question.passes = 1;
            question.connect_only = !kept.passed.contains(&release.id);
        }
        let (inbox, app) = (self.inbox.clone(), name.clone());
        let task = tokio::spawn(round(inbox, app, probe, release.clone(), question));
        let round = Round {
            task: task.abort_handle(),
            release,
            recover,
        };
        kept.rounds.insert(probe, round);
    }

    pub(super) fn stop_round(&mut self, name: &AppName, probe: ProbeId) {
        if let Some(kept) = self.apps.get_mut(name) {
            kept.rounds.remove(&probe);
        }
    }

    /// If a round has passed, it has ended, and its release has such a path. (One that came back did before, or a connect
    /// was enough.)
    pub(super) fn note_passed(&mut self, name: &AppName, event: &Event) {
        if let Event::ProbePassed { probe } = event
            && let Some(kept) = self.apps.get_mut(name)
            && let Some(round) = kept.rounds.remove(probe)
            && !round.recover
        {
            kept.passed.insert(round.release.id.clone());
        }
    }

    /// A release's instances pass, as their watch says.
    pub(super) fn passed(&mut self, name: &AppName, release: ReleaseId) {
        if let Some(kept) = self.apps.get_mut(name) {
            kept.passed.insert(release);
        }
    }

    /// Looks at the instances of the live release and of those beside it from now on, instead of at those before.
    pub(super) fn watch_live(&mut self, name: &AppName) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        // Those before end as they are dropped.
        kept.watches = tokio::task::JoinSet::new();
        let beside = kept.app.split().into_iter().flat_map(|split| &split.beside);
        let beside = beside.map(|beside| &beside.release);
        let serving: Vec<Release> = kept.app.live().into_iter().chain(beside).cloned().collect();
        for release in serving {
            self.watch(name, release);
        }
    }

    fn watch(&mut self, name: &AppName, release: Release) {
        let Some(kept) = self.apps.get_mut(name) else {
            return;
        };
        let question = question(dial(&self.plane, name), &kept.config);
        let interval = kept.config.probe.interval;
        let has_passed = kept.passed.contains(&release.id);
        for instance in release.instances {
            let (plane, inbox) = (self.plane.clone(), self.inbox.clone());
            let (app, release) = (name.clone(), release.id.clone());
            let mut is_noted = has_passed;
            let tell = move |instance: &_, is_up| {
                plane.mark(&app, instance, is_up);
                if is_up && !is_noted {
                    let (app, release) = (app.clone(), release.clone());
                    // If there is no room now, the next pass says it.
                    is_noted = inbox.try_send(Message::Passed { app, release }).is_ok();
                }
            };
            let watch = probe::watch(instance, question.clone(), interval, has_passed, tell);
            kept.watches.spawn(watch);
        }
    }

    /// The settings have changed: whatever is being probed is asked anew.
    pub(super) fn ask_anew(&mut self, name: &AppName) {
        self.watch_live(name);
        let Some(kept) = self.apps.get(name) else {
            return;
        };
        let rounds = kept.rounds.iter();
        let rounds: Vec<_> = rounds
            .map(|(probe, round)| (*probe, round.release.clone(), round.recover))
            .collect();
        for (probe, release, recover) in rounds {
            self.begin_round(name, probe, release, recover);
        }
    }
}

/// Tells the driver of each failure, and at the end of the pass.
async fn round(inbox: Inbox, app: AppName, probe: ProbeId, release: Release, question: Question) {
    let tell = async |event| {
        let app = app.clone();
        // The driver outlives its rounds.
        let _ = inbox.send(Message::Observed { app, event }).await;
    };
    let (failed, mut failures) = mpsc::channel(1);
    let passing = probe::round(release, question, failed);
    tokio::pin!(passing);
    loop {
        tokio::select! {
            biased;
            () = &mut passing => return tell(Event::ProbePassed { probe }).await,
            Some(why) = failures.recv() => tell(Event::ProbeFailed { probe, why }).await,
        }
    }
}

pub(super) fn dial(plane: &Arc<dyn DataPlane>, app: &AppName) -> Dial {
    let (plane, app) = (plane.clone(), app.clone());
    Dial(Arc::new(move |instance| plane.connect(&app, instance)))
}

pub(super) fn question(dial: Dial, config: &holdfast_config::App) -> Question {
    let concrete = config.hosts.iter().find(|host| !host.starts_with('*'));
    Question {
        dial,
        protocol: config.upstream.protocol,
        path: config.probe.path.clone(),
        grpc: config.probe.grpc.clone(),
        host: concrete.cloned(),
        timeout: config.probe.timeout,
        passes: config.probe.passes,
        connect_only: false,
    }
}

impl Kept {
    /// Only releases that can still serve are remembered.
    pub(super) fn forget_passed(&mut self) {
        let app = &self.app;
        let next = app.next().map(|(release, _)| release);
        let known = app.live().into_iter().chain(app.previous()).chain(next);
        let known: Vec<&ReleaseId> = known
            .chain(app.staged())
            .map(|release| &release.id)
            .collect();
        self.passed.retain(|id| known.contains(&id));
    }
}
