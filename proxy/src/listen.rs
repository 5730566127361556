//! listen: sockets that take clients, one for each worker and address.
//!
//! All sockets of an address are bound before any of them accepts, and none is closed before nobody can wait in its queue:
//! clients that do would be reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use holdfast_config::{Limits, Listen, Network};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::challenges::Challenges;
use crate::keepalive;
use crate::peer::Trusted;
use crate::plain::Plain;
use crate::stop::Stop;
use crate::tls::Tls;

/// Clients that may wait to be accepted, for each socket.
const BACKLOG: i32 = 4096;
/// So many octets of answers wait in the kernel for a client that takes none: without a limit it would keep megabytes
/// for each.
const UNSENT_MAX: u32 = 128 << 10;
/// How long accepting pauses when a limit of the system is reached.
const PAUSE: Duration = Duration::from_millis(50);

/// What is the same for all clients of a listener.
pub(crate) struct Front {
    /// None: plain HTTP.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Every request is sent to `https`.
    pub(crate) redirect: bool,
    /// What comes first on every connection is a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Whose word about a client is believed.
    pub(crate) trusted: Trusted,
    /// What an ACME authority may ask.
    pub(crate) challenges: Arc<Challenges>,
    /// What a client may take.
    pub(crate) limits: Limits,
    /// The listener, or the daemon, stops.
    pub(crate) stop: Stop,
}

impl Front {
    pub(crate) fn new(
        listen: &Listen,
        tls: Option<Arc<Tls>>,
        trusted: &[Network],
        limits: Limits,
        challenges: &Arc<Challenges>,
        stop: Stop,
    ) -> Self {
        Self {
            tls,
            challenges: challenges.clone(),
            redirect: listen.redirect,
            proxy_protocol: listen.proxy_protocol,
            trusted: Trusted::new(trusted),
            limits,
            stop,
        }
    }

    /// What a client's URL begins with.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// A client's connection, and where it comes from.
pub(crate) type Arrived = (Plain, SocketAddr);

/// A client's connection, and the permit that counts it.
pub(crate) struct Accepted {
    pub(crate) stream: Plain,
    pub(crate) front: Arc<Front>,
    pub(crate) client: SocketAddr,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Binds one address for so many workers. Port 0 is chosen once and shared.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let first = bind_one(address)?;
    let chosen = first.local_addr()?.as_socket().unwrap_or(address);
    let rest = (1..workers)
        .map(|_| bind_one(chosen))
        .collect::<io::Result<Vec<_>>>()?;
    Ok((chosen, std::iter::once(first).chain(rest).collect()))
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    prepare(&socket)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Options of connections: those that are accepted have them from their listener (tcp(7)), without a call for each.
pub(crate) fn prepare(socket: &impl AsFd) -> io::Result<()> {
    keepalive::prepare(socket)?;
    let socket = SockRef::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_MAX)
}

/// From now on the kernel drops whoever asks to connect, and who has asked before comes through. (What is dropped is asked
/// again after a second, by when the socket is closed, and refused.) Connections inherit it, to which it means nothing: it
/// looks for SYN without ACK among the flags of a segment (RFC 9293, 3.1).
pub(crate) fn turn_away(socket: &impl AsFd) -> io::Result<()> {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const SYN_ACK: u32 = 0x12;
    let step = |code: libc::c_uint, jt, jf, k| SockFilter::new(code as u16, jt, jf, k);
    let filter = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, FLAGS),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, SYN_ACK),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, SYN),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    SockRef::from(socket).attach_filter(&filter)
}

/// Whether somebody else listens on this address: SO_REUSEPORT would share it without a word.
pub(crate) fn is_taken(address: SocketAddr) -> io::Result<bool> {
    if address.port() == 0 {
        return Ok(false);
    }
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    match socket.bind(&address.into()) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(true),
        Err(error) => Err(error),
    }
}

/// A socket in whose queue clients wait to be accepted. It is watched as a stream, because tokio's own listener has each
/// client watched too, before anybody has to wait for it.
pub(crate) struct Queue(TcpStream);

impl Queue {
    /// `socket`: one that listens, and does not block.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        TcpStream::from_std(socket.into()).map(Self)
    }

    /// The next client.
    pub(crate) async fn accept(&self) -> Arrived {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(arrived) => return arrived,
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept paused");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The next client of those who wait there now.
    pub(crate) fn accept_waiting(&self) -> Option<Arrived> {
        loop {
            match self.accept_one() {
                Ok(arrived) => return Some(arrived),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if is_of_one_client(&error) => {}
                Err(_) => return None,
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrived>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_io(Interest::READABLE, || self.accept_one()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => return Poll::Ready(accepted),
            }
        }
    }

    fn accept_one(&self) -> io::Result<Arrived> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, client) = rustix::net::acceptfrom_with(&self.0, flags)?;
        let client = client.ok_or(Errno::AFNOSUPPORT)?.try_into()?;
        Ok((Plain::new(socket), client))
    }
}

/// The error of a client that left while it waited (accept(2)), as opposed to one of ours.
fn is_of_one_client(error: &io::Error) -> bool {
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    !Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}
