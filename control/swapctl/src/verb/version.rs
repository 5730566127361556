//! `swapctl version`: ours, and the daemon's if it answers. That none answers is an answer.

use clap::Args;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Ended, Session};
use crate::words::plain;

/// The versions of swapctl and of the daemon
#[derive(Args, Debug)]
pub(crate) struct Version {}

impl Version {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let ours = env!("CARGO_PKG_VERSION");
        let answer: Result<Value, Failure> = session.look("/v1/version").await;
        let (daemons, words) = match answer {
            Ok(answer) => {
                let version = answer["version"].as_str().unwrap_or("unknown").to_owned();
                (Some(version.clone()), version)
            }
            Err(failure) => (None, format!("({failure})")),
        };
        let text = format!("swapctl  {ours}\nholdfast {}", plain(&words));
        let value = json!({ "swapctl": ours, "holdfast": daemons });
        session.output.result(&value, &text)?;
        Ok(Exit::Done)
    }
}
