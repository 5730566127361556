//! Monotonic time since the process began: what queue and machine take as an argument.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Now, since the origin (the first call in this process).
pub(crate) fn now() -> Duration {
    ORIGIN.get_or_init(Instant::now).elapsed()
}

/// The instant at which [`now`] was, or will be, `since_origin`.
pub(crate) fn instant(since_origin: Duration) -> Instant {
    *ORIGIN.get_or_init(Instant::now) + since_origin
}
