//! The lobby: what has begun is ended before more is begun. The system tells of sockets in the order in which something
//! came, so that with thousands of clients at once an answer would lie behind all of their requests, which would all be
//! under way by the time it is looked at: each with a connection to the app and memory that no cache has any more. So a worker
//! begins a few requests, looks what else has happened, and begins the next few, in the order in which they came.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::tls::Secured;

/// So many requests are begun between two looks at the sockets: fewer than half of what a look brings, since each
/// answer is an event too.
pub(crate) const TURN: usize = 20;

/// When more wait than so, memory that a connection leaves alone until its next turn is in no near cache by then.
const CROWD: usize = 64;

/// For so many who wait there is room, also when nobody does. Room for thousands lies among megabytes that would not go
/// back to the system while it is there.
const ROOM: usize = 1024;

thread_local! {
    /// In this turn.
    static BEGUN: Cell<usize> = const { Cell::new(0) };
}

/// The thread had nothing to do, and has looked at its sockets: a new turn, with nobody left of the one before.
pub(crate) fn turn() {
    BEGUN.set(0);
}

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    waiting: RefCell<VecDeque<Waker>>,
    some: Notify,
}

impl Lobby {
    /// Whether many wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.borrow().len() > CROWD
    }

    /// Whether a request that has come may be read. If not, the task is woken when it may.
    fn may_begin(&self, cx: &Context<'_>) -> bool {
        let begun = BEGUN.get();
        let mut waiting = self.waiting.borrow_mut();
        let may = begun < TURN && waiting.is_empty();
        if may {
            BEGUN.set(begun + 1);
        } else {
            waiting.push_back(cx.waker().clone());
            self.some.notify_one();
        }
        may
    }

    /// Calls those who wait. To be run on the worker.
    pub(crate) async fn keep(&self) {
        loop {
            self.some.notified().await;
            while self.call() {
                // Until the sockets have been looked at.
                yield_now().await;
            }
        }
    }

    /// A new turn. Says whether somebody is left.
    fn call(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let called = waiting.len().min(TURN);
        waiting.drain(..called).for_each(Waker::wake);
        if waiting.is_empty() {
            waiting.shrink_to(ROOM);
        }
        BEGUN.set(called);
        called > 0
    }
}

/// A client's place there.
pub(crate) struct Place {
    lobby: Rc<Lobby>,
    /// It may read, whenever it looks next.
    called: bool,
}

impl Place {
    /// The first look is free.
    pub(crate) fn new(lobby: Rc<Lobby>) -> Self {
        Self {
            lobby,
            called: true,
        }
    }

    /// Something has come (or the end), and may be read.
    pub(crate) fn poll_turn(&mut self, socket: &mut Secured, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.called) {
            return Poll::Ready(());
        }
        // An error is the reader's business.
        if let Ok(socket) = socket.tcp() {
            let _ = ready!(socket.poll_read_ready(cx));
        }
        if self.lobby.may_begin(cx) {
            return Poll::Ready(());
        }
        self.called = true;
        Poll::Pending
    }

    /// Whether it waits for nothing but its turn.
    pub(crate) fn waits(&self) -> bool {
        self.called
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Writes its number down when it may begin.
    async fn client(lobby: Rc<Lobby>, number: usize, begun: Rc<RefCell<Vec<usize>>>) {
        let mut called = false;
        poll_fn(|cx| {
            if called || lobby.may_begin(cx) {
                return Poll::Ready(());
            }
            called = true;
            Poll::Pending
        })
        .await;
        begun.borrow_mut().push(number);
    }

    #[tokio::test]
    async fn who_comes_with_many_begins_in_order_a_few_between_two_looks() {
        const CLIENTS: usize = TURN + 3 * ROOM;
        let (lobby, begun) = (Rc::new(Lobby::default()), Rc::default());
        let local = LocalSet::new();
        local
            .run_until(async {
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|number| spawn_local(client(lobby.clone(), number, Rc::clone(&begun))))
                    .collect();
                while lobby.waiting.borrow().len() + begun.borrow().len() < CLIENTS {
                    yield_now().await;
                }
                assert_eq!(begun.borrow().len(), TURN);
                assert!(lobby.is_crowded());
                let keeping = lobby.clone();
                spawn_local(async move { keeping.keep().await });
                for client in clients {
                    client.await.unwrap();
                }
            })
            .await;
        assert!(begun.borrow().iter().copied().eq(0..CLIENTS));
        assert!(!lobby.is_crowded());
        assert!(lobby.waiting.borrow().capacity() <= 2 * ROOM);
    }

    #[tokio::test]
    async fn who_comes_after_a_look_begins_at_once() {
        let lobby = Lobby::default();
        let may = poll_fn(|cx| Poll::Ready(lobby.may_begin(cx)));
        for _ in 0..TURN {
            assert!(poll_fn(|cx| Poll::Ready(lobby.may_begin(cx))).await);
        }
        turn();
        assert!(may.await);
    }
}
