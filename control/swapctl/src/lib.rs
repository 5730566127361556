//! swapctl: the command that deploy scripts call. One verb, one file.
//!
//! Results go to standard output, everything else to standard error; the exit codes are CONTRACT's.

mod cli;
mod exit;
mod follow;
mod output;
mod verb;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use exit::Exit;

/// Acts as the `swapctl` command with these arguments, the program's name first.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let typed = match Cli::try_parse_from(arguments) {
        Ok(typed) => typed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(verb::run(typed)),
        Err(error) => Exit::internal(&error),
    };
    exit.code()
}
