//! `swapctl unstage`: a staged release is forgotten.

use clap::Args;
use holdfast_control::wire::UnstageRequest;
use swap_core::ReleaseId;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Forget a staged release
#[derive(Args, Debug)]
pub(crate) struct Unstage {
    #[command(flatten)]
    pub(crate) app: App,
    /// The release's id
    #[arg(long, value_name = "ID")]
    release: ReleaseId,
}

impl Unstage {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let request = UnstageRequest {
            release: Some(self.release),
        };
        session.command(&self.app.path("unstage"), &request).await
    }
}
