//! Which apps there are: those of the configuration, as the journal knew them.

use std::collections::BTreeMap;

use swap_core::{App, AppName, Ending, Event, Generation, Limits, Outcome, Running, Saved, Step};

use super::Driver;
use super::kept::Kept;
use super::rollouts::{Rollout, rules};
use crate::failpoint;
use crate::journal::{Lasting, Origin, Past, Record};
use crate::receipt::{Baseline, receipt};
use crate::wall::wall_now;
use crate::wire::{Receipt, What};

const RESTART: Origin = Origin {
    verb: "restore",
    by: None,
};
const REMOVAL: Origin = Origin {
    verb: "remove",
    by: None,
};

impl Driver {
    /// Takes over the apps of a configuration.
    pub(crate) async fn configure(&mut self, configs: BTreeMap<AppName, holdfast_config::App>) {
        let mut old = std::mem::take(&mut self.apps);
        let mut fresh = Vec::new();
        for (name, config) in configs {
            match old.remove(&name) {
                Some(mut kept) => {
                    kept.app.set_limits(limits(&config));
                    kept.config = config;
                    self.apps.insert(name.clone(), kept);
                    self.ask_anew(&name);
                    // The machine looks at its new limits.
                    Box::pin(self.observe(&name, Event::DeadlinePassed)).await;
                }
                None => fresh.push((name, config)),
            }
        }
        for (name, kept) in old {
            self.remove(name, kept).await;
        }
        self.admit(fresh).await;
    }

    /// Apps that were not there before. They are journalled together: thousands would else take a sync each.
    ///
    /// If the journal cannot be written, they serve all the same: a control-plane fault stops commands, never traffic.
    /// Nothing but the number of their tables is lost, and the next record has it.
    async fn admit(&mut self, fresh: Vec<(AppName, holdfast_config::App)>) {
        let mut restored = Vec::with_capacity(fresh.len());
        let mut records = Vec::with_capacity(fresh.len());
        for (name, config) in fresh {
            let step = self.restore(&name, config);
            let receipts = self.receipts(&name, &step, None);
            records.extend(self.record(&name, &step.app, RESTART, &receipts));
            restored.push((name, step, receipts));
        }
        failpoint::here("apps.restored");
        if !records.is_empty()
            && let Err(error) = self.journal.append_all(records).await
        {
            tracing::error!(%error, "apps serve, but that was not journalled");
            for (name, _, receipts) in &restored {
                self.write_later(name, receipts);
            }
        }
        failpoint::here("apps.durable");
        for (name, step, receipts) in restored {
            self.carry_on(&name, step, receipts);
        }
        failpoint::here("apps.published");
    }

    /// The journal wins over the configuration's first release.
    fn restore(&mut self, name: &AppName, config: holdfast_config::App) -> Step {
        let mut past = self.absent.remove(name).unwrap_or_default();
        let is_new = past.saved.generation == Generation::default();
        if is_new && past.saved.live.is_none() {
            past.saved.live = config.release.clone();
        }
        let Past {
            saved,
            live_since,
            passed,
            control,
            receipts,
        } = past;
        let step = App::restore(saved, limits(&config), self.now());
        let rollout = step.app.rollout();
        let rules = rules(&config.canary);
        let rollout = rollout.map(|underway| Box::new(Rollout::new(&underway, rules, control)));
        let kept = Kept {
            rollout,
            live_since: live_since.unwrap_or_else(wall_now),
            passed,
            receipts,
            ..Kept::new(step.app.clone(), config)
        };
        self.apps.insert(name.clone(), kept);
        // A rollout goes on: its operation can be asked for, and will have a receipt.
        if let Some(running) = step.app.running() {
            let baseline = Baseline::now(self.plane.traffic(name));
            self.begin(name, &running.operation, baseline);
        }
        step
    }

    /// An app that is no longer configured. What the journal knows of it stays, for when it comes back.
    async fn remove(&mut self, name: AppName, kept: Kept) {
        self.wakes.note(&name, None);
        let mut past = Past {
            saved: kept.app.saved(),
            live_since: Some(kept.live_since.clone()),
            passed: kept.passed.clone(),
            control: None,
            receipts: kept.receipts.clone(),
        };
        past.saved.rollout = None;
        if let Some(running) = past.saved.running.take() {
            let receipt = self.interrupted(&name, &kept, &running);
            note_end(&mut past.saved, &running);
            past.receipts.push_back(receipt.clone());
            let lasting = Lasting {
                saved: past.saved.clone(),
                live_since: past.live_since.clone(),
                passed: past.passed.clone(),
                control: None,
            };
            let mut receipts = kept.unwritten;
            receipts.push(receipt.clone());
            let record = Record::new(name.clone(), REMOVAL, lasting, receipts);
            if let Err(error) = self.journal.append(record).await {
                tracing::error!(app = %name, %error, "a receipt was not journalled");
            }
            self.tell_end(&name, receipt);
        }
        self.absent.insert(name, past);
    }

    fn interrupted(&self, name: &AppName, kept: &Kept, running: &Running) -> Receipt {
        let traffic = self.plane.traffic(name);
        let now = Baseline::now(traffic.clone());
        let baseline = kept.baselines.get(&running.operation).unwrap_or(&now);
        let ending = Ending {
            operation: running.operation.clone(),
            verb: running.verb.clone(),
            strategy: running.strategy,
            outcome: if running.swapped {
                Outcome::Done
            } else {
                Outcome::Interrupted
            },
            from: running.from.clone(),
            to: running.to.clone(),
            by: running.by.clone(),
            reason: running.reason.clone(),
            why: Some("the app was taken out of the configuration".to_owned()),
            took: std::time::Duration::ZERO,
            boot: None,
            hold: None,
            drain: None,
        };
        let judge = kept.rollout.as_ref();
        let judge = judge.map(|rollout| rollout.judged(&ending));
        receipt(name, &ending, baseline, &traffic, judge)
    }

    /// Tells everybody that an operation has ended.
    pub(super) fn tell_end(&mut self, name: &AppName, receipt: Receipt) {
        let operation = receipt.operation.clone();
        self.swaps.ended(&receipt);
        self.operations.end(receipt.clone());
        let what = What::Receipt { receipt };
        self.events.tell(Some(name), Some(&operation), what);
    }
}

fn note_end(saved: &mut Saved, running: &Running) {
    saved.ended.push(running.operation.clone());
    let excess = saved.ended.len().saturating_sub(Saved::ENDED_MAX);
    saved.ended.drain(..excess);
}

fn limits(config: &holdfast_config::App) -> Limits {
    Limits {
        boot: config.timeouts.boot,
        drain: config.timeouts.drain,
        drain_held: config.timeouts.drain_held,
        max_wait: config.hold.max_wait,
        previews: !config.cohorts.is_empty(),
        affinity: config.affinity,
    }
}
