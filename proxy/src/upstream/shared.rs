//! HTTP/2 connections to instances, each shared by many requests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http2::SendRequest;
use tokio::sync::OnceCell;

use super::{ConnectError, Key};
use crate::body::RequestBody;
use crate::clock;

/// How long a connection without a request is kept. An app that closes one says so first (GOAWAY), and whether it has
/// taken a request up (RFC 9113, 6.8): unlike in HTTP/1.1, nothing is lost when the two cross.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A connection that carries many requests at once.
pub(super) struct Shared {
    sender: SendRequest<RequestBody>,
    /// How many requests the app takes at once.
    room: Rc<Cell<usize>>,
    running: Cell<usize>,
    /// When the last request ended.
    since: Cell<Duration>,
}

impl Shared {
    pub(super) fn new(sender: SendRequest<RequestBody>, room: Rc<Cell<usize>>) -> Self {
        Self {
            sender,
            room,
            running: Cell::new(0),
            since: Cell::new(clock::now()),
        }
    }

    fn is_worth_keeping(&self, now: Duration) -> bool {
        let idle = self.running.get() == 0 && now.saturating_sub(self.since.get()) > IDLE_MAX;
        !idle && !self.sender.is_closed()
    }

    fn has_room(&self) -> bool {
        self.sender.is_ready() && self.running.get() < self.room.get().max(1)
    }
}

/// The place of one request on a shared connection. Its drop makes room for another.
pub(crate) struct Share(Rc<Shared>);

impl Share {
    fn of(shared: &Rc<Shared>) -> Self {
        shared.running.set(shared.running.get() + 1);
        Self(shared.clone())
    }

    pub(super) fn sender(&self) -> SendRequest<RequestBody> {
        self.0.sender.clone()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.since.set(clock::now());
    }
}

/// One worker's shared connections.
#[derive(Default)]
pub(super) struct Shares(RefCell<BTreeMap<Key, Connections>>);

/// To one instance.
#[derive(Default)]
struct Connections {
    open: Vec<Rc<Shared>>,
    /// The one that is being opened: whoever needs one meanwhile waits for it instead of opening another.
    opening: Option<Rc<Opening>>,
}

type Opening = OnceCell<Result<(), Rc<ConnectError>>>;

impl Shares {
    /// A place on a connection that is open.
    pub(super) fn share(&self, key: Key) -> Option<Share> {
        let connections = self.0.borrow();
        let mut open = connections.get(&key)?.open.iter();
        open.find(|shared| shared.has_room()).map(Share::of)
    }

    /// A place, on a connection that is opened for it if need be. To be bounded in time.
    pub(super) async fn share_or_open(
        &self,
        key: Key,
        open: impl AsyncFn() -> Result<Rc<Shared>, ConnectError>,
    ) -> Result<Share, ConnectError> {
        loop {
            if let Some(share) = self.share(key) {
                return Ok(share);
            }
            let opening = self.opening(key);
            let opened = opening.get_or_init(async || match open().await {
                Ok(shared) => {
                    self.0
                        .borrow_mut()
                        .entry(key)
                        .or_default()
                        .open
                        .push(shared);
                    Ok(())
                }
                Err(error) => Err(Rc::new(error)),
            });
            let opened = opened.await.clone();
            self.has_opened(key, &opening);
            opened.map_err(ConnectError::Together)?;
        }
    }

    fn opening(&self, key: Key) -> Rc<Opening> {
        let mut connections = self.0.borrow_mut();
        let opening = &mut connections.entry(key).or_default().opening;
        opening.get_or_insert_default().clone()
    }

    /// The next one who needs a connection opens another.
    fn has_opened(&self, key: Key, opened: &Rc<Opening>) {
        if let Some(connections) = self.0.borrow_mut().get_mut(&key) {
            connections
                .opening
                .take_if(|opening| Rc::ptr_eq(opening, opened));
        }
    }

    pub(super) fn retire(&self, uid: u64) {
        self.0.borrow_mut().retain(|key, _| key.0 != uid);
    }

    pub(super) fn sweep(&self) {
        let now = clock::now();
        self.0.borrow_mut().retain(|_, connections| {
            connections
                .open
                .retain(|shared| shared.is_worth_keeping(now));
            !connections.open.is_empty() || connections.opening.is_some()
        });
    }
}
