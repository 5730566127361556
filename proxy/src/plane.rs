//! The data plane as the control plane drives it: publishes tables, shuts and opens doors, closes gates.
//!
//! What must be in order is done here, under one lock that only the control plane takes; requests see the published
//! table, the door and the gate, and nothing else.

mod words;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use holdfast_control::failpoint;
use holdfast_control::plane::{Arms, Connecting, DataPlane, Signal, Signaller, Traffic};
use swap_core::{Address, AppName, Cause, GateId, Generation, Methods, Release, ReleaseId, Split};
use swap_gate::Classes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::counters::{PerWorker, ReleaseCells};
use crate::release::LiveRelease;
use crate::route::Routes;
use crate::table::{AllSettings, App, Door, Published, Settings, Table};
use crate::upstream;
use crate::worker::Mail;
use words::{bounds, classes, hold_counts};

/// The apps and their releases, as they are published.
pub(crate) struct Plane {
    published: Arc<Published>,
    state: Mutex<State>,
    mail: Vec<mpsc::Sender<Mail>>,
    signaller: Signaller,
    /// Where the waits for gates and the pacing of releases run.
    runtime: Handle,
    me: Weak<Self>,
}

#[derive(Default)]
struct State {
    /// In the order of the published table.
    apps: BTreeMap<AppName, Entrance>,
    routes: Arc<Routes>,
}

/// An app, with what of it is not in the table.
struct Entrance {
    app: Arc<App>,
    /// Closed gates that are not empty yet.
    draining: Vec<Draining>,
    /// Counters of the releases that are live, were live last, or drain.
    releases: Vec<(ReleaseId, Arc<PerWorker<ReleaseCells>>)>,
    /// Requests that ran when the door was shut: where the pace of the release starts.
    running_before: u32,
    /// The control plane has said nothing of this app yet: its door is shut until it does.
    unheard_of: bool,
}

struct Draining {
    live: Arc<LiveRelease>,
    since: Duration,
}

impl Plane {
    pub(crate) fn new(
        published: Arc<Published>,
        mail: Vec<mpsc::Sender<Mail>>,
        signaller: Signaller,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let me = me.clone();
            Self {
                published,
                state: Mutex::default(),
                mail,
                signaller,
                runtime,
                me,
            }
        })
    }

    /// Takes over the apps' settings: new apps begin empty and shut, apps that are gone take no more requests, the
    /// others keep their releases. All or nothing, in one publish.
    pub(crate) fn configure(&self, apps: &AllSettings) {
        let mut state = self.state();
        let mut old = std::mem::take(&mut state.apps);
        for (name, settings) in apps {
            let entrance = match old.remove(name) {
                Some(entrance) => entrance.with_settings(settings),
                None => self.new_entrance(name, settings),
            };
            state.apps.insert(name.clone(), entrance);
        }
        state.routes = Arc::new(Routes::new(apps.values().map(|app| &app.config)));
        self.show(&state);
    }

    fn new_entrance(&self, name: &AppName, settings: &Arc<Settings>) -> Entrance {
        let (signaller, opened) = (self.signaller.clone(), Signal::DoorOpen(name.clone()));
        let door = Door::new(bounds(&settings.config.hold), move || {
            signaller.send(opened.clone())
        });
        door.hold(Cause::Empty, Methods::ALL.bits(), clock::now());
        let app = App {
            name: name.clone(),
            settings: settings.clone(),
            door,
            live: None,
            counters: Arc::new(PerWorker::new(self.mail.len())),
        };
        Entrance {
            app: Arc::new(app),
            draining: Vec::new(),
            releases: Vec::new(),
            running_before: 0,
            unheard_of: true,
        }
    }

    /// Returns when each worker has gone round.
    pub(crate) async fn pulse(&self) {
        for worker in &self.mail {
            let (read, is_read) = oneshot::channel();
            // One that has ended has nothing left to do.
            if worker.send(Mail::Pulse(read)).await.is_ok() {
                let _ = is_read.await;
            }
        }
    }

    /// Where each worker is told something.
    pub(crate) fn mail(&self) -> &[mpsc::Sender<Mail>] {
        &self.mail
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        let apps = state
            .apps
            .values()
            .map(|entrance| entrance.app.clone())
            .collect();
        self.published.publish(Table {
            apps,
            routes: state.routes.clone(),
        });
    }

    fn with<R: Default>(&self, app: &AppName, act: impl FnOnce(&mut Entrance) -> R) -> R {
        match self.state().apps.get_mut(app) {
            Some(entrance) => act(entrance),
            None => R::default(), // Gone with a reload.
        }
    }

    /// Every app with its counters, for the metrics.
    pub(crate) fn survey(&self) -> Vec<Survey> {
        let state = self.state();
        let survey = |entrance: &Entrance| Survey {
            app: entrance.app.clone(),
            releases: entrance.releases.clone(),
        };
        state.apps.values().map(survey).collect()
    }

    fn door(&self, app: &AppName) -> Option<Arc<Door>> {
        self.with(app, |entrance| Some(entrance.app.door.clone()))
    }

    fn forget(&self, app: &AppName, uid: u64) {
        self.with(app, |entrance| {
            entrance
                .draining
                .retain(|draining| draining.live.uid != uid);
            entrance.forget_releases();
        });
    }
}

/// One app, as the metrics see it.
pub(crate) struct Survey {
    pub(crate) app: Arc<App>,
    pub(crate) releases: Vec<(ReleaseId, Arc<PerWorker<ReleaseCells>>)>,
}

impl Entrance {
    fn with_settings(self, settings: &Arc<Settings>) -> Self {
        self.app.door.set_bounds(bounds(&settings.config.hold));
        let App {
            name,
            door,
            live,
            counters,
            settings: _,
        } = &*self.app;
        let app = App {
            name: name.clone(),
            settings: settings.clone(),
            door: door.clone(),
            live: live.clone(),
            counters: counters.clone(),
        };
        Self {
            app: Arc::new(app),
            ..self
        }
    }

    /// The same app with another release; the old one goes to those that drain, where `close` finds it.
    fn set_live(&mut self, live: Option<Arc<LiveRelease>>) {
        let App {
            name,
            settings,
            door,
            live: old,
            counters,
        } = &*self.app;
        let since = clock::now();
        self.draining
            .extend(old.clone().map(|live| Draining { live, since }));
        self.app = Arc::new(App {
            name: name.clone(),
            settings: settings.clone(),
            door: door.clone(),
            live,
            counters: counters.clone(),
        });
    }

    fn counters_of(&mut self, release: &ReleaseId, workers: usize) -> Arc<PerWorker<ReleaseCells>> {
        let known = self.releases.iter().position(|(id, _)| id == release);
        let (id, counters) = match known {
            Some(at) => self.releases.remove(at),
            None => (release.clone(), Arc::new(PerWorker::new(workers))),
        };
        self.releases.push((id, counters.clone()));
        counters
    }

    /// Keeps the live release, the one before, and those that drain.
    fn forget_releases(&mut self) {
        let keep_from = self.releases.len().saturating_sub(2);
        let draining: Vec<_> = self
            .draining
            .iter()
            .map(|d| d.live.release.id.clone())
            .collect();
        let mut at = 0;
        self.releases.retain(|(id, _)| {
            at += 1;
            at > keep_from || draining.contains(id)
        });
    }

    fn find(&self, gate: GateId) -> Option<Arc<LiveRelease>> {
        let draining = self.draining.iter().map(|draining| &draining.live);
        draining
            .chain(&self.app.live)
            .find(|live| live.gate_id == gate)
            .cloned()
    }

    fn running(&self) -> u64 {
        let live = self
            .app
            .live
            .iter()
            .chain(self.draining.iter().map(|draining| &draining.live));
        live.map(|live| live.gate.running(Classes::ALL)).sum()
    }
}

impl DataPlane for Plane {
    fn hold(&self, app: &AppName, cause: Cause, methods: Methods) {
        self.with(app, |entrance| {
            entrance.unheard_of = false;
            // A door that is shut already has let everybody run out.
            if !entrance.app.door.counts(clock::now()).active {
                entrance.running_before = u32::try_from(entrance.running()).unwrap_or(u32::MAX);
            }
            entrance.app.door.hold(cause, methods.bits(), clock::now());
            failpoint::here("plane.shut");
        });
    }

    fn publish(&self, app: &AppName, _: Generation, gate: GateId, live: Option<Release>) {
        let mut state = self.state();
        let Some(entrance) = state.apps.get_mut(app) else {
            return;
        };
        let workers = self.mail.len();
        let live = live.map(|release| {
            let counters = entrance.counters_of(&release.id, workers);
            Arc::new(LiveRelease::new(release, gate, workers, counters))
        });
        let (first, serves) = (std::mem::take(&mut entrance.unheard_of), live.is_some());
        entrance.set_live(live);
        entrance.forget_releases();
        let door = entrance.app.door.clone();
        self.show(&state);
        failpoint::here("plane.shown");
        // After the publish: who is told that its gate is an old one must find the new table.
        door.set_epoch(gate.0);
        failpoint::here("plane.epoch");
        if first && serves {
            door.release(0, clock::now());
            self.runtime.spawn(pace(door));
        }
    }

    fn split(&self, _: &AppName, _: Generation, _: Option<Split>) {}

    fn arms(&self, _: &AppName) -> Option<Arms> {
        None
    }

    fn close(&self, app: &AppName, gate: GateId, methods: Methods, tunnels_too: bool) {
        let Some(live) = self.with(app, |entrance| entrance.find(gate)) else {
            return self.signaller.send(Signal::GateEmpty(app.clone(), gate));
        };
        live.gate.close();
        failpoint::here("plane.gate_closed");
        if tunnels_too {
            live.hurried.store(true, Relaxed);
            live.cut_tunnels.cancel();
        }
        let ending = Ending {
            app: app.clone(),
            live,
            plane: self.me.clone(),
        };
        self.runtime.spawn(ending.run(classes(methods)));
    }

    fn cut(&self, app: &AppName, gate: GateId) {
        if let Some(live) = self.with(app, |entrance| entrance.find(gate)) {
            live.gate.close();
            live.cut_all();
            failpoint::here("plane.cut");
        }
    }

    fn release(&self, app: &AppName) {
        let Some(door) = self.door(app) else {
            return;
        };
        let running_before = self.with(app, |entrance| entrance.running_before);
        door.release(running_before, clock::now());
        failpoint::here("plane.releases");
        self.runtime.spawn(pace(door));
    }

    fn give_up(&self, app: &AppName) {
        if let Some(door) = self.door(app) {
            door.give_up(clock::now());
            failpoint::here("plane.gave_up");
        }
    }

    fn mark(&self, app: &AppName, instance: &Address, healthy: bool) {
        self.with(app, |entrance| {
            let instances = entrance.app.live.iter().flat_map(|live| &*live.instances);
            instances
                .filter(|known| known.address == *instance)
                .for_each(|known| known.mark(healthy));
        });
    }

    fn connect(&self, app: &AppName, instance: &Address) -> Connecting {
        let settings = self.with(app, |entrance| Some(entrance.app.settings.clone()));
        let instance = instance.clone();
        Box::pin(async move {
            let tls = settings.as_ref().and_then(|settings| settings.tls.as_ref());
            upstream::stream(&instance, tls).await
        })
    }

    fn traffic(&self, app: &AppName) -> Traffic {
        self.with(app, |entrance| entrance.traffic())
    }

    fn requests(&self, app: &AppName) -> u64 {
        self.with(app, |entrance| {
            let counters = &entrance.app.counters;
            counters.sum(|cells| cells.requests.read())
        })
    }
}

impl Entrance {
    fn traffic(&self) -> Traffic {
        let now = clock::now();
        let counters = &self.app.counters;
        Traffic {
            requests: counters.sum(|cells| cells.requests.read()),
            in_flight: self.running(),
            instances: self
                .app
                .live
                .iter()
                .flat_map(|live| &*live.instances)
                .map(|instance| {
                    (
                        instance.address.clone(),
                        instance.is_up(now),
                        instance.in_flight_total(),
                    )
                })
                .collect(),
            hold: hold_counts(&self.app.door),
            retried: counters.sum(|cells| cells.retried.read()),
            drained: counters.sum(|cells| cells.drained.read()),
            cut: counters.sum(|cells| cells.cut.read()),
            lost: counters.lost(),
            draining: self
                .draining
                .iter()
                .map(|Draining { live, since }| {
                    (
                        live.release.clone(),
                        live.gate.running(Classes::ALL),
                        now.saturating_sub(*since),
                    )
                })
                .collect(),
        }
    }
}

/// The end of a release behind a closed gate.
struct Ending {
    app: AppName,
    live: Arc<LiveRelease>,
    plane: Weak<Plane>,
}

impl Ending {
    /// Waits for the requests of these classes and reports; then for all of them and every connection, and forgets.
    async fn run(self, classes: Classes) {
        let Some(plane) = self.plane.upgrade() else {
            return;
        };
        let empty = Signal::GateEmpty(self.app.clone(), self.live.gate_id);
        self.live.gate.empty(classes).await;
        if classes != Classes::ALL {
            plane.signaller.send(empty.clone());
            self.live.gate.empty(Classes::ALL).await;
        }
        failpoint::here("plane.empty");
        self.close_connections(&plane.mail).await;
        failpoint::here("plane.retired");
        plane.forget(&self.app, self.live.uid);
        plane.signaller.send(empty);
    }

    /// Nothing runs any more, so every connection is idle, in some worker's pool.
    async fn close_connections(&self, mail: &[mpsc::Sender<Mail>]) {
        self.live.links.close();
        for worker in mail {
            let (done, retired) = oneshot::channel();
            if worker.send(Mail::Retire(self.live.uid, done)).await.is_ok() {
                let _ = retired.await;
            }
        }
        self.live.links.empty(Classes::ALL).await;
    }
}

/// Lets the queue's pace grow with time, until the door is open.
async fn pace(door: Arc<Door>) {
    while let Some(delay) = door.pace(clock::now()) {
        tokio::time::sleep(delay).await;
    }
}
