//! `swapctl upgrade`: the daemon's own program is replaced, and no connection notices.

use std::path::PathBuf;

use clap::Args;
use holdfast_control::wire::{UpgradeRequest, Upgraded};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Ended, Session};
use crate::words::{plain, span};

/// Replace the daemon's own program; clients notice nothing
#[derive(Args, Debug)]
pub(crate) struct Upgrade {
    /// The program to run; else what is now where the running one was started from
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Wait for operations, holds and drains to end, instead of exit 6
    #[arg(long)]
    wait: bool,
}

impl Upgrade {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        // The daemon may have another working directory.
        let binary = self.binary.map(std::path::absolute).transpose();
        let binary = binary.map_err(Failure::System)?;
        let wait = self.wait;
        let request = UpgradeRequest { binary, wait };
        let asked = session.client.upgrade(&request).await;
        let upgraded: Upgraded = asked.map_err(Failure::Command)?;
        let Upgraded {
            pid,
            version,
            was,
            took_ms,
        } = &upgraded;
        let version = plain(version);
        let took = span(*took_ms);
        let text = format!(
            "upgraded to {version}: pid {pid} serves, pid {was} answers its last requests; took {took}"
        );
        session.output.result(&upgraded, &text)?;
        Ok(Exit::Done)
    }
}
