//! `swapctl pause`: a canary keeps its share until somebody says `resume`, `advance` or `abort`, or the judge no.

use clap::Args;
use holdfast_control::client::Nothing;

use crate::cli::App;
use crate::session::{Ended, Session};

/// Let a canary wait for a person
#[derive(Args, Debug)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) app: App,
}

impl Pause {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        session.command(&self.app.path("pause"), &Nothing {}).await
    }
}
