//! What of an app outlives the process. The driver journals it, durably, whenever a step changed it and before it
//! carries out that step's effects.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Block, Experiment, GateId, Generation, Going, Methods, OperationId, Release, ReleaseId,
    Strategy, Withdrawn,
};

/// The lasting part of an app's state.
///
/// Its JSON stays loadable for ever: fields that are not known are passed over, fields that are missing have defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// Number of the last published table.
    pub generation: Generation,
    /// Number of the last gate.
    pub gate: GateId,
    /// Who serves.
    pub live: Option<Release>,
    /// Who served before: `rollback` goes there.
    pub previous: Option<Release>,
    /// Ready, without traffic.
    pub staged: Vec<Release>,
    /// Promotes are refused.
    pub blocked: Option<Block>,
    /// A hold by command. After a restart it holds again, for its whole timeout.
    pub hold: Option<SavedHold>,
    /// Clients are divided among releases. After a restart they are again, in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// A canary, of the operation in `running`. After a restart it goes on, with the same clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Going>,
    /// A canary, of the operation in `running`, that has been withdrawn. After a restart that has ended, in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// The operation under way. After a restart it has ended: `interrupted`, or `done` if its release is live. (Not a
    /// rollout, nor one that was withdrawn.)
    pub running: Option<Running>,
    /// The operations that ended last, oldest first, at most [`Saved::ENDED_MAX`]: the same id again is `Known`.
    pub ended: Vec<OperationId>,
}

impl Saved {
    /// So many ended operations are remembered.
    pub const ENDED_MAX: usize = 64;
}

/// A hold by command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SavedHold {
    /// Which methods wait.
    pub methods: Methods,
    /// When it ends by itself.
    pub timeout: Duration,
}

/// What is known of an operation before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Running {
    /// Which.
    pub operation: OperationId,
    /// `promote`, `rollback`, `hold`, `stage`.
    pub verb: String,
    /// How it takes over.
    pub strategy: Option<Strategy>,
    /// Who served when it began.
    pub from: Option<ReleaseId>,
    /// Who is to serve.
    pub to: Option<ReleaseId>,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Whether `to` has become live by it. (`from` and `to` may be one release at new addresses.)
    #[serde(default)]
    pub swapped: bool,
}
