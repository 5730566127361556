//! One client connection, and the watch over it while it is idle. In HTTP/2 several requests share it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::failure::{is_unprocessed, loss};
use super::outgoing::Outgoing;
use super::trust::Stream;
use crate::clock::Moment;
use crate::run::{Loss, Protocol, UnannouncedClose};

/// Idle connections that were closed without a word.
pub(crate) type Closes = Rc<RefCell<Vec<UnannouncedClose>>>;

/// An open connection, or a share in one. When the last share is dropped, it is closed at once, whatever was under way.
pub(crate) struct Connection {
    sender: Sender,
    line: Rc<Line>,
}

enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

/// What all that share a connection have in common.
struct Line {
    driver: AbortHandle,
    life: Rc<Life>,
    abrupt: Arc<AtomicBool>,
    protocol: Protocol,
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
    /// The other side said that it has not processed it: the same can be sent again (RFC 9113, 8.7).
    Unprocessed,
    /// It is lost.
    Lost(Loss),
}

/// What a connection is made of.
pub(crate) struct Raw {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) protocol: Protocol,
    pub(crate) abrupt: Arc<AtomicBool>,
    pub(crate) closes: Closes,
    pub(crate) open: Open,
}

impl Connection {
    /// Speaks HTTP on this wire. `upgrades`: whether it may become a tunnel, in HTTP/1.1.
    pub(crate) async fn new(raw: Raw, upgrades: bool) -> Result<Self, Loss> {
        let life = Rc::new(Life {
            resting_since: Cell::default(),
            closed: Cell::default(),
            closes: raw.closes,
        });
        let watch = life.clone();
        let (sender, driver) = if raw.protocol.http2 {
            http2(raw.stream, watch).await
        } else {
            http1(raw.stream, watch, upgrades).await
        }
        .map_err(|error| loss(&error))?;
        let line = Rc::new(Line {
            driver,
            life,
            abrupt: raw.abrupt,
            protocol: raw.protocol,
            _open: raw.open,
        });
        Ok(Self { sender, line })
    }

    /// Sends a request and waits for its answer's head.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failed> {
        if self.line.protocol.http2 {
            spell_for_http2(&mut request, self.line.protocol.tls);
        }
        let rested = self.line.life.resting_since.take();
        let sent = self.sender.try_send(request).await;
        if let (Some(since), Err(Failed::Unsent(_))) = (rested, &sent) {
            self.line.life.closed_unannounced(since);
        }
        sent
    }

    /// Begins to rest after an answer that did not announce a close. None if the other side has closed it already. (In
    /// HTTP/2 a close is announced by GOAWAY, of which we are not told.)
    pub(crate) fn rest(self) -> Option<Self> {
        let life = &self.line.life;
        if self.line.protocol.http2 {
            return (!life.closed.get()).then_some(self);
        }
        life.resting_since.set(Some(Moment::now()));
        if life.closed.get() {
            life.ended();
            return None;
        }
        Some(self)
    }

    /// Another share in it, where there may be several.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http2(sender) if !sender.is_closed() => Some(Self {
                sender: Sender::Http2(sender.clone()),
                line: self.line.clone(),
            }),
            Sender::Http1(_) | Sender::Http2(_) => None,
        }
    }

    /// Whether it takes no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// How many share it.
    pub(crate) fn shares(&self) -> usize {
        Rc::strong_count(&self.line)
    }

    /// Since when it is idle, if it is.
    pub(crate) fn resting_since(&self) -> Option<Moment> {
        self.line.life.resting_since.get()
    }

    /// When set, it will end with a reset. None where others would lose theirs.
    pub(crate) fn abrupt(&self) -> Option<Arc<AtomicBool>> {
        (self.shares() == 1).then(|| self.line.abrupt.clone())
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.line.protocol
    }
}

async fn http1(
    stream: Box<dyn Stream>,
    watch: Rc<Life>,
    upgrades: bool,
) -> hyper::Result<(Sender, AbortHandle)> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::task::spawn_local(async move {
        // What became of requests, they tell themselves.
        let _ = if upgrades {
            connection.with_upgrades().await
        } else {
            connection.await
        };
        watch.ended();
    });
    Ok((Sender::Http1(sender), driver.abort_handle()))
}

async fn http2(stream: Box<dyn Stream>, watch: Rc<Life>) -> hyper::Result<(Sender, AbortHandle)> {
    let (sender, connection) = http2::handshake(Here, TokioIo::new(stream)).await?;
    let driver = tokio::task::spawn_local(async move {
        let _ = connection.await;
        watch.ended();
    });
    Ok((Sender::Http2(sender), driver.abort_handle()))
}

/// Where hyper's own tasks run: on the load's thread.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// In HTTP/2 the host is part of the target.
fn spell_for_http2(request: &mut Request<Outgoing>, tls: bool) {
    let Some(host) = request.headers_mut().remove(http::header::HOST) else {
        return;
    };
    let scheme = if tls { "https" } else { "http" };
    let host = String::from_utf8_lossy(host.as_bytes()).into_owned();
    let target = format!("{scheme}://{host}{}", request.uri());
    // A host and a path that are fit for a field make a target.
    *request.uri_mut() = target.parse().unwrap_or_default();
}

impl Sender {
    async fn try_send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Failed> {
        match self {
            Self::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await.map_err(failed),
                Err(_) => Err(Failed::Unsent(Box::new(request))),
            },
            Self::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await.map_err(failed),
                Err(_) => Err(Failed::Unsent(Box::new(request))),
            },
        }
    }
}

fn failed(mut error: TrySendError<Request<Outgoing>>) -> Failed {
    match error.take_message() {
        Some(request) => Failed::Unsent(Box::new(request)),
        None if is_unprocessed(error.error()) => Failed::Unprocessed,
        None => Failed::Lost(loss(error.error())),
    }
}

impl Drop for Line {
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
