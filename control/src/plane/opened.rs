//! A connection to an instance that has carried a probe, between two runtimes.

use std::any::Any;
use std::os::fd::OwnedFd;

use http::HeaderMap;
use swap_core::Address;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::Stream;

/// A connection in HTTP/1.1, without TLS, that has carried one request and can carry others.
#[derive(Debug)]
pub struct Opened {
    /// Whose.
    pub instance: Address,
    /// TCP or Unix, as the address says; it does not block.
    pub socket: OwnedFd,
    /// What the instance said last on it: how long it keeps connections, perhaps.
    pub fields: HeaderMap,
    /// When.
    pub since: Instant,
}

impl Opened {
    /// Takes the stream off its runtime. None: there is more to it than a socket (TLS).
    pub(crate) fn new(
        instance: Address,
        stream: Box<dyn Stream>,
        fields: HeaderMap,
    ) -> Option<Self> {
        Some(Self {
            instance,
            socket: socket(stream)?,
            fields,
            since: Instant::now(),
        })
    }
}

fn socket(stream: Box<dyn Stream>) -> Option<OwnedFd> {
    let stream: Box<dyn Any> = stream;
    match stream.downcast::<TcpStream>() {
        Ok(tcp) => Some(tcp.into_std().ok()?.into()),
        Err(other) => {
            let unix = other.downcast::<UnixStream>().ok()?;
            Some(unix.into_std().ok()?.into())
        }
    }
}
