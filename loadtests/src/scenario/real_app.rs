//! A real app behind the proxy, swapped with either strategy, restarted and killed behind its back; then the same swaps
//! with wrk as the judge.

use holdfast_load::clock::Moment;
use holdfast_load::load::{Load, Plan};
use holdfast_load::report::Report;

use super::down::{self, Gone};
use super::{Scenario, hold, order, receipts};
use crate::cli::Options;
use crate::real::{Kind, RealApp, RealCommand};
use crate::stage::{Place, Promoted, Stage, steady};
use crate::trouble::Trouble;
use crate::wrk::Wrk;

const RATE: f64 = 300.0;

pub(super) async fn play(options: &Options, kind: Kind) -> Result<Report, Trouble> {
    let place = Place::new(options)?;
    let first = RealCommand {
        kind,
        release: "v1".to_owned(),
        ledger: place.path().join("ledger"),
        directory: place.path().to_owned(),
        address: None,
    };
    let app = first.clone().start().await?;
    let stage = Stage::before(place, app.address, options, "", "").await?;
    let mut play = Play { stage, first, app };
    play.told().await?;
    play.judged_by_wrk().await?;
    play.untold().await
}

struct Play {
    stage: Stage,
    first: RealCommand,
    app: RealApp,
}

impl Play {
    /// Swaps of either kind, under the strict load.
    async fn told(&mut self) -> Result<(), Trouble> {
        let load = Load::start(self.plan())?;
        let part = self.stage.options.seconds(12) / 6;
        steady(part).await;
        let mut promotes = Vec::new();
        for release in ["v2", "v3"] {
            promotes.push(self.overlap(&load, release).await?);
            steady(part).await;
        }
        let (began, first) = (Moment::now(), promotes.len());
        for release in ["v4", "v5"] {
            promotes.push(self.hold(&load, release).await?);
            steady(part).await;
        }
        let seen = self.stage.see(load.finish().await?)?;
        let verdict = &mut self.stage.verdict;
        verdict.nothing_lost(&seen.findings);
        for promoted in &promotes {
            receipts::done(verdict, promoted);
        }
        let second = promotes[first + 1].began;
        receipts::hold(verdict, &promotes[first], &seen, Some(second));
        receipts::hold(verdict, &promotes[first + 1], &seen, None);
        let early = seen
            .ledger
            .arrivals
            .iter()
            .filter(|it| it.at < began && it.held_ms.is_some());
        let early = early.count();
        verdict.must("strategy overlap holds nobody", early, early == 0);
        hold::order_at_the_door(verdict, &seen);
        if self.first.kind.keeps_order() {
            hold::order(verdict, &seen);
        }
        Ok(())
    }

    /// The same swaps while wrk runs.
    async fn judged_by_wrk(&mut self) -> Result<(), Trouble> {
        let time = self.stage.options.seconds(12);
        let Some(wrk) = Wrk::start(self.stage.daemon.address, time, self.stage.directory())? else {
            return Ok(());
        };
        // Next to no load, but somebody has to hold the marks.
        let mut plan = self.stage.plan(1.0);
        plan.rate = 1.0;
        let load = Load::start(plan)?;
        steady(time / 6).await;
        let overlap = self.overlap(&load, "v6").await?;
        steady(time / 6).await;
        let hold = self.hold(&load, "v7").await?;
        let said = wrk.finish().await?;
        load.finish().await?;
        let verdict = &mut self.stage.verdict;
        receipts::done(verdict, &overlap);
        receipts::done(verdict, &hold);
        verdict.must(
            "wrk with 100 connections sees no error",
            format!("{} requests, {:?}", said.requests, said.errors),
            said.requests > 0 && said.errors.is_empty(),
        );
        verdict.must(
            "some of its requests were held",
            hold.receipt.held,
            hold.receipt.held > 0,
        );
        Ok(())
    }

    /// Restarted, then killed, and nobody tells the proxy.
    async fn untold(mut self) -> Result<Report, Trouble> {
        let load = Load::start(self.plan())?;
        let part = self.stage.options.seconds(12) / 4;
        steady(part).await;
        let again = self.next(&self.app.release.clone(), Some(&self.app));
        let mut gone = Vec::new();

        load.mark("SIGTERM");
        let from = Moment::now();
        self.app.stop().await?;
        gone.push(Gone::since(from));
        steady(down::AWAY).await;
        let app = again.clone().start().await?;
        down::open_again(&self.stage, &load).await?;
        steady(part).await;

        load.mark("SIGKILL");
        let from = Moment::now();
        app.kill().await?;
        gone.push(Gone::since(from));
        steady(down::AWAY).await;
        let _app = again.start().await?;
        down::open_again(&self.stage, &load).await?;
        steady(part).await;

        let seen = self.stage.see(load.finish().await?)?;
        down::judge(&mut self.stage, &seen, &gone);
        order::of_whom_nobody_served(&mut self.stage.verdict, &seen, &gone);
        Ok(self.stage.report(Scenario::RealApp(self.first.kind), seen))
    }

    /// The new one beside the old one, which a deploy script stops afterwards.
    async fn overlap(&mut self, load: &Load, release: &str) -> Result<Promoted, Trouble> {
        let next = self.next(release, None).start().await?;
        let to = (release, next.address);
        let from = self.app.release.clone();
        let arguments = ["--strategy", "overlap"];
        let promoted = self.stage.promote(load, &from, to, &arguments).await?;
        std::mem::replace(&mut self.app, next).stop().await?;
        Ok(promoted)
    }

    /// The command stops the old one; the new one comes up at its address.
    async fn hold(&mut self, load: &Load, release: &str) -> Result<Promoted, Trouble> {
        let next = self.next(release, Some(&self.app));
        let (from, to) = (self.app.release.clone(), (release, self.app.address));
        let pid = self.app.pid();
        let stop = format!("kill -TERM -{pid} && exec tail --pid={pid} -s 0.02 -f /dev/null");
        let command = ["--strategy", "hold", "--", "sh", "-c", &stop];
        let promote = self.stage.promote(load, &from, to, &command);
        let old = &mut self.app;
        let (promoted, next) = tokio::join!(promote, async {
            old.ended().await?;
            next.start().await
        });
        self.app = next?;
        promoted
    }

    fn plan(&self) -> Plan {
        let mut plan = self.stage.plan(RATE);
        if !self.first.kind.takes_any_chunks() {
            plan.mix.chunked = 0.0;
        }
        plan
    }

    fn next(&self, release: &str, in_place_of: Option<&RealApp>) -> RealCommand {
        RealCommand {
            release: release.to_owned(),
            address: in_place_of.map(|it| it.address),
            ..self.first.clone()
        }
    }
}
