//! What the swap machine promises, one module for one promise.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and tells what it has seen"
)]

mod cast;
mod essence;
mod play;
mod words;
mod world;

mod aborting;
mod blocking;
mod booting_beside_the_old;
mod coming_back_from_the_journal;
mod draining;
mod every_state;
mod experimenting;
mod going_down;
mod holding_by_command;
mod holding_for_a_swap;
mod keeping_warm;
mod model;
mod naming_operations;
mod previewing;
mod rolling_back;
mod rolling_out;
mod staging;
mod table;
mod taking_anything;
