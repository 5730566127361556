//! Every interleaving of small worlds, as loom finds them:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p swap-gate --release --test loom -- --nocapture
//! ```
//!
//! Each test says how many executions it took. A lost wake-up shows as a deadlock, a missing ordering as an old value
//! that a relaxed read returns. `broken` shows that such faults are found here: it makes them on purpose.

#![cfg(loom)]
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test may")]

mod broken;
mod door;
mod explore;
mod gate;
mod turns;
