//! `swapctl advance`: a canary's next step, whatever the judge says.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Take a canary's next step, whatever the judge says
#[derive(Args, Debug)]
pub(crate) struct Advance {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Advance {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session
            .command(&self.app.path("advance"), &Nothing {})
            .await
    }
}
