//! `swapctl promote`: one transaction, from the boot gate to the receipt.

mod canary;
mod child;
mod inside;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};
use holdfast_control::client::new_operation;
use holdfast_control::wire::{Begun, PromoteRequest};
use swap_core::{OperationId, ReleaseId, Strategy, duration};

use crate::cli::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow;
use crate::output::hints;
use crate::session::{Ended, Session};

const EXAMPLES: &str = "\
Examples:
  swapctl promote --release 9f3c1a2 --instance 127.0.0.1:3001
  swapctl promote web --release 9f3c1a2 --instance 127.0.0.1:3000 --strategy hold -- ./restart.sh
  swapctl promote web --release 9f3c1a2 --instance 127.0.0.1:3001 --strategy canary \\
    --smoke /checkout=200 --gate-prometheus 'http://127.0.0.1:9090|sum(rate(orders_total[1m]))|> 3'";

/// Replace the live release
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) app: App,
    /// The new release's id, such as a git SHA
    #[arg(long, value_name = "ID")]
    release: ReleaseId,
    /// Where it runs: `host:port` or `unix:/path`; may be given several times. Not needed for a staged release
    #[arg(long, value_name = "ADDR")]
    instance: Vec<String>,
    /// How it takes over
    #[arg(long, value_enum, default_value_t)]
    strategy: How,
    /// How long the new release may take to get ready
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    boot_timeout: Option<Duration>,
    /// How long running requests of the old release may take to end
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    drain_timeout: Option<Duration>,
    /// How long requests may wait, with strategy hold
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    hold_timeout: Option<Duration>,
    #[command(flatten)]
    canary: canary::Flags,
    /// Refuse unless this release is live
    #[arg(long, value_name = "ID")]
    if_current: Option<ReleaseId>,
    /// Why, for the receipt
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The operation's id: the same one again returns the first one's result
    #[arg(long, value_name = "ID")]
    operation: Option<OperationId>,
    /// Return at once with the operation's id
    #[arg(long, conflicts_with = "command")]
    detach: bool,
    /// With strategy hold: run this while requests wait; put everything back if it fails
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// `--strategy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum How {
    /// The old release serves until the new one is ready
    #[default]
    Overlap,
    /// Requests wait while the old one ends and the new one boots: only one copy ever runs
    Hold,
    /// A growing share of the clients gets the new one, and it is judged; any no goes back and blocks
    Canary,
}

/// What was meant.
struct Meant {
    operation: OperationId,
    path: String,
    request: PromoteRequest,
    run: Run,
}

/// What swapctl does meanwhile.
enum Run {
    Wait,
    Leave,
    Inside(child::Recipe),
}

impl Promote {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let Meant {
            operation,
            path,
            request,
            run,
        } = self.meant()?;
        let receipt = match run {
            Run::Leave => return leave(session, &operation, &path, &request).await,
            Run::Wait => follow::to_receipt(session, &operation, &path, &request).await?,
            Run::Inside(recipe) => {
                inside::to_receipt(session, &operation, &path, &request, &recipe).await?
            }
        };
        follow::write(session, &receipt)
    }

    fn meant(self) -> Result<Meant, Failure> {
        let run = match (self.command.split_first(), self.strategy) {
            (Some((program, arguments)), How::Hold) => Run::Inside(child::Recipe {
                program: program.clone(),
                arguments: arguments.to_vec(),
                release: self.release.clone(),
            }),
            (Some(_), How::Overlap | How::Canary) => {
                let strategy = self.strategy.word();
                let what = format!("a COMMAND runs inside a hold, and the strategy is {strategy}");
                return Err(Failure::usage(what, "add --strategy hold"));
            }
            (None, How::Overlap | How::Canary) if self.hold_timeout.is_some() => {
                let strategy = self.strategy.word();
                let what = format!("--hold-timeout limits a hold, and the strategy is {strategy}");
                return Err(Failure::usage(what, "add --strategy hold"));
            }
            (None, How::Overlap | How::Hold) if self.canary.any() => {
                let strategy = self.strategy.word();
                let what = format!(
                    "steps, smoke tests and gates are a canary's, and the strategy is {strategy}"
                );
                return Err(Failure::usage(what, "add --strategy canary"));
            }
            (None, _) if self.detach => Run::Leave,
            (None, _) => Run::Wait,
        };
        let text = |limit: Option<Duration>| limit.map(|limit| duration::text(limit).to_string());
        let operation = self.operation.unwrap_or_else(new_operation);
        let request = PromoteRequest {
            release: Some(self.release),
            instance: self.instance,
            strategy: self.strategy.into(),
            boot_timeout: text(self.boot_timeout),
            drain_timeout: text(self.drain_timeout),
            hold_timeout: text(self.hold_timeout),
            if_current: self.if_current,
            steps: self.canary.steps(),
            step_time: text(self.canary.step_time),
            watch: text(self.canary.watch),
            on_fail: self.canary.on_fail.map(Into::into),
            on_quiet: self.canary.on_quiet.map(Into::into),
            smoke: self.canary.smoke,
            gate_exec: self.canary.gate_exec,
            gate_prometheus: self.canary.gate_prometheus,
            reason: self.reason,
            operation: Some(operation.clone()),
            detach: self.detach,
            command: matches!(run, Run::Inside(_)),
        };
        Ok(Meant {
            operation,
            path: self.app.path("promote"),
            request,
            run,
        })
    }
}

/// `--detach`
async fn leave(
    session: &Session,
    operation: &OperationId,
    path: &str,
    request: &PromoteRequest,
) -> Ended {
    let begun: Begun = match session.client.post(path, request).await {
        Ok(begun) => begun,
        Err(why) if why.leaves_doubt() => {
            let operation = operation.clone();
            return Err(Failure::OutcomeUnknown { operation, why });
        }
        Err(error) => return Err(Failure::Command(error)),
    };
    session.output.result(&begun, begun.operation.as_str())?;
    hints(&[format!("its end: swapctl receipt {}", begun.operation)]);
    Ok(Exit::Done)
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Hold => "hold",
            Self::Canary => "canary",
        }
    }
}

impl From<How> for Strategy {
    fn from(how: How) -> Self {
        match how {
            How::Overlap => Self::Overlap,
            How::Hold => Self::Hold,
            How::Canary => Self::Canary,
        }
    }
}
