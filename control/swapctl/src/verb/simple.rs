//! `swapctl resume`, `abort`, `unblock`, `reload`: done at once, without fields.

use holdfast_control::client::{ClientError, Nothing};
use holdfast_control::wire::Said;

use super::{Asked, path};
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, verb: &str, typed: &cli::App) -> Result<Exit, ClientError> {
    say(
        asked,
        asked.client.post(&path(typed, verb), &Nothing {}).await?,
    )
}

pub(crate) async fn reload(asked: &Asked) -> Result<Exit, ClientError> {
    say(asked, asked.client.post("/v1/reload", &Nothing {}).await?)
}

pub(super) fn say(asked: &Asked, said: Said) -> Result<Exit, ClientError> {
    if asked.json {
        output::json(&said);
    } else {
        output::line(&said.done);
    }
    Ok(Exit::Done)
}
