//! `swapctl history`: earlier operations, newest first.

use holdfast_control::client::ClientError;
use holdfast_control::wire::Receipt;

use super::Asked;
use crate::cli;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked, typed: cli::History) -> Result<Exit, ClientError> {
    let app = typed
        .app
        .app
        .map_or(String::new(), |app| format!("&app={app}"));
    let path = format!("/v1/history?limit={}{app}", typed.limit);
    let receipts: Vec<Receipt> = asked.client.get(&path).await?;
    if asked.json {
        output::json(&serde_json::json!({ "history": receipts }));
        return Ok(Exit::Done);
    }
    for receipt in &receipts {
        let verb = &receipt.verb;
        output::line(&format!(
            "{}  {verb:8}  {}",
            receipt.started,
            output::headline(receipt)
        ));
    }
    Ok(Exit::Done)
}
