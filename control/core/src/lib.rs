//! The swap machine of Holdfast, as a pure function.
//!
//! `step(app, event, now)` says what an [`App`] becomes and what must be done about it. There is no clock, no
//! IO and no runtime in this crate: time is an argument, effects are data. Whoever drives it carries the effects
//! out in the order given and reports what happened as further events.

mod admission;
mod app;
mod block;
mod door;
mod draining;
pub mod duration;
mod effect;
mod event;
mod gates;
mod hold;
mod hold_swap;
mod invariants;
mod limits;
mod moment;
mod names;
mod operation;
mod overlap;
mod promote;
mod release;
mod restore;
mod returning;
mod saved;
mod span;
mod staging;
mod turn;
mod work;

pub use app::{App, Phase, Step, step};
pub use effect::{Answer, Effect, Ending, Outcome, Refusal};
pub use event::{Event, HoldCommand, Promote, Rollback, Stage, Strategy};
pub use limits::Limits;
pub use moment::Moment;
pub use names::{Address, AppName, BadName, GateId, Generation, OperationId, ProbeId, ReleaseId};
pub use release::{Block, Cause, Methods, Release};
pub use saved::{Running, Saved, SavedHold};
