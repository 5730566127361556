//! What the driver says of itself: status, plan, history, progress.

use std::time::Duration;

use holdfast_config::Hold;
use swap_core::{AppName, Moment, Phase as At, duration};

use super::Driver;
use super::kept::Kept;
use crate::plane::{Arms, Traffic};
use crate::receipt::millis;
use crate::wire::{
    AppStatus, DrainingStatus, HoldStatus, InstanceStatus, LiveStatus, NextStatus, Percent, Phase,
    Plan, Problem, Receipt, Status, What,
};

/// Assumed for `plan` when nothing is known of earlier boots.
const BOOT_ASSUMED: Duration = Duration::from_secs(10);
/// About what a held request takes: its head and its place.
const HELD_BYTES_ASSUMED: u64 = 3 * 1024;

impl Driver {
    pub(super) fn status(&self) -> Status {
        let app = |(name, kept): (&AppName, &Kept)| {
            let traffic = self.plane.traffic(name);
            let arms = kept.app.experiment().and_then(|_| self.plane.arms(name));
            (name.clone(), app_status(kept, &traffic, arms, self.now()))
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.began.elapsed().as_secs(),
            generation: self.apps.values().map(|kept| kept.app.generation().0).sum(),
            apps: self.apps.iter().map(app).collect(),
        }
    }

    /// What a hold would mean now, from the requests of the last seconds.
    pub(super) fn plan(&self, name: &AppName, boot: Option<Duration>) -> Result<Plan, Problem> {
        let kept = self.known(name)?;
        let last_boot = || {
            let newest_first = kept.receipts.iter().rev();
            let mut boots = newest_first.filter_map(|receipt| receipt.boot_ms);
            boots.next().map(Duration::from_millis)
        };
        let boot = boot.or_else(last_boot).unwrap_or(BOOT_ASSUMED);
        let rate = kept.rate();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let held = (rate * boot.as_secs_f64()).ceil() as u64;
        let held_bytes = held * HELD_BYTES_ASSUMED;
        let why = does_not_fit(&kept.config.hold, boot, held, held_bytes);
        let (boot_ms, fits) = (millis(boot), why.is_none());
        let app = name.clone();
        Ok(Plan {
            app,
            rate,
            boot_ms,
            held,
            held_bytes,
            longest_hold_ms: boot_ms,
            fits,
            why,
        })
    }

    /// Newest first.
    pub(super) fn history(&self, app: Option<&AppName>, limit: usize) -> Vec<Receipt> {
        let of = self
            .apps
            .iter()
            .filter(|(name, _)| app.is_none_or(|app| app == *name));
        let mut receipts: Vec<_> = of
            .flat_map(|(_, kept)| kept.receipts.iter().cloned())
            .collect();
        receipts.sort_by(|one, other| other.started.cmp(&one.started));
        receipts.truncate(limit);
        receipts
    }

    pub(super) fn tell_progress(&self) {
        for (name, kept) in &self.apps {
            let Some(running) = kept.app.running() else {
                continue;
            };
            let traffic = self.plane.traffic(name);
            let phase = self
                .operations
                .phase(&running.operation)
                .unwrap_or_default();
            let (canary, control) = kept.canary_status(self.now());
            let what = What::Progress {
                phase,
                in_flight: running_on_old(kept, &traffic),
                held: traffic.hold.waiting,
                probe: kept.app.probe_failure().map(str::to_owned),
                canary,
                control,
            };
            self.events.tell(Some(name), Some(&running.operation), what);
        }
    }

    pub(super) fn sample(&mut self) {
        for (name, kept) in &mut self.apps {
            kept.sample(self.plane.requests(name));
        }
    }
}

/// The first limit that such a hold would meet, in words.
fn does_not_fit(hold: &Hold, boot: Duration, held: u64, held_bytes: u64) -> Option<String> {
    let Hold {
        max_requests,
        max_bytes,
        max_wait,
        ..
    } = hold;
    if boot > *max_wait {
        let (boot, max_wait) = (duration::text(boot), duration::text(*max_wait));
        return Some(format!("{boot} is longer than max_wait ({max_wait})"));
    }
    if held > *max_requests as u64 {
        let words = format!("about {held} requests are more than max_requests ({max_requests})");
        return Some(words);
    }
    (held_bytes > *max_bytes as u64)
        .then(|| format!("about {held_bytes} bytes are more than max_bytes ({max_bytes})"))
}

/// Requests running on the old release: all of them until the swap, those that drain after it.
pub(super) fn running_on_old(kept: &Kept, traffic: &Traffic) -> u64 {
    let has_swapped = kept.app.running().is_some_and(|running| running.swapped);
    if has_swapped {
        traffic.draining.iter().map(|(_, running, _)| running).sum()
    } else {
        traffic.in_flight
    }
}

fn app_status(kept: &Kept, traffic: &Traffic, arms: Option<Arms>, now: Moment) -> AppStatus {
    let (canary, control) = kept.canary_status(now);
    let app = &kept.app;
    let hold = &kept.config.hold;
    AppStatus {
        generation: app.generation(),
        phase: phase(app.phase()),
        live: app.live().map(|live| LiveStatus {
            release: live.id.clone(),
            since: kept.live_since.clone(),
            instances: traffic.instances.iter().map(instance_status).collect(),
            in_flight: traffic
                .instances
                .iter()
                .map(|(_, _, in_flight)| in_flight)
                .sum(),
        }),
        next: app.next().map(|(release, operation)| NextStatus {
            release: release.id.clone(),
            operation: operation.clone(),
            probe: app.probe_failure().map(str::to_owned),
            share: app.rollout().map(|it| Percent(it.going.share())),
        }),
        previous: app.previous().map(|previous| previous.id.clone()),
        staged: app
            .staged()
            .iter()
            .map(|staged| staged.id.clone())
            .collect(),
        draining: traffic
            .draining
            .iter()
            .map(|(release, in_flight, since)| DrainingStatus {
                release: release.id.clone(),
                in_flight: *in_flight,
                for_ms: millis(*since),
            })
            .collect(),
        hold: HoldStatus {
            active: traffic.hold.active,
            cause: traffic.hold.cause,
            held: traffic.hold.waiting,
            held_bytes: traffic.hold.waiting_bytes,
            oldest_ms: millis(traffic.hold.oldest),
            max_requests: hold.max_requests as u64,
            max_bytes: hold.max_bytes as u64,
            max_wait_ms: millis(hold.max_wait),
        },
        blocked: app.blocked().cloned(),
        canary,
        control,
        experiment: kept.experiment_status(arms),
    }
}

fn instance_status((address, up, in_flight): &(swap_core::Address, bool, u64)) -> InstanceStatus {
    let health = if *up { "up" } else { "down" };
    InstanceStatus {
        address: address.clone(),
        health: health.to_owned(),
        in_flight: *in_flight,
    }
}

fn phase(at: At) -> Phase {
    match at {
        At::Empty => Phase::Empty,
        At::Steady => Phase::Steady,
        At::Booting => Phase::Booting,
        At::Holding => Phase::Holding,
        At::Canary => Phase::Canary,
        At::Draining => Phase::Draining,
    }
}
