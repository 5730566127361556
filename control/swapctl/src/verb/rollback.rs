//! `swapctl rollback`: to the release before, or to a named one.

use holdfast_control::client::ClientError;
use holdfast_control::wire::RollbackRequest;

use super::{Asked, follow_to_receipt, path};
use crate::cli;
use crate::exit::Exit;

pub(crate) async fn run(asked: &Asked, typed: cli::Rollback) -> Result<Exit, ClientError> {
    let cli::Rollback {
        app,
        release,
        reason,
    } = typed;
    let body = RollbackRequest {
        release,
        reason,
        operation: None,
        detach: true,
    };
    follow_to_receipt(asked, &path(&app, "rollback"), &body).await
}
