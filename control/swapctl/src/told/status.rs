//! A status in blocks, one an app.

use std::fmt::Write;

use holdfast_control::wire::{AppStatus, HoldStatus, InstanceStatus, LiveStatus, Phase, Status};
use swap_core::{AppName, Cause};

use crate::words::{BAD, GOOD, NAME, ODD, Styled, octets, plain, span};

/// All apps.
pub(crate) fn text(status: &Status) -> String {
    let Status {
        version,
        pid,
        uptime_s,
        generation,
        apps,
    } = status;
    let up = match uptime_s {
        0 => "0 s".to_owned(),
        seconds => span(seconds.saturating_mul(1_000)),
    };
    let mut text = format!("holdfast {version} · pid {pid} · up {up} · generation {generation}\n");
    for (name, app) in apps {
        text.push('\n');
        text.push_str(&block(name, app));
    }
    text
}

fn block(name: &AppName, app: &AppStatus) -> String {
    let mut text = format!("{}  {}\n", Styled(NAME, name), phase(app.phase));
    let mut line = |name: &str, words: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<9} {words}");
    };
    match &app.live {
        None => line("live", "nothing yet".to_owned()),
        Some(live) => {
            line("live", self::live(live));
            for one in &live.instances {
                line("", instance(one));
            }
        }
    }
    if let Some(next) = &app.next {
        let probe = next.probe.as_deref();
        let probe = probe.map_or(String::new(), |why| format!(" · {}", plain(why)));
        line(
            "next",
            format!("{} · operation {}{probe}", next.release, next.operation),
        );
    }
    if let Some(canary) = &app.canary {
        for (name, words) in super::canary::lines(canary, app.control.as_ref()) {
            line(name, words);
        }
    }
    if let Some(experiment) = &app.experiment {
        let by = plain(&experiment.by);
        line("compared", format!("{} · by {by}", experiment.name));
        for words in super::experiment::lines(experiment) {
            line("", words);
        }
    }
    if let Some(previous) = &app.previous {
        line("previous", previous.to_string());
    }
    for staged in &app.staged {
        line("staged", staged.to_string());
    }
    for old in &app.draining {
        let since = span(old.for_ms);
        line(
            "draining",
            format!("{} · {} running · for {since}", old.release, old.in_flight),
        );
    }
    if app.hold.active {
        line("hold", hold(&app.hold));
    }
    if let Some(block) = &app.blocked {
        let (reason, by) = (plain(&block.reason), plain(&block.by));
        line("blocked", format!("{} (by {by})", Styled(BAD, reason)));
    }
    text
}

fn live(live: &LiveStatus) -> String {
    let since = plain(&live.since);
    format!(
        "{} · since {since} · {} running",
        live.release, live.in_flight
    )
}

fn instance(instance: &InstanceStatus) -> String {
    let style = if instance.health == "up" { GOOD } else { BAD };
    let health = Styled(style, plain(&instance.health));
    format!(
        "{} {health} · {} running",
        instance.address, instance.in_flight
    )
}

fn hold(hold: &HoldStatus) -> String {
    let cause = match hold.cause {
        Some(Cause::Command) => "by command",
        Some(Cause::Swap) => "for a swap",
        Some(Cause::Down) => "the live release cannot be reached",
        Some(Cause::Empty) => "until the first promote",
        None => "ending",
    };
    format!(
        "{} · {} of {} held · {} of {} · oldest {} of {}",
        Styled(ODD, cause),
        hold.held,
        hold.max_requests,
        octets(hold.held_bytes),
        octets(hold.max_bytes),
        span(hold.oldest_ms),
        span(hold.max_wait_ms),
    )
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Empty => "empty",
        Phase::Steady => "steady",
        Phase::Booting => "booting",
        Phase::Holding => "holding",
        Phase::Canary => "canary",
        Phase::Draining => "draining",
    }
}
