//! Monotonic time since the process began: what queue and machine take as an argument.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

thread_local! {
    static LATELY: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Now, since the origin (the first call in this process).
pub(crate) fn now() -> Duration {
    let now = ORIGIN.get_or_init(Instant::now).elapsed();
    LATELY.set(now);
    now
}

/// When this thread last asked. A worker asks whenever it wakes up, and for each request that comes and each part of an
/// answer; what is done in the same breath is done at the same time. For whom that is not enough, there is [`now`].
pub(crate) fn lately() -> Duration {
    LATELY.get()
}

/// The instant at which [`now`] was, or will be, `since_origin`.
pub(crate) fn instant(since_origin: Duration) -> Instant {
    *ORIGIN.get_or_init(Instant::now) + since_origin
}
