//! `swapctl hold`: returns when running requests have ended; the hold goes on.

use holdfast_control::client::ClientError;
use holdfast_control::wire::{HoldRequest, Receipt};
use swap_core::Methods;

use super::{Asked, path};
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::Hold) -> Result<Exit, ClientError> {
    let cli::Hold {
        app,
        writes,
        methods,
        timeout,
        reason,
    } = typed;
    let upper = |names: Vec<String>| -> Vec<String> {
        names.iter().map(|name| name.to_ascii_uppercase()).collect()
    };
    let methods = match methods
        .map(|names| Methods::try_from(upper(names)))
        .transpose()
    {
        Ok(methods) => methods,
        Err(why) => return Ok(Exit::usage(&format!("--methods: {why}"), None)),
    };
    let body = HoldRequest {
        writes,
        methods,
        timeout,
        reason,
        operation: None,
    };
    let receipt: Receipt = asked.client.post(&path(&app, "hold"), &body).await?;
    output::receipt(&receipt, asked.json);
    let exit = Exit::of_receipt(&receipt);
    if exit == Exit::Done {
        output::note(&format!(
            "{} is held and quiet; `swapctl resume {}` ends it",
            receipt.app, receipt.app
        ));
    }
    Ok(exit)
}
