//! `swapctl version`: ours, and the daemon's if it answers.

use holdfast_control::client::ClientError;

use super::Asked;
use crate::exit::Exit;
use crate::output;

pub(crate) async fn run(asked: &Asked) -> Result<Exit, ClientError> {
    let ours = env!("CARGO_PKG_VERSION");
    let answer: Result<serde_json::Value, _> = asked.client.get("/v1/version").await;
    let daemons = answer
        .ok()
        .and_then(|answer| answer["version"].as_str().map(str::to_owned));
    if asked.json {
        output::json(&serde_json::json!({ "swapctl": ours, "holdfast": daemons }));
    } else {
        let daemons = daemons.unwrap_or_else(|| "not reachable".to_owned());
        output::line(&format!("swapctl {ours}\nholdfast {daemons}"));
    }
    Ok(Exit::Done)
}
