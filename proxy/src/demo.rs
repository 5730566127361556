//! `holdfast demo`: the whole story in one terminal. The proxy and the apps are real child processes, every request has
//! an id, and at the end each of them is accounted for.

mod stage;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use holdfast_load::load::Load;
use holdfast_load::report::Report;

use crate::cli;
use stage::{Fault, Stage};

/// Requests a second.
const RATE: f64 = 400.0;
/// How long the app of the story takes to boot.
const BOOT: Duration = Duration::from_secs(2);

/// Plays the story; true if nothing was lost.
pub(crate) fn run(typed: &cli::Demo) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build();
    let told = match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::select! {
                told = play(typed) => told,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            }
        }),
        Err(error) => Err(error.into()),
    };
    match told {
        Ok(passed) => passed,
        Err(fault) => {
            let _ = writeln!(
                std::io::stderr(),
                "\nerror: the demo could not go on: {fault}"
            );
            false
        }
    }
}

async fn play(typed: &cli::Demo) -> Result<bool, Fault> {
    let began = Instant::now();
    let mut stage = Stage::open().await?;
    let load = Load::start(stage.plan(RATE))?;
    let teller = Teller::new(&load);
    let pause = pause(typed.seconds);

    teller.say("r1 serves, 400 requests a second begin");
    teller.watch(pause).await;

    teller.say("promote r2, strategy overlap: it serves beside r1, then r1 drains");
    let overlap = stage.overlap("r2", &load).await?;
    teller.say(&overlap);
    teller.watch(pause).await;

    teller.say("promote r3, strategy hold: r2 is stopped, r3 boots for 2 s, requests wait");
    let hold = teller.during(stage.hold("r3", BOOT, &load)).await?;
    teller.say(&hold);
    teller.watch(pause).await;

    teller.say("restart the app, and tell nobody");
    teller
        .during(stage.restart(Duration::from_millis(1500), &load))
        .await?;
    teller.say("it is back, and so are those who waited");
    teller.watch(pause).await;

    teller.say("promote r4, which never gets ready");
    let failed = teller.during(stage.never_ready("r4", &load)).await?;
    teller.say(&failed);
    teller.watch(pause).await;

    let spent = began.elapsed();
    teller.end();
    let report = stage.report(load.finish().await?)?;
    summary(&report, spent, typed.report.as_deref())
}

/// What is left of the time after the parts that take theirs, spread between the acts.
fn pause(seconds: u64) -> Duration {
    let acts = Duration::from_secs(9);
    (Duration::from_secs(seconds).saturating_sub(acts) / 5).max(Duration::from_millis(500))
}

/// Prints the figures; the last line says it all. True if nothing was lost or wrong.
fn summary(report: &Report, spent: Duration, directory: Option<&Path>) -> Result<bool, Fault> {
    let temporary = std::env::temp_dir().join("holdfast-demo");
    let path = report.write(directory.unwrap_or(&temporary))?;
    let mut out = std::io::stdout();
    let findings = &report.findings;
    let _ = write!(out, "{}", report.to_text());
    let _ = writeln!(
        out,
        "report: {} ({:.0} s)",
        path.display(),
        spent.as_secs_f64()
    );
    let _ = writeln!(
        out,
        "sent {} · answered {} · lost {}",
        findings.sent,
        findings.answered,
        findings.lost() + findings.refused()
    );
    Ok(report.pass)
}

/// Tells what happens: a live line on a terminal, a line an event elsewhere.
struct Teller<'a> {
    load: &'a Load,
    began: Instant,
    live: bool,
}

impl<'a> Teller<'a> {
    fn new(load: &'a Load) -> Self {
        Self {
            load,
            began: Instant::now(),
            live: std::io::stdout().is_terminal(),
        }
    }

    fn say(&self, what: &str) {
        let clear = if self.live { "\r\x1b[2K" } else { "" };
        let _ = writeln!(
            std::io::stdout(),
            "{clear}{:5.1} s  {what}",
            self.began.elapsed().as_secs_f64()
        );
    }

    fn redraw(&self) {
        let progress = self.load.progress();
        let release = progress.release.as_deref().unwrap_or("nobody");
        let _ = write!(
            std::io::stdout(),
            "\r\x1b[2K         sent {} · answered {} · waiting {} · lost {} · {release} answers in {:?}",
            progress.started,
            progress.answered,
            progress.waiting(),
            progress.lost + progress.refused,
            progress.latest,
        );
        let _ = std::io::stdout().flush();
    }

    /// Lets the load go on for a while.
    async fn watch(&self, time: Duration) {
        self.during(tokio::time::sleep(time)).await;
    }

    /// Shows the load while something happens.
    async fn during<T>(&self, act: impl Future<Output = T>) -> T {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        tokio::pin!(act);
        loop {
            tokio::select! {
                done = &mut act => return done,
                _ = tick.tick() => if self.live { self.redraw() },
            }
        }
    }

    fn end(&self) {
        if self.live {
            let _ = write!(std::io::stdout(), "\r\x1b[2K");
        }
    }
}
