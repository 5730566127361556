//! Replacing the daemon's own program, as far as it is the control plane's: what one process lends the other, and who
//! carries it out.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use crate::problem::problem;
use crate::wire::{Problem, Upgraded};

/// Carries an upgrade out. While it runs no command is taken and nothing is written to the journal.
pub type UpgradeHook = Arc<dyn Fn(Lent) -> Upgrading + Send + Sync>;

/// How that ends: another process serves, or this one goes on, and why.
pub type Upgrading = Pin<Box<dyn Future<Output = Result<Upgraded, String>> + Send>>;

/// What goes to the successor.
#[derive(Debug)]
pub struct Lent {
    /// Its program; none: what is now where this daemon's was.
    pub binary: Option<PathBuf>,
    /// What it must not take anew.
    pub belongings: Belongings,
}

/// What there can be only one of, and two processes have together during an upgrade.
pub struct Belongings {
    /// Where the journal is.
    pub state_dir: PathBuf,
    /// Its lock, which is free when both have closed it.
    pub lock: OwnedFd,
    /// Where the control socket is.
    pub socket: PathBuf,
    /// The socket itself. It listens.
    pub listener: OwnedFd,
}

impl fmt::Debug for Belongings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            state_dir, socket, ..
        } = self;
        write!(f, "{} and {}", state_dir.display(), socket.display())
    }
}

/// Why an upgrade has to wait.
pub(crate) const BUSY: &str = "busy";

/// A successor takes over apps that stand still.
pub(crate) fn busy(app: &str) -> Problem {
    let detail = format!("app {app} is in the middle of something: see swapctl status");
    problem(409, BUSY, "another operation is under way", detail)
}

/// The old process goes on.
pub(crate) fn failed(why: String) -> Problem {
    let title = "the program was not replaced; the old one serves";
    problem(502, "upgrade_failed", title, why)
}
