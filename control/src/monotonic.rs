//! The machine's clock that never jumps. All programs of the machine read the same, so what is told with it can be laid
//! beside what others wrote down. The driver's own times are not taken from it.

use rustix::time::{ClockId, clock_gettime};

/// Now, in microseconds since some moment before the daemon began.
pub(crate) fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).unsigned_abs()
}
