//! `swapctl plan`: what a hold would mean now, before anybody has to wait.

use std::time::Duration;

use clap::Args;
use holdfast_control::wire::{self, PlanRequest};
use swap_core::duration;

use crate::cli::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Ended, Session};
use crate::words::{BAD, GOOD, NAME, Styled, octets, plain, span};

/// What a hold would mean now
#[derive(Args, Debug)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) app: App,
    /// How long the new release takes to boot; else as long as the last one
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    boot: Option<Duration>,
}

impl Plan {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let request = PlanRequest {
            boot: self.boot.map(|boot| duration::text(boot).to_string()),
        };
        let asked = session.client.post(&self.app.path("plan"), &request).await;
        let plan: wire::Plan = asked.map_err(Failure::Look)?;
        session.output.result(&plan, &text(&plan))?;
        Ok(Exit::Done)
    }
}

fn text(plan: &wire::Plan) -> String {
    let wire::Plan {
        app,
        rate,
        boot_ms,
        held,
        held_bytes,
        longest_hold_ms,
        fits,
        why,
    } = plan;
    let verdict = match why {
        _ if *fits => Styled(GOOD, "it fits the limits").to_string(),
        Some(why) => format!("{} {}", Styled(BAD, "it does not fit:"), plain(why)),
        None => Styled(BAD, "it does not fit the limits").to_string(),
    };
    format!(
        "{}: a hold of {} at {rate:.1} requests a second\n\
         \x20 held      about {held}, {}\n\
         \x20 longest   {}\n\
         {verdict}",
        Styled(NAME, app),
        span(*boot_ms),
        octets(*held_bytes),
        span(*longest_hold_ms),
    )
}
