//! `swapctl stage` and `unstage`: a release that is ready and gets no traffic.

use holdfast_control::client::ClientError;
use holdfast_control::wire::{Receipt, StageRequest, UnstageRequest};

use super::{Asked, path, simple};
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::Stage) -> Result<Exit, ClientError> {
    let cli::Stage {
        app,
        release,
        instance,
        boot_timeout,
    } = typed;
    let body = StageRequest {
        release: Some(release),
        instance,
        boot_timeout,
        operation: None,
    };
    let receipt: Receipt = asked.client.post(&path(&app, "stage"), &body).await?;
    output::receipt(&receipt, asked.json);
    Ok(Exit::of_receipt(&receipt))
}

pub(crate) async fn forget(asked: &Asked, typed: cli::Unstage) -> Result<Exit, ClientError> {
    let body = UnstageRequest {
        release: Some(typed.release),
    };
    simple::say(
        asked,
        asked
            .client
            .post(&path(&typed.app, "unstage"), &body)
            .await?,
    )
}
