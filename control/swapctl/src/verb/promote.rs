//! `swapctl promote`: one transaction, from the boot gate to the receipt.

mod command;

use holdfast_control::client::ClientError;
use holdfast_control::wire::{Begun, PromoteRequest};

use super::{Asked, begin, follow_to_receipt, path};
use crate::cli::{self, How};
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::Promote) -> Result<Exit, ClientError> {
    let cli::Promote {
        app,
        release,
        instance,
        strategy,
        boot_timeout,
        drain_timeout,
        hold_timeout,
        if_current,
        reason,
        operation,
        detach,
        command,
    } = typed;
    let with_command = !command.is_empty();
    if with_command && strategy != How::Hold {
        return Ok(Exit::usage(
            "a COMMAND runs inside a hold",
            Some("add --strategy hold"),
        ));
    }
    let body = PromoteRequest {
        release: Some(release.clone()),
        instance,
        strategy: strategy.into(),
        boot_timeout,
        drain_timeout,
        hold_timeout,
        if_current,
        reason,
        operation,
        detach: !with_command,
        command: with_command,
    };
    let path = path(&app, "promote");
    if with_command {
        return command::run(asked, &path, &body, &release, &command).await;
    }
    if detach {
        let operation = begin(asked, &path, &body).await?;
        if asked.json {
            output::json(&Begun { operation });
        } else {
            output::line(operation.as_str());
        }
        return Ok(Exit::Done);
    }
    follow_to_receipt(asked, &path, &body).await
}
