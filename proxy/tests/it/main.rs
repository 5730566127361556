//! What Holdfast promises to clients and deploy scripts, on real sockets, with the real daemon as a child process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails"
)]
#![allow(
    clippy::print_stderr,
    reason = "seeds and the daemon's log belong into a failure"
)]

#[cfg(feature = "acme")]
mod acme;
mod app;
mod bodies;
mod client;
mod conformance;
mod crashing;
mod crowd;
mod daemon;
mod demo;
mod differential;
mod down;
mod edges;
mod faults;
mod frames;
mod fronts;
mod grpc;
mod holding;
mod http2;
mod killing;
mod limits;
mod memory;
mod reloading;
mod rolling_out;
mod scheduling;
mod service_manager;
mod stopping;
mod swapping;
mod tls;
mod tunnels;
mod upgrading;
mod uploads;
mod upstreams;
mod websockets;
