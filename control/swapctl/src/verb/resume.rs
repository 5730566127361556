//! `swapctl resume`: ends a hold by command; requests go on in the order in which they came. A canary that waits goes on.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Let held requests go, or a canary that waits go on
#[derive(Args, Debug)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Resume {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session.command(&self.app.path("resume"), &Nothing {}).await
    }
}
