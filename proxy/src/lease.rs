//! pick: one release is pinned, and its gate was open *after* the snapshot was read. The lease counts the request on
//! its release and its instance until its last frame, error or drop.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use holdfast_config::Upstream;
use http::Method;
use swap_gate::Class;

use crate::release::{Instance, LiveRelease, class};
use crate::route::Routed;
use crate::table::App;
use crate::tls::Outward;

/// One running request on one release. Shared by answer and request body: the latter may outlive the former.
pub(crate) type Lease = Rc<Leased>;

/// See [`Lease`]. Its drop is the end of the request as far as a drain is concerned.
pub(crate) struct Leased {
    routed: Routed,
    worker: usize,
    class: Class,
    /// On which release beside the live one; none: on that.
    beside: Option<usize>,
    /// On which instance, once one is chosen.
    instance: Cell<Option<usize>>,
    /// It has become a tunnel.
    pub(crate) tunnel: Cell<bool>,
}

/// The gate was closed: a newer table exists.
#[derive(Debug)]
pub(crate) struct Closed;

/// Pins the live release of `routed` for one request, or one beside it. `Ok(None)`: the app is empty.
pub(crate) fn pick(
    routed: Routed,
    beside: Option<usize>,
    worker: usize,
    method: &Method,
) -> Result<Option<Lease>, Closed> {
    let Some(live) = routed.app().release(beside) else {
        return Ok(None);
    };
    let class = class(method);
    if !live.gate.try_enter(worker, class) {
        return Err(Closed);
    }
    live.counters.of(worker).in_flight.add(1);
    Ok(Some(Rc::new(Leased {
        routed,
        worker,
        class,
        beside,
        instance: Cell::new(None),
        tunnel: Cell::new(false),
    })))
}

impl Leased {
    pub(crate) fn release(&self) -> &Arc<LiveRelease> {
        // `pick` makes leases only of releases that the snapshot has, and that never changes.
        match self.app().release(self.beside) {
            Some(release) => release,
            None => unreachable!("a lease on an empty app"),
        }
    }

    /// Whether there is a live release besides this one.
    pub(crate) fn is_beside(&self) -> bool {
        self.beside.is_some()
    }

    /// Whether the release that served before the live one, which this is of, is still to be asked.
    pub(crate) fn has_older(&self) -> bool {
        self.older_at().is_some()
    }

    /// A lease on that one.
    pub(crate) fn older(&self, method: &Method, now: Duration) -> Option<Lease> {
        let older = self.older_at()?;
        let instances = &self.app().release(Some(older))?.instances;
        instances.iter().find(|instance| instance.is_up(now))?;
        let picked = pick(self.routed.clone(), Some(older), self.worker, method);
        picked.ok().flatten()
    }

    fn older_at(&self) -> Option<usize> {
        let split = self.app().split.as_ref()?;
        split.fallback().filter(|_| !self.is_beside())
    }

    /// Chooses an instance: the less busy one of two that are up, passing over `tried`. One that is down is better
    /// than none.
    pub(crate) fn choose(&self, tried: &[usize], now: Duration) -> Option<usize> {
        let instances = &self.release().instances;
        let chosen = if instances.len() == 1 {
            tried.is_empty().then_some(0)
        } else {
            let open = |index: &usize| !tried.contains(index);
            let up: Vec<usize> = (0..instances.len())
                .filter(open)
                .filter(|index| instances[*index].is_up(now))
                .collect();
            if up.is_empty() {
                (0..instances.len()).find(open)
            } else {
                Some(self.less_busy(&up))
            }
        };
        if let Some(index) = chosen {
            self.settle_on(index);
        }
        chosen
    }

    /// As the snapshot has it in which the request was routed.
    pub(crate) fn app(&self) -> &Arc<App> {
        self.routed.app()
    }

    /// How the app's instances are spoken to.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.app().settings.config.upstream
    }

    pub(crate) fn tls(&self) -> Option<&Outward> {
        self.app().settings.tls.as_ref()
    }

    pub(crate) fn instance(&self, index: usize) -> &Instance {
        &self.release().instances[index]
    }

    fn less_busy(&self, up: &[usize]) -> usize {
        let (one, other) = (
            up[fastrand::usize(..up.len())],
            up[fastrand::usize(..up.len())],
        );
        let busy = |index: usize| self.instance(index).in_flight(self.worker).read();
        if busy(other) < busy(one) { other } else { one }
    }

    fn settle_on(&self, index: usize) {
        self.leave_instance();
        self.instance(index).in_flight(self.worker).add(1);
        self.instance.set(Some(index));
    }

    fn leave_instance(&self) {
        if let Some(index) = self.instance.take() {
            self.instance(index).in_flight(self.worker).sub(1);
        }
    }

    /// Whether it was the drain's end, not the app, that ended this request.
    pub(crate) fn is_cut(&self) -> bool {
        let release = self.release();
        release.is_being_cut() || (self.tunnel.get() && release.cut_tunnels.is_cancelled())
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.leave_instance();
        let release = self.release();
        release.counters.of(self.worker).in_flight.sub(1);
        if release.gate.is_closed() {
            let cells = self.app().counters.of(self.worker);
            let cell = if self.is_cut() {
                &cells.cut
            } else {
                &cells.drained
            };
            cell.add(1);
        }
        // Last: whoever waits for the gate then finds everything counted.
        release.gate.leave(self.worker, self.class);
    }
}
