//! Who waits for a connection that comes back, in HTTP/1.1.
//!
//! A release that was just swapped in has few connections. To open one takes more than most answers do, from the app too, and of
//! a burst that finds all of them busy each would open its own: dozens, hardly any of which is used again. So whoever finds
//! some in use waits for one of them, and is given it: not for long, and not where somebody has waited in vain. One is opened all
//! the same now and then, as long as some wait: who comes with many at once has as many under way in the end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Key;
use crate::clock;

/// Who has waited so long opens one.
const PATIENCE: Duration = Duration::from_millis(3);
/// Whoever comes so long after one was opened opens the next.
const PAUSE: Duration = Duration::from_millis(2);

/// One worker's. `T` is a connection that carries no request now.
pub(super) struct Returns<T> {
    places: RefCell<BTreeMap<Key, Rc<Place<T>>>>,
    /// Who waits, wherever.
    waiting: Cell<usize>,
}

impl<T> Default for Returns<T> {
    fn default() -> Self {
        Self {
            places: RefCell::default(),
            waiting: Cell::default(),
        }
    }
}

/// Where connections to one instance are waited for.
struct Place<T> {
    /// In the order of their coming. Some have left: at most as many as there is room for.
    queue: RefCell<VecDeque<oneshot::Sender<T>>>,
    /// So many have come back, while somebody waited.
    count: Cell<u64>,
    /// Its answers take longer, or its connections end with them.
    in_vain: Cell<bool>,
    /// When one was opened last without a wait for it.
    opened: Cell<Duration>,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self {
            queue: RefCell::default(),
            count: Cell::default(),
            in_vain: Cell::default(),
            opened: Cell::new(clock::lately()),
        }
    }
}

impl<T> Place<T> {
    /// Whether it is time for one more. If so, whoever asks opens it.
    fn is_due(&self) -> bool {
        let now = clock::lately();
        let is_due = now.saturating_sub(self.opened.get()) >= PAUSE;
        if is_due {
            self.opened.set(now);
        }
        is_due
    }

    /// At the end of the queue. Those who have left are forgotten before it takes more room: an app that answers nobody would
    /// else let it grow with each client that comes and leaves.
    fn queue_up(&self) -> oneshot::Receiver<T> {
        let (give, given) = oneshot::channel();
        let mut queue = self.queue.borrow_mut();
        if queue.len() == queue.capacity() {
            queue.retain(|waits| !waits.is_closed());
        }
        queue.push_back(give);
        given
    }
}

impl<T> Returns<T> {
    /// One that has come back. None: one is to be opened.
    pub(super) async fn wait(&self, key: Key) -> Option<T> {
        let place = self.places.borrow_mut().entry(key).or_default().clone();
        if place.in_vain.get() || place.is_due() {
            return None;
        }
        let _waiting = Waiting::begin(&self.waiting);
        let mut given = place.queue_up();
        let before = place.count.get();
        if let Ok(given) = timeout(PATIENCE, &mut given).await {
            return given.ok();
        }
        // Where it is this thread that was late, its sockets have not been looked at.
        yield_now().await;
        if place.count.get() == before {
            place.in_vain.set(true);
        }
        given.try_recv().ok()
    }

    /// Gives it to whoever has waited longest, so that nobody who has just come takes it first. Nobody does: it comes back.
    pub(super) fn give(&self, key: Key, returned: T) -> Option<T> {
        if self.waiting.get() == 0 {
            return Some(returned);
        }
        let places = self.places.borrow();
        let Some(place) = places.get(&key) else {
            return Some(returned);
        };
        place.count.set(place.count.get() + 1);
        let mut queue = place.queue.borrow_mut();
        let mut left = Some(returned);
        while let Some(returned) = left.take() {
            let Some(waits) = queue.pop_front() else {
                return Some(returned);
            };
            left = waits.send(returned).err();
        }
        None
    }

    /// This release's come back no more.
    pub(super) fn retire(&self, uid: u64) {
        self.places.borrow_mut().retain(|key, _| key.0 != uid);
    }
}

/// Counts somebody who does.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::join;
    use tokio::time::timeout;

    use super::*;

    const KEY: Key = (7, 0);

    #[tokio::test]
    async fn whoever_waits_is_given_what_comes_back_in_the_order_of_their_coming() {
        let returns = Returns::default();
        let returning = async {
            yield_now().await;
            assert_eq!(returns.give(KEY, 1), None);
            assert_eq!(returns.give(KEY, 2), None);
            assert_eq!(returns.give(KEY, 3), Some(3), "nobody waits for it");
        };
        let (first, second, ()) = join!(returns.wait(KEY), returns.wait(KEY), returning);
        assert_eq!((first, second), (Some(1), Some(2)));
        assert_eq!(returns.waiting.get(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_again_where_somebody_has_waited_in_vain() {
        let returns = Returns::<u32>::default();
        assert_eq!(returns.wait(KEY).await, None);
        let again = timeout(Duration::ZERO, returns.wait(KEY)).await;
        assert_eq!(again, Ok(None), "at once");
        returns.retire(KEY.0);
        assert!(returns.places.borrow().is_empty());
    }

    #[tokio::test]
    async fn whoever_was_too_late_for_one_has_not_waited_in_vain() {
        let returns = Returns::default();
        let given = async {
            yield_now().await;
            assert_eq!(returns.give(KEY, 1), None);
        };
        let (first, second, ()) = join!(returns.wait(KEY), returns.wait(KEY), given);
        assert_eq!((first, second), (Some(1), None));
        let again = timeout(Duration::ZERO, returns.wait(KEY)).await;
        assert!(again.is_err(), "the next one waits");
    }

    #[tokio::test]
    async fn while_many_come_one_is_opened_now_and_then() {
        let returns = Returns::<u32>::default();
        let mut opened = 0;
        let began = clock::now();
        while opened < 5 {
            let one = timeout(Duration::ZERO, returns.wait(KEY)).await;
            opened += u32::from(one.is_ok());
            let took = clock::now() - began;
            assert!(took < Duration::from_secs(20), "{opened} in {took:?}");
        }
        assert!(clock::now() - began >= PAUSE * 5);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_comes_back() {
        let returns = Returns::default();
        let leaves = timeout(Duration::ZERO, returns.wait(KEY)).await;
        assert!(leaves.is_err());
        assert_eq!(returns.give(KEY, 1), Some(1));
        let stays = async {
            yield_now().await;
            returns.give(KEY, 2)
        };
        let (given, left) = join!(returns.wait(KEY), stays);
        assert_eq!((given, left), (Some(2), None), "not to who has left");
    }

    #[tokio::test]
    async fn those_who_come_and_leave_take_no_room() {
        let returns = Returns::<u32>::default();
        for _ in 0..100 {
            let leaves = timeout(Duration::ZERO, returns.wait(KEY)).await;
            assert!(leaves.is_err());
        }
        let place = returns.places.borrow()[&KEY].clone();
        assert!(place.queue.borrow().capacity() < 10);
    }
}
