//! Whether a client that says nothing is still there: the kernel asks it now and then (TCP keep-alive, RFC 9293, 3.8.4), and
//! often while its request is held, so that one that has vanished takes nobody's place.
//!
//! The kernel's clock is coarse: of thousands that came within a quarter of a second, the time comes in the same moment. On
//! the loopback device only a thousand of its questions get through then (`net.core.netdev_max_backlog`), and the rest is
//! dropped without a word, with whatever else was to go that way: who has as many clients behind a proxy on the same machine
//! would lose those who are held. So each has a moment of its own, and is asked many times before it counts as gone.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::time::sleep;

/// Whoever is silent for so long is asked.
const SILENT: Duration = Duration::from_secs(60);
/// And counts as gone when so many questions in a row have no answer.
const QUESTIONS: u32 = 60;
/// Between two of them.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// The same of one whose request is held. One that has vanished is noticed within 15 s.
const HELD_SILENT: Duration = Duration::from_secs(2);
const HELD_QUESTIONS: u32 = 10;
/// Over so long the first questions are spread.
const SPREAD: Duration = Duration::from_secs(2);

/// As it is for all. To be told to a listener: connections inherit it, without a call for each.
pub(crate) fn prepare(listener: &impl AsFd) -> io::Result<()> {
    SockRef::from(listener).set_tcp_keepalive(&usual().with_interval(AGAIN_EVERY))
}

/// To be waited for beside a held request: when that has taken a while, its client is asked often, until this is dropped.
pub(crate) async fn while_held(client: &impl AsFd) -> Infallible {
    // The kernel asks at once whoever has been silent for longer than it is told.
    sleep(HELD_SILENT + SPREAD.mul_f64(fastrand::f64())).await;
    let _often = Often::ask(client);
    pending().await
}

struct Often<'a, S: AsFd>(&'a S);

impl<'a, S: AsFd> Often<'a, S> {
    fn ask(client: &'a S) -> Self {
        often(client);
        Self(client)
    }
}

impl<S: AsFd> Drop for Often<'_, S> {
    fn drop(&mut self) {
        now_and_then(self.0);
    }
}

/// This client has a request that is held.
pub(crate) fn often(client: &impl AsFd) {
    let often = TcpKeepalive::new().with_time(HELD_SILENT);
    set(client, &often.with_retries(HELD_QUESTIONS));
}

/// It has none any more.
pub(crate) fn now_and_then(client: &impl AsFd) {
    set(client, &usual());
}

fn usual() -> TcpKeepalive {
    let usual = TcpKeepalive::new().with_time(SILENT);
    usual.with_retries(QUESTIONS)
}

/// It fails where a socket has just been reset, which is noticed elsewhere.
fn set(client: &impl AsFd, keepalive: &TcpKeepalive) {
    if let Err(error) = SockRef::from(client).set_tcp_keepalive(keepalive) {
        tracing::debug!(%error, "a client is asked as before whether it is there");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const USUAL: (bool, Duration, Duration, u32) = (true, SILENT, AGAIN_EVERY, QUESTIONS);
    const HELD: (bool, Duration, Duration, u32) = (true, HELD_SILENT, AGAIN_EVERY, HELD_QUESTIONS);

    fn told(socket: &impl AsFd) -> (bool, Duration, Duration, u32) {
        let socket = SockRef::from(socket);
        (
            socket.keepalive().unwrap(),
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_keepalive_retries().unwrap(),
        )
    }

    /// A client, and its socket on the other side.
    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        prepare(&listener).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_client_is_asked_often_while_it_is_held_and_as_before_afterwards() {
        let (_client, accepted) = connected();
        assert_eq!(told(&accepted), USUAL);
        let asked = Often::ask(&accepted);
        assert_eq!(told(&accepted), HELD);
        drop(asked);
        assert_eq!(told(&accepted), USUAL);
    }

    #[tokio::test]
    async fn one_that_is_held_for_a_moment_is_asked_as_before() {
        let (_client, accepted) = connected();
        let moment = Duration::from_millis(10);
        let _ = tokio::time::timeout(moment, while_held(&accepted)).await;
        assert_eq!(told(&accepted), USUAL);
    }

    #[test]
    fn one_that_vanishes_while_it_is_held_is_noticed_within_fifteen_seconds() {
        let longest = HELD_SILENT + SPREAD + AGAIN_EVERY * HELD_QUESTIONS;
        assert!(longest < Duration::from_secs(15), "the clock is late");
    }
}
