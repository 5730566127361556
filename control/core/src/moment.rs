//! Points in time, as the core sees them: monotonic, since an origin that its driver chose.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in monotonic time. The wall clock never reaches the core, so a clock that jumps changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_origin` after the driver's origin.
    pub const fn after_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long `self` is after `earlier`; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}
