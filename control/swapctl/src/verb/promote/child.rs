//! The COMMAND as a child process: in the foreground, with our terminal and our process group.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use holdfast_control::wire::CommandEnd;
use swap_core::{AppName, ReleaseId};
use tokio::process;

use crate::output::Output;
use crate::signals::{Signal, Signals};

/// What is to be run.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) release: ReleaseId,
}

/// It runs. Its drop does not end it: half a migration is worse than a late one.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    name: String,
}

impl Recipe {
    pub(super) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Starts it. It finds the app's name in `HOLDFAST_APP` and the new release's id in `HOLDFAST_RELEASE`.
    pub(super) fn start(&self, app: Option<&AppName>, output: Output) -> Result<Child, CommandEnd> {
        let mut command = process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("HOLDFAST_RELEASE", self.release.as_str());
        if let Some(app) = app {
            command.env("HOLDFAST_APP", app.as_str());
        }
        if output.is_json() {
            // Standard output is for one JSON object, and nothing else.
            command.stdout(Stdio::from(io::stderr()));
        }
        let name = self.name();
        match command.spawn() {
            Ok(process) => Ok(Child { process, name }),
            Err(error) => Err(failed(match error.kind() {
                io::ErrorKind::NotFound => format!("{name}: command not found"),
                io::ErrorKind::PermissionDenied => format!("{name}: not executable"),
                _ => format!("{name}: {error}"),
            })),
        }
    }
}

impl Child {
    /// Waits for its end, however long it takes; the hold's limit is the daemon's. A signal to us goes on to it; then it
    /// has failed, whatever it says.
    pub(super) async fn end(mut self, signals: &mut Signals) -> CommandEnd {
        let mut first = None;
        loop {
            tokio::select! {
                status = self.process.wait() => return self.ended(status, first),
                signal = signals.next() => {
                    first.get_or_insert(signal);
                    // Without an id it has ended, and the other branch will say so.
                    if let Some(id) = self.process.id() {
                        signal.pass_on(id);
                    }
                }
            }
        }
    }

    fn ended(&self, status: io::Result<ExitStatus>, signal: Option<Signal>) -> CommandEnd {
        let how = match status {
            Ok(status) => self.in_words(status),
            Err(error) => Some(format!("{}: {error}", self.name)),
        };
        match (how, signal) {
            (None, None) => CommandEnd {
                ok: true,
                why: None,
            },
            (Some(how), None) => failed(how),
            (how, Some(signal)) => {
                let how = how.unwrap_or_else(|| format!("{}: exit status 0", self.name));
                failed(format!("swapctl received {signal}; {how}"))
            }
        }
    }

    fn in_words(&self, status: ExitStatus) -> Option<String> {
        let name = &self.name;
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("{name}: exit status {code}")),
            (None, Some(signal)) => Some(format!("{name}: killed by signal {signal}")),
            (None, None) => Some(format!("{name}: {status}")),
        }
    }
}

/// It has failed.
pub(super) fn failed(why: String) -> CommandEnd {
    CommandEnd {
        ok: false,
        why: Some(why),
    }
}
