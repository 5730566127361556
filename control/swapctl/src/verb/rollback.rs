//! `swapctl rollback`: back to the release before, which was kept warm, or to a named one.

use clap::Args;
use holdfast_control::client::new_operation;
use holdfast_control::wire::RollbackRequest;
use swap_core::ReleaseId;

use crate::cli::App;
use crate::follow;
use crate::session::{Ended, Session};

/// Back to the release before, or to a named one
#[derive(Args, Debug)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) app: App,
    /// To which release, if not the one before
    #[arg(long, value_name = "ID")]
    release: Option<ReleaseId>,
    /// Why, for the receipt
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Rollback {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let operation = new_operation();
        let request = RollbackRequest {
            release: self.release,
            reason: self.reason,
            operation: Some(operation.clone()),
            detach: false,
        };
        let path = self.app.path("rollback");
        let receipt = follow::to_receipt(session, &operation, &path, &request).await?;
        follow::write(session, &receipt)
    }
}
