//! `swapctl history`: earlier operations, newest first, a line each.

use clap::Args;
use holdfast_control::wire::Receipt;
use serde_json::json;

use crate::cli::App;
use crate::exit::Exit;
use crate::session::{Ended, Session};
use crate::told;

/// Earlier operations, newest first
#[derive(Args, Debug)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) app: App,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl History {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        let app = self.app.typed();
        let app = app.map_or(String::new(), |app| format!("&app={app}"));
        let path = format!("/v1/history?limit={}{app}", self.limit);
        let receipts: Vec<Receipt> = session.look(&path).await?;
        let text = if receipts.is_empty() {
            "nothing yet".to_owned()
        } else {
            receipts.iter().map(line).collect()
        };
        session
            .output
            .result(&json!({ "history": receipts }), &text)?;
        Ok(Exit::Done)
    }
}

fn line(receipt: &Receipt) -> String {
    let Receipt {
        started,
        operation,
        verb,
        ..
    } = receipt;
    let headline = told::receipt::headline(receipt);
    format!("{started}  {operation}  {verb:8}  {headline}\n")
}
