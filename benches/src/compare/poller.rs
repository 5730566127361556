//! epoll, as little of it as the floor, the origin and the load need.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use socket2::{Domain, Socket, Type};

/// So many events are taken at once.
const EVENTS: usize = 512;

/// So many connections may wait to be accepted: thousands come at once.
const BACKLOG: i32 = 4096;

/// Listens, without ever waiting for who connects. (The standard library's queue is too short.)
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What sockets are waited for with.
pub(super) struct Poller(OwnedFd);

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Told as long as something can be read or accepted.
    Level,
    /// Told when more can be read.
    Read,
    /// Told when more can be read, or written again.
    ReadWrite,
}

/// Something has happened to the socket that was added with this token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) token: u64,
    /// The other side will write no more. Not told again: read until the end.
    pub(super) ends: bool,
}

/// Where events are put. Kept by the caller, so that nothing is allocated.
pub(super) struct Events(Vec<epoll::Event>);

impl Events {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(EVENTS))
    }

    /// Takes them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Event> + '_ {
        let ends = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        self.0.drain(..).map(move |event| Event {
            token: event.data.u64(),
            ends: { event.flags }.intersects(ends),
        })
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Watches a socket until it is closed.
    pub(super) fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let flags = match interest {
            Interest::Level => epoll::EventFlags::IN,
            Interest::Read => epoll::EventFlags::IN | epoll::EventFlags::ET,
            Interest::ReadWrite => {
                epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET
            }
        };
        let flags = flags | epoll::EventFlags::RDHUP;
        Ok(epoll::add(
            &self.0,
            socket,
            epoll::EventData::new_u64(token),
            flags,
        )?)
    }

    /// Waits for events, or for so long.
    pub(super) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|it| Timespec {
            tv_sec: i64::try_from(it.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(it.subsec_nanos()),
        });
        events.0.clear();
        let room = rustix::buffer::spare_capacity(&mut events.0);
        match epoll::wait(&self.0, room, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }
}
