//! The wall clock, for people only: it is shown and journalled, and nothing is ever computed from it, so a clock that
//! jumps changes nothing.

use jiff::Timestamp;

/// Now, to the millisecond (RFC 3339).
pub(crate) fn wall_now() -> String {
    format!("{:.3}", now())
}

#[cfg(not(feature = "simulation"))]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(feature = "simulation")]
fn now() -> Timestamp {
    crate::simulating::wall().unwrap_or_else(Timestamp::now)
}
