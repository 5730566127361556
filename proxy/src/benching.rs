//! The steps of a request's way one by one, for `benches`: each type here sets up one step and does it, with what the
//! way itself calls. Whoever needs no more than is public (the gate, the door, a step of the machine) is not in here.
//! Behind the feature `benching`, in no build that is shipped.

#![allow(
    clippy::expect_used,
    reason = "what is set up here is known to be sound"
)]

mod fields;
mod stage;
mod tables;

pub use fields::{Policy, Rewriting};
pub use tables::{Picking, Routing, Tables};
