//! The verbs, one file each.

mod block;
mod events;
mod history;
mod hold;
mod plan;
mod promote;
mod receipt;
mod rollback;
mod simple;
mod stage;
mod status;
mod version;

use holdfast_control::client::{Client, ClientError};
use holdfast_control::paths;
use serde::Serialize;
use swap_core::OperationId;

use crate::cli::{self, Cli, Verb};
use crate::exit::Exit;
use crate::{follow, output};

/// What every verb needs.
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) json: bool,
}

pub(crate) async fn run(typed: Cli) -> Exit {
    let Cli {
        control,
        json,
        verb,
    } = typed;
    if let Verb::Completions(typed) = verb {
        return completions(&typed);
    }
    let Some(socket) = paths::control_socket(control.as_deref()) else {
        let hint = "give --control, or set $HOLDFAST_CONTROL or $XDG_RUNTIME_DIR";
        return Exit::usage(
            "there is no place to look for the control socket",
            Some(hint),
        );
    };
    let asked = Asked {
        client: Client::new(socket),
        json,
    };
    let done = match verb {
        Verb::Status(typed) => status::run(&asked, typed).await,
        Verb::Promote(typed) => promote::run(&asked, typed).await,
        Verb::Stage(typed) => stage::run(&asked, typed).await,
        Verb::Unstage(typed) => stage::forget(&asked, typed).await,
        Verb::Hold(typed) => hold::run(&asked, typed).await,
        Verb::Resume(typed) => simple::run(&asked, "resume", &typed).await,
        Verb::Rollback(typed) => rollback::run(&asked, typed).await,
        Verb::Abort(typed) => simple::run(&asked, "abort", &typed).await,
        Verb::Block(typed) => block::run(&asked, typed).await,
        Verb::Unblock(typed) => simple::run(&asked, "unblock", &typed).await,
        Verb::History(typed) => history::run(&asked, typed).await,
        Verb::Receipt(typed) => receipt::run(&asked, typed).await,
        Verb::Events(typed) => events::run(&asked, typed).await,
        Verb::Plan(typed) => plan::run(&asked, typed).await,
        Verb::Reload => simple::reload(&asked).await,
        Verb::Version => version::run(&asked).await,
        Verb::Completions(_) => Ok(Exit::Done),
    };
    done.unwrap_or_else(|error| Exit::of_error(&error))
}

/// The path of a verb for an app; `-` is the only one.
fn path(app: &cli::App, verb: &str) -> String {
    format!("/v1/apps/{}/{verb}", app.app.as_deref().unwrap_or("-"))
}

/// Begins something, follows it to its end, and prints its receipt.
async fn follow_to_receipt(
    asked: &Asked,
    path: &str,
    body: &impl Serialize,
) -> Result<Exit, ClientError> {
    let operation = begin(asked, path, body).await?;
    let receipt = follow::to_the_end(&asked.client, &operation).await?;
    output::receipt(&receipt, asked.json);
    Ok(Exit::of_receipt(&receipt))
}

/// Begins something, and returns at once. The caller's body says `detach`.
async fn begin(
    asked: &Asked,
    path: &str,
    body: &impl Serialize,
) -> Result<OperationId, ClientError> {
    let begun: holdfast_control::wire::Begun = asked.client.post(path, body).await?;
    Ok(begun.operation)
}

fn completions(typed: &cli::Completions) -> Exit {
    let mut command = <Cli as clap::CommandFactory>::command();
    clap_complete::generate(typed.shell, &mut command, "swapctl", &mut std::io::stdout());
    Exit::Done
}
