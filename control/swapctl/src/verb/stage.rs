//! `swapctl stage`: a release is probed and kept ready, without traffic, to be promoted later by its id.

use std::time::Duration;

use clap::Args;
use holdfast_control::client::new_operation;
use holdfast_control::wire::StageRequest;
use swap_core::{ReleaseId, duration};

use crate::cli::App;
use crate::follow;
use crate::session::{Ended, Session};

/// Probe a release and keep it ready, without traffic
#[derive(Args, Debug)]
pub(crate) struct Stage {
    #[command(flatten)]
    pub(crate) app: App,
    /// The release's id
    #[arg(long, value_name = "ID")]
    release: ReleaseId,
    /// Where it runs: `host:port` or `unix:/path`; may be given several times
    #[arg(long, value_name = "ADDR", required = true)]
    instance: Vec<String>,
    /// How long it may take to get ready
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    boot_timeout: Option<Duration>,
}

impl Stage {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let operation = new_operation();
        let request = StageRequest {
            release: Some(self.release),
            instance: self.instance,
            boot_timeout: self
                .boot_timeout
                .map(|limit| duration::text(limit).to_string()),
            operation: Some(operation.clone()),
        };
        let path = self.app.path("stage");
        let receipt = follow::to_receipt(session, &operation, &path, &request).await?;
        follow::write(session, &receipt)
    }
}
