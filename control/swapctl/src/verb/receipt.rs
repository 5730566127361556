//! `swapctl receipt`: what happened in an operation.

use holdfast_control::client::ClientError;
use holdfast_control::wire::{Operation, Receipt};

use super::Asked;
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::Receipt) -> Result<Exit, ClientError> {
    let receipt: Receipt = match typed.operation {
        None => asked.client.get("/v1/receipt").await?,
        Some(operation) => match asked
            .client
            .get(&format!("/v1/operations/{operation}"))
            .await?
        {
            Operation::Ended { receipt } => receipt,
            Operation::Running { phase, .. } => {
                output::error(
                    &format!("operation {operation} is under way ({phase})"),
                    None,
                );
                return Ok(Exit::Unknown);
            }
        },
    };
    output::receipt(&receipt, asked.json);
    Ok(Exit::Done)
}
