//! Attacks, one after the other, while honest clients go on. What is looked at: the honest clients' latency, what the
//! daemon takes, and that it is as before when they stop.

use std::time::Duration;

use holdfast_load::load::{Load, Plan};
use holdfast_load::report::{Report, spell};
use holdfast_load::run::Run;
use holdfast_load::series::Percentiles;

use super::Scenario;
use crate::attack::{Attack, Attackers};
use crate::cli::Options;
use crate::figures::Figures;
use crate::stage::{Opening, Stage, steady};
use crate::trouble::Trouble;

const RATE: f64 = 200.0;
/// Resident memory that an attack may add.
const GROWTH_MAX_KIB: u64 = 64 << 10;
/// Below that a latency on a shared machine says nothing.
const NOISE: Duration = Duration::from_millis(20);
/// How much of an attacker's work an attack may cost us.
const AMPLIFICATION_MAX: f64 = 10.0;

pub(super) async fn play(options: &Options) -> Result<Report, Trouble> {
    let Opening {
        mut stage,
        app: _app,
    } = Stage::open(options, "", "").await?;
    let part = options.seconds(39) / 13;
    let before = stage.daemon.figures()?;
    let calm = Load::start(plan(&stage, part))?.complete().await?;
    let base = Base {
        p99: p99(&calm),
        cpu: stage.daemon.figures()?.cpu.saturating_sub(before.cpu),
    };
    let mut attacked = Vec::new();
    for attack in Attack::ALL {
        attacked.push((attack, under(&mut stage, attack, part, base).await?));
    }
    let last = Load::start(plan(&stage, part))?.complete().await?;
    let after = p99(&last);
    stage.verdict.must(
        "the daemon recovers by itself",
        format!("p99 {} before, {} after", spell(base.p99), spell(after)),
        after <= (base.p99 * 3).max(NOISE),
    );
    let seen = stage.see(last)?;
    stage.verdict.nothing_lost(&seen.findings);
    let mut report = stage.report(Scenario::Attacks, seen);
    report.figure("p99 of honest clients, unattacked", spell(base.p99));
    for (attack, told) in attacked {
        report.figure(attack.name(), told);
    }
    Ok(report)
}

/// What honest clients see and cost when they are alone.
#[derive(Clone, Copy)]
struct Base {
    p99: Duration,
    cpu: Duration,
}

/// Honest clients while this attack goes on. Returns the figures.
async fn under(
    stage: &mut Stage,
    attack: Attack,
    part: Duration,
    base: Base,
) -> Result<String, Trouble> {
    let before = stage.daemon.figures()?;
    let attackers = Attackers::start(attack, stage.daemon.address)?;
    let load = Load::start(plan(stage, part))?;
    let peak = peak(stage, part, before).await?;
    let run = load.complete().await?;
    let spent = attackers.stop();
    let after = stage.daemon.figures()?;
    let p99 = p99(&run);
    let seen = stage.see(run)?;
    let (growth, cpu) = (
        peak.saturating_sub(before.resident_kib),
        after.cpu.saturating_sub(before.cpu + base.cpu),
    );
    let amplification = cpu.as_secs_f64() / spent.cpu.as_secs_f64().max(0.001);
    let name = attack.name();
    let verdict = &mut stage.verdict;
    let lost = seen.findings.lost() + seen.findings.refused();
    verdict.must(
        format!("{name}: honest clients lose nothing"),
        lost,
        lost == 0,
    );
    verdict.must(
        format!("{name}: their p99 is at most three times the usual"),
        format!("{} instead of {}", spell(p99), spell(base.p99)),
        p99 <= (base.p99 * 3).max(NOISE),
    );
    verdict.must(
        format!("{name}: memory stays within {GROWTH_MAX_KIB} KiB more"),
        format!("{growth} KiB"),
        growth <= GROWTH_MAX_KIB,
    );
    verdict.must(
        format!("{name}: it costs us less than {AMPLIFICATION_MAX} times what it costs them"),
        format!(
            "{amplification:.1} times ({cpu:?} of CPU, theirs {:?})",
            spent.cpu
        ),
        amplification < AMPLIFICATION_MAX,
    );
    // What is left of it is gone before the next.
    steady(Duration::from_millis(500)).await;
    Ok(format!(
        "p99 {}, {growth} KiB, {cpu:?} of CPU; {} connections, {} octets, {:?} of CPU",
        spell(p99),
        spent.connections,
        spent.octets,
        spent.cpu
    ))
}

/// The most resident memory while this time goes by.
async fn peak(stage: &Stage, time: Duration, before: Figures) -> Result<u64, Trouble> {
    let mut peak = before.resident_kib;
    for _ in 0..20 {
        steady(time / 20).await;
        peak = peak.max(stage.daemon.figures()?.resident_kib);
    }
    Ok(peak)
}

fn plan(stage: &Stage, time: Duration) -> Plan {
    let mut plan = stage.plan(RATE);
    plan.duration = Some(time);
    plan.watched = 0;
    plan
}

fn p99(run: &Run) -> Duration {
    let micros = Percentiles::of(run).at(0.99).unwrap_or_default();
    Duration::from_micros(micros)
}
