//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use swap_core::{OperationId, ReleaseId, Strategy};

/// Replace an app's release behind Holdfast, without losing a request.
///
/// Exit codes: 0 done · 1 internal error · 2 usage · 3 daemon not reachable · 4 gate failed, the old release serves ·
/// 6 refused (another swap, --if-current, blocked) · 7 outcome unknown · 8 done, but requests were lost or cut.
#[derive(Debug, Parser)]
#[command(name = "swapctl", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The daemon's control socket
    #[arg(long, global = true, value_name = "PATH", env = "HOLDFAST_CONTROL")]
    pub(crate) control: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What is live and since when; what comes next; what is held; what drains
    Status(App),
    /// Replace the live release
    Promote(Promote),
    /// Probe a release and keep it ready, without traffic
    Stage(Stage),
    /// Forget a staged release
    Unstage(Unstage),
    /// Hold requests; returns when the running ones have ended
    Hold(Hold),
    /// Let held requests go
    Resume(App),
    /// Back to the release before, or to a named one
    Rollback(Rollback),
    /// End the swap under way; the old release keeps serving
    Abort(App),
    /// Refuse promotes until `unblock`
    Block(Block),
    /// Allow promotes again
    Unblock(App),
    /// Earlier operations, newest first
    History(History),
    /// What happened in an operation; in the last one if none is named
    Receipt(Receipt),
    /// What happens, one JSON line an event
    Events(Events),
    /// What a hold would mean now
    Plan(Plan),
    /// Read the configuration anew, all or nothing
    Reload,
    /// Completions for a shell
    Completions(Completions),
    /// The versions of swapctl and of the daemon
    Version,
}

#[derive(Args, Debug)]
pub(crate) struct App {
    /// The app; may be left out where there is only one
    #[arg(value_name = "APP")]
    pub(crate) app: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) app: App,
    /// The new release's id, such as a git SHA
    #[arg(long, value_name = "ID")]
    pub(crate) release: ReleaseId,
    /// Where it runs, `host:port` or `unix:/path`; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(crate) instance: Vec<String>,
    /// overlap: the old one serves until the new one is ready; hold: requests wait, only one copy runs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) strategy: How,
    /// How long the new release may take to get ready
    #[arg(long, value_name = "D")]
    pub(crate) boot_timeout: Option<String>,
    /// How long running requests of the old release may take to end
    #[arg(long, value_name = "D")]
    pub(crate) drain_timeout: Option<String>,
    /// How long requests may be held, with strategy hold
    #[arg(long, value_name = "D")]
    pub(crate) hold_timeout: Option<String>,
    /// Refuse unless this release is live
    #[arg(long, value_name = "ID")]
    pub(crate) if_current: Option<ReleaseId>,
    /// Why, for the receipt
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The operation's id: the same one again returns the first one's result
    #[arg(long, value_name = "ID")]
    pub(crate) operation: Option<OperationId>,
    /// Return at once with the operation's id
    #[arg(long, conflicts_with = "command")]
    pub(crate) detach: bool,
    /// With strategy hold: run this while requests are held; put everything back if it fails
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// `--strategy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    #[default]
    Overlap,
    Hold,
}

impl From<How> for Strategy {
    fn from(how: How) -> Self {
        match how {
            How::Overlap => Self::Overlap,
            How::Hold => Self::Hold,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Stage {
    #[command(flatten)]
    pub(crate) app: App,
    /// The release's id
    #[arg(long, value_name = "ID")]
    pub(crate) release: ReleaseId,
    /// Where it runs; may be given several times
    #[arg(long, value_name = "ADDR", required = true)]
    pub(crate) instance: Vec<String>,
    /// How long it may take to get ready
    #[arg(long, value_name = "D")]
    pub(crate) boot_timeout: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Unstage {
    #[command(flatten)]
    pub(crate) app: App,
    /// The release's id
    #[arg(long, value_name = "ID")]
    pub(crate) release: ReleaseId,
}

#[derive(Args, Debug)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) app: App,
    /// Hold only methods that may change something
    #[arg(long, conflicts_with = "methods")]
    pub(crate) writes: bool,
    /// Hold only these methods
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) methods: Option<Vec<String>>,
    /// When it ends by itself
    #[arg(long, value_name = "D")]
    pub(crate) timeout: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) app: App,
    /// To which release, if not the previous one
    #[arg(long, value_name = "ID")]
    pub(crate) release: Option<ReleaseId>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Block {
    #[command(flatten)]
    pub(crate) app: App,
    /// Why, for whoever is refused
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) app: App,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Args, Debug)]
pub(crate) struct Receipt {
    /// Which; the last one if none is named
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: Option<OperationId>,
}

#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Go on as they happen
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) app: App,
    /// How long the new release takes to boot
    #[arg(long, value_name = "D")]
    pub(crate) boot: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
