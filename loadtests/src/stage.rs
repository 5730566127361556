//! What every scenario needs: a directory, apps, a daemon before them, load on it, and at the end a report.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_control::wire::Receipt;
use holdfast_load::app::{App, AppCommand};
use holdfast_load::clock::Moment;
use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::ledger::Ledger;
use holdfast_load::load::{Load, Plan};
use holdfast_load::report::Report;
use holdfast_load::run::Run;
use holdfast_load::verdict::Verdict;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::cli::Options;
use crate::daemon::{Daemon, Setting};
use crate::scenario::Scenario;
use crate::swapctl_child::{Ended, Swapctl};
use crate::trouble::Trouble;

/// How long an app may take to start or to stop.
pub(crate) const APP_TIMEOUT: Duration = Duration::from_secs(30);

/// What every scenario needs.
pub(crate) struct Stage {
    pub(crate) options: Options,
    pub(crate) daemon: Daemon,
    pub(crate) swapctl: Swapctl,
    /// Which release was to get requests when.
    pub(crate) reigns: Reigns,
    pub(crate) verdict: Verdict,
    /// Apps that have to run as long as it does.
    pub(crate) apps: Vec<App>,
    place: Place,
}

/// Where files go.
pub(crate) enum Place {
    Passing(TempDir),
    Kept(PathBuf),
}

impl Place {
    pub(crate) fn new(options: &Options) -> Result<Self, Trouble> {
        Self::make(options).map_err(|why| Trouble::io("no directory", why))
    }

    fn make(options: &Options) -> std::io::Result<Self> {
        match &options.keep {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                // The journal of an earlier time knows better than the configuration.
                let _ = std::fs::remove_dir_all(path.join("state"));
                let _ = std::fs::remove_file(path.join("ledger"));
                Ok(Self::Kept(path.clone()))
            }
            None => Ok(Self::Passing(tempfile::tempdir()?)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Passing(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// What a scenario plays with: the stage, and the app that is live at first.
pub(crate) struct Opening {
    pub(crate) stage: Stage,
    pub(crate) app: App,
}

impl Stage {
    /// A daemon before an app, release `v1`. `hold` and `timeouts` are lines of its configuration.
    pub(crate) async fn open(
        options: &Options,
        hold: &str,
        timeouts: &str,
    ) -> Result<Opening, Trouble> {
        let place = Place::new(options)?;
        let app = start(AppCommand::new("v1", place.path().join("ledger"))).await?;
        let stage = Self::before(place, app.address(), options, hold, timeouts).await?;
        Ok(Opening { stage, app })
    }

    /// The same before an app of another kind.
    pub(crate) async fn before(
        place: Place,
        first: SocketAddr,
        options: &Options,
        hold: &str,
        timeouts: &str,
    ) -> Result<Self, Trouble> {
        Self::with(place, options, &Setting::web(first, hold, timeouts)).await
    }

    /// The same with another configuration.
    pub(crate) async fn with(
        place: Place,
        options: &Options,
        setting: &Setting,
    ) -> Result<Self, Trouble> {
        let swapctl = Swapctl {
            program: options.swapctl.clone(),
            socket: place.path().join("control.sock"),
        };
        let holdfast = options.holdfast.as_deref();
        let daemon = Daemon::start(holdfast, place.path(), setting, &swapctl).await?;
        let mut reigns = Reigns::default();
        reigns.begin_at("v1", Moment::default());
        Ok(Self {
            options: options.clone(),
            daemon,
            swapctl,
            reigns,
            verdict: Verdict::default(),
            apps: Vec::new(),
            place,
        })
    }

    /// Where files go.
    pub(crate) fn directory(&self) -> &Path {
        self.place.path()
    }

    /// A release that is to be started, with the ledger that all of them share.
    pub(crate) fn command(&self, release: &str) -> AppCommand {
        AppCommand::new(release, self.place.path().join("ledger"))
    }

    /// A release that listens.
    pub(crate) async fn app(&self, release: &str) -> Result<App, Trouble> {
        start(self.command(release)).await
    }

    /// The usual load on the daemon, at this rate unless another was asked for.
    pub(crate) fn plan(&self, rate: f64) -> Plan {
        let mut plan = Plan::at(self.daemon.address);
        plan.rate = self.options.rate.unwrap_or(rate);
        plan.seed = self.options.seed;
        plan
    }

    /// `swapctl promote` of the release `to` at this address, with these arguments too, to the place of `from`. It reigns
    /// from the beginning of the promote; if that ends with it live, the reign of `from` is over at that end, else its
    /// own is.
    pub(crate) async fn promote(
        &mut self,
        load: &Load,
        from: &str,
        to: (&str, SocketAddr),
        more: &[&str],
    ) -> Result<Promoted, Trouble> {
        let (release, instance) = (to.0, to.1.to_string());
        let mut arguments = vec!["promote", "--release", release, "--instance", &instance];
        arguments.extend(more);
        load.mark(format!("promote {release}"));
        let began = Moment::now();
        self.reigns.begin(release);
        let ended = self.swapctl.call(&arguments).await?;
        load.mark(format!("exit {}", ended.code));
        // 8: done, but some were lost or cut.
        let over = if matches!(ended.code, 0 | 8) {
            from
        } else {
            release
        };
        self.reigns.end(over);
        let receipt = ended.receipt()?;
        Ok(Promoted {
            ended,
            receipt,
            began,
        })
    }

    /// What has reached the apps so far, and what that means for this run.
    pub(crate) fn see(&self, run: Run) -> Result<Seen, Trouble> {
        let ledger = Ledger::read([self.place.path().join("ledger")])?;
        let findings = Findings::of(&run, &ledger, &self.reigns);
        Ok(Seen {
            run,
            ledger,
            findings,
        })
    }

    /// The report on what was seen and checked.
    pub(crate) fn report(mut self, scenario: Scenario, seen: Seen) -> Report {
        let alive = self.daemon.is_alive();
        self.verdict.must("the daemon still runs", alive, alive);
        Report::of(
            scenario.to_string(),
            scenario.about(),
            &seen.run,
            &seen.ledger,
            seen.findings,
            self.verdict,
        )
    }
}

/// A run from both sides.
pub(crate) struct Seen {
    pub(crate) run: Run,
    pub(crate) ledger: Ledger,
    pub(crate) findings: Findings,
}

/// How a promote went.
pub(crate) struct Promoted {
    pub(crate) ended: Ended,
    pub(crate) receipt: Receipt,
    pub(crate) began: Moment,
}

/// An app that listens.
pub(crate) async fn start(command: AppCommand) -> Result<App, Trouble> {
    let mut app = command.start().await?;
    app.listening(APP_TIMEOUT).await?;
    Ok(app)
}

/// Lets the load go on for a while: the time in which nothing is done is part of the scenario.
pub(crate) async fn steady(time: Duration) {
    sleep(time).await;
}
