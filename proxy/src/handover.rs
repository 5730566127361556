//! handover: another process takes this one's place, and no connection notices.
//!
//! The old process starts the new one with a socket as its standard input, and lends it through that what there can be
//! only one of: the sockets that listen, the journal's lock, the control socket. None of them is ever closed, so nobody
//! who waits in a queue is reset. The new process gets ready, and accepts when the old one has stopped to. For some
//! seconds the old one stays as it is; if the new one dies, it accepts again. Then it answers its last requests and ends.

mod inherit;
mod lend;
mod packet;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::tls::TicketKeys;
pub(crate) use inherit::{Heir, Predecessor, inherit};
pub(crate) use lend::{NotReplaced, Successor, hand_over};

/// In the new process's environment.
const VARIABLE: &str = "HOLDFAST_HANDOVER";

/// So often the new process says that it serves, until it has proved itself.
const BEAT: Duration = Duration::from_millis(100);

/// What a process has of the world outside.
pub(crate) struct Estate {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) admin: Option<(SocketAddr, OwnedFd)>,
    /// What seals the sessions of TLS.
    pub(crate) tickets: TicketKeys,
}

/// The sockets of one address.
pub(crate) struct Listener {
    /// As the configuration has it.
    pub(crate) asked: SocketAddr,
    /// With a port that was chosen.
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<OwnedFd>,
    /// A service manager has them too, and keeps them open.
    pub(crate) shared: bool,
}
