//! What must hold after all that. What an app took with it when it went is counted apart, as the scenario `down` does.

use std::time::Duration;

use holdfast_control::wire::Receipt;
use holdfast_load::clock::Moment;
use holdfast_load::report::Report;
use holdfast_load::run::{Tunnel, TunnelEnd};

use super::deeds::Played;
use super::watch::{Look, Looks, Most, RESIDENT_MORE_KIB};
use crate::figures::Figures;
use crate::mixed;
use crate::scenario::down::{self, Gone};
use crate::scenario::order;
use crate::scenario::upgrades;
use crate::stage::{Seen, Stage};

/// Clients and the daemon look at the clock at different moments.
const GRAIN: Duration = Duration::from_secs(1);
/// A flat line may swing by so much, of its own height and at least.
const SWING: (f64, u64) = (0.25, 40);
/// With fewer looks, whether a hold is among them says more than whether a line is flat.
const LOOKS_MIN: usize = 100;

pub(super) fn judge(stage: &mut Stage, seen: &Seen, played: &Played) {
    stage.verdict.must(
        "each command ends as it must",
        match played.wrong.as_slice() {
            [] => format!("{} deeds", played.deeds.values().sum::<u64>()),
            wrong => wrong.join("; "),
        },
        played.wrong.is_empty() && !played.deeds.is_empty(),
    );
    let verdict = &mut stage.verdict;
    verdict.nothing_wrong(&seen.findings);
    let lost = down::inexcusable(seen, &played.gone);
    verdict.none(
        "request lost or refused, but what an app took with it",
        &lost,
    );
    upgrades::closes(verdict, seen);
    order::of_many_holds(verdict, seen, &played.gone);
    tunnels(stage, seen, played);
    receipts(stage, seen, played);
    mixed::was_mixed(stage, seen);
}

fn tunnels(stage: &mut Stage, seen: &Seen, played: &Played) {
    let tunnels = &seen.run.tunnels;
    let took_with_it = |tunnel: &Tunnel| {
        let near = |gone: &Gone| gone.met(tunnel.opened, tunnel.ended);
        played.gone.iter().any(near)
    };
    let broken = |end| {
        let broken = tunnels.iter().filter(move |it| it.end == end);
        broken.filter(|it| !took_with_it(it)).count()
    };
    let (corrupt, reset) = (broken(TunnelEnd::Corrupt), broken(TunnelEnd::Reset));
    stage.verdict.must(
        "no octet of a WebSocket lost or changed, and none reset, but what an app took with it",
        format!(
            "{corrupt} changed, {reset} reset, of {}; {} echoes",
            tunnels.len(),
            seen.findings.echoes
        ),
        corrupt == 0 && reset == 0 && seen.findings.echoes > 0,
    );
    let (mut closed, mut cut) = (0, 0);
    for (from, to, receipt) in &played.promotes {
        let during = tunnels
            .iter()
            .filter(|it| it.end == TunnelEnd::Closed && it.ended >= *from && it.ended <= *to);
        closed += during.count() as u64;
        cut += receipt.cut;
    }
    stage.verdict.must(
        "receipts count each WebSocket that a promote closed",
        format!("{cut} cut, {closed} closed meanwhile"),
        closed <= cut,
    );
}

fn receipts(stage: &mut Stage, seen: &Seen, played: &Played) {
    let all = || played.promotes.iter().map(|(_, _, receipt)| receipt);
    let ends = |it: &Receipt| it.released + it.abandoned + it.shed.timeout + it.waiting;
    let unaccounted = all().filter(|it| it.held != ends(it)).count();
    // What an app took with it a slow client may see, and a receipt count, in the promote that comes next.
    let failed = seen.run.records.iter().filter(|it| down::has_failed(it));
    let failed: Vec<Moment> = failed.map(|it| it.ended).collect();
    let lost_more = |(from, to, receipt): &&(Moment, Moment, Receipt)| {
        let (from, to) = (from.minus(GRAIN), *to + GRAIN);
        let seen = failed.iter().filter(|it| (from..=to).contains(it));
        receipt.lost > seen.count() as u64
    };
    let lost_more = played.promotes.iter().filter(lost_more).count();
    let lost: u64 = all().map(|it| it.lost).sum();
    let held: u64 = all().map(|it| it.held).sum();
    stage.verdict.must(
        "each receipt accounts for each held request, and lost none but what an app took with it",
        format!(
            "{} receipts, {held} held, {unaccounted} do not add up, {lost} lost, {lost_more} say more than clients do",
            played.promotes.len()
        ),
        unaccounted == 0 && lost_more == 0,
    );
}

/// What the daemon takes does not grow: not while everything goes on, and not when all have gone.
pub(super) fn flat(stage: &mut Stage, looks: &Looks, most: Most, after: Figures) {
    let before = most.before;
    let looks = looks.of_one_process();
    level(
        stage,
        "memory of one process, KiB",
        looks,
        RESIDENT_MORE_KIB,
        |it| it.resident_kib,
    );
    level(stage, "descriptors of one process", looks, SWING.1, |it| {
        it.descriptors as u64
    });
    stage.verdict.must(
        "when all have gone, descriptors and threads are as they were",
        format!(
            "{} and {} before, {} and {} after",
            before.descriptors, before.threads, after.descriptors, after.threads
        ),
        after.descriptors <= most.descriptors() && after.threads <= most.threads(),
    );
    stage.verdict.must(
        "and so is memory",
        format!(
            "{} KiB before, {} KiB after",
            before.resident_kib, after.resident_kib
        ),
        after.resident_kib <= most.resident_kib(),
    );
}

/// The middle of the first third, beside that of the last.
fn level(stage: &mut Stage, what: &str, looks: &[Look], more: u64, of: fn(&Figures) -> u64) {
    let must = format!("{what}, are level");
    if looks.len() < LOOKS_MIN {
        let seen = format!("{} looks: too short to say", looks.len());
        stage.verdict.must(must, seen, true);
        return;
    }
    let third = looks.len() / 3;
    let middle = |looks: &[Look]| {
        let mut values: Vec<u64> = looks.iter().map(|it| of(&it.figures)).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let (first, last) = (
        middle(&looks[..third]),
        middle(&looks[looks.len() - third..]),
    );
    let (Some(first), Some(last)) = (first, last) else {
        return;
    };
    let most = first + more.max((first as f64 * SWING.0) as u64);
    stage.verdict.must(
        must,
        format!("{first} at first, {last} at last, in {} looks", looks.len()),
        last <= most,
    );
}

pub(super) fn figures(report: &mut Report, played: &Played) {
    for (deed, count) in &played.deeds {
        report.figure(format!("done: {deed}"), count);
    }
}
