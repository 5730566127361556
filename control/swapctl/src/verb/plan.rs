//! `swapctl plan`: what a hold would mean now.

use holdfast_control::client::ClientError;
use holdfast_control::wire::{Plan, PlanRequest};

use super::{Asked, path};
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::Plan) -> Result<Exit, ClientError> {
    let body = PlanRequest { boot: typed.boot };
    let plan: Plan = asked.client.post(&path(&typed.app, "plan"), &body).await?;
    if asked.json {
        output::json(&plan);
    } else {
        output::line(&text(&plan));
    }
    Ok(Exit::Done)
}

fn text(plan: &Plan) -> String {
    let fits = match &plan.why {
        None => "fits the limits".to_owned(),
        Some(why) => format!("does not fit: {why}"),
    };
    format!(
        "{}: {:.0} requests a second, boot {}: about {} held, {} KiB, longest wait {}; {fits}",
        plan.app,
        plan.rate,
        output::seconds(plan.boot_ms),
        plan.held,
        plan.held_bytes / 1024,
        output::seconds(plan.longest_hold_ms),
    )
}
