//! One connection to an instance, counted from before the connect to the close.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hyper::rt::Executor;
use swap_gate::Class;

use crate::release::LiveRelease;

/// Counts the connection on its release.
pub(super) struct Link {
    release: Arc<LiveRelease>,
    worker: usize,
}

impl Link {
    /// None: the release is being drained and takes no more.
    pub(super) fn enter(release: Arc<LiveRelease>, worker: usize) -> Option<Rc<Self>> {
        let entered = release.links.try_enter(worker, Class::Safe);
        entered.then(|| Rc::new(Self { release, worker }))
    }

    /// Runs one of the connection's tasks on this thread, until its end or the drain's.
    pub(super) fn spawn<F>(self: Rc<Self>, task: F)
    where
        F: Future<Output: 'static> + 'static,
    {
        tokio::task::spawn_local(async move {
            let mut task = pin!(task);
            let mut cut = pin!(self.release.cut());
            let mut watched = false;
            poll_fn(|cx| {
                // Its errors reach whoever waits for an answer on the connection.
                if task.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                // A task has one waker, so that once is enough as long as there is no cut.
                if watched && !self.release.is_being_cut() {
                    return Poll::Pending;
                }
                watched = true;
                cut.as_mut().poll(cx)
            })
            .await;
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.release.links.leave(self.worker, Class::Safe);
    }
}

/// An HTTP/2 connection has a task for each request besides its own.
#[derive(Clone)]
pub(super) struct Tasks(pub(super) Rc<Link>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, task: F) {
        self.0.clone().spawn(task);
    }
}
