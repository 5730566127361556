//! `holdfast demo`: the whole story in one terminal. The proxy and the apps are real child processes, every request has
//! an id, and at the end each of them is accounted for.

mod stage;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_load::load::{Load, Mix};
use holdfast_load::report::Report;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli;
use stage::{Fault, Stage};

/// Requests a second.
const RATE: f64 = 400.0;
/// How long the app of the story takes to boot.
const BOOT: Duration = Duration::from_secs(2);

/// What a proxy can send again if the app dies with it in hand (RFC 9110, 9.2.2), before an answer has begun. A POST must
/// not be sent twice and half an answer cannot be taken back, so a story with them could not end with "lost 0".
const REPEATABLE: Mix = Mix {
    fresh: 0.2,
    ..Mix::PLAIN
};
/// How long the answers to all that was sent before may take, on a machine that is busy with other things.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
const SETTLED_POLL: Duration = Duration::from_millis(50);

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
                ended = told_to_end() => Err(ended.map_or_else(Fault::from, Fault::from)),
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

/// Returns when somebody wants this to end: Ctrl-C, a supervisor, or a terminal that was closed. Whoever stopped waiting
/// for the story must not find its children and files afterwards.
async fn told_to_end() -> std::io::Result<&'static str> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        _ = hung_up.recv() => {}
    }
    Ok("interrupted")
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

    teller.say("kill -9 the app, and tell nobody; only GETs for a while: README says why");
    load.mix(REPEATABLE).await;
    teller.during(settled(&load)).await;
    let killed = stage.kill(Duration::from_millis(1500), &load);
    teller.during(killed).await?;
    teller.say("it is back, and so are those who waited");
    load.mix(Mix::default()).await;
    teller.watch(pause).await;

    teller.say("promote r4, which never gets ready");
    let failed = teller.during(stage.never_ready("r4", &load)).await?;
    teller.say(&failed);
    teller.watch(pause).await;

    let spent = began.elapsed();
    teller.end();
    let report = stage.close(load.finish().await?).await?;
    let path = match &typed.report {
        Some(directory) => report.write(directory)?,
        None => report.write(&kept_directory()?)?,
    };
    summary(&report, spent, &path);
    Ok(report.pass)
}

/// Returns when all that was sent before the mix was changed has been answered. What takes too long is left to the verdict.
async fn settled(load: &Load) {
    let end = Instant::now() + SETTLED_WITHIN;
    while load.older_than_mix().await > 0 && Instant::now() < end {
        tokio::time::sleep(SETTLED_POLL).await;
    }
}

/// A directory of a name that nobody can have taken before us. It stays, to be read.
fn kept_directory() -> std::io::Result<PathBuf> {
    let made = tempfile::Builder::new()
        .prefix("holdfast-demo-")
        .tempdir()?;
    Ok(made.keep())
}

/// What is left of the time after the parts that take theirs, spread between the acts.
fn pause(seconds: u64) -> Duration {
    let acts = Duration::from_secs(9);
    (Duration::from_secs(seconds).saturating_sub(acts) / 5).max(Duration::from_millis(500))
}

/// Prints the figures; the last line says it all.
fn summary(report: &Report, spent: Duration, path: &Path) {
    let mut out = std::io::stdout();
    let findings = &report.findings;
    let _ = write!(out, "{}", report.to_text());
    let _ = writeln!(
        out,
        "report: {} ({:.0} s)",
        path.display(),
        spent.as_secs_f64()
    );
    // Who was refused has no answer of the app either: nothing here gives the proxy a reason to refuse.
    let _ = writeln!(
        out,
        "sent {} · answered {} · lost {}",
        findings.sent,
        findings.answered,
        findings.lost() + findings.refused()
    );
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

    /// Narrower than 80 columns: a line that wraps cannot be redrawn in place.
    fn redraw(&self) {
        let progress = self.load.progress();
        let release = progress.release.as_deref().unwrap_or("nobody");
        let _ = write!(
            std::io::stdout(),
            "\r\x1b[2K  sent {} · answered {} · waiting {} · lost {} · {release} in {} ms",
            progress.started,
            progress.answered,
            progress.waiting(),
            progress.lost + progress.refused,
            progress.latest.as_millis(),
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
