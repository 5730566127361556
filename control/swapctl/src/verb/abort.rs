//! `swapctl abort`: ends the swap under way, as long as it has not swapped.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::cli::App;
use crate::session::{Ended, Session};

/// End the swap under way; the old release keeps serving
#[derive(Args, Debug)]
pub(crate) struct Abort {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Abort {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session.command(&self.app.path("abort"), &Nothing {}).await
    }
}
