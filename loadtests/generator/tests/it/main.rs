//! The load finds every fault that it is there to find, and none where there is none.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "these are tests, helpers too"
)]

mod app;
mod bad_proxy;
mod direct;
mod faults;
mod http2;
mod report;
mod stage;
mod toxic;
