//! Everything that Holdfast is made of, in one thread, in time that is made up: the driver with its journal on a disk that
//! fails, the machine, doors, gates, the table, pools and hyper on both sides. What is not real is the disk, the clocks, the
//! clients and the apps. Every run follows from its seed.
//!
//! `HOLDFAST_SEED=7 cargo test -p simulation --test it one_seed -- --nocapture` plays one again and tells its story;
//! `HOLDFAST_SEEDS=100000` with `many_seeds` is a long run, `HOLDFAST_STEPS` makes each longer.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and what was played is told"
)]

mod book;
mod broken;
mod client;
mod directed;
mod gates;
mod http2;
mod instance;
mod message;
mod orders;
mod plan;
mod releases;
mod run;
mod seam;
mod seeds;
mod storage;
mod watch;
