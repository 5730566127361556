//! swapctl as a deploy script meets it: the real binary as a child process, against a daemon whose every word is the
//! test's.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has failed"
)]

mod answers;
mod asking;
mod command;
mod completions;
mod daemon;
mod exit_codes;
mod help;
mod losing;
mod progress;
mod reaching;
mod run;
mod terminal;
mod words;
