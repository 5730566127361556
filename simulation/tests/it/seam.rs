//! The seam between the planes, watched: what the driver asks of the data plane is written down and goes on as it is. Or
//! not as it is: a build that is broken on purpose is one in which this seam does something else.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_control::plane::{Arms, Connecting, DataPlane, Signal, Signaller, Signals, Traffic};
use swap_core::{Address, AppName, Cause, GateId, Generation, Methods, Release, Split};

use crate::book::Shared;
use crate::releases::Releases;

/// What is wrong with the build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// A gate is closed, and only then the table published that replaces it.
    PublishAfterClose,
    /// Neither is done, and the gate said to be empty: it goes on admitting.
    AdmitsAfterClose,
    /// A gate is said to be empty as soon as it is closed.
    EmptyAtOnce,
    /// A door that was held is never opened.
    NeverReleases,
    /// A door is not held.
    NeverHolds,
    /// What was lost is not counted.
    CountsNoLoss,
    /// The disk says that it has synced, and has not: as if the journal answered before.
    AnswersBeforeSync,
    /// What is not idempotent is tried again.
    RetriesPosts,
}

/// The data plane with somebody in front of it.
pub(crate) struct Seam {
    pub(crate) plane: Arc<dyn DataPlane>,
    pub(crate) shared: Shared,
    pub(crate) releases: Arc<Releases>,
    pub(crate) signaller: Signaller,
    pub(crate) mutant: Mutant,
    pub(crate) late: Mutex<Option<Published>>,
}

/// What a publish says.
pub(crate) struct Published {
    app: AppName,
    generation: Generation,
    gate: GateId,
    live: Option<Release>,
}

/// Passes on what the data plane reports, and writes it down.
pub(crate) async fn report(mut from: Signals, to: Signaller, shared: Shared) {
    loop {
        let signal = from.next().await;
        note(&signal, &shared);
        to.send(signal);
    }
}

fn note(signal: &Signal, shared: &Shared) {
    match signal {
        Signal::GateEmpty(_, gate) => {
            shared.tell("signal: gate empty", &gate.to_string());
            let mut book = shared.book();
            let now = book.now_ms();
            let ended = book.gates.ended(gate.0, now);
            book.must(ended.is_ok(), || ended.unwrap_err());
        }
        Signal::DoorOpen(_) => shared.tell("signal: door open", ""),
        Signal::LiveDown(_, gate) => shared.tell("signal: live down", &gate.to_string()),
    }
}

impl Seam {
    fn do_publish(&self, published: Published) {
        let Published {
            app,
            generation,
            gate,
            live,
        } = published;
        let id = live.as_ref().map(|live| live.id.as_str().to_owned());
        let instances = live
            .as_ref()
            .map_or(Vec::new(), |live| self.releases.of(live));
        self.shared
            .tell("publish", &format!("{generation} gate {gate} {id:?}"));
        {
            let mut book = self.shared.book();
            let now = book.now_ms();
            let sound = book.gates.publish(generation.0, gate.0, id, instances, now);
            book.must(sound.is_ok(), || sound.unwrap_err());
        }
        if self.mutant != Mutant::AdmitsAfterClose || generation.0 <= 2 {
            self.plane.publish(&app, generation, gate, live);
        }
    }

    fn catch_up(&self) {
        let late = self
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        late.into_iter()
            .for_each(|published| self.do_publish(published));
    }
}

impl DataPlane for Seam {
    fn hold(&self, app: &AppName, cause: Cause, methods: Methods) {
        self.catch_up();
        self.shared
            .tell(&format!("hold: {cause:?}"), &format!("{methods:?}"));
        let now = self.shared.book().now_ms();
        self.shared.book().gates.hold(methods, now);
        if self.mutant != Mutant::NeverHolds || cause == Cause::Empty {
            self.plane.hold(app, cause, methods);
        }
    }

    fn publish(&self, app: &AppName, generation: Generation, gate: GateId, live: Option<Release>) {
        self.catch_up();
        let app = app.clone();
        let published = Published {
            app,
            generation,
            gate,
            live,
        };
        if self.mutant == Mutant::PublishAfterClose {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            *late = Some(published);
        } else {
            self.do_publish(published);
        }
    }

    fn split(&self, app: &AppName, generation: Generation, split: Option<Split>) {
        self.catch_up();
        self.plane.split(app, generation, split);
    }

    fn arms(&self, app: &AppName) -> Option<Arms> {
        self.plane.arms(app)
    }

    fn close(&self, app: &AppName, gate: GateId, methods: Methods, tunnels_too: bool) {
        self.shared
            .tell("close", &format!("gate {gate} {methods:?}"));
        {
            let mut book = self.shared.book();
            let now = book.now_ms();
            let all = methods.classes() == Methods::ALL.classes();
            let sound = book.gates.close(gate.0, all, now);
            book.must(sound.is_ok(), || sound.unwrap_err());
        }
        if matches!(self.mutant, Mutant::AdmitsAfterClose | Mutant::EmptyAtOnce) {
            let signal = Signal::GateEmpty(app.clone(), gate);
            note(&signal, &self.shared);
            self.signaller.send(signal);
        }
        if self.mutant != Mutant::AdmitsAfterClose {
            self.plane.close(app, gate, methods, tunnels_too);
        }
        self.catch_up();
    }

    fn cut(&self, app: &AppName, gate: GateId) {
        self.catch_up();
        self.shared.tell("cut", &gate.to_string());
        self.plane.cut(app, gate);
    }

    fn release(&self, app: &AppName) {
        self.catch_up();
        self.shared.tell("release", "");
        self.shared.book().gates.open();
        if self.mutant != Mutant::NeverReleases {
            self.plane.release(app);
        }
    }

    fn give_up(&self, app: &AppName) {
        self.catch_up();
        self.shared.tell("give up", "");
        self.plane.give_up(app);
    }

    fn mark(&self, app: &AppName, instance: &Address, healthy: bool) {
        self.plane.mark(app, instance, healthy);
    }

    fn connect(&self, app: &AppName, instance: &Address) -> Connecting {
        self.plane.connect(app, instance)
    }

    fn traffic(&self, app: &AppName) -> Traffic {
        self.catch_up();
        let mut traffic = self.plane.traffic(app);
        if self.mutant == Mutant::CountsNoLoss {
            traffic.lost = 0;
        }
        traffic
    }
}
