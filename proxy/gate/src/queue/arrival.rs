//! What comes to the door, and what the door says.

use std::fmt;

use super::Ticket;

/// A request, as far as the door is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The one bit of its method.
    pub method: u16,
    /// Whose share it takes: an address, or an IPv6 network.
    pub client: u128,
    /// What is kept of it while it waits: head and buffered body.
    pub bytes: usize,
}

/// The door's word.
#[derive(Debug)]
#[must_use]
pub enum Arrived<C: Copy> {
    /// Go on. After a come-back: reload the table and try again.
    Pass,
    /// Wait for the ticket's turn.
    Wait(Ticket<C>),
    /// Refused; nothing is kept of it.
    Shed(Reason),
}

/// The door's word to a request that came back.
#[derive(Debug)]
#[must_use]
pub struct CameBack<C: Copy> {
    /// What it must do.
    pub arrived: Arrived<C>,
    /// Whether it was this request that shut the door (or shut it for its method too): then its owner reports it.
    pub shut: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `max_requests` wait. Also said to a waiting one that must make way for an older one.
    Full,
    /// `max_bytes` are taken. Also said to a waiting one that must make way for an older one.
    Bytes,
    /// Its client has its share.
    Share,
    /// It waited `max_wait`.
    Timeout,
    /// The hold has given up: nobody is held any more.
    GivenUp,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "as many requests wait as may",
            Self::Bytes => "the waiting requests take as many bytes as they may",
            Self::Share => "as many requests of this client wait as may",
            Self::Timeout => "it has waited as long as it may",
            Self::GivenUp => "the app could not be reached for as long as a request may wait",
        })
    }
}
