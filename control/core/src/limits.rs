//! The times that bound every state of an app, as its configuration sets them.

use std::time::Duration;

/// An app's time limits. None of them is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How long a new release may take to get ready (`timeouts.boot`).
    pub boot: Duration,
    /// How long running requests of an old release may take to end (`timeouts.drain`).
    pub drain: Duration,
    /// The same while clients wait for it, with strategy hold. The smaller of 5 s and `drain`, unless configured.
    pub drain_held: Duration,
    /// How long a request may be held (`hold.max_wait`).
    pub max_wait: Duration,
    /// Whether anybody may see a staged release before it takes traffic (`[[app.NAME.cohort]]`).
    pub previews: bool,
    /// For how long after a swap the old release is kept beside the new one, for what only it has (`affinity`).
    pub affinity: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            drain_held: Duration::from_secs(5),
            max_wait: Duration::from_secs(30),
            previews: false,
            affinity: Duration::ZERO,
        }
    }
}
