//! What may be typed: the verbs, and what all of them take. The fields of a verb are in its own file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use swap_core::AppName;

use crate::verb::{
    abort::Abort, advance::Advance, block::Block, completions::Completions, events::Events,
    experiment::Experiment, history::History, hold::Hold, pause::Pause, plan::Plan,
    promote::Promote, receipt::Receipt, reload::Reload, resume::Resume, rollback::Rollback,
    stage::Stage, status::Status, unblock::Unblock, unstage::Unstage, upgrade::Upgrade,
    version::Version,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  internal error
  2  usage: something that was typed makes no sense
  3  the daemon is not reachable
  4  the gate failed, the swap was aborted, or there was not enough traffic; the old release serves
  5  rolled back by the judge; the old release serves, and promotes are blocked
  6  refused: another swap is under way, --if-current, blocked
  7  outcome unknown: look at `swapctl status`
  8  done, but requests were lost or cut";

const EVERYWHERE: &str = "Options of every verb";

/// Replace an app's release behind Holdfast, without losing a request.
#[derive(Debug, Parser)]
#[command(name = "swapctl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The daemon's control socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "HOLDFAST_CONTROL",
        help_heading = EVERYWHERE,
        hide_env_values = true
    )]
    pub(crate) control: Option<PathBuf>,
    /// One JSON object on standard output, the words for people on standard error
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is typed, once")]
pub(crate) enum Verb {
    Status(Status),
    Promote(Promote),
    Stage(Stage),
    Unstage(Unstage),
    Hold(Hold),
    Resume(Resume),
    Rollback(Rollback),
    Abort(Abort),
    Pause(Pause),
    Advance(Advance),
    Experiment(Experiment),
    Block(Block),
    Unblock(Unblock),
    History(History),
    Receipt(Receipt),
    Events(Events),
    Plan(Plan),
    Reload(Reload),
    Upgrade(Upgrade),
    Completions(Completions),
    Version(Version),
}

/// Which app.
#[derive(Args, Clone, Debug)]
pub(crate) struct App {
    /// The app; may be left out where there is only one
    #[arg(value_name = "APP")]
    app: Option<AppName>,
}

impl App {
    /// The one of this name; none: the only one.
    pub(crate) const fn named(app: Option<AppName>) -> Self {
        Self { app }
    }

    /// Its name, if one was typed.
    pub(crate) fn typed(&self) -> Option<&AppName> {
        self.app.as_ref()
    }

    /// Where a command for it goes. `-` is the only app, and the daemon's to find.
    pub(crate) fn path(&self, verb: &str) -> String {
        let app = self.app.as_ref().map_or("-", AppName::as_str);
        format!("/v1/apps/{app}/{verb}")
    }
}
