//! The journal during an upgrade: another process reads it, and writes it if it stays.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use swap_core::Phase;

use super::Driver;
use crate::problem;
use crate::succession;
use crate::wire::Problem;

impl Driver {
    /// The state directory and its lock, if every app stands still. From now on nothing is written.
    pub(super) async fn lend(&mut self) -> Result<(PathBuf, OwnedFd), Problem> {
        let stands = |phase| matches!(phase, Phase::Empty | Phase::Steady);
        let busy = self.apps.iter().find(|(_, kept)| !stands(kept.app.phase()));
        if let Some((name, _)) = busy {
            return Err(succession::busy(name.as_str()));
        }
        let lent = self.journal.lend().await;
        lent.map_err(|error| problem::journal(&error))
    }
}
