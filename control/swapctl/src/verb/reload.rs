//! `swapctl reload`: the daemon reads its configuration anew, all or nothing, and says what has changed.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::session::{Ended, Session};

/// Read the configuration anew, all or nothing
#[derive(Args, Debug)]
pub(crate) struct Reload {}

impl Reload {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session.command("/v1/reload", &Nothing {}).await
    }
}
