//! How each deed is done, and what has to come of it at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_control::wire::{Receipt, Upgraded};
use holdfast_load::app::App;
use holdfast_load::clock::Moment;
use holdfast_load::load::Load;
use swap_core::Outcome;
use tokio::time::sleep;

use super::deck::{Deed, Never, Strategy};
use crate::scenario::down::{self, Gone};
use crate::stage::{APP_TIMEOUT, Promoted, Stage, start};
use crate::swapctl_child::Ended;
use crate::trouble::Trouble;

/// Exit codes: the old one serves; refused; done, but something was cut.
const GATE_FAILED: i32 = 4;
const REFUSED: i32 = 6;
const CUT: i32 = 8;
const USAGE: i32 = 2;
/// Why a hold fails whose requests under way do not end in time.
const LATE: &str = "requests that were running had not ended";
/// Between two deeds.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=1_500;
/// How long an app is away, how long a hold by command lasts, how long a new release takes to boot.
const WHILE_MS: std::ops::RangeInclusive<u64> = 200..=1_500;
/// So long after its app somebody may still read.
const LINGERS: Duration = down::SOON;
/// Clients that leave while they wait, at most.
const LEAVE_MAX: usize = 20;

/// What is played on.
pub(super) struct Play<'a> {
    stage: &'a mut Stage,
    load: &'a Load,
    random: fastrand::Rng,
    live: Option<App>,
    releases: usize,
    played: Played,
}

/// What was done.
#[derive(Default)]
pub(super) struct Played {
    pub(super) deeds: BTreeMap<Deed, u64>,
    /// When the app went away by itself.
    pub(super) gone: Vec<Gone>,
    /// From its beginning to its end, and what its receipt says.
    pub(super) promotes: Vec<(Moment, Moment, Receipt)>,
    /// What went otherwise than it must.
    pub(super) wrong: Vec<String>,
    /// The app that is live at the end: it lives on until the load is over.
    pub(super) live: Option<App>,
}

impl<'a> Play<'a> {
    pub(super) fn new(stage: &'a mut Stage, load: &'a Load, app: App, seed: u64) -> Self {
        Self {
            stage,
            load,
            // Others than those of the deck.
            random: fastrand::Rng::with_seed(!seed),
            live: Some(app),
            releases: 1,
            played: Played::default(),
        }
    }

    pub(super) async fn carry_out(&mut self, deed: Deed) -> Result<(), Trouble> {
        self.load.mark(deed.to_string());
        *self.played.deeds.entry(deed).or_default() += 1;
        match deed {
            Deed::Promote(strategy) => self.promote(strategy).await,
            Deed::Rollback => self.rollback().await,
            Deed::Fail(strategy, never) => self.fail(strategy, never).await,
            Deed::Abort(strategy) => self.abort(strategy).await,
            Deed::FailingCommand => self.failing_command().await,
            Deed::Hold => self.hold().await,
            Deed::HoldWrites => self.hold_writes().await,
            Deed::Crash => self.crash().await,
            Deed::Restart => self.restart().await,
            Deed::Reload => self.reload("max_wait = \"41s\"", 0).await,
            Deed::WrongReload => self.reload("max_wait = \"soon\"", USAGE).await,
            Deed::Upgrade => self.upgrade().await,
            Deed::WrongUpgrade => self.wrong_upgrade().await,
        }
    }

    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(PAUSE_MS))
    }

    /// The daemon's process.
    pub(super) fn pid(&self) -> u32 {
        self.stage.daemon.pid()
    }

    pub(super) fn end(self) -> Played {
        let mut played = self.played;
        played.live = self.live;
        played
    }

    async fn promote(&mut self, strategy: Strategy) -> Result<(), Trouble> {
        let next = self.promoted(strategy).await?;
        if let Some(old) = self.live.replace(next) {
            old.stop(APP_TIMEOUT).await?;
        }
        Ok(())
    }

    /// The next release, which is live. The one before it still runs.
    async fn promoted(&mut self, strategy: Strategy) -> Result<App, Trouble> {
        let boot = self.a_while();
        let release = self.next_release();
        let mut next = self
            .stage
            .command(&release)
            .boot_delay(boot)
            .start()
            .await?;
        let from = self.release();
        let arguments = ["--strategy", strategy.word()];
        let to = (release.as_str(), next.address());
        let promoted = self.stage.promote(self.load, &from, to, &arguments).await?;
        self.note(promoted, &[0, CUT], Outcome::Done);
        next.listening(APP_TIMEOUT).await?;
        Ok(next)
    }

    async fn rollback(&mut self) -> Result<(), Trouble> {
        let gone_back_from = self.promoted(Strategy::Overlap).await?;
        let (to, from) = (self.release(), gone_back_from.release().to_owned());
        let began = Moment::now();
        self.stage.reigns.begin(&to);
        let ended = self.stage.swapctl.call(&["rollback"]).await?;
        self.stage.reigns.end(&from);
        let receipt = ended.receipt()?;
        self.note(
            Promoted {
                ended,
                receipt,
                began,
            },
            &[0, CUT],
            Outcome::Done,
        );
        gone_back_from.stop(APP_TIMEOUT).await?;
        Ok(())
    }

    async fn fail(&mut self, strategy: Strategy, never: Never) -> Result<(), Trouble> {
        let bad = self.never_ready(never).await?;
        let (from, to) = (self.release(), (bad.release(), bad.address()));
        let arguments = ["--strategy", strategy.word(), "--boot-timeout", "1s"];
        let promoted = self.stage.promote(self.load, &from, to, &arguments).await?;
        self.note(promoted, &[GATE_FAILED], Outcome::Failed);
        Ok(())
    }

    async fn abort(&mut self, strategy: Strategy) -> Result<(), Trouble> {
        let bad = self.never_ready(Never::Refuses).await?;
        let (from, to) = (self.release(), (bad.release(), bad.address()));
        let arguments = ["--strategy", strategy.word(), "--boot-timeout", "15s"];
        let (swapctl, after) = (self.stage.swapctl.clone(), self.a_while());
        let (promoted, aborted) = tokio::join!(
            self.stage.promote(self.load, &from, to, &arguments),
            async {
                sleep(after).await;
                swapctl.call(&["abort"]).await
            }
        );
        self.expect(&aborted?, 0);
        self.note(promoted?, &[GATE_FAILED], Outcome::Aborted);
        Ok(())
    }

    async fn failing_command(&mut self) -> Result<(), Trouble> {
        let release = self.next_release();
        self.stage.reigns.never(&release);
        let from = self.release();
        let to = self.address();
        let fails = ["--strategy", "hold", "--", "sh", "-c", "sleep 0.3; exit 3"];
        let promoted = self.stage.promote(self.load, &from, (&release, to), &fails);
        let promoted = promoted.await?;
        self.note(promoted, &[GATE_FAILED], Outcome::Failed);
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), Trouble> {
        let hold = ["hold", "--timeout", "35s", "--reason", "soak"];
        let ended = self.stage.swapctl.call(&hold).await?;
        self.expect_held(&ended);
        sleep(self.a_while()).await;
        self.load.leave(self.random.usize(0..=LEAVE_MAX)).await;
        self.command(&["upgrade"], REFUSED).await?;
        sleep(self.a_while()).await;
        self.command(&["resume"], 0).await
    }

    async fn hold_writes(&mut self) -> Result<(), Trouble> {
        let hold = ["hold", "--writes", "--timeout", "10s"];
        let ended = self.stage.swapctl.call(&hold).await?;
        if !is_late(&ended) {
            self.expect_held(&ended);
        }
        let over = self
            .stage
            .swapctl
            .until("the hold is over", APP_TIMEOUT, |status| {
                !status.hold.active
            });
        over.await?;
        Ok(())
    }

    async fn crash(&mut self) -> Result<(), Trouble> {
        let (release, port) = (self.release(), self.address().port());
        let from = Moment::now();
        if let Some(app) = self.live.take() {
            app.kill().await?;
        }
        self.played.gone.push(Gone::since(from));
        self.back(&release, port).await
    }

    async fn restart(&mut self) -> Result<(), Trouble> {
        let (release, port) = (self.release(), self.address().port());
        let from = Moment::now();
        if let Some(app) = self.live.take() {
            app.stop(APP_TIMEOUT).await?;
        }
        self.played.gone.push(Gone::since(from));
        self.back(&release, port).await
    }

    /// The same release at the same place.
    async fn back(&mut self, release: &str, port: u16) -> Result<(), Trouble> {
        sleep(self.a_while()).await;
        self.live = Some(start(self.stage.command(release).port(port)).await?);
        down::open_again(self.stage, self.load).await
    }

    /// Reads a configuration in which this stands, and then the one before again.
    async fn reload(&mut self, line: &str, code: i32) -> Result<(), Trouble> {
        let path: PathBuf = self.stage.directory().join("holdfast.toml");
        let io = |why| Trouble::io("the configuration", why);
        let before = std::fs::read_to_string(&path).map_err(io)?;
        let after = before.replace("max_wait = \"40s\"", line);
        std::fs::write(&path, after).map_err(io)?;
        self.command(&["reload"], code).await?;
        std::fs::write(&path, before).map_err(io)?;
        self.command(&["reload"], 0).await
    }

    async fn upgrade(&mut self) -> Result<(), Trouble> {
        let ended = self.stage.swapctl.call(&["upgrade"]).await?;
        self.expect(&ended, 0);
        let upgraded: Upgraded = ended.read()?;
        self.stage.daemon.succeeded_by(upgraded.pid);
        // Takes commands when the one before it has ended.
        self.command(&["block", "--reason", "upgraded"], 0).await?;
        self.command(&["unblock"], 0).await
    }

    async fn wrong_upgrade(&mut self) -> Result<(), Trouble> {
        self.command(&["upgrade", "--binary", "/bin/false"], GATE_FAILED)
            .await
    }

    async fn command(&mut self, arguments: &[&str], code: i32) -> Result<(), Trouble> {
        let ended = self.stage.swapctl.call(arguments).await?;
        self.expect(&ended, code);
        Ok(())
    }

    fn expect(&mut self, ended: &Ended, code: i32) {
        if ended.code != code {
            let Ended { verb, stderr, .. } = ended;
            let wrong = format!("{verb} exits {} instead of {code}: {stderr}", ended.code);
            self.played.wrong.push(wrong);
        }
    }

    /// A hold waits for those who are with the app. Of whom that was killed just before has taken with it, one may read what
    /// there still is of his answer for a while: then he is lost while the hold waits, and it says so.
    fn expect_held(&mut self, ended: &Ended) {
        let gone = self.played.gone.last();
        let lately = gone.is_some_and(|it| it.until() + LINGERS + ended.took >= Moment::now());
        let loses = ended.code == CUT && lately;
        if !loses {
            self.expect(ended, 0);
        }
    }

    fn note(&mut self, promoted: Promoted, codes: &[i32], outcome: Outcome) {
        let Promoted {
            ended,
            receipt,
            began,
        } = promoted;
        if !codes.contains(&ended.code) || receipt.outcome != outcome {
            self.played.wrong.push(format!(
                "{} ends {:?} with exit {}: {:?} {}",
                ended.verb, receipt.outcome, ended.code, receipt.why, ended.stderr
            ));
        }
        self.played.promotes.push((began, Moment::now(), receipt));
    }

    fn release(&self) -> String {
        let live = self.live.as_ref();
        live.map(|it| it.release().to_owned()).unwrap_or_default()
    }

    fn address(&self) -> std::net::SocketAddr {
        let live = self.live.as_ref().map(App::address);
        live.unwrap_or_else(|| ([127, 0, 0, 1], 0).into())
    }

    fn next_release(&mut self) -> String {
        self.releases += 1;
        format!("v{}", self.releases)
    }

    /// A release that must not get a single request.
    async fn never_ready(&mut self, never: Never) -> Result<App, Trouble> {
        let release = self.next_release();
        self.stage.reigns.never(&release);
        let bad = self.stage.command(&release).never_ready(never.how());
        Ok(bad.start().await?)
    }

    fn a_while(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(WHILE_MS))
    }
}

/// Who sends some megabytes on a busy machine may take longer than a hold waits for it: then that failed, and says so.
fn is_late(ended: &Ended) -> bool {
    let why = ended.receipt().ok().and_then(|receipt| receipt.why);
    ended.code == GATE_FAILED && why.is_some_and(|why| why.contains(LATE))
}
