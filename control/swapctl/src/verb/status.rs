//! `swapctl status`: where the apps stand.

use clap::Args;
use holdfast_control::wire;
use swap_core::AppName;

use crate::cli::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Ended, Session};
use crate::told;

/// What is live and since when; what comes next; what is held; what drains
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Status {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let mut status: wire::Status = session.look("/v1/status").await?;
        if let Some(wanted) = self.app.typed() {
            status = only(status, wanted)?;
        }
        let text = told::status::text(&status);
        session.output.result(&status, &text)?;
        Ok(Exit::Done)
    }
}

fn only(mut status: wire::Status, wanted: &AppName) -> Result<wire::Status, Failure> {
    if let Some(app) = status.apps.remove_entry(wanted) {
        status.apps = [app].into();
        return Ok(status);
    }
    let known: Vec<&str> = status.apps.keys().map(AppName::as_str).collect();
    let what = format!("there is no app {:?}", wanted.as_str());
    Err(Failure::usage(
        what,
        format!("there is {}", known.join(", ")),
    ))
}
