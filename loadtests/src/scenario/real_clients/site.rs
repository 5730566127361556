//! An app behind the proxy, and its swaps.

use std::path::Path;
use std::time::Duration;

use holdfast_control::wire::Receipt;
use holdfast_load::verdict::Verdict;
use swap_core::Outcome;
use tokio::time::{Instant, sleep_until};

use crate::client::site;
use crate::real::{Kind, RealApp, RealCommand};
use crate::swapctl_child::{Ended, Swapctl};
use crate::trouble::Trouble;

/// Swaps of each app, with strategy overlap and hold by turns.
pub(super) const SWAPS: usize = 6;

/// An app behind the proxy.
pub(super) struct Site {
    kind: Kind,
    first: RealCommand,
    app: RealApp,
}

/// How a promote went.
pub(super) struct Swap {
    kind: Kind,
    release: String,
    strategy: &'static str,
    ended: Ended,
    pub(super) receipt: Receipt,
}

impl Site {
    pub(super) async fn start(kind: Kind, directory: &Path) -> Result<Self, Trouble> {
        let first = RealCommand {
            kind,
            release: "v1".to_owned(),
            ledger: directory.join("ledger"),
            directory: directory.to_owned(),
            address: None,
        };
        let app = first.clone().start().await?;
        Ok(Self { kind, first, app })
    }

    /// Its table in the configuration. All clients have one address here.
    pub(super) fn table(&self) -> String {
        let (kind, site, address) = (self.kind, site(self.kind), self.app.address);
        let more = match kind {
            Kind::Grpc => "upstream.protocol = \"http2\"\nprobe.grpc = \"load.Echo\"\n",
            _ => "",
        };
        format!(
            "[app.{kind}]\nhosts = [\"{site}\"]\nhold.max_share = 1.0\n\
             release = {{ id = \"v1\", instances = [\"{address}\"] }}\n{more}\n"
        )
    }

    /// Swaps it again and again, each time as long after the one before, and returns it with what came of that.
    pub(super) async fn swap_all(
        mut self,
        swapctl: Swapctl,
        began: Instant,
        every: Duration,
    ) -> Result<(Self, Vec<Swap>), Trouble> {
        let mut swaps = Vec::new();
        let mut at = began;
        for release in 2..SWAPS + 2 {
            at += every;
            sleep_until(at).await;
            let release = format!("v{release}");
            swaps.push(match swaps.len() % 2 {
                0 => self.overlap(&swapctl, release).await?,
                _ => self.hold(&swapctl, release).await?,
            });
        }
        Ok((self, swaps))
    }

    /// The new one beside the old one, which a deploy script stops afterwards.
    async fn overlap(&mut self, swapctl: &Swapctl, release: String) -> Result<Swap, Trouble> {
        let next = self.next(&release, false).start().await?;
        let ended = self
            .promote(swapctl, &release, "overlap", &next.address.to_string(), &[])
            .await?;
        std::mem::replace(&mut self.app, next).stop().await?;
        self.swap(release, "overlap", ended)
    }

    /// The command stops the old one; the new one comes up at its address.
    async fn hold(&mut self, swapctl: &Swapctl, release: String) -> Result<Swap, Trouble> {
        let next = self.next(&release, true);
        let pid = self.app.pid();
        let stop = format!("kill -TERM -{pid} && exec tail --pid={pid} -s 0.02 -f /dev/null");
        let address = self.app.address.to_string();
        let command = ["--", "sh", "-c", &stop];
        let kind = self.kind;
        let old = &mut self.app;
        let (ended, next) = tokio::join!(
            promote(swapctl, kind, &release, "hold", &address, &command),
            async {
                old.ended().await?;
                next.start().await
            }
        );
        self.app = next?;
        self.swap(release, "hold", ended?)
    }

    fn next(&self, release: &str, in_its_place: bool) -> RealCommand {
        RealCommand {
            release: release.to_owned(),
            address: in_its_place.then_some(self.app.address),
            ..self.first.clone()
        }
    }

    fn swap(&self, release: String, strategy: &'static str, ended: Ended) -> Result<Swap, Trouble> {
        let receipt = ended.receipt()?;
        Ok(Swap {
            kind: self.kind,
            release,
            strategy,
            ended,
            receipt,
        })
    }

    async fn promote(
        &self,
        swapctl: &Swapctl,
        release: &str,
        strategy: &str,
        instance: &str,
        more: &[&str],
    ) -> Result<Ended, Trouble> {
        promote(swapctl, self.kind, release, strategy, instance, more).await
    }

    pub(super) async fn stop(self) -> Result<(), Trouble> {
        self.app.stop().await
    }
}

async fn promote(
    swapctl: &Swapctl,
    kind: Kind,
    release: &str,
    strategy: &str,
    instance: &str,
    more: &[&str],
) -> Result<Ended, Trouble> {
    // Tunnels last until then; everything else ends long before.
    let drain = if has_tunnels(kind) { "1s" } else { "10s" };
    let app = kind.to_string();
    let mut arguments = vec!["promote", &app, "--release", release];
    arguments.extend(["--instance", instance, "--strategy", strategy]);
    arguments.extend(["--drain-timeout", drain]);
    arguments.extend(more);
    swapctl.call(&arguments).await
}

fn has_tunnels(kind: Kind) -> bool {
    matches!(kind, Kind::Ws | Kind::Websockets)
}

impl Swap {
    /// Done, nothing lost, and nothing cut but tunnels.
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        let (receipt, code) = (&self.receipt, self.ended.code);
        let tunnels = has_tunnels(self.kind);
        let why = receipt.why.as_deref().unwrap_or_default();
        verdict.must(
            format!(
                "{} to {} with strategy {} loses nothing",
                self.kind, self.release, self.strategy
            ),
            format!(
                "exit {code}, {} held, {} cut, {} lost, {} ms {why}",
                receipt.held, receipt.cut, receipt.lost, receipt.took_ms
            ),
            receipt.outcome == Outcome::Done
                && receipt.lost == 0
                && (code == 0 || tunnels && code == 8)
                && (receipt.cut == 0 || tunnels),
        );
    }
}
