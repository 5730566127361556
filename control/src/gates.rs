//! External gates: somebody else has a say in a canary. A command answers by its exit status, a Prometheus server by
//! figures; whoever cannot be asked has not said yes.

mod bound;
mod exec;
mod prometheus;
mod url;

use swap_core::{AppName, ExternalGate, ReleaseId, Share};

pub(crate) use bound::Bound;
pub(crate) use url::ServerUrl;

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Good.
    Yes,
    /// Bad, and why.
    No(String),
    /// Nothing, and why. It is asked again.
    Unclear(String),
}

/// What a gate is asked about.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) app: AppName,
    pub(crate) release: ReleaseId,
    pub(crate) share: Share,
}

/// Asks once. Ends within a minute; ends at once, and whatever it has started, when it is dropped.
pub(crate) async fn ask(gate: &ExternalGate, about: &About) -> Answer {
    match gate {
        ExternalGate::Exec { command, uid } => exec::ask(command, *uid, about).await,
        ExternalGate::Prometheus { url, query, wanted } => {
            prometheus::ask(url, query, wanted).await
        }
    }
}

/// What it is called, as it was asked for.
pub(crate) fn name(gate: &ExternalGate) -> String {
    match gate {
        // What follows may be a secret, and everybody who may look sees this name.
        ExternalGate::Exec { command, uid: _ } => {
            let program = command.split_whitespace().next().unwrap_or_default();
            format!("exec {program}")
        }
        ExternalGate::Prometheus {
            url: _,
            query,
            wanted,
        } => format!("prometheus {query} {wanted}"),
    }
}
