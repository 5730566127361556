//! The data plane as the control plane drives it: publishes tables, shuts and opens doors, closes gates.
//!
//! What must be in order is done here, under one lock that only the control plane takes; requests see the published
//! table, the door and the gate, and nothing else.

mod ending;
mod entrance;
mod words;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use holdfast_control::failpoint;
use holdfast_control::plane::{Arms, Connecting, DataPlane, Signal, Signaller, Traffic};
use swap_core::{Address, AppName, Cause, GateId, Generation, Methods, Release, Split};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::counters::PerWorker;
use crate::route::Routes;
use crate::table::{AllSettings, App, Door, Published, Settings, Table};
use crate::upstream;
use crate::worker::Mail;
use ending::Ending;
use entrance::Entrance;
pub(crate) use entrance::Survey;
use words::{bounds, classes};

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
            epoch: 0,
            split: None,
            counters: Arc::new(PerWorker::new(self.mail.len())),
        };
        Entrance::new(app, self.mail.len())
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
        state.apps.values().map(Entrance::survey).collect()
    }

    fn door(&self, app: &AppName) -> Option<Arc<Door>> {
        self.with(app, |entrance| Some(entrance.app.door.clone()))
    }

    fn forget(&self, app: &AppName, uid: u64) {
        self.with(app, |entrance| entrance.forget(uid));
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
        let (first, serves) = (std::mem::take(&mut entrance.unheard_of), live.is_some());
        entrance.set_live(gate, live);
        let (door, epoch) = (entrance.app.door.clone(), entrance.app.epoch);
        self.show(&state);
        failpoint::here("plane.shown");
        // After the publish: who is told that its gate is an old one must find the new table.
        door.set_epoch(epoch);
        failpoint::here("plane.epoch");
        if first && serves {
            door.release(0, clock::now());
            self.runtime.spawn(pace(door));
        }
    }

    fn split(&self, app: &AppName, _: Generation, split: Option<Split>) {
        let mut state = self.state();
        let Some(entrance) = state.apps.get_mut(app) else {
            return;
        };
        entrance.set_split(split);
        self.show(&state);
    }

    fn arms(&self, app: &AppName) -> Option<Arms> {
        let split = self.with(app, |entrance| entrance.app.split.clone());
        split.map(|split| split.tally.arms())
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
            entrance
                .instances()
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

/// Lets the queue's pace grow with time, until the door is open.
async fn pace(door: Arc<Door>) {
    while let Some(delay) = door.pace(clock::now()) {
        tokio::time::sleep(delay).await;
    }
}
