//! swapctl: the command that deploy scripts call. One verb, one file.
//!
//! What is typed (`cli`) becomes a request with every text read; the daemon answers; the answer becomes words, JSON and
//! an exit code. Results go to standard output, everything else to standard error. swapctl decides nothing about a swap:
//! that is the daemon's.

mod cli;
mod exit;
mod failure;
mod follow;
mod output;
mod progress;
mod session;
mod signals;
mod told;
mod verb;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

/// Acts as the `swapctl` command with these arguments, the program's name first.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(typed) => session::run(typed).code(),
        Err(error) => {
            // Help and versions are no errors: clap knows. If nobody can read it, there is nobody to tell.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
