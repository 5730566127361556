//! The journal during an upgrade: another process reads it, and writes it if it stays.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use swap_core::{AppName, Phase};
use tokio::sync::oneshot;

use super::Driver;
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
        lent.map_err(|error| problem::journal(&error))
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
        let stands = |phase| matches!(phase, Phase::Empty | Phase::Steady);
        let mut apps = self.apps.iter();
        let moving = apps.find(|(_, kept)| !stands(kept.app.phase()));
        moving.map(|(name, _)| name)
    }

    /// The other process is gone. Whoever has seen its tables finds their numbers for nothing else.
    pub(super) async fn take_back(&mut self) {
        for (name, used) in self.journal.take_back().await {
            if let Some(kept) = self.apps.get_mut(&name) {
                kept.app.skip(used);
            } else if let Some(past) = self.absent.get_mut(&name) {
                past.skip(used);
            }
        }
    }
}
