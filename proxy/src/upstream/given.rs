//! Connections that have carried a release's probes, and carry its first requests. Until then they are sockets that
//! nobody looks at: of a hundred at once, to look at all of them would delay the requests that they are for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use holdfast_control::plane::Opened;
use swap_gate::Class;

use super::{Checkout, IDLE_MAX, Key, Link, Millis, Pool, Sender, idle_max, open};
use crate::lease::Lease;

/// One for an instance, at most.
#[derive(Default)]
pub(super) struct Given(RefCell<BTreeMap<Key, Opened>>);

impl Given {
    pub(super) fn put(&self, uid: u64, opened: Vec<(usize, Opened)>) {
        let keyed = opened
            .into_iter()
            .map(|(instance, opened)| ((uid, instance), opened));
        self.0.borrow_mut().extend(keyed);
    }

    pub(super) fn take(&self, leaves: impl Fn(&Key, &Opened) -> bool) -> Vec<Opened> {
        let mut all = self.0.borrow_mut();
        let leaving = all.extract_if(.., |key, opened| leaves(key, opened));
        leaving.map(|(_, opened)| opened).collect()
    }

    fn take_one(&self, key: Key) -> Option<Opened> {
        self.0.borrow_mut().remove(&key)
    }
}

/// For how long it may be used.
fn limit(opened: &Opened) -> Millis {
    Millis::said(&opened.fields).unwrap_or(Millis::of(IDLE_MAX))
}

pub(super) fn is_old(opened: &Opened, max: Duration) -> bool {
    opened.since.elapsed() > limit(opened).duration().min(max)
}

impl Pool {
    /// Requests to this release begin on these, each to the instance of that number.
    pub(crate) fn give(&self, uid: u64, opened: Vec<(usize, Opened)>) {
        self.given.put(uid, opened);
    }

    /// One that was given, if it is as good as one that is pooled. Nobody else gets it.
    pub(crate) fn given(&self, lease: &Lease, instance: usize, class: Class) -> Option<Opened> {
        let key = (lease.release().uid, instance);
        let opened = self.given.take_one(key)?;
        (!is_old(&opened, idle_max(class))).then_some(opened)
    }

    /// Speaks HTTP on it again.
    pub(crate) async fn begin(
        self: &Rc<Self>,
        opened: Opened,
        lease: &Lease,
        instance: usize,
        worker: usize,
    ) -> Option<Checkout> {
        let key = (lease.release().uid, instance);
        let limit = limit(&opened);
        let link = Link::enter(lease.release().clone(), worker)?;
        let alone = open::given(&opened.instance, opened.socket, link).await;
        match alone {
            Ok(alone) => {
                let checkout = self.checked_out(Sender::Alone(alone), key, false);
                Some(Checkout { limit, ..checkout })
            }
            Err(error) => {
                tracing::debug!(instance = %opened.instance, %error, "a probe's connection is of no use");
                None
            }
        }
    }
}
