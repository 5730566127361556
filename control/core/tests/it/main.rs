//! What the swap machine promises, one module for one promise.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on stops"
)]

mod cast;
mod play;
mod words;

mod aborting;
mod blocking;
mod booting_beside_the_old;
mod coming_back_from_the_journal;
mod draining;
mod going_down;
mod holding_by_command;
mod holding_for_a_swap;
mod naming_operations;
mod rolling_back;
mod staging;
