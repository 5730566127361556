//! A stretch of time that may not have begun, and may not have ended.

use std::time::Duration;

use crate::Moment;

/// From a moment to another, each known or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    from: Option<Moment>,
    to: Option<Moment>,
}

impl Span {
    /// Not begun.
    pub(crate) const NONE: Self = Self {
        from: None,
        to: None,
    };

    /// Begins it, unless it has begun.
    pub(crate) fn begin(&mut self, now: Moment) {
        self.from.get_or_insert(now);
    }

    /// Ends it, if it has begun and not ended.
    pub(crate) fn end(&mut self, now: Moment) {
        if self.from.is_some() {
            self.to.get_or_insert(now);
        }
    }

    /// How long it was, or has been so far; none if it has not begun.
    pub(crate) fn length(self, now: Moment) -> Option<Duration> {
        self.from.map(|from| self.to.unwrap_or(now) - from)
    }
}
