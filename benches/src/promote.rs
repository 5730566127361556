//! A promote with strategy overlap, event by event: what the machine decides for each deploy.

use swap_core::{
    App, Event, GateId, Limits, Moment, Phase, ProbeId, Promote, Release, Saved, Strategy, step,
};

/// One event of it.
pub struct Promoted {
    /// What happens.
    pub what: &'static str,
    /// The app before.
    pub app: App,
    /// What it is told.
    pub event: Event,
    /// Where it stands afterwards.
    pub phase: Phase,
}

/// The events of one promote, in their order.
pub fn events() -> [Promoted; 3] {
    let steady = serving();
    let asked = Event::Promote(asked());
    let booting = after(&steady, &asked);
    let ready = Event::ProbePassed { probe: ProbeId(1) };
    let draining = after(&booting, &ready);
    let drained = Event::GateEmpty {
        gate: steady.gate(),
    };
    [
        Promoted {
            what: "somebody asks",
            app: steady,
            event: asked,
            phase: Phase::Booting,
        },
        Promoted {
            what: "the release is ready",
            app: booting,
            event: ready,
            phase: Phase::Draining,
        },
        Promoted {
            what: "the old one has drained",
            app: after(&draining, &Event::DoorOpen),
            event: drained,
            phase: Phase::Steady,
        },
    ]
}

fn after(app: &App, event: &Event) -> App {
    step(app, event.clone(), Moment::default()).app
}

#[expect(clippy::expect_used, reason = "every name is written here")]
fn release(id: &str, address: &str) -> Release {
    Release {
        id: id.parse().expect("the id of a release"),
        instances: vec![address.parse().expect("an address")],
    }
}

/// An app that has a live release, and had one before that.
fn serving() -> App {
    let saved = Saved {
        live: Some(release("9f3c1a2", "127.0.0.1:3001")),
        previous: Some(release("51bd0e7", "127.0.0.1:3000")),
        gate: GateId(1),
        ..Saved::default()
    };
    let app = App::restore(saved, Limits::default(), Moment::default()).app;
    after(&app, &Event::DoorOpen)
}

#[expect(clippy::expect_used, reason = "every name is written here")]
fn asked() -> Promote {
    let next = release("c04e5d1", "127.0.0.1:3002");
    Promote {
        operation: "deploy-7".parse().expect("an operation"),
        release: next.id,
        instances: next.instances,
        strategy: Strategy::Overlap,
        boot: None,
        drain: None,
        hold: None,
        if_current: None,
        if_generation: None,
        command: false,
        canary: None,
        reason: Some("main: run 7".to_owned()),
        by: "uid 0".to_owned(),
    }
}
