//! Sockets that a service manager has opened for this process (sd_listen_fds(3)). They are there before it, and when it has
//! ended: whoever connects meanwhile waits in their queues.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{SocketType, getsockname};

use crate::handover::Listener;
use crate::listen;

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivationError {
    #[error("LISTEN_FDS: {0}")]
    Io(#[from] io::Error),
    #[error("LISTEN_FDS: file {0} is no TCP socket that listens")]
    NoListener(RawFd),
    #[error("LISTEN_FDS: {0} is listened on, but the configuration has no such address")]
    Unknown(SocketAddr),
}

/// Those that nobody has taken yet.
#[derive(Default)]
pub(crate) struct Activated(Vec<(SocketAddr, OwnedFd)>);

impl Activated {
    /// To be called once, before the process opens anything.
    pub(crate) fn inherit() -> Result<Self, ActivationError> {
        let files = sd_notify::listen_fds()?;
        files.map(listener).collect::<Result<_, _>>().map(Self)
    }

    /// What listens on this address.
    pub(crate) fn listener(&mut self, asked: SocketAddr) -> Option<Listener> {
        let sockets: Vec<_> = self
            .0
            .extract_if(.., |(address, _)| *address == asked)
            .map(|(_, socket)| socket)
            .collect();
        (!sockets.is_empty()).then(|| Listener {
            asked,
            address: asked,
            sockets,
            shared: true,
        })
    }

    /// Whether each of them has been taken: clients would wait for nobody.
    pub(crate) fn must_be_taken(&self) -> Result<(), ActivationError> {
        match self.0.first() {
            Some((address, _)) => Err(ActivationError::Unknown(*address)),
            None => Ok(()),
        }
    }
}

fn listener(file: RawFd) -> Result<(SocketAddr, OwnedFd), ActivationError> {
    let socket = own(file);
    let wrong = || ActivationError::NoListener(file);
    let is_stream = socket_type(&socket) == Ok(SocketType::STREAM);
    if !is_stream || socket_acceptconn(&socket) != Ok(true) {
        return Err(wrong());
    }
    let address = getsockname(&socket).map_err(io::Error::from)?;
    let address = SocketAddr::try_from(address).map_err(|_| wrong())?;
    listen::prepare(&socket)?;
    Ok((address, socket))
}

#[expect(unsafe_code, reason = "a number from the environment is all there is")]
fn own(file: RawFd) -> OwnedFd {
    // SAFETY: sd_listen_fds(3) says that the file is open and ours; it is a number that nothing else here knows.
    unsafe { OwnedFd::from_raw_fd(file) }
}
