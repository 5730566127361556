//! `swapctl block`: promotes are refused from now on, with the reason and who.

use holdfast_control::client::ClientError;
use holdfast_control::wire::BlockRequest;

use super::{Asked, path, simple};
use crate::cli;
use crate::exit::Exit;

pub(crate) async fn run(asked: &Asked, typed: cli::Block) -> Result<Exit, ClientError> {
    let body = BlockRequest {
        reason: Some(typed.reason),
    };
    simple::say(
        asked,
        asked.client.post(&path(&typed.app, "block"), &body).await?,
    )
}
