//! The journal during an upgrade: another process reads it, and writes it if it stays.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use swap_core::{App, AppName, Phase};
use tokio::sync::oneshot;

use super::Driver;
use super::rollouts::is_judged;
use crate::failpoint;
use crate::problem;
use crate::succession;
use crate::wire::Problem;

impl Driver {
    /// The state directory and its lock, if every app stands still. From now on nothing is written.
    pub(super) async fn lend(&mut self) -> Result<(PathBuf, OwnedFd), Problem> {
        if let Some(app) = self.moving() {
            return Err(succession::busy(app.as_str()));
        }
        let lent = self.journal.lend().await;
        failpoint::here("lend.has_lock");
        let lent = lent.map_err(|error| problem::journal(&error))?;
        // A canary could be judged, but nothing could come of it. The other process judges it anew.
        self.is_lent = true;
        Ok(lent)
    }

    /// Somebody wants to know when every app stands still.
    pub(super) fn wait_until_still(&mut self, who: oneshot::Sender<()>) {
        // Who has left needs no place.
        self.still.retain(|who| !who.is_closed());
        self.still.push(who);
    }

    /// Tells those who wait for it that every app stands still, if it is so.
    pub(super) fn tell_still(&mut self) {
        if !self.still.is_empty() && self.moving().is_none() {
            // Who has left need not know.
            for who in self.still.drain(..) {
                let _ = who.send(());
            }
        }
    }

    /// An app that is in the middle of something.
    fn moving(&self) -> Option<&AppName> {
        let mut apps = self.apps.iter();
        let moving = apps.find(|(_, kept)| !stands_still(&kept.app));
        moving.map(|(name, _)| name)
    }

    /// The other process is gone. Whoever has seen its tables finds their numbers for nothing else.
    pub(super) async fn take_back(&mut self) {
        self.is_lent = false;
        for (name, used) in self.journal.take_back().await {
            if let Some(kept) = self.apps.get_mut(&name) {
                kept.app.skip(used);
            } else if let Some(past) = self.absent.get_mut(&name) {
                past.skip(used);
            }
        }
    }
}

/// Nothing is lost if another process takes it over. A canary goes on there, in the same stage and with the same clients; not
/// while its smoke tests are asked, whose answers only this process hears.
fn stands_still(app: &App) -> bool {
    match app.phase() {
        Phase::Empty | Phase::Steady => true,
        Phase::Canary => app
            .rollout()
            .is_some_and(|underway| is_judged(underway.going.stage)),
        Phase::Booting | Phase::Holding | Phase::Draining => false,
    }
}
