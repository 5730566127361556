//! The limits of a hold. There is no unlimited one.

use std::time::Duration;

/// Added to the bytes of each ticket: what a parked connection, its timer and its place cost besides its own octets.
pub const TICKET_OVERHEAD_BYTES: usize = 2048;

/// What a hold may take, and how it lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many requests may wait.
    pub max_requests: usize,
    /// How many bytes they may take together, [`TICKET_OVERHEAD_BYTES`] included.
    pub max_bytes: usize,
    /// How long each may wait. Its owner keeps the time; see [`Ticket::deadline`](crate::Ticket::deadline).
    pub max_wait: Duration,
    /// How many of one client may wait. Applies to arrivals once half of `max_requests` wait.
    pub max_per_client: usize,
    /// How fast they go on.
    pub rate: Rate,
}

/// How fast a released queue empties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rate {
    /// By concurrency: a window that starts where the old release was, grows by one with each answer, and by a quarter
    /// each 100 ms in any case.
    #[default]
    Auto,
    /// So many requests a second (at least one). What came behind the queue that existed at the release goes at a rate
    /// that doubles each second, so that the door opens whatever arrives.
    PerSecond(u32),
}
