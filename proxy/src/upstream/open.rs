//! A fresh connection to an instance: TCP or a Unix socket, TLS where the app's settings ask for it, and the handshake of
//! the HTTP that the app speaks.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use holdfast_control::plane::Stream;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use swap_core::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::hear_out::HearOut;
use super::kept::{Keeping, Kept};
use super::link::{Link, Tasks};
use super::shared::Shared;
use super::{Alone, ConnectError};
use crate::io::Direct;
use crate::tls::Outward;

/// So much of an answer is read ahead of a client that does not take it; no head of an answer may be longer.
pub(super) const ANSWER_AHEAD_MAX: u32 = 64 << 10;
/// Most requests under way on one HTTP/2 connection. All of their answers fit into its window together: a client that
/// takes nothing never holds up another one.
pub(super) const STREAMS_MAX: u32 = 100;
/// Unacknowledged octets for so long: the instance has vanished.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// An instance from which nothing comes is asked after so long, and has so long to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_MAX: Duration = Duration::from_secs(20);

/// A connection that carries one request at a time.
pub(super) async fn http1(
    address: &Address,
    tls: Option<&Outward>,
    link: Rc<Link>,
) -> Result<Alone, ConnectError> {
    match (address, tls) {
        // The way of most requests, without a call through a pointer for each read.
        (Address::Tcp(address), None) => shake_http1(Direct(tcp(*address).await?), link).await,
        _ => shake_http1(stream(address, tls).await?, link).await,
    }
}

/// A connection that carries many.
pub(super) async fn http2(
    address: &Address,
    tls: Option<&Outward>,
    link: Rc<Link>,
) -> Result<Rc<Shared>, ConnectError> {
    let (sender, connection) = http2::Builder::new(Tasks(link.clone()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(ANSWER_AHEAD_MAX)
        .initial_connection_window_size(ANSWER_AHEAD_MAX * STREAMS_MAX)
        .max_header_list_size(ANSWER_AHEAD_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .handshake(TokioIo::new(stream(address, tls).await?))
        .await
        .map_err(ConnectError::Handshake)?;
    let room = Rc::new(Cell::new(STREAMS_MAX as usize));
    let shared = Rc::new(Shared::new(sender, room.clone()));
    let mut connection = Box::pin(connection);
    link.spawn(poll_fn(move |cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        // The app may allow fewer, and may change its mind.
        room.set(
            connection
                .current_max_send_streams()
                .min(STREAMS_MAX as usize),
        );
        polled
    }));
    Ok(shared)
}

/// A connection with nothing said on it yet but the TLS handshake.
pub(crate) async fn stream(
    address: &Address,
    tls: Option<&Outward>,
) -> io::Result<Box<dyn Stream>> {
    Ok(match (address, tls) {
        (Address::Tcp(to), None) => Box::new(tcp(*to).await?),
        (Address::Tcp(to), Some(tls)) => Box::new(tls.secure(tcp(*to).await?, address).await?),
        (Address::Unix(path), None) => Box::new(UnixStream::connect(path).await?),
        (Address::Unix(path), Some(tls)) => {
            let plain = UnixStream::connect(path).await?;
            Box::new(tls.secure(plain, address).await?)
        }
    })
}

async fn tcp(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

async fn shake_http1<S>(stream: S, link: Rc<Link>) -> Result<Alone, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let kept = Kept::default();
    let stream = Keeping::new(HearOut::new(stream), kept.clone());
    let (sender, connection) = rules()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ConnectError::Handshake)?;
    link.spawn(connection.with_upgrades());
    Ok(Alone { sender, kept })
}

/// How hyper speaks HTTP/1.1 with apps. An answer has at most 100 fields: for more hyper would allocate with each one.
pub(crate) fn rules() -> http1::Builder {
    let mut rules = http1::Builder::new();
    rules.max_buf_size(ANSWER_AHEAD_MAX as usize);
    rules
}
