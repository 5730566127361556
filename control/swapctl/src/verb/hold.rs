//! `swapctl hold`: requests wait from now on. It returns when those that were running have ended; the hold goes on.

use std::time::Duration;

use clap::Args;
use holdfast_control::client::new_operation;
use holdfast_control::wire::{HoldRequest, Receipt, Status};
use swap_core::{Methods, duration};

use crate::cli::App;
use crate::exit::Exit;
use crate::follow;
use crate::output::{hints, note};
use crate::session::{Ended, Session};

/// Hold requests; returns when the running ones have ended
#[derive(Args, Debug)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) app: App,
    /// Hold only methods that may change something
    #[arg(long, conflicts_with = "methods")]
    writes: bool,
    /// Hold only these methods: `POST,PUT`
    #[arg(long, value_name = "LIST", value_parser = methods)]
    methods: Option<Methods>,
    /// When it ends by itself; else after the app's `max_wait`
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Why, for the receipt
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Hold {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let operation = new_operation();
        let request = HoldRequest {
            writes: self.writes,
            methods: self.methods,
            timeout: self.timeout.map(|limit| duration::text(limit).to_string()),
            reason: self.reason,
            operation: Some(operation.clone()),
        };
        let path = self.app.path("hold");
        let receipt = follow::to_receipt(session, &operation, &path, &request).await?;
        let exit = follow::write(session, &receipt)?;
        if matches!(exit, Exit::Done | Exit::DoneWithLoss) {
            say_how_it_ends(session, &receipt, self.timeout).await;
        }
        Ok(exit)
    }
}

/// The hold has begun whatever comes of this, so a failure here is none of the command's.
async fn say_how_it_ends(session: &Session, receipt: &Receipt, typed: Option<Duration>) {
    let limit = match typed {
        Some(typed) => Some(typed),
        None => max_wait(session, receipt).await,
    };
    let app = &receipt.app;
    if let Some(limit) = limit {
        let limit = duration::text(limit);
        note(&format!(
            "{app} is held; that ends by itself {limit} after it began"
        ));
    }
    hints(&[format!("let the requests go: swapctl resume {app}")]);
}

async fn max_wait(session: &Session, receipt: &Receipt) -> Option<Duration> {
    let status: Status = session.look("/v1/status").await.ok()?;
    let hold = &status.apps.get(&receipt.app)?.hold;
    Some(Duration::from_millis(hold.max_wait_ms))
}

fn methods(list: &str) -> Result<Methods, String> {
    let names = list.split(',').map(|name| name.trim().to_ascii_uppercase());
    Methods::try_from(names.collect::<Vec<String>>())
}
