//! The published table: what every request reads once, and nobody changes. The only file that names arc-swap.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use http::HeaderName;
use swap_core::{AppName, Cause};
use swap_gate::Queue;

use crate::cohorts::Cohorts;
use crate::counters::{AppCells, PerWorker};
use crate::release::LiveRelease;
use crate::route::Routes;
use crate::split::Split;
use crate::tls::{Outward, TlsError};

/// The door of an app: the queue in which its requests wait.
pub(crate) type Door = Queue<Cause>;

/// One immutable snapshot of everything that routing needs.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) apps: Vec<Arc<App>>,
    /// Shared by tables that differ only in their releases.
    pub(crate) routes: Arc<Routes>,
}

/// An app as a request meets it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: AppName,
    pub(crate) settings: Arc<Settings>,
    pub(crate) door: Arc<Door>,
    /// None while the app is empty.
    pub(crate) live: Option<Arc<LiveRelease>>,
    /// Grows with each publish of a live release: what the door knows it by.
    pub(crate) epoch: u64,
    /// None: everybody gets the live release.
    pub(crate) split: Option<Arc<Split>>,
    pub(crate) counters: Arc<PerWorker<AppCells>>,
}

impl App {
    /// A release beside the live one, or the live one.
    pub(crate) fn release(&self, beside: Option<usize>) -> Option<&Arc<LiveRelease>> {
        match beside {
            None => self.live.as_ref(),
            Some(at) => self.split.as_ref()?.releases.get(at),
        }
    }
}

/// An app's settings, ready for the data path.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: holdfast_config::App,
    pub(crate) release_header: Option<HeaderName>,
    /// None: its instances are spoken to in plain.
    pub(crate) tls: Option<Outward>,
    /// None: there are none.
    pub(crate) cohorts: Option<Cohorts>,
}

impl Settings {
    /// Reads the files that the settings name.
    pub(crate) fn open(config: &holdfast_config::App) -> Result<Self, TlsError> {
        let upstream = &config.upstream;
        let open = |tls| Outward::open(tls, upstream.protocol);
        let name = config.release_header.as_deref();
        Ok(Self {
            tls: upstream.tls.as_ref().map(open).transpose()?,
            release_header: name.and_then(|name| HeaderName::try_from(name).ok()),
            cohorts: Cohorts::of(&config.cohorts),
            config: config.clone(),
        })
    }

    /// Those of every app: all or none.
    pub(crate) fn open_all(
        apps: &BTreeMap<AppName, holdfast_config::App>,
    ) -> Result<AllSettings, TlsError> {
        let open =
            |(name, config): (&AppName, _)| Ok((name.clone(), Arc::new(Self::open(config)?)));
        apps.iter().map(open).collect()
    }
}

/// The settings of every app.
pub(crate) type AllSettings = BTreeMap<AppName, Arc<Settings>>;

/// Where the table is published.
#[derive(Debug)]
pub(crate) struct Published(Arc<ArcSwap<Table>>);

impl Published {
    pub(crate) fn new(table: Table) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// Makes `table` what every later read meets.
    pub(crate) fn publish(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// A reader for one worker.
    pub(crate) fn reader(&self) -> Reader {
        let cache = Cache::new(self.0.clone());
        let current = Rc::new(self.0.load_full());
        Reader(RefCell::new((cache, current)))
    }
}

/// A worker's reader. Reading costs one load; a snapshot may live across awaits (it is an `Rc`, not a guard).
pub(crate) struct Reader(RefCell<(Newest, Snapshot)>);

type Newest = Cache<Arc<ArcSwap<Table>>, Arc<Table>>;

/// One snapshot, shared by the requests of a worker.
pub(crate) type Snapshot = Rc<Arc<Table>>;

impl Reader {
    /// The table as it is now. Whoever has seen a closed gate sees at least the table that was published before the
    /// gate was closed: closing is a Release, the failed enter an Acquire.
    pub(crate) fn load(&self) -> Snapshot {
        let (cache, current) = &mut *self.0.borrow_mut();
        let newest = cache.load();
        if !Arc::ptr_eq(newest, current) {
            *current = Rc::new(newest.clone());
        }
        current.clone()
    }
}
