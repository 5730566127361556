//! Wake-ups in the order in which they were given, on each worker.
//!
//! Whose turn it is at a door is decided on any thread. tokio keeps tasks that another thread has woken apart from those
//! that their own thread has, and takes the latter first: of a thousand that are let go, some would wait for seconds
//! behind others who came after them. So whoever is to be woken is written down, and woken by its own worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

/// Those of one worker who are to be woken.
#[derive(Debug, Default)]
pub(crate) struct Waking {
    woken: Mutex<VecDeque<Waker>>,
    some: Notify,
}

/// One of them, as others see it.
struct InOrder {
    waking: Arc<Waking>,
    task: Waker,
}

impl Waking {
    /// Wakes whoever was called, in that order. To be run on the worker.
    pub(crate) async fn keep(&self) {
        loop {
            self.some.notified().await;
            self.take().into_iter().for_each(Waker::wake);
        }
    }

    /// A waker for this task that takes its place among the others.
    pub(crate) fn in_order(self: &Arc<Self>, task: &Waker) -> Waker {
        let in_order = InOrder {
            waking: self.clone(),
            task: task.clone(),
        };
        Arc::new(in_order).into()
    }

    fn add(&self, task: Waker) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.push_back(task);
        drop(woken);
        self.some.notify_one();
    }

    fn take(&self) -> VecDeque<Waker> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *woken)
    }
}

impl Wake for InOrder {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.waking.add(self.task.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;

    /// A task that writes its number down when it is woken; gives its waker away before.
    fn sleeper(
        number: usize,
        waking: &Arc<Waking>,
        wakers: &Rc<RefCell<Vec<Waker>>>,
        seen: &Rc<RefCell<Vec<usize>>>,
    ) {
        let (waking, wakers, seen) = (waking.clone(), wakers.clone(), seen.clone());
        let mut asleep = false;
        spawn_local(async move {
            poll_fn(|cx| {
                if std::mem::replace(&mut asleep, true) {
                    return Poll::Ready(());
                }
                wakers.borrow_mut().push(waking.in_order(cx.waker()));
                Poll::Pending
            })
            .await;
            seen.borrow_mut().push(number);
        });
    }

    #[tokio::test]
    async fn who_is_woken_by_another_thread_first_goes_first() {
        const TASKS: usize = 200;
        let local = LocalSet::new();
        local
            .run_until(async {
                let waking = Arc::new(Waking::default());
                let (wakers, seen) = (Rc::default(), Rc::default());
                let keeper = waking.clone();
                spawn_local(async move { keeper.keep().await });
                (0..TASKS).for_each(|number| sleeper(number, &waking, &wakers, &seen));
                while wakers.borrow().len() < TASKS {
                    yield_now().await;
                }
                let mut others = wakers.take();
                let ours = others.split_off(TASKS / 2);
                std::thread::spawn(|| others.into_iter().for_each(Waker::wake))
                    .join()
                    .unwrap();
                ours.into_iter().for_each(Waker::wake);
                while seen.borrow().len() < TASKS {
                    yield_now().await;
                }
                assert!(seen.borrow().is_sorted(), "{:?}", seen.borrow());
            })
            .await;
    }
}
