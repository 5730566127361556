//! Who waits for a connection that comes back, in HTTP/1.1.
//!
//! A release that was just swapped in has few connections. To open one takes more than most answers do, from the app too, and of
//! a burst that finds all of them busy each would open its own: dozens, hardly any of which is used again. So whoever finds
//! some in use waits for one of them: not for long, and not where somebody has waited in vain.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::Key;

/// Who has waited so long opens one.
const PATIENCE: Duration = Duration::from_millis(3);

/// One worker's.
#[derive(Default)]
pub(super) struct Returns {
    places: RefCell<BTreeMap<Key, Rc<Place>>>,
    /// Who waits, wherever.
    waiting: Cell<usize>,
}

/// Where connections to one instance are waited for.
#[derive(Default)]
struct Place {
    returned: Notify,
    /// So many have, while somebody waited.
    count: Cell<u64>,
    /// Its answers take longer, or its connections end with them.
    in_vain: Cell<bool>,
}

impl Returns {
    /// What `find` finds when one has come back. None: one is to be opened.
    pub(super) async fn wait<T>(&self, key: Key, find: impl Fn() -> Option<T>) -> Option<T> {
        let place = self.places.borrow_mut().entry(key).or_default().clone();
        if place.in_vain.get() {
            return None;
        }
        let _waiting = Waiting::begin(&self.waiting);
        let deadline = Instant::now() + PATIENCE;
        let before = place.count.get();
        while timeout_at(deadline, place.returned.notified())
            .await
            .is_ok()
        {
            // Somebody who has just come may have it.
            let found = find();
            if found.is_some() {
                return found;
            }
        }
        // Where it is this thread that was late, its sockets have not been looked at.
        yield_now().await;
        if place.count.get() == before {
            place.in_vain.set(true);
        }
        find()
    }

    /// A connection is free: somebody who waits may take it.
    pub(super) fn tell(&self, key: Key) {
        if self.waiting.get() > 0
            && let Some(place) = self.places.borrow().get(&key)
        {
            place.count.set(place.count.get() + 1);
            place.returned.notify_one();
        }
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
    async fn whoever_waits_takes_what_comes_back_in_the_order_of_their_coming() {
        let (returns, free) = (Returns::default(), Cell::new(None));
        let take = || free.take();
        let comes_back = async |number: u32| {
            yield_now().await;
            free.set(Some(number));
            returns.tell(KEY);
        };
        let returning = async {
            comes_back(1).await;
            comes_back(2).await;
        };
        let (first, second, ()) =
            join!(returns.wait(KEY, take), returns.wait(KEY, take), returning);
        assert_eq!((first, second), (Some(1), Some(2)));
        assert_eq!(returns.waiting.get(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_again_where_somebody_has_waited_in_vain() {
        let returns = Returns::default();
        let nothing = || None::<()>;
        assert_eq!(returns.wait(KEY, nothing).await, None);
        let again = timeout(Duration::ZERO, returns.wait(KEY, nothing)).await;
        assert_eq!(again, Ok(None), "at once");
        returns.retire(KEY.0);
        assert!(returns.places.borrow().is_empty());
    }

    #[tokio::test]
    async fn whoever_was_too_late_for_one_has_not_waited_in_vain() {
        let returns = Returns::default();
        let nothing = || None::<()>;
        let told = async {
            yield_now().await;
            returns.tell(KEY);
        };
        let (found, ()) = join!(returns.wait(KEY, nothing), told);
        assert_eq!(found, None);
        let again = timeout(Duration::ZERO, returns.wait(KEY, nothing)).await;
        assert!(again.is_err(), "the next one waits");
    }
}
