//! The COMMAND of a promote with strategy hold: it runs here, with this terminal, while requests are held. However it
//! ends, and however swapctl does, the daemon hears of it.

use std::ffi::OsString;
use std::process::ExitStatus;

use holdfast_control::client::{Client, ClientError, EventStream};
use holdfast_control::wire::{CommandEnd, PromoteRequest, Receipt, Said, What};
use swap_core::{AppName, OperationId, ReleaseId};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::Asked;
use crate::exit::Exit;
use crate::follow::{self, Progress};
use crate::output;

pub(super) async fn run(
    asked: &Asked,
    path: &str,
    body: &PromoteRequest,
    release: &ReleaseId,
    command: &[OsString],
) -> Result<Exit, ClientError> {
    let mut stream = asked.client.post_and_listen(path, body).await?;
    let mut progress = Progress::new();
    let mut operation = None;
    // Whatever the daemon says: a migration runs once.
    let mut command = Some(command);
    let receipt = loop {
        match next(&mut stream).await {
            Ok(Some((id, app, what))) => {
                operation = id.or(operation);
                progress.show(&what);
                match what {
                    What::Receipt { receipt } => break receipt,
                    What::Phase { phase, .. } if phase == "command" => {
                        progress.end();
                        let (Some(id), Some(command)) = (&operation, command.take()) else {
                            continue;
                        };
                        let end = execute(command, app.as_ref(), release).await;
                        report(&asked.client, id, end).await?;
                    }
                    _ => {}
                }
            }
            Ok(None) | Err(_) => break end_of(&asked.client, operation.as_ref()).await?,
        }
    };
    progress.end();
    output::receipt(&receipt, asked.json);
    Ok(Exit::of_receipt(&receipt))
}

type Told = (Option<OperationId>, Option<AppName>, What);

async fn next(stream: &mut EventStream) -> Result<Option<Told>, ClientError> {
    Ok(stream
        .next()
        .await?
        .map(|event| (event.operation, event.app, event.what)))
}

/// The stream was lost: the operation goes on without us.
async fn end_of(client: &Client, operation: Option<&OperationId>) -> Result<Receipt, ClientError> {
    match operation {
        Some(operation) => follow::wait(client, operation).await,
        None => Err(ClientError::Lost("before anything was said".into())),
    }
}

/// Runs it to its end. A signal to us goes on to it; then it has failed, whatever it says.
async fn execute(command: &[OsString], app: Option<&AppName>, release: &ReleaseId) -> CommandEnd {
    let failed = |why: String| CommandEnd {
        ok: false,
        why: Some(why),
    };
    let [program, arguments @ ..] = command else {
        return failed("there is no command".into());
    };
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env("HOLDFAST_RELEASE", release.as_str());
    if let Some(app) = app {
        child.env("HOLDFAST_APP", app.as_str());
    }
    let name = program.to_string_lossy();
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => {
            output::error(&format!("{name}: {error}"), None);
            return failed(format!("{name}: {error}"));
        }
    };
    let (interrupt, terminate) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return of_status(&name, child.wait().await);
    };
    let received = tokio::select! {
        status = child.wait() => return of_status(&name, status),
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    if let Some(pid) = child.id() {
        // std has no way to send TERM; kill(1) is everywhere.
        let _ = Command::new("kill")
            .arg("-TERM")
            .arg(pid.to_string())
            .status()
            .await;
    }
    let _ = child.wait().await;
    failed(format!("swapctl received {received} while {name} ran"))
}

fn of_status(name: &str, status: std::io::Result<ExitStatus>) -> CommandEnd {
    match status {
        Ok(status) if status.success() => CommandEnd {
            ok: true,
            why: None,
        },
        Ok(status) => CommandEnd {
            ok: false,
            why: Some(format!("{name}: {status}")),
        },
        Err(error) => CommandEnd {
            ok: false,
            why: Some(format!("{name}: {error}")),
        },
    }
}

async fn report(
    client: &Client,
    operation: &OperationId,
    end: CommandEnd,
) -> Result<(), ClientError> {
    let path = format!("/v1/operations/{operation}/command");
    client.post::<Said>(&path, &end).await.map(drop)
}
