//! The stage of the demo: a proxy and an app as child processes, and a client of the control socket.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use holdfast_control::client::Client;
use holdfast_control::wire::{CommandEnd, PromoteRequest, Receipt, Said, What};
use holdfast_load::app::{App, AppCommand, NeverReady};
use holdfast_load::clock::Moment;
use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::ledger::Ledger;
use holdfast_load::load::{Load, Plan};
use holdfast_load::report::Report;
use holdfast_load::run::Run;
use holdfast_load::verdict::Verdict;
use swap_core::Strategy;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// What went wrong with the demo itself.
pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// How long a child may take to start or to stop.
const CHILD_MAX: Duration = Duration::from_secs(30);
const PROMOTE: &str = "/v1/apps/default/promote";

pub(super) struct Stage {
    /// Ends with us.
    proxy: Child,
    address: SocketAddr,
    client: Client,
    app: Option<App>,
    live: String,
    reigns: Reigns,
    receipts: Vec<Receipt>,
    /// Last, so that it goes when nobody is left who writes into it.
    home: TempDir,
}

impl Stage {
    /// The proxy in front of release r1.
    pub(super) async fn open() -> Result<Self, Fault> {
        let home = tempfile::tempdir()?;
        let mut app = AppCommand::new("r1", home.path().join("ledger"))
            .start()
            .await?;
        app.listening(CHILD_MAX).await?;
        let socket = home.path().join("control.sock");
        let mut proxy = Command::new(std::env::current_exe()?);
        proxy
            .args(["run", "--listen", "127.0.0.1:0"])
            .arg(format!("--upstream={}", app.address()));
        proxy
            .arg("--control")
            .arg(&socket)
            .arg("--state-dir")
            .arg(home.path().join("state"));
        proxy
            .env("HOLDFAST_LOG", "info")
            .env("NO_COLOR", "1")
            .env_remove("HOLDFAST_CONFIG");
        proxy
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut proxy = proxy.spawn()?;
        let log = proxy.stderr.take().ok_or("the proxy has no log")?;
        let address = ready(BufReader::new(log).lines()).await?;
        let mut reigns = Reigns::default();
        reigns.begin_at("r1", Moment::default());
        Ok(Self {
            proxy,
            address,
            client: Client::new(socket),
            app: Some(app),
            live: "r1".into(),
            reigns,
            receipts: Vec::new(),
            home,
        })
    }

    pub(super) fn plan(&self, rate: f64) -> Plan {
        let mut plan = Plan::at(self.address);
        plan.rate = rate;
        plan
    }

    /// The old app serves until the new one is ready, and is stopped when it has drained.
    pub(super) async fn overlap(&mut self, release: &str, load: &Load) -> Result<String, Fault> {
        let mut next = self.command(release).start().await?;
        next.listening(CHILD_MAX).await?;
        let request = asked(release, next.address(), Strategy::Overlap);
        load.mark(format!("promote {release}"));
        self.reigns.begin(release);
        let receipt: Receipt = self.client.post(PROMOTE, &request).await?;
        self.reigns.end(&self.live);
        if let Some(old) = self.app.replace(next) {
            old.stop(CHILD_MAX).await?;
        }
        release.clone_into(&mut self.live);
        Ok(self.keep(receipt))
    }

    /// Only one copy may run: the old app is stopped inside the hold, the new one boots at the same address.
    pub(super) async fn hold(
        &mut self,
        release: &str,
        boot: Duration,
        load: &Load,
    ) -> Result<String, Fault> {
        let old = self.app.take().ok_or("there is no app")?;
        let address = old.address();
        let mut request = asked(release, address, Strategy::Hold);
        request.command = true;
        load.mark(format!("promote {release}"));
        self.reigns.begin(release);
        let mut events = self.client.post_and_listen(PROMOTE, &request).await?;
        let mut old = Some(old);
        loop {
            let event = events
                .next()
                .await?
                .ok_or("the proxy's events ended early")?;
            match (event.what, &event.operation) {
                (What::Receipt { receipt }, _) => {
                    self.reigns.end(&self.live);
                    release.clone_into(&mut self.live);
                    return Ok(self.keep(receipt));
                }
                (What::Phase { phase, .. }, Some(operation)) if phase == "command" => {
                    let Some(old) = old.take() else { continue };
                    old.stop(CHILD_MAX).await?;
                    let next = self.command(release).port(address.port()).boot_delay(boot);
                    self.app = Some(next.start().await?);
                    let path = format!("/v1/operations/{operation}/command");
                    let end = CommandEnd {
                        ok: true,
                        why: None,
                    };
                    let _: Said = self.client.post(&path, &end).await?;
                }
                _ => {}
            }
        }
    }

    /// The app is killed, and another process takes its address after a while.
    pub(super) async fn kill(&mut self, away: Duration, load: &Load) -> Result<(), Fault> {
        let old = self.app.take().ok_or("there is no app")?;
        let port = old.address().port();
        load.mark("the app is killed");
        old.kill().await?;
        tokio::time::sleep(away).await;
        let mut again = self.command(&self.live).port(port).start().await?;
        again.listening(CHILD_MAX).await?;
        load.mark("it is back");
        self.app = Some(again);
        Ok(())
    }

    /// A release that listens and answers 503 to its probe.
    pub(super) async fn never_ready(
        &mut self,
        release: &str,
        load: &Load,
    ) -> Result<String, Fault> {
        let command = self.command(release).never_ready(NeverReady::Error);
        let mut bad = command.start().await?;
        bad.listening(CHILD_MAX).await?;
        let mut request = asked(release, bad.address(), Strategy::Overlap);
        request.boot_timeout = Some("2s".into());
        load.mark(format!("promote {release}"));
        let receipt: Receipt = self.client.post(PROMOTE, &request).await?;
        bad.kill().await?;
        Ok(self.keep(receipt))
    }

    /// Ends the children, removes what they wrote, and tells everything that was seen, from outside and by the receipts.
    pub(super) async fn close(mut self, run: Run) -> Result<Report, Fault> {
        if let Some(app) = self.app.take() {
            app.stop(CHILD_MAX).await?;
        }
        self.proxy.kill().await?;
        let ledger = Ledger::read([self.home.path().join("ledger")])?;
        let findings = Findings::of(&run, &ledger, &self.reigns);
        let mut verdict = Verdict::default();
        verdict.nothing_lost(&findings);
        let spoilt = self
            .receipts
            .iter()
            .filter(|receipt| receipt.lost + receipt.cut > 0);
        let spoilt: Vec<String> = spoilt
            .map(|receipt| receipt.operation.to_string())
            .collect();
        verdict.none("receipt that tells of lost or cut requests", &spoilt);
        let about = "swaps with overlap and with hold, a restart that nobody announced, a release that is never ready";
        let report = Report::of("demo", about, &run, &ledger, findings, verdict);
        self.home.close()?;
        Ok(report)
    }

    fn command(&self, release: &str) -> AppCommand {
        AppCommand::new(release, self.home.path().join("ledger"))
    }

    fn keep(&mut self, receipt: Receipt) -> String {
        let Receipt {
            outcome,
            took_ms,
            held,
            longest_hold_ms,
            drained,
            lost,
            ..
        } = &receipt;
        let because = receipt
            .why
            .as_ref()
            .map_or(String::new(), |why| format!(" ({why})"));
        let told = format!(
            "receipt: {outcome:?} in {took_ms} ms · held {held}, the longest {longest_hold_ms} ms · drained {drained} · \
             lost {lost}{because}"
        );
        self.receipts.push(receipt);
        told
    }
}

fn asked(release: &str, at: SocketAddr, strategy: Strategy) -> PromoteRequest {
    PromoteRequest {
        // Ours, and letters and digits only; a release that is none is refused by the daemon.
        release: release.parse().ok(),
        instance: vec![at.to_string()],
        strategy,
        ..PromoteRequest::default()
    }
}

/// Reads the proxy's log until it says where it listens, and goes on reading, so that it never waits for us.
async fn ready(mut log: Lines<BufReader<ChildStderr>>) -> Result<SocketAddr, Fault> {
    while let Some(line) = log.next_line().await? {
        if let Some((_, rest)) = line.split_once("ready listen=") {
            let address = rest.split(' ').next().unwrap_or_default().parse()?;
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
            return Ok(address);
        }
    }
    Err("the proxy ended before it was ready".into())
}
