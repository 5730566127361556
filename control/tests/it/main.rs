//! The control plane from outside: over its real socket, with a data plane that only writes down what it is told, and
//! with small real apps to probe.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by panicking, and what it measured by printing"
)]

mod cast;

mod bad_input;
mod canaries;
mod commanding;
mod events;
mod experiments;
mod external_gates;
mod full_disk;
mod journalling;
mod operations;
mod receipts;
mod recording;
mod reloading;
mod socket;
mod strangers;
mod streams;
mod verbs;
