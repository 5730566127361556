//! What the requests of one connection share, and what a request and its connection have to tell each other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use swap_core::Cause;
use swap_gate::Turn;

use crate::account::Account;
use crate::body::Upload;
use crate::clock;
use crate::exchange::Exchange;
use crate::http2;
use crate::io::{Activity, ClientIo, Doing, Socket};
use crate::listen::Front;
use crate::peer::Peer;
use crate::tls::Secured;
use crate::tunnel::Tunnel;
use crate::watch::Waiting;
use crate::worker::Worker;

/// What the requests of one connection share.
pub(crate) struct Conn {
    pub(crate) worker: Rc<Worker>,
    peer: Rc<Peer>,
    pub(super) activity: Rc<Activity>,
    pub(super) socket: RefCell<Weak<RefCell<Secured>>>,
    front: Arc<Front>,
    /// When the app's answer is overdue, and how long it may take.
    pub(super) due: Cell<Option<Due>>,
    pub(super) errand: RefCell<Errand>,
    pub(super) overdue: Cell<bool>,
    /// Of the task that waits for the answer. Only of a stream: for HTTP/1 it is the connection's own.
    waiter: Cell<Option<Waker>>,
    /// The client sends nothing more.
    silent: Cell<bool>,
    upload_broke: Cell<bool>,
    /// A body comes, and its end has not been read.
    uploads: Cell<bool>,
    waits_for_client: Cell<bool>,
    /// Since when nothing more of the answer is wanted, because the client has not taken what is there.
    untaken: Cell<Option<Duration>>,
    /// One request of many on its connection (HTTP/2).
    stream: Option<http2::Running>,
}

/// What a request asks its connection to do with itself, or the connection hands to its next request.
#[derive(Default)]
pub(super) enum Errand {
    #[default]
    None,
    Park(Box<Parked>),
    Resume(Box<Resumed>),
    Tunnel(Box<Tunnel>),
    Close,
}

/// When something is overdue, and how long it may take from its last sign of life.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) at: Duration,
    allowed: Duration,
}

/// A request that waits apart from hyper's connection.
pub(crate) struct Parked {
    pub(super) waiting: Waiting,
    /// As text, to be parsed once more.
    pub(super) head: BytesMut,
    /// Holds what hyper has read ahead of the body.
    pub(super) body: Option<Upload>,
    pub(super) kept: Box<Kept>,
}

/// The same request when its wait is over.
pub(crate) struct Resumed {
    pub(crate) turn: Turn<Cause>,
    pub(crate) kept: Box<Kept>,
}

/// What a request was before it waited.
pub(crate) struct Kept {
    pub(crate) held: Duration,
    pub(crate) sent: u32,
    pub(crate) account: Box<Account>,
}

impl Parked {
    pub(crate) fn new(waiting: Waiting, exchange: Exchange, account: Box<Account>) -> Self {
        let head = exchange.serialize_head();
        let kept = Kept {
            held: exchange.held,
            sent: exchange.sent,
            account,
        };
        Self {
            waiting,
            head,
            body: exchange.body,
            kept: Box::new(kept),
        }
    }
}

impl Conn {
    pub(super) fn new(worker: Rc<Worker>, front: Arc<Front>, peer: Rc<Peer>) -> Self {
        Self::begun(clock::now(), worker, front, peer)
    }

    fn begun(since: Duration, worker: Rc<Worker>, front: Arc<Front>, peer: Rc<Peer>) -> Self {
        Self {
            worker,
            front,
            peer,
            activity: Rc::new(Activity::new(since)),
            socket: RefCell::default(),
            due: Cell::new(None),
            overdue: Cell::new(false),
            waiter: Cell::new(None),
            silent: Cell::new(false),
            upload_broke: Cell::new(false),
            uploads: Cell::new(false),
            waits_for_client: Cell::new(false),
            untaken: Cell::new(None),
            stream: None,
            errand: RefCell::default(),
        }
    }

    /// For one request of many on the connection `of`.
    pub(crate) fn of_stream(of: &Self, stream: http2::Running) -> Self {
        let (worker, front, peer) = (of.worker.clone(), of.front.clone(), of.peer.clone());
        Self {
            stream: Some(stream),
            ..Self::begun(clock::lately(), worker, front, peer)
        }
    }

    /// Whether there is one request at a time on this connection, which ends with it where that is asked for (HTTP/1).
    pub(crate) fn is_http1(&self) -> bool {
        self.stream.is_none()
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What all clients of its listener meet.
    pub(crate) fn front(&self) -> &Front {
        &self.front
    }

    /// A request has come; says when.
    pub(crate) fn request_began(&self) -> Duration {
        if !self.is_http1() {
            // Others of the connection may have been dealt with since its octets were read.
            clock::now();
        }
        self.activity.begin(Doing::Request);
        self.activity.doing().1
    }

    pub(crate) fn answer_ended(&self) {
        self.activity.begin(Doing::Idle);
    }

    /// The client takes more of the answer.
    pub(crate) fn answer_is_wanted(&self) {
        self.untaken.set(None);
    }

    /// A part of the answer is on its way. On a connection with one request the socket itself says whether it is taken.
    pub(crate) fn answer_flows(&self) {
        if !self.is_http1() {
            self.untaken.set(Some(clock::lately()));
        }
    }

    /// Since when the client takes nothing of the answer.
    pub(crate) fn untaken(&self) -> Option<Duration> {
        self.untaken.get()
    }

    /// Whether it can be taken apart: it is all this request's, and everything written so far has left hyper's buffer.
    pub(crate) fn can_park(&self) -> bool {
        self.is_http1() && self.activity.is_flushed()
    }

    /// The head of the app's answer must come within `allowed`, counted from the last octet of the upload.
    pub(crate) fn await_answer(&self, allowed: Duration) {
        self.overdue.set(false);
        self.expect(Due {
            at: clock::lately() + allowed,
            allowed,
        });
    }

    fn expect(&self, due: Due) {
        self.due.set(Some(due));
        if let Some(stream) = &self.stream {
            stream.expect(due.at);
        }
    }

    pub(crate) fn stop_waiting(&self) {
        self.due.set(None);
        self.waiter.take();
    }

    /// An octet of the upload has come, or its end: the app has its time from now on.
    pub(crate) fn upload_moved(&self) {
        self.waits_for_client.set(false);
        if let Some(Due { allowed, .. }) = self.due.get() {
            self.expect(Due {
                at: clock::now() + allowed,
                allowed,
            });
        }
    }

    /// The app wants more of the upload than the client has sent; it must come by `until`.
    pub(crate) fn upload_waits(&self, until: Duration) {
        self.waits_for_client.set(true);
        if let Some(due) = self.due.get() {
            self.expect(Due { at: until, ..due });
        }
    }

    /// Whether it is the client that is waited for, and not the app.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.waits_for_client.get()
    }

    /// Whether it is taken apart as soon as it is answered: others wait, and by the time its next request has its turn no
    /// cache has what it was built of. Memory of the last one has.
    pub(super) fn rests_at_once(&self) -> bool {
        let is_idle = self.activity.doing().0 == Doing::Idle;
        is_idle && self.worker.lobby.is_crowded() && self.can_park() && !self.is_uploading()
    }

    /// Whether octets of a body may still come, although its request has been answered.
    pub(super) fn is_uploading(&self) -> bool {
        self.uploads.get()
    }

    /// The socket for hyper, `read` in front of it.
    pub(super) fn io(&self, socket: &Socket, read: Bytes) -> ClientIo {
        let (activity, lobby) = (self.activity.clone(), self.worker.lobby.clone());
        ClientIo::new(socket.clone(), read, activity, lobby)
    }

    /// The client has said that this is its last request, and all of it is here.
    pub(crate) fn falls_silent(&self) {
        self.silent.set(true);
    }

    /// Whether nothing is on its way that could come when the socket is closed: a reset would be the answer to it, and could
    /// take ours back.
    pub(super) fn is_silent(&self) -> bool {
        self.activity.has_ended() || self.silent.get()
    }

    /// A body is to come, or is all here.
    pub(crate) fn uploads(&self, uploads: bool) {
        self.uploads.set(uploads);
    }

    /// The client's body has ended in the middle, or is not framed as HTTP asks.
    pub(crate) fn upload_broke(&self) {
        self.upload_broke.set(true);
    }

    /// Whether it has. Nothing comes after that on this connection.
    pub(crate) fn is_upload_broken(&self) -> bool {
        self.upload_broke.get()
    }

    /// Resolves when the answer is overdue. The connection keeps the time: for HTTP/1 its step polls us then, of a stream
    /// it wakes the task.
    pub(crate) async fn overdue(&self) {
        poll_fn(|cx| {
            if self.overdue.get() {
                return Poll::Ready(());
            }
            if !self.is_http1() {
                self.wait_with(cx);
            }
            Poll::Pending
        })
        .await;
    }

    fn wait_with(&self, cx: &Context<'_>) {
        let known = self.waiter.take();
        let known = known.filter(|known| known.will_wake(cx.waker()));
        let waiter = known.unwrap_or_else(|| cx.waker().clone());
        self.waiter.set(Some(waiter));
    }

    /// When the answer is overdue, if one is waited for. If that is by `now`, it is told.
    pub(crate) fn look(&self, now: Duration) -> Option<Duration> {
        let Due { at, .. } = self.due.get().filter(|_| !self.overdue.get())?;
        if now < at {
            return Some(at);
        }
        self.overdue.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
        None
    }

    /// Asks the connection step to take hyper's connection apart and wait.
    pub(crate) fn park(&self, parked: Parked) {
        self.errand.replace(Errand::Park(Box::new(parked)));
    }

    /// The request of this stream is held, until that is dropped. None: it is no stream.
    pub(crate) fn held_stream(&self) -> Option<http2::Held> {
        let stream = self.stream.as_ref()?;
        Some(stream.held())
    }

    /// Octets are copied once the answer at hand is written: by the connection step, or beside the other streams.
    pub(crate) fn begin_tunnel(self: &Rc<Self>, tunnel: Tunnel) {
        match &self.stream {
            None => drop(self.errand.replace(Errand::Tunnel(Box::new(tunnel)))),
            Some(stream) => stream.begin_tunnel(tunnel, self.clone()),
        }
    }

    /// Tells the connection step that nobody waits for the answer any more.
    pub(crate) fn client_left(&self) {
        self.errand.replace(Errand::Close);
    }

    /// What this request was before it waited, if it did.
    pub(crate) fn take_resumed(&self) -> Option<Resumed> {
        match self.errand.take() {
            Errand::Resume(resumed) => Some(*resumed),
            Errand::None | Errand::Park(_) | Errand::Tunnel(_) | Errand::Close => None,
        }
    }

    /// Lets `look` have the client's socket, if it is with hyper now.
    pub(crate) fn with_socket<R>(&self, look: impl FnOnce(&Secured) -> R) -> Option<R> {
        let socket = self.socket.borrow().upgrade()?;
        Some(look(&socket.borrow()))
    }
}
