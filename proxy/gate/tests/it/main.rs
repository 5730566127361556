//! What the gate and the queue promise, one module for one promise.

#![cfg(not(loom))]
#![allow(clippy::expect_used, reason = "a test may panic")]

mod coming_back;
mod gate;
mod holding;
mod model;
mod outside_the_lock;
mod releasing;
mod support;
