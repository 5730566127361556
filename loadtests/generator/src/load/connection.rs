//! One client connection, and the watch over it while it is idle.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::outgoing::Outgoing;
use super::wire::Wire;
use crate::clock::Moment;
use crate::run::{Loss, UnannouncedClose};

/// Idle connections that were closed without a word.
pub(crate) type Closes = Rc<RefCell<Vec<UnannouncedClose>>>;

/// An open connection. Dropping it closes it at once, whatever was under way.
pub(crate) struct Connection {
    sender: http1::SendRequest<Outgoing>,
    driver: AbortHandle,
    life: Rc<Life>,
    abrupt: Arc<AtomicBool>,
    /// Counts it as open.
    _open: Open,
}

/// Counts open connections.
pub(crate) struct Open(Rc<Cell<usize>>);

/// What is known of a connection while nobody uses it.
struct Life {
    resting_since: Cell<Option<Moment>>,
    closed: Cell<bool>,
    closes: Closes,
}

/// A request that did not get its answer.
pub(crate) enum Failed {
    /// No octet of it was written: it can be sent again.
    Unsent(Box<Request<Outgoing>>),
    /// It is lost.
    Lost(Loss),
}

impl Connection {
    /// Speaks HTTP/1.1 on this wire. `upgrades`: whether it may become a tunnel.
    pub(crate) async fn new(
        wire: Wire,
        abrupt: Arc<AtomicBool>,
        closes: Closes,
        open: Open,
        upgrades: bool,
    ) -> Result<Self, Loss> {
        let handshake = http1::handshake(TokioIo::new(wire)).await;
        let (sender, connection) = handshake.map_err(|error| loss(&error))?;
        let life = Rc::new(Life {
            resting_since: Cell::default(),
            closed: Cell::default(),
            closes,
        });
        let watch = life.clone();
        let driver = tokio::task::spawn_local(async move {
            // What became of requests, they tell themselves.
            let _ = if upgrades {
                connection.with_upgrades().await
            } else {
                connection.await
            };
            watch.ended();
        });
        Ok(Self {
            sender,
            driver: driver.abort_handle(),
            life,
            abrupt,
            _open: open,
        })
    }

    /// Sends a request and waits for its answer's head.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failed> {
        let rested = self.life.resting_since.take();
        let sent = self.try_send(request).await;
        if let (Some(since), Err(Failed::Unsent(_))) = (rested, &sent) {
            self.life.closed_unannounced(since);
        }
        sent
    }

    async fn try_send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Failed> {
        if self.sender.ready().await.is_err() {
            return Err(Failed::Unsent(Box::new(request)));
        }
        let sent = self.sender.try_send_request(request).await;
        sent.map_err(|mut error| match error.take_message() {
            Some(request) => Failed::Unsent(Box::new(request)),
            None => Failed::Lost(loss(error.error())),
        })
    }

    /// Begins to rest after an answer that did not announce a close. None if the other side has closed it already.
    pub(crate) fn rest(self) -> Option<Self> {
        self.life.resting_since.set(Some(Moment::now()));
        if self.life.closed.get() {
            self.life.ended();
            return None;
        }
        Some(self)
    }

    /// Since when it is idle, if it is.
    pub(crate) fn resting_since(&self) -> Option<Moment> {
        self.life.resting_since.get()
    }

    /// When set, it will end with a reset.
    pub(crate) fn abrupt(&self) -> Arc<AtomicBool> {
        self.abrupt.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Open {
    pub(crate) fn count(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Life {
    /// The connection has ended by itself. If nobody was using it, that was unannounced.
    fn ended(&self) {
        self.closed.set(true);
        if let Some(since) = self.resting_since.take() {
            self.closed_unannounced(since);
        }
    }

    fn closed_unannounced(&self, since: Moment) {
        let at = Moment::now();
        let idle = at.since(since);
        self.closes.borrow_mut().push(UnannouncedClose { at, idle });
    }
}

/// What this error of hyper's means, before an answer has begun.
pub(crate) fn loss(error: &hyper::Error) -> Loss {
    if error.is_parse() {
        return Loss::Malformed;
    }
    if is_reset(error) {
        return Loss::Reset;
    }
    Loss::Closed
}

fn is_reset(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), ConnectionReset | BrokenPipe);
        }
        source = cause.source();
    }
    false
}
