//! The swap machine of Holdfast, as a pure function.
//!
//! `step(app, event, now)` says what an [`App`] becomes and what must be done about it. There is no clock, no
//! IO and no runtime in this crate: time is an argument, effects are data. Whoever drives it carries the effects
//! out in the order given and reports what happened as further events.
//!
//! ```
//! use swap_core::{App, Effect, Event, Limits, Moment, ProbeId, Saved, step};
//!
//! // A new app publishes an empty table and holds its requests.
//! let now = Moment::default();
//! let app = App::restore(Saved::default(), Limits::default(), now).app;
//!
//! // Somebody promotes; the new release is probed before anything else happens.
//! # let promote = swap_core::Promote {
//! #     operation: "deploy-7".parse()?, release: "9f3c1a2".parse()?, instances: vec!["127.0.0.1:3001".parse()?],
//! #     strategy: Default::default(), boot: None, drain: None, hold: None, if_current: None, if_generation: None,
//! #     command: false, canary: None, reason: None, by: "uid 0".to_owned(),
//! # };
//! let booting = step(&app, Event::Promote(promote), now);
//! assert!(matches!(booting.effects[..], [Effect::Progress { .. }, Effect::Probe { .. }]));
//!
//! // It is ready: one step changes who serves. The driver journals `saved` before it carries out the effects.
//! let swapped = step(&booting.app, Event::ProbePassed { probe: ProbeId(1) }, now);
//! assert!(swapped.app.saved().live.is_some());
//! assert!(matches!(swapped.effects[0], Effect::Publish { .. }));
//! # Ok::<(), swap_core::BadName>(())
//! ```
//!
//! Where to look: [`App`] says what parts a state has, `door.rs` and `work.rs` have a diagram each, `gates.rs` says why a
//! drain waits for more than one gate. One file for one state or strategy; `admission.rs` for who may begin. What is
//! published beside the live release is a [`Split`]: `splitting.rs` says when there is one, `rollout.rs` how a canary gets on.

mod admission;
mod app;
mod block;
mod door;
mod draining;
pub mod duration;
mod effect;
mod event;
mod experiment;
mod gates;
mod hold;
mod hold_swap;
mod invariants;
mod limits;
mod moment;
mod names;
mod operation;
mod overlap;
mod plan;
mod promote;
mod release;
mod restore;
mod returning;
mod rollout;
mod saved;
mod span;
mod split;
mod splitting;
mod staging;
mod steering;
mod turn;
mod warm;
mod work;

pub use app::{App, Phase, Step, Underway, step};
pub use effect::{Answer, Effect, Ending, Outcome, Refusal};
pub use event::{
    CloseExperiment, Event, ExperimentArm, HoldCommand, Promote, Rollback, Stage, StartExperiment,
    Strategy,
};
pub use experiment::Experiment;
pub use limits::Limits;
pub use moment::Moment;
pub use names::{
    Address, AppName, ArmName, BadName, GateId, Generation, OperationId, ProbeId, ReleaseId,
};
pub use plan::{CanaryPlan, ExternalGate, OnFail, OnQuiet, Smoke, Verdict};
pub use release::{Block, Cause, Methods, Release};
pub use rollout::{Going, Stage as RolloutStage, Withdrawn};
pub use saved::{Running, Saved, SavedHold};
pub use split::{BadShare, Beside, Share, Slice, Split};
