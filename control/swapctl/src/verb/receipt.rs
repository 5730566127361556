//! `swapctl receipt`: what happened in an operation. It reports; how the operation went is not its own exit code.

use clap::Args;
use holdfast_control::wire::{self, Operation};
use swap_core::OperationId;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Ended, Session};
use crate::told;

/// What happened in an operation; in the last one if none is named
#[derive(Args, Debug)]
pub(crate) struct Receipt {
    /// Which; the last one if none is named
    #[arg(value_name = "OPERATION")]
    operation: Option<OperationId>,
}

impl Receipt {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let receipt = match self.operation {
            Some(operation) => of(session, &operation).await?,
            None => session.look("/v1/receipt").await?,
        };
        let text = told::receipt::text(&receipt);
        session.output.result(&receipt, &text)?;
        Ok(Exit::Done)
    }
}

async fn of(session: &Session, operation: &OperationId) -> Result<wire::Receipt, Failure> {
    let path = format!("/v1/operations/{operation}");
    match session.look(&path).await? {
        Operation::Ended { receipt } => Ok(receipt),
        Operation::Running {
            operation,
            app,
            phase,
        } => Err(Failure::UnderWay {
            operation,
            app,
            phase,
        }),
    }
}
