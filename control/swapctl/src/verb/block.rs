//! `swapctl block`: promotes are refused from now on, with the reason and who said it.

use clap::Args;
use holdfast_control::wire::BlockRequest;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Refuse promotes until `unblock`
#[derive(Args, Debug)]
pub(crate) struct Block {
    #[command(flatten)]
    pub(crate) app: App,
    /// Why, for whoever is refused
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Block {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let request = BlockRequest {
            reason: Some(self.reason),
        };
        session.command(&self.app.path("block"), &request).await
    }
}
