//! `swapctl unblock`: promotes are allowed again.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Allow promotes again
#[derive(Args, Debug)]
pub(crate) struct Unblock {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Unblock {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session
            .command(&self.app.path("unblock"), &Nothing {})
            .await
    }
}
