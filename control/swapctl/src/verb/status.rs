//! `swapctl status`: where every app stands.

use std::fmt::Write;

use holdfast_control::client::ClientError;
use holdfast_control::wire::{AppStatus, Phase, Status};
use swap_core::AppName;

use super::Asked;
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::App) -> Result<Exit, ClientError> {
    let mut status: Status = asked.client.get("/v1/status").await?;
    if let Some(wanted) = &typed.app {
        status.apps.retain(|name, _| name.as_str() == wanted);
        if status.apps.is_empty() {
            let hint = Some("`swapctl status` names them all");
            return Ok(Exit::usage(&format!("there is no app {wanted:?}"), hint));
        }
    }
    if asked.json {
        output::json(&status);
    } else {
        let blocks: Vec<String> = status
            .apps
            .iter()
            .map(|(name, app)| text(name, app))
            .collect();
        output::line(blocks.join("\n").trim_end());
    }
    Ok(Exit::Done)
}

fn text(name: &AppName, app: &AppStatus) -> String {
    let mut text = format!("{name}  {}\n", phase(app.phase));
    match &app.live {
        None => text.push_str("  live      nothing yet\n"),
        Some(live) => {
            let _ = writeln!(
                text,
                "  live      {} since {}, {} running",
                live.release, live.since, live.in_flight
            );
            for instance in &live.instances {
                let _ = writeln!(
                    text,
                    "            {} {}, {} running",
                    instance.address, instance.health, instance.in_flight
                );
            }
        }
    }
    if let Some(next) = &app.next {
        let probe = next
            .probe
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        let _ = writeln!(
            text,
            "  next      {} (operation {}){probe}",
            next.release, next.operation
        );
    }
    if let Some(previous) = &app.previous {
        let _ = writeln!(text, "  previous  {previous}");
    }
    for staged in &app.staged {
        let _ = writeln!(text, "  staged    {staged}");
    }
    for drain in &app.draining {
        let for_time = output::seconds(drain.for_ms);
        let _ = writeln!(
            text,
            "  draining  {}, {} running, for {for_time}",
            drain.release, drain.in_flight
        );
    }
    let hold = &app.hold;
    if hold.active {
        let cause = hold
            .cause
            .map_or(String::new(), |cause| format!("{cause:?}").to_lowercase());
        let oldest = output::seconds(hold.oldest_ms);
        let _ = writeln!(
            text,
            "  held      {} of {} ({cause}), oldest {oldest}",
            hold.held, hold.max_requests
        );
    }
    if let Some(block) = &app.blocked {
        let _ = writeln!(text, "  blocked   {} (by {})", block.reason, block.by);
    }
    text
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
